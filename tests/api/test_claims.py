from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.keys import KeyRing, Role
from api.settings import Settings
from ingestion.dead_letters import read_letters
from tests.api.conftest import Client, assert_problem


def message(**parts: object) -> dict[str, Any]:
    return {
        "sources": [{"id": "yolo:gate", "kind": "model"}],
        "entities": [
            {"id": "camera:gate", "classes": ["Camera"], "source": "yolo:gate", "properties": {"name": "Gate"}},
            {"id": "detection:gate/1", "classes": ["Detection"], "source": "yolo:gate"},
        ],
        "claims": [
            {
                "subject": "detection:gate/1",
                "relation": "DETECTED_IN",
                "object": "camera:gate",
                "source": "yolo:gate",
                "confidence": 0.5,
            }
        ],
        **parts,
    }


@pytest.fixture
async def clean(http: httpx.AsyncClient) -> Any:
    """The client; what it pushed is taken back."""
    pushed: list[str] = []
    yield http, pushed
    for document in pushed:
        assert (await http.delete(f"/v1/sources/{document}")).status_code == 200


async def test_a_message_is_written_once(clean: Any) -> None:
    http, pushed = clean
    first = (await http.post("/v1/claims", json=message(id="m1"))).json()
    pushed.append(first["document"])
    assert (first["id"], first["document"], first["repeated"]) == ("m1", "push:m1", False)
    assert (first["sources"], first["entities"], first["claims"], first["refused"]) == (1, 2, 1, [])
    assert (first["entities_changed"], first["facts_changed"]) == (2, 1)
    again = (await http.post("/v1/claims", json=message(id="m1"))).json()
    assert again["repeated"]
    assert again["version"] == first["version"]
    (fact,) = (await http.get("/v1/entities/detection:gate%2F1/neighbourhood")).json()["facts"]
    (claim,) = fact["claims"]
    assert (claim["source"], claim["document"], claim["place"]) == ("yolo:gate", "push:m1", "claims[0]")
    assert claim["confidence"] == 0.5
    assert_problem(await http.post("/v1/claims", json=message(id="m1", claims=[])), 409, "conflict")


async def test_taken_back_it_may_come_again(clean: Any) -> None:
    http, pushed = clean
    key = {"Idempotency-Key": "by-header"}
    first = (await http.post("/v1/claims", json=message(), headers=key)).json()
    assert first["document"] == "push:by-header"
    assert (await http.delete("/v1/sources/push:by-header")).status_code == 200
    assert (await http.get("/v1/entities/detection:gate%2F1")).status_code == 404
    again = (await http.post("/v1/claims", json=message(claims=[]), headers=key)).json()
    pushed.append(again["document"])
    assert not again["repeated"]


async def test_without_an_id_the_content_is_the_id(clean: Any) -> None:
    http, pushed = clean
    first = (await http.post("/v1/claims", json=message())).json()
    pushed.append(first["document"])
    again = (await http.post("/v1/claims", json=message())).json()
    assert (first["repeated"], again["repeated"]) == (False, True)
    assert first["id"] == again["id"]


async def test_refused_parts_are_dead_letters_that_can_be_pushed_again(clean: Any, settings: Settings) -> None:
    http, pushed = clean
    claim = message()["claims"][0]
    bad = [
        claim | {"relation": "NO_SUCH"},
        claim | {"source": "nobody:1"},
        claim | {"qualifiers": {"no_such": 1}},
        claim | {"object": "no curie"[:2]},
    ]
    answer = (await http.post("/v1/claims", json=message(id="m2", claims=[*bad, claim]))).json()
    pushed.append(answer["document"])
    assert answer["claims"] == 1
    assert sorted(item["place"] for item in answer["refused"]) == [f"claims[{at}]" for at in range(4)]
    letters = list(read_letters(settings.dead_letters))
    assert [letter.document for letter in letters] == ["push:m2"] * 4
    by_place = {letter.place: json.loads(letter.record) for letter in letters}
    assert by_place["claims[1]"]["claims"][0]["source"] == "nobody:1"
    sources = [{"id": "nobody:1", "kind": "person"}]
    again = (await http.post("/v1/claims", json=by_place["claims[1]"] | {"sources": sources})).json()
    pushed.append(again["document"])
    assert (again["claims"], again["refused"]) == (1, [])


@pytest.mark.parametrize(
    "body",
    [
        {"claims": [{"subject": "a:1"}]},
        {"claims": [message()["claims"][0] | {"confidence": 2}]},
        {"claims": [message()["claims"][0] | {"qualifiers": {"n": 2**64}}]},
        {"claims": [message()["claims"][0]] * 10_001},
        {"facts": []},
        {"id": "with blank"},
        [],
    ],
    ids=["fields", "confidence", "huge", "too-many", "unknown", "id", "list"],
)
async def test_what_does_not_fit_the_schema_is_a_problem(http: httpx.AsyncClient, body: object) -> None:
    assert_problem(await http.post("/v1/claims", json=body), 422, "validation")


async def test_readers_may_not_push(settings: Settings, client: Client, tmp_path: Path) -> None:
    _, token = KeyRing(settings.keys_path).create("r", Role.READER)
    async with client(settings, headers={"X-API-Key": token}) as http:
        assert_problem(await http.post("/v1/claims", json=message()), 403, "forbidden")
