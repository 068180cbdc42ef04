"""Pairs that may be one, over HTTP and on the command line: listed, merged, taken apart, rejected."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.service import Service
from api.settings import Settings
from kg.model import Claim, Entity, Source
from kg.store import Batch
from tests.api.conftest import assert_problem
from tests.api.test_cli import Run, run

__all__ = ["run"]

SOURCE = Source("llm:x", "model", document="said")
ENTITIES = [Entity(f"named:Disease/{n}", ("Disease",), SOURCE.id, {"name": n}, "said") for n in ("one", "won")]
ONE, WON = (e.id for e in ENTITIES)
PAIR = Claim(ONE, "POSSIBLY_SAME", WON, SOURCE.id, 0.75, {}, "said")


@pytest.fixture(autouse=True)
def pair(graph_url: str, tmp_path: Path) -> Iterator[None]:
    """Two diseases that may be one, in the graph that all tests share."""
    settings = Settings(graph=graph_url, data=tmp_path / "data")

    async def change(batch: Batch | None) -> None:
        async with Service(settings) as service:
            if batch is not None:
                await service.store.write(batch)
                return
            for merge in await service.merges():
                await service.unmerge(merge.id)
            for source in await service.sources():
                if source["id"] == SOURCE.id or source["id"].startswith("person:"):
                    await service.retract(source["id"])

    asyncio.run(change(Batch([SOURCE], ENTITIES, [PAIR])))
    yield
    asyncio.run(change(None))


def test_on_the_command_line(run: Run) -> None:
    [found] = json.loads(run("same", "list", "--json")[1])
    assert found["belief"] == pytest.approx(0.6)
    assert [e["id"] for e in found["entities"]] == [ONE, WON]
    assert WON in run("same", "list")[1]
    digest = run("digest")[1]
    assert run("same", "merge", ONE, WON, "--by", "me")[0] == 0
    [merge] = json.loads(run("same", "merges", "--json")[1])
    assert (merge["id"], merge["into"], merge["by"]) == (ONE, WON, "me")
    assert ONE in run("same", "merges")[1]
    assert "nothing to review" in run("same", "list")[1]
    code, _, error = run("same", "merge", ONE, WON)
    assert code != 0
    assert "was merged into" in error
    assert run("same", "unmerge", ONE)[0] == 0
    assert "nothing was merged" in run("same", "merges")[1]
    assert run("digest")[1] == digest
    assert run("same", "reject", WON, ONE)[0] == 0
    said = {"id": WON, "other": ONE, "by": "me"}
    assert json.loads(run("same", "reject", WON, ONE, "--by", "me", "--json")[1]) == said
    assert json.loads(run("same", "list", "--json")[1]) == []


def test_proposals_are_found(run: Run) -> None:
    pytest.importorskip("splink")
    found = json.loads(run("same", "find", "Disease", "--likely", "0", "--json")[1])
    assert found["class"] == "Disease"
    assert found["proposed"] == len(json.loads(run("same", "list", "--json")[1])) - 1
    assert run("sources", "retract", "splink:Disease")[0] == 0
    assert run("same", "find", "Unicorn")[0] != 0


async def test_over_http(http: httpx.AsyncClient) -> None:
    [pair] = (await http.get("/v1/possibly-same")).json()["pairs"]
    assert [e["name"] for e in pair["entities"]] == ["one", "won"]
    body = {"id": ONE, "into": WON, "by": "me"}
    merged = await http.post("/v1/merges", json=body)
    assert merged.status_code == 200
    assert merged.json().items() >= body.items()
    assert_problem(await http.post("/v1/merges", json=body), 409, "conflict")
    assert (await http.get("/v1/merges")).json() == {"merges": [merged.json()]}
    described = (await http.get(f"/v1/entities/{WON}")).json()
    assert {d.get("merged_id") for d in described["descriptions"]} == {None, ONE}
    assert (await http.delete(f"/v1/merges/{ONE}")).json() == merged.json()
    assert_problem(await http.delete(f"/v1/merges/{ONE}"), 404, "not-found")
    assert (await http.get(f"/v1/entities/{ONE}")).status_code == 200


async def test_pairs_are_found_and_rejected_over_http(http: httpx.AsyncClient) -> None:
    pytest.importorskip("splink")
    found = await http.post("/v1/possibly-same/find", json={"class": "Disease", "likely": 0})
    pairs = (await http.get("/v1/possibly-same")).json()["pairs"]
    assert found.json() == {"class": "Disease", "proposed": len(pairs) - 1}
    assert (await http.delete("/v1/sources/splink:Disease")).status_code == 200
    assert_problem(await http.post("/v1/possibly-same/find", json={"class": "Unicorn"}), 422, "ontology")
    assert_problem(await http.post("/v1/possibly-same/find", json={"class_": "Disease"}), 422, "validation")
    body = {"id": WON, "other": ONE, "by": "me"}
    rejected = await http.post("/v1/possibly-same/reject", json=body)
    assert rejected.json() == body
    assert (await http.get("/v1/possibly-same")).json() == {"pairs": []}
    assert_problem(await http.post("/v1/possibly-same/reject", json=body | {"other": "x:none"}), 404, "not-found")
    assert_problem(await http.post("/v1/possibly-same/reject", json=body | {"other": WON}), 422, "input")
