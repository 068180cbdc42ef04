"""How far sources are trusted, over HTTP and on the command line, and runs that are taken back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.service import Service
from api.settings import Settings
from kg.model import Claim, Entity, Source
from kg.store import Batch, LedgerEntry
from tests.api.conftest import assert_problem
from tests.api.test_cli import Run, run

__all__ = ["run"]

SOURCE = Source("llm:trusted", "model", document="doubted")
ENTITIES = [Entity(id_, (class_,), SOURCE.id, {}, "doubted") for id_, class_ in (("I:9", "Item"), ("B:9", "Brand"))]
CLAIM = Claim("I:9", "HAS_BRAND", "B:9", SOURCE.id, 1.0, {}, "doubted")


@pytest.fixture(autouse=True)
def said(graph_url: str, tmp_path: Path) -> Iterator[None]:
    """A model says something in the graph that all tests share."""

    async def change(batch: Batch | None) -> None:
        async with Service(Settings(graph=graph_url, data=tmp_path / "data")) as service:
            if batch is None:
                await service.retract(SOURCE.id)
            else:
                await service.store.write(batch)

    asyncio.run(change(Batch([SOURCE], ENTITIES, [CLAIM])))
    yield
    asyncio.run(change(None))


TRUST: list[tuple[dict[str, Any], tuple[str, ...], tuple[float | None, bool, float]]] = [
    ({"level": 0.4}, ("trust", SOURCE.id, "0.4"), (0.4, False, 0.4)),
    ({"quarantined": True}, ("quarantine", SOURCE.id), (0.4, True, 0.0)),
    ({"level": 0.6}, ("trust", SOURCE.id, "0.6"), (0.6, True, 0.0)),
    ({"quarantined": False}, ("release", SOURCE.id), (0.6, False, 0.6)),
]


async def test_what_is_not_said_of_trust_stays_over_http(http: httpx.AsyncClient) -> None:
    path = f"/v1/sources/{SOURCE.id}"
    own = (await http.get(path)).json()["reliability"]
    null = {"level": None, "quarantined": False}, (), (None, False, own)
    for body, _, (level, quarantined, reliability) in [*TRUST, ({}, (), TRUST[-1][2]), null]:
        done = await http.put(f"{path}/trust", json=body)
        assert done.status_code == 200, done.text
        found = (await http.get(path)).json()
        assert (found["trust"], bool(found["quarantined"])) == (level, quarantined), body
        assert found["reliability"] == pytest.approx(reliability)
        [fact] = (await http.get("/v1/entities/I:9/neighbourhood")).json()["facts"]
        assert fact["belief"] == pytest.approx(reliability)
    assert_problem(await http.put("/v1/sources/no:body/trust", json={"quarantined": True}), 404, "not-found")
    assert_problem(await http.put(f"{path}/trust", json={"quarantined": None}), 422, "validation")


def test_what_is_not_said_of_trust_stays_on_the_command_line(run: Run) -> None:
    for _, arguments, (level, quarantined, reliability) in TRUST:
        assert run("sources", *arguments)[0] == 0
        [found] = [s for s in json.loads(run("sources", "list", "--json")[1]) if s["id"] == SOURCE.id]
        assert (found["trust"], bool(found["quarantined"])) == (level, quarantined)
        assert found["reliability"] == pytest.approx(reliability)
    assert run("sources", "quarantine", "no:body")[0] == 5


async def test_runs_over_http(http: httpx.AsyncClient) -> None:
    service = http.app.state.service  # type: ignore[attr-defined]
    [hpo] = (await http.get("/v1/runs")).json()["runs"]
    assert hpo["documents"] == 3
    assert hpo["readers"] == ["hpo"]
    before = await service.digest()
    for number, document in enumerate(("push:r1", "push:r2", "stream:r3", "push:r4")):
        source = Source(document, "sensor", document=document)
        claim = Claim(f"I:r{number}", "HAS_BRAND", "B:r", document, document=document)
        at = f"2031-05-0{number + 1}T12:00:00Z"
        entry = LedgerEntry(document, "", "", "claims@1", 1, complete=True, run=f"run-{number}", at=at)
        await service.store.write(Batch([source], [], [claim], [entry]))
    pages = [(await http.get("/v1/runs", params={"limit": 2, "offset": at})).json()["runs"] for at in (0, 2, 4)]
    assert [run["run"] for page in pages for run in page] == ["run-3", "run-2", "run-1", "run-0", hpo["run"]]
    assert pages[0][0]["at"].startswith("2031-05-04")

    async def retract(**query: str) -> httpx.Response:
        return await http.delete("/v1/runs", params=query)

    assert (await retract(run="run-3")).json() == {"documents": ["push:r4"], "streams_left": []}
    assert_problem(await retract(run="run-3"), 404, "not-found")
    time = {"since": "2031-05-02", "until": "2031-05-04"}
    assert (await retract(**time)).json() == {"documents": ["push:r2"], "streams_left": ["stream:r3"]}
    assert_problem(await retract(**time), 422, "input")
    assert_problem(await retract(), 422, "input")
    assert assert_problem(await retract(since="yesterday"), 422, "input")["place"] == "since"
    assert (await retract(run="run-0", until="2031-05-02")).status_code == 200
    await http.delete("/v1/sources/stream:r3")
    assert await service.digest() == before
