"""What was refused: listed, shown and tried again, over HTTP and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.settings import Settings
from tests.api.conftest import assert_problem
from tests.api.samples import packet
from tests.api.test_cli import Run, run
from tests.api.test_ingestions import finished, upload

__all__ = ["run"]

DOCUMENT = "phenopackets:refused.json"


def _refused() -> bytes:
    """A case with two findings that the graph's HPO does not have."""
    case: dict[str, Any] = packet("refused-1")
    case["phenotypicFeatures"] += [{"type": {"id": f"HP:999999{number}"}} for number in (1, 2)]
    return json.dumps(case).encode()


async def test_over_http(http: httpx.AsyncClient, settings: Settings) -> None:
    assert (await http.get("/v1/dead-letters")).json() == {"letters": []}
    report = (await finished(http, await upload(http, "refused.json", _refused())))["report"]
    await finished(http, await upload(http, "broken.json", b'{"id": '))
    refused = report["refused"]
    assert len(refused) == 2

    async def letters(**query: object) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await http.get("/v1/dead-letters", params=query)).json()["letters"]  # type: ignore[arg-type]
        return found

    of_document = await letters(document=DOCUMENT)
    assert [{n: x[n] for n in ("document", "place", "reason")} for x in of_document] == refused
    everything = await letters()
    assert len(everything) == 3
    assert [(await letters(limit=1, offset=at))[0] for at in range(3)] == everything
    assert await letters(document="phenopackets:other.json") == []
    counts = (await http.get("/v1/dead-letters/counts")).json()["counts"]
    assert sum(c["letters"] for c in counts) == 3
    assert {c["document"] for c in counts} == {DOCUMENT, "phenopackets:broken.json"}
    shown = (await http.get(f"/v1/dead-letters/{of_document[1]['id']}")).json()
    assert shown.items() >= of_document[1].items()
    assert "HP:9999992" in shown["record"]
    assert str(settings.data) not in json.dumps(shown)
    assert_problem(await http.get("/v1/dead-letters/nope"), 404, "not-found")

    again = await http.post("/v1/dead-letters/replay", json={"documents": [DOCUMENT]})
    assert again.json() == {"written": 0, "refused": 2, "left": [], "entities": 0, "facts": 0}
    assert await letters(document=DOCUMENT) == of_document
    everywhere = (await http.post("/v1/dead-letters/replay", json={})).json()
    assert everywhere["refused"] + len(everywhere["left"]) == 3
    assert_problem(await http.post("/v1/dead-letters/replay", json={"document": DOCUMENT}), 422, "validation")
    for document in (DOCUMENT, "phenopackets:broken.json"):
        await http.delete(f"/v1/sources/{document}")


async def test_a_replay_waits_for_no_ingestion(http: httpx.AsyncClient) -> None:
    service = http.app.state.service  # type: ignore[attr-defined]
    async with service._loading:
        busy = await http.post("/v1/dead-letters/replay", json={})
    assert_problem(busy, 429, "busy")
    assert busy.headers["retry-after"]
    assert (await http.post("/v1/dead-letters/replay", json={})).status_code == 200


def test_on_the_command_line(run: Run, tmp_path: Path) -> None:
    assert "no dead letters" in run("deadletters", "list")[1]
    path = tmp_path / "refused.json"
    path.write_bytes(_refused())
    assert run("ingest", "phenopackets", str(path))[0] == 1
    counts = json.loads(run("deadletters", "list", "--json")[1])
    assert [(c["document"], c["letters"]) for c in counts] == [(DOCUMENT, 1), (DOCUMENT, 1)]
    found = json.loads(run("deadletters", "list", "--document", DOCUMENT, "--json")[1])
    assert [letter["file"] for letter in found] == [str(path)] * 2
    [second] = json.loads(run("deadletters", "list", "--document", DOCUMENT, "--offset", "1", "--json")[1])
    assert second == found[1]
    assert second["id"] in run("deadletters", "list", "--document", DOCUMENT)[1]
    assert json.loads(run("deadletters", "show", second["id"], "--json")[1]) == second
    assert second["reason"] in run("deadletters", "show", second["id"])[1]
    assert run("deadletters", "show", "nope")[0] == 5
    code, printed, _ = run("deadletters", "replay", "--json")
    assert code == 1
    assert json.loads(printed) == {"written": 0, "refused": 2, "left": [], "entities": 0, "facts": 0}
    assert run("sources", "retract", DOCUMENT)[0] == 0


@pytest.mark.parametrize("page", ["/v1/dead-letters?limit=0", "/v1/dead-letters/counts?offset=-1"])
async def test_pages_have_bounds(http: httpx.AsyncClient, page: str) -> None:
    assert_problem(await http.get(page), 422, "validation")
