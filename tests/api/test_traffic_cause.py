from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from api.cli import main
from api.service import Service
from api.traffic_events import known_events
from tests.api.conftest import assert_problem
from tests.reasoning.roads import SMALL

PATH = "/v1/traffic/cause"
_NAMES = ("in", "left", "right")


@pytest.fixture
async def road(http: httpx.AsyncClient, tmp_path: Path) -> AsyncIterator[str]:
    """The beginning of the ids of a small network's segments; an accident is known on one of them."""
    path = tmp_path / "small.net.xml"
    path.write_text(SMALL, encoding="utf-8")
    service: Service = http.app.state.service  # type: ignore[attr-defined]
    await service.ingest("sumo_net", path)
    rows = [row async for row in service.store.read("MATCH (n:RoadSegment) RETURN n.id AS id, n.sources AS sources")]
    prefix = str(rows[0]["id"]).rpartition("/")[0]
    source = {"id": "camera:7", "kind": "sensor"}
    event = {"id": "accident:1", "classes": ["TrafficIncident"], "source": "camera:7"}
    claim = {
        "subject": "accident:1",
        "relation": "AFFECTS",
        "object": f"{prefix}/in",
        "source": "camera:7",
        "confidence": 0.9,
        "qualifiers": {"valid_from": "2026-05-04T08:14:00Z"},
    }
    body = {"id": "m1", "sources": [source], "entities": [event], "claims": [claim]}
    pushed = await http.post("/v1/claims", json=body)
    if pushed.status_code != 200:
        pytest.fail(pushed.text)
    yield prefix
    for run in (await http.get("/v1/runs")).json()["runs"]:
        if run["readers"] != ["hpo"]:
            await service.retract_runs(run["run"])
    assert len((await http.get("/v1/runs")).json()["runs"]) == 1


def _day(prefix: str, seed: int, *, blocked: bool = False) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    edges = []
    for name in _NAMES:
        flow = rng.poisson(10, 30).astype(float)
        speed, density, left, waiting = rng.normal(9, 0.5, 30), rng.normal(15, 1, 30), flow.copy(), np.full(30, 5.0)
        if blocked and name == "in":
            speed[15:], density[15:], left[15:], waiting[15:] = 0.2, 130, 0, 1500
        columns = {"speed": speed, "density": density, "entered": flow, "left": left, "waiting": waiting}
        edges.append({"segment": f"{prefix}/{name}", **{key: value.tolist() for key, value in columns.items()}})
    return {"begin": "2026-05-04T08:00:00Z", "edges": edges}


async def test_a_blocked_road_is_blamed_with_the_event_that_fits(http: httpx.AsyncClient, road: str) -> None:
    service: Service = http.app.state.service  # type: ignore[attr-defined]
    (event,) = await known_events(service.store)
    assert (event.kind, event.segment, event.source) == ("incident", f"{road}/in", "camera:7")
    assert event.begin == pytest.approx(1777882440)
    body = {**_day(road, 9, blocked=True), "step_s": 60, "usual": [_day(road, seed) for seed in range(5)]}
    response = await http.post(PATH, json=body)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["blamed"][0]["segment"] == f"{road}/in"
    assert answer["causes"][0]["event"]["id"] == "accident:1"
    quiet = {**_day(road, 10), "step_s": 60, "usual": body["usual"]}
    assert (await http.post(PATH, json=quiet)).json()["abstains"]
    body["edges"][0]["speed"][3] = -4
    negative = await http.post(PATH, json=body)
    assert negative.status_code == 422
    assert "speed" in negative.text
    unknown = {**_day("edge:nowhere", 1), "step_s": 60, "usual": [_day("edge:nowhere", 2)]}
    assert_problem(await http.post(PATH, json=unknown), 404, "not-found")
    uneven = {**quiet, "edges": [*quiet["edges"][:2], {**quiet["edges"][2], "left": [1.0]}]}
    assert "has 1 values" in (await http.post(PATH, json=uneven)).text


def _edge_data(path: Path, *, blocked: bool) -> None:
    """A file of SUMO's edge data, twenty minutes."""
    intervals = []
    for minute in range(20):
        rows = ""
        for edge in _NAMES:
            speed, density, left, waiting = 9 + 0.1 * (minute % 3), 10 + minute % 2, 8 + minute % 3, 3
            if blocked and minute >= 10 and edge == "in":
                speed, density, left, waiting = 0.1, 140, 0, 900
            measured = f'speed="{speed}" density="{density}" left="{left}" waitingTime="{waiting}"'
            rows += f'<edge id="{edge}" sampledSeconds="60" entered="{8 + minute % 3}" {measured}/>'
        intervals.append(f'<interval begin="{60 * minute}" end="{60 * minute + 60}">{rows}</interval>')
    path.write_text(f"<meandata>{''.join(intervals)}</meandata>", encoding="utf-8")


async def test_what_the_graph_has_observed_is_explained(http: httpx.AsyncClient, road: str, tmp_path: Path) -> None:
    service: Service = http.app.state.service  # type: ignore[attr-defined]
    folder = tmp_path / "days"
    folder.mkdir()
    for name in ("usual", "now"):
        _edge_data(folder / f"{name}.xml", blocked=name == "now")
    await service.ingest("sumo_outputs", folder, name=road.partition(":")[2])
    query = "MATCH (o:TrafficObservation) RETURN DISTINCT o.sources AS sources"
    now, usual = sorted([row["sources"][0] async for row in service.store.read(query)])
    url = f"{PATH}/observed"
    answer = (await http.post(url, json={"observed": now, "usual": [usual]})).json()
    assert answer["blamed"][0]["segment"] == f"{road}/in"
    assert (await http.post(url, json={"observed": usual, "usual": [usual]})).json()["abstains"]
    assert_problem(await http.post(url, json={"observed": "nobody", "usual": [usual]}), 404, "not-found")
    silent = await http.post(url, json={"observed": "camera:7", "usual": [usual]})
    assert "no edge data" in str(assert_problem(silent, 422, "input")["detail"])


def test_command_on_edge_data_of_sumo(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    net = tmp_path / "small.net.xml"
    net.write_text(SMALL, encoding="utf-8")
    for name, blocked in (("usual.xml", False), ("now.xml", True)):
        _edge_data(tmp_path / name, blocked=blocked)
    command = ["cause", str(tmp_path / "now.xml"), "--usual", str(tmp_path / "usual.xml"), "--net", str(net)]
    with pytest.raises(SystemExit) as end:
        main(command)
    printed = capfd.readouterr()
    assert end.value.code == 0, printed.err
    assert "A jam, told at" in printed.out
    assert "/in" in printed.out
