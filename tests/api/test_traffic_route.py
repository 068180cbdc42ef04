from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from api.cli import main
from api.service import Service
from tests.api.conftest import assert_problem
from tests.reasoning.roads import SMALL

PATH = "/v1/traffic/route"


@pytest.fixture
async def road(http: httpx.AsyncClient, tmp_path: Path) -> AsyncIterator[str]:
    """The beginning of the ids of a small network's segments."""
    path = tmp_path / "small.net.xml"
    path.write_text(SMALL, encoding="utf-8")
    service: Service = http.app.state.service  # type: ignore[attr-defined]
    await service.ingest("sumo_net", path)
    rows = [row async for row in service.store.read("MATCH (n:RoadSegment) RETURN n.id AS id, n.sources AS sources")]
    yield str(rows[0]["id"]).rpartition("/")[0]
    await service.retract(str(rows[0]["sources"][0]))
    assert len((await http.get("/v1/runs")).json()["runs"]) == 1


async def test_routes_are_answered_and_what_is_wrong_is_named(http: httpx.AsyncClient, road: str) -> None:
    ends = {"from": f"{road}/in", "to": f"{road}/left"}
    answer = (await http.post(PATH, json=ends)).json()
    (route,) = answer["routes"]
    assert [leg["segment"] for leg in route["legs"]] == [f"{road}/in", f"{road}/left"]
    assert route["seconds"] == pytest.approx(10 + 7.5 + 10)
    assert answer["graph_version"] > 0
    slow = await http.post(
        PATH, json={**ends, "speeds": [{"segment": f"{road}/left", "speed": 1.0, "source": "loop:1"}]}
    )
    assert slow.json()["routes"][0]["seconds"] == pytest.approx(117.5)
    assert slow.json()["evidence"][0]["source"] == "loop:1"
    island = (await http.post(PATH, json={"from": f"{road}/in", "to": f"{road}/right"})).json()
    assert island["routes"] == []
    assert "no way" in island["no_route"]
    assert_problem(await http.post(PATH, json={**ends, "to": "edge:x/none"}), 404, "not-found")
    negative = await http.post(PATH, json={**ends, "speeds": [{"segment": f"{road}/left", "speed": -1}]})
    assert negative.status_code == 422
    assert "speeds" in negative.text


async def test_a_forecast_counts_at_its_time(http: httpx.AsyncClient, road: str) -> None:
    at = "2026-05-04T08:00:00Z"
    claims = {
        "id": "forecast-of-a-loop",
        "sources": [{"id": "model:f", "kind": "model"}],
        "entities": [
            {"id": "detector:l", "classes": ["TrafficDetector"], "source": "model:f"},
            {
                "id": "forecast:l", "classes": ["Forecast"], "source": "model:f",
                "properties": {
                    "measure": "speed", "measure_unit": "km/h", "started_at": at, "step_seconds": 900.0,
                    "values": "[3.6, 36.0]",
                },
            },
        ],
        "claims": [
            {"subject": "detector:l", "relation": "LOCATED_ON", "object": f"{road}/left", "source": "model:f"},
            {
                "subject": "forecast:l", "relation": "FORECASTS", "object": "detector:l", "source": "model:f",
                "confidence": 0.9,
            },
        ],
    }  # fmt: skip
    pushed = await http.post("/v1/claims", json=claims)
    assert pushed.status_code == 200, pushed.text
    ends = {"from": f"{road}/in", "to": f"{road}/left"}
    slow = (await http.post(PATH, json={**ends, "depart": at})).json()
    leg = slow["routes"][0]["legs"][-1]
    assert (leg["speed"], leg["known"]) == (pytest.approx(1.0), 1)
    assert slow["evidence"] == [
        {
            "segment": f"{road}/left", "speed": pytest.approx(1.0), "since": 1777881600.0, "until": 1777882500.0,
            "kind": "predicted", "source": "forecast:l", "belief": 0.72,
        }
    ]  # fmt: skip
    later = (await http.post(PATH, json={**ends, "depart": "2026-05-04T08:15:00Z"})).json()
    assert later["routes"][0]["legs"][-1]["speed"] == pytest.approx(10.0)
    for body in ({**ends, "depart": "2026-05-04T10:00:00Z"}, {**ends, "depart": at, "predicted": False}):
        free = (await http.post(PATH, json=body)).json()
        assert free["evidence"] == []
        assert free["routes"][0]["legs"][-1]["known"] is None
    for run in (await http.get("/v1/runs")).json()["runs"]:
        if run["readers"] not in (["hpo"], ["sumo_net"]):
            await http.app.state.service.retract_runs(run["run"])  # type: ignore[attr-defined]


async def test_a_graph_without_roads_says_so(http: httpx.AsyncClient) -> None:
    assert_problem(await http.post(PATH, json={"from": "edge:x/a", "to": "edge:x/b"}), 409, "conflict")


def test_command(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "small.net.xml"
    path.write_text(SMALL, encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        main(["route", "in", "left", "--net", str(path), "--speed", "left=2"])
    assert end.value.code == 0
    assert "0.20 km" in capfd.readouterr().out
