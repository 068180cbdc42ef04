from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.jobs import Job
from api.service import Service
from api.settings import Settings
from encoders.graph.enhance_graph import document_of, source_of
from tests.api.conftest import Client, assert_problem, follow
from tests.encoders.test_enhancement import families
from tests.support.backends import Backend

SOURCE = source_of("medical")
DOCUMENT = document_of("medical", "^ASSOCIATED_WITH")
ASKED = {
    "domain": "medical",
    "relations": ["HAS_PHENOTYPE", "^ASSOCIATED_WITH"],
    "by": "neighbours",
    "min_belief": 0.2,
    "top_k": 2,
}
Progress = Callable[[str, int, int], None]


@pytest.fixture
async def graph(backend: Backend, client: Client, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app whose graph is small families."""
    password = SecretStr(backend.password) if backend.password else None
    settings = Settings(graph=backend.url, graph_password=password, data=tmp_path / "data", log_level="error")
    store = await backend.open()
    try:
        await store.write(families())
    finally:
        await store.close()
    async with client(settings) as http:
        yield http


def _service(http: httpx.AsyncClient) -> Service:
    service: Service = http.app.state.service  # type: ignore[attr-defined]
    return service


async def _predicted(http: httpx.AsyncClient) -> int:
    query = "MATCH ()-[f]->() WHERE $source IN f.sources RETURN count(f)"
    answer = await http.post("/v1/cypher", json={"query": query, "parameters": {"source": SOURCE}})
    [[count]] = answer.json()["rows"]
    return int(count)


async def test_links_are_predicted_watched_and_taken_back(graph: httpx.AsyncClient) -> None:
    before = await _service(graph).digest()
    started = await graph.post("/v1/enhancements", json=ASKED | {"relations": ["^ASSOCIATED_WITH"] * 2})
    events = await follow(graph, started)
    name, last = events[-1]
    assert name == last["state"] == "done", last
    asked = ASKED | {"relations": ["^ASSOCIATED_WITH"], "paths": 3, "seed": 0}
    assert {field: last[field] for field in asked} == asked
    steps = {view["progress"]["step"] for _, view in events if view["progress"]}
    assert "Predicting ^ASSOCIATED_WITH" in steps
    report = last["report"]
    assert report["written"]["^ASSOCIATED_WITH"] == await _predicted(graph) > 0
    assert report["calibration"]["^ASSOCIATED_WITH"]["hidden"] == 6
    assert (report["documents"], report["by"]) == ({"^ASSOCIATED_WITH": DOCUMENT}, "neighbours")
    assert (await graph.get(started.headers["location"])).json() == last
    assert (await graph.get("/v1/enhancements")).json() == {"enhancements": [last]}
    assert (await graph.get("/v1/ingestions")).json() == {"ingestions": []}
    assert_problem(await graph.get(f"/v1/ingestions/{last['id']}"), 404, "not-found")
    assert_problem(await graph.delete(started.headers["location"]), 409, "conflict")
    assert (await graph.delete(f"/v1/sources/{report['source']}")).status_code == 200
    assert await _service(graph).digest() == before


class Watched:
    """What enhancements tell of their progress; may do something at a step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        self.at: dict[str, Callable[[], Any]] = {}
        enhance = Service.enhance

        async def watched(service: Service, domain: str, settings: Any, weights: Any, progress: Progress) -> Any:
            def told(what: str, done: int, of: int) -> None:
                self.steps.append(what)
                self.at.pop(what, lambda: None)()
                progress(what, done, of)

            return await enhance(service, domain, settings, weights, told)

        monkeypatch.setattr(Service, "enhance", watched)


@pytest.mark.parametrize("step", ["Calibrating HAS_PHENOTYPE", "Predicting ^ASSOCIATED_WITH"])
async def test_cancelled_before_it_writes_it_leaves_the_graph_and_goes_on_later(
    graph: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    service, watched = _service(graph), Watched(monkeypatch)
    before = await service.digest()
    reached, go = threading.Event(), threading.Event()
    watched.at[step] = lambda: (reached.set(), go.wait(30))
    started = await graph.post("/v1/enhancements", json=ASKED)
    assert await asyncio.to_thread(reached.wait, 60)
    cancelled = await graph.delete(started.headers["location"])
    assert (cancelled.status_code, cancelled.json()["state"]) == (202, "running")
    go.set()
    _, last = (await follow(graph, started))[-1]
    assert (last["state"], last["report"], last["problem"]) == ("cancelled", None, None)
    assert watched.steps[-1] == step
    assert await service.digest() == before
    assert DOCUMENT not in await service.store.ledger()

    watched.steps.clear()
    _, last = (await follow(graph, await graph.post("/v1/enhancements", json=ASKED)))[-1]
    assert last["state"] == "done"
    assert ("Calibrating HAS_PHENOTYPE" in watched.steps) == step.startswith("Calibrating")
    assert sum(last["report"]["written"].values()) > 0


async def test_cancelled_between_two_relations_the_second_still_says_what_it_said(
    graph: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, watched = _service(graph), Watched(monkeypatch)
    _, whole = (await follow(graph, await graph.post("/v1/enhancements", json=ASKED)))[-1]
    digest, many = await service.digest(), await _predicted(graph)
    jobs = graph.app.state.jobs  # type: ignore[attr-defined]

    def cancel() -> None:
        job: Job = jobs.list("enhancement")[0]
        jobs.cancel(job)

    watched.at["Writing ^ASSOCIATED_WITH"] = cancel
    _, last = (await follow(graph, await graph.post("/v1/enhancements", json=ASKED)))[-1]
    assert last["state"] == "cancelled"
    assert (await service.store.ledger())[DOCUMENT].complete
    assert (await service.digest(), await _predicted(graph)) == (digest, many)

    watched.steps.clear()
    _, last = (await follow(graph, await graph.post("/v1/enhancements", json=ASKED)))[-1]
    assert last["report"]["written"] == whole["report"]["written"]
    assert not any(step.startswith("Calibrating") for step in watched.steps)
    assert (await service.store.ledger())[DOCUMENT].complete
    assert await service.digest() == digest


@pytest.mark.parametrize(
    ("change", "name", "place"),
    [
        ({"domain": "astrology"}, "ontology", None),
        ({"relations": ["^NO_SUCH"]}, "input", "relations"),
        ({"relations": ["../../x"]}, "input", "relations"),
        ({"relations": []}, "validation", None),
        ({"relations": "ASSOCIATED_WITH"}, "validation", None),
        ({"weights": "/etc/passwd"}, "validation", None),
        ({"top_k": 0}, "validation", None),
        ({"by": "magic"}, "validation", None),
        ({"min_belief": 1.5}, "validation", None),
        ({"seed": -1}, "validation", None),
    ],
)
async def test_what_makes_no_sense_starts_no_job(
    http: httpx.AsyncClient, change: dict[str, Any], name: str, place: str | None
) -> None:
    refused = assert_problem(await http.post("/v1/enhancements", json=ASKED | change), 422, name)
    assert refused.get("place") == place
    assert (await http.get("/v1/enhancements")).json() == {"enhancements": []}


async def test_what_cant_be_calibrated_fails_the_job(http: httpx.AsyncClient) -> None:
    before = await _service(http).digest()
    _, last = (await follow(http, await http.post("/v1/enhancements", json=ASKED | {"relations": ["HAS_DIAGNOSIS"]})))[
        -1
    ]
    assert last["state"] == "failed"
    assert last["problem"]["type"] == "urn:evigraph:problem:input"
    assert "0 facts of HAS_DIAGNOSIS" in last["problem"]["detail"]
    assert await _service(http).digest() == before


_WITHOUT_TORCH = """
import asyncio, sys

class NoTorch:
    def find_spec(self, name, *_):
        if name == "torch":
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, NoTorch())
from api.app import create_app
from api.service import Service
from api.settings import Settings
from encoders.graph.enhancement_settings import EnhancementSettings
from kg.errors import ConfigurationError

service = Service(Settings())
create_app(service.settings)
try:
    asyncio.run(service.enhance("medical", EnhancementSettings(("ASSOCIATED_WITH",)), None, print))
except ConfigurationError as error:
    print(error)
"""


def test_without_torch_the_app_runs_and_enhancement_says_what_it_needs(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _WITHOUT_TORCH]
    environment = os.environ | {"EVIGRAPH_DATA": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "predicting links needs torch: pip install 'evigraph[graph]'\n"
