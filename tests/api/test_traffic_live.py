from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from api.live import Live
from api.service import Service
from tests.api.conftest import assert_problem
from tests.api.test_traffic_forecast import folder, traffic  # noqa: F401 (fixtures)

URL = "/v1/traffic/live"


def said(sensor: str, at: str, value: float) -> dict[str, Any]:
    """A message: one sensor measured something."""
    id_ = f"observation:{sensor}/{at}"
    return {
        "id": f"{sensor}-{at}".replace(":", "-"),
        "sources": [{"id": f"sensor:{sensor}", "kind": "sensor"}],
        "entities": [
            {
                "id": id_, "classes": ["TrafficObservation"], "source": f"sensor:{sensor}",
                "properties": {"at": at, "speed": value},
            }
        ],
        "claims": [
            {"subject": id_, "relation": "OBSERVES", "object": f"detector:loops/{sensor}", "source": f"sensor:{sensor}"}
        ],
    }  # fmt: skip


async def test_each_message_is_soon_in_a_forecast_and_what_was_not_expected_is_an_alert(
    traffic: httpx.AsyncClient,  # noqa: F811
) -> None:
    response = await traffic.get(URL, params={"ticks": 1})
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = dict(line.split(": ", 1) for line in response.text.splitlines() if ": " in line)
    first = json.loads(lines["data"])
    assert lines["event"] == "tick"
    assert set(first["forecasts"]) == {f"detector:loops/s{at}" for at in (0, 1, 3, 4, 5)}
    assert set(first["abstained"]) == {"detector:loops/s2"}
    assert first["started_at"] == "2024-03-03T22:00:00Z"
    assert first["predicted"]

    service: Service = traffic.app.state.service  # type: ignore[attr-defined]
    sensors, steps = await service.listen(["s1"], 30)
    live: Live = service.live
    ticks = live.follow()
    before = (await anext(ticks)).view(sensors, steps)
    documents: list[str] = []
    try:
        usual = first["forecasts"]["detector:loops/s0"]["median"][0]
        for sensor, value in (("s1", 3.0), ("s0", usual)):
            pushed = await traffic.post("/v1/claims", json=said(sensor, "2024-03-03T22:00:10Z", value))
            documents.append(pushed.json()["document"])
        measured: list[dict[str, Any]] = []
        alerts: list[dict[str, Any]] = []
        async with asyncio.timeout(10):
            while len(measured) < 1:
                tick = (await anext(ticks)).view(sensors, steps)
                measured += tick["measurements"]
                alerts += tick["alerts"]
        assert measured == [
            {
                "id": "observation:s1/2024-03-03T22:00:10Z", "sensor": "detector:loops/s1",
                "time": "2024-03-03T22:00:10Z", "value": 3.0,
            }
        ]  # fmt: skip
        assert tick["graph_version"] > first["graph_version"]
        assert set(tick["forecasts"]) == {"detector:loops/s1"}
        low, now = (at["forecasts"]["detector:loops/s1"]["median"] for at in (tick, before))
        assert len(low) == 2
        assert low[0] < now[0] - 20  # it goes on from what was measured
        [alert] = alerts
        assert alert["sensor"] == "detector:loops/s1"
        assert "3 is far below what was forecast" in alert["text"]

        found = (await traffic.post("/v1/traffic/forecast", json={"sensors": ["s1"]})).json()["forecast"]
        assert found["forecasts"][0]["last_value"] == 3.0
    finally:
        await ticks.aclose()
        for document in documents:
            await service.retract(document)
    back = (await traffic.post("/v1/traffic/forecast", json={"sensors": ["s1"]})).json()["forecast"]
    assert back["rests_on"]["until"] == first["measured_until"]  # retracted, it counts no more


async def test_listeners_are_let_go_at_the_end(traffic: httpx.AsyncClient) -> None:  # noqa: F811
    service: Service = traffic.app.state.service  # type: ignore[attr-defined]
    await service.listen(None, None)
    ticks = service.live.follow()
    await anext(ticks)
    service.end_live()
    with pytest.raises(StopAsyncIteration):
        async with asyncio.timeout(5):
            while True:
                await anext(ticks)


async def test_what_cant_be_followed_is_refused(
    http: httpx.AsyncClient,
    traffic: httpx.AsyncClient,  # noqa: F811
) -> None:
    assert_problem(await http.get(URL), 409, "conflict")
    assert_problem(await traffic.get(URL, params={"sensor": "s9"}), 404, "not-found")
    assert_problem(await traffic.get(URL, params={"minutes": 5}), 422, "input")
