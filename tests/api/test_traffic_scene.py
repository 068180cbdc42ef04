from __future__ import annotations

import base64
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from api.cli import main
from api.scene_boxes import boxes_of_file
from api.settings import Settings
from kg.errors import InputError
from tests.api.conftest import Client, assert_problem
from tests.encoders.test_vision import BUS, NANODET, needs_nanodet

PATH = "/v1/traffic/scene"
_PERSON = {"label": "person", "confidence": 0.9, "box": [0.45, 0.4, 0.55, 0.9]}


async def _ask(http: httpx.AsyncClient, **body: object) -> dict[str, Any]:
    response = await http.post(PATH, json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_words_boxes_and_flags_speak_together(http: httpx.AsyncClient) -> None:
    judged = await _ask(http, sentence="the light is green", detections=[_PERSON], flags=["road is clear"])
    answer = judged["answer"]
    assert [seen["kind"] for seen in answer["evidence"]] == ["flag", "box", "words"]
    assert answer["instruction"].startswith("You must slow down or stop")
    assert judged["experience"]
    assert judged["in_words"]


async def test_nothing_seen_is_no_instruction(http: httpx.AsyncClient) -> None:
    answer = (await _ask(http, sentence="The sky is blue."))["answer"]
    assert answer["instruction"] == ""
    assert "no evidence" in answer["abstains"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "say what is seen"),
        ({"flags": ["flying pigs"]}, "flying pigs"),
        ({"detections": [{"label": "person", "confidence": 2}]}, "confidence"),
        ({"detections": [{"label": "person", "box": [0.9, 0.1, 0.2, 0.3]}]}, "left < right"),
        ({"sentence": "x", "language": "tlh"}, "language"),
    ],
)
async def test_bad_input_is_named(http: httpx.AsyncClient, body: dict[str, object], field: str) -> None:
    response = await http.post(PATH, json=body)
    assert response.status_code == 422
    assert field in response.text


@pytest.fixture
async def seeing(settings: Settings, client: Client) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server with a detector."""
    async with client(settings.model_copy(update={"detector": str(NANODET)})) as made:
        yield made


@needs_nanodet
async def test_a_picture_is_read(seeing: httpx.AsyncClient) -> None:
    judged = await _ask(seeing, picture=base64.b64encode(BUS.read_bytes()).decode())
    first = judged["answer"]["evidence"][0]
    assert (first["kind"], first["shown"]) == ("box", "bus")
    assert first["source"].startswith("nanodet@")
    assert judged["answer"]["instruction"]
    blank = io.BytesIO()
    Image.new("RGB", (64, 48), "white").save(blank, "PNG")
    empty = await _ask(seeing, picture=base64.b64encode(blank.getvalue()).decode())
    assert empty["answer"]["instruction"] == ""
    assert "no evidence" in empty["answer"]["abstains"]
    refused = await seeing.post(PATH, json={"picture": base64.b64encode(b"GIF8 no").decode()})
    assert "is no picture" in str(assert_problem(refused, 422, "input")["detail"])


async def test_without_detector_a_picture_is_refused(http: httpx.AsyncClient) -> None:
    refused = assert_problem(await http.post(PATH, json={"picture": "AAAA"}), 409, "conflict")
    assert "EVIGRAPH_DETECTOR" in str(refused["detail"])
    assert (await http.post(PATH, json={"picture": "not base 64!"})).status_code == 422


@needs_nanodet
def test_a_picture_by_command(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["scene", "--picture", str(BUS), "--detector", str(NANODET)])
    assert end.value.code == 0
    assert "box: bus" in capfd.readouterr().out


async def test_a_medium_that_is_not_there(http: httpx.AsyncClient) -> None:
    assert_problem(await http.post(PATH, json={"medium": "image:nowhere"}), 404, "not-found")


def test_files_of_detectors_are_read_through_their_readers(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text('[{"image_id": 42, "category_id": 13, "bbox": [10, 10, 20, 20], "score": 0.9}]', encoding="utf-8")
    (box,) = boxes_of_file(path)
    assert box.label == "stop sign"
    path.write_text('[{"label": "person", "confidence": 7}]', encoding="utf-8")
    with pytest.raises(InputError, match=r"results\.json\[0\]\.confidence"):
        boxes_of_file(path)


def test_command(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["scene", "the light is red"])
    assert end.value.code == 0
    assert "You must stop" in capfd.readouterr().out
