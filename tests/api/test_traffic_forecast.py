from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from api.keys import KeyRing, Role
from api.service import Service
from api.settings import Settings
from encoders.forecast.training import train_forecaster
from tests.api.conftest import Client, assert_problem
from tests.encoders.test_forecast import QUICK, waves

URL = "/v1/traffic/forecast"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a forecaster of the sensors s0 … s5, and a file of what they measured, with sensor s2 silent in the end."""
    made = tmp_path_factory.mktemp("forecaster")
    series = replace(waves(3), sensors=tuple(f"s{at}" for at in range(6)))
    train_forecaster(series, replace(QUICK, epochs=2)).save(made)
    values = series.values.copy()
    values[200:, 2] = np.nan
    values[250, 4] = -1
    np.savez(
        made / "loops.npz", speed=values[:280], adj=series.near, step_min=15, sensor_ids=list(series.sensors),
        start="2024-03-01T00:00",
    )  # fmt: skip
    return made


@pytest.fixture
async def traffic(settings: Settings, client: Client, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server that has both; what it loaded is taken back."""
    async with client(settings.model_copy(update={"forecaster": folder})) as http:
        service: Service = http.app.state.service  # type: ignore[attr-defined]
        await service.ingest("series", folder / "loops.npz")
        yield http
        await service.retract("series:loops.npz")


async def test_what_is_forecast_says_what_it_rests_on(traffic: httpx.AsyncClient) -> None:
    response = await traffic.post(URL, json={})
    assert response.status_code == 200, response.text
    found = response.json()["forecast"]
    assert response.json()["written"] is None
    assert (found["measure"], found["step_seconds"], found["coverage"], found["predicted"]) == ("speed", 900, 0.9, True)
    assert found["rests_on"] == {
        "since": "2024-03-03T19:00:00Z", "until": "2024-03-03T21:45:00Z", "sensors": 5,
        "missing": ["detector:loops/s2"], "negative": 0,
    }  # fmt: skip
    assert [one["sensor"] for one in found["abstained"]] == ["detector:loops/s2"]
    assert found["abstained"][0]["reason"] == "it measured nothing in the last 180 minutes"
    of = {one["sensor"]: one for one in found["forecasts"]}
    assert set(of) == {f"detector:loops/s{at}" for at in (0, 1, 3, 4, 5)}
    third = of["detector:loops/s3"]
    assert third["last_measured"] == "2024-03-03T21:45:00Z"
    assert third["measured_steps"] == 12
    assert third["neighbours"] == []  # s2, from which the road leads here, is silent
    assert third["silent_neighbours"] == 1
    assert [n["sensor"] for n in of["detector:loops/s1"]["neighbours"]] == ["detector:loops/s0"]
    assert [step["minutes"] for step in third["steps"]] == [15 * at for at in range(1, 13)]
    assert third["steps"][0]["time"] == "2024-03-03T22:00:00Z"
    assert all(step["low"] <= step["median"] <= step["high"] for step in third["steps"])

    some = (await traffic.post(URL, json={"sensors": ["s4", "detector:loops/s2"], "minutes": 30})).json()["forecast"]
    assert [(one["sensor"], len(one["steps"])) for one in some["forecasts"]] == [("detector:loops/s4", 2)]
    assert [one["sensor"] for one in some["abstained"]] == ["detector:loops/s2"]


async def test_posted_values_are_forecast_instead(traffic: httpx.AsyncClient) -> None:
    one = {"sensor": "s1", "started_at": "2024-05-01T08:00:00Z", "values": [50.0, None, 52, 51]}
    found = (await traffic.post(URL, json={"series": [one], "minutes": 60})).json()["forecast"]
    assert found["graph_version"] is None
    [told] = found["forecasts"]
    assert (told["sensor"], told["last_measured"], told["last_value"]) == (
        "detector:loops/s1",
        "2024-05-01T08:45:00Z",
        51,
    )
    assert told["measured_steps"] == 3
    assert found["rests_on"]["sensors"] == 1


_REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"sensors": ["s0", "nobody"]}, 404, "sensors[1]: the forecaster knows no sensor 'nobody'"),
    ({"minutes": 10}, 422, "minutes: forecasts are for 15 to 180 minutes ahead"),
    ({"minutes": 240}, 422, "minutes: forecasts are for 15 to 180 minutes ahead"),
    ({"minutes": -5}, 422, "body.minutes"),
    ({"series": [{"sensor": "s9", "started_at": "2024-05-01T08:00:00Z", "values": [1]}]}, 404, "series[0].sensor"),
    (
        {"series": [{"sensor": "s1", "started_at": "2024-05-01T08:00:00Z", "values": [1, -3]}]},
        422,
        "series[0].values[1]: -3 is below 0",
    ),
    (
        {"series": [{"sensor": "s1", "times": ["2024-05-01T08:00:00Z", "2024-05-01T07:00:00Z"], "values": [1, 3]}]},
        422,
        "series[0].times[1]: the clock jumps back",
    ),
    ({"series": [{"sensor": "s1", "values": [1]}]}, 422, "series[0]: either started_at or times"),
    (
        {"series": [{"sensor": "s1", "started_at": "2024-05-01T08:00:00Z", "values": [1]}], "write": True},
        422,
        "write: what is written must rest on the graph",
    ),
]


async def test_what_cant_be_forecast_is_refused(traffic: httpx.AsyncClient) -> None:
    for body, status, words in _REFUSED:
        response = await traffic.post(URL, json=body)
        assert response.status_code == status, response.text
        assert words in response.json()["detail"]


async def test_it_is_written_with_a_writers_key_and_taken_back(traffic: httpx.AsyncClient, settings: Settings) -> None:
    ring = KeyRing(settings.keys_path)
    keys = {role: {"X-API-Key": ring.create(role.name, role)[1]} for role in Role}
    assert_problem(await traffic.post(URL, json={"write": True}, headers=keys[Role.READER]), 403, "forbidden")
    written = (await traffic.post(URL, json={"write": True}, headers=keys[Role.WRITER])).json()["written"]
    assert written == {"document": "forecast:speed", "source": "evigraph:forecast/speed", "sensors": 5}
    admin = keys[Role.ADMIN]
    facts = await traffic.get("/v1/entities/detector:loops%2Fs3/neighbourhood?relation=FORECASTS", headers=admin)
    [fact] = facts.json()["facts"]
    assert fact["claims"][0]["source"] == "evigraph:forecast/speed"
    assert fact["claims"][0]["qualifiers"]["valid_from"].startswith("2024-03-03T22:00:00")
    again = (await traffic.post(URL, json={}, headers=admin)).json()["forecast"]
    assert again["rests_on"]["until"] == "2024-03-03T21:45:00Z"  # a forecast is nothing that was measured
    assert (await traffic.delete("/v1/sources/evigraph:forecast%2Fspeed", headers=admin)).status_code == 200
    gone = await traffic.get(f"/v1/entities/{fact['entity']['id']}".replace("s3/", "s3%2F"), headers=admin)
    assert gone.status_code == 404
    runs = (await traffic.get("/v1/runs", headers=admin)).json()["runs"]
    assert all(run["run"] for run in runs)  # what was forecast is no run of ingestion


async def test_without_forecaster_or_series_it_says_what_is_missing(
    http: httpx.AsyncClient, settings: Settings, client: Client, folder: Path, tmp_path: Path
) -> None:
    body = assert_problem(await http.post(URL, json={}), 409, "conflict")
    assert "EVIGRAPH_FORECASTER" in str(body["detail"])
    async with client(settings.model_copy(update={"forecaster": tmp_path})) as other:
        assert_problem(await other.post(URL, json={}), 409, "conflict")
    async with client(settings.model_copy(update={"forecaster": folder})) as other:
        body = assert_problem(await other.post(URL, json={}), 409, "conflict")
        assert "the graph has nothing to forecast from" in str(body["detail"])
