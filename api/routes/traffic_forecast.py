"""Forecasts of sensors."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import Request

from api.keys import Role
from api.responses import JSON
from api.routes.parts import ServiceDep, guarded_router
from api.schemas_traffic_forecast import ForecastRequest, ForecastResponse, PostedSeries
from encoders.forecast.posted import Measured
from kg.errors import InputError

router = guarded_router("traffic")


@router.post("/traffic/forecast", response_model=ForecastResponse)
async def forecast(body: ForecastRequest, request: Request, service: ServiceDep) -> JSON:
    """Forecasts sensors from the graph's newest series, or from posted ones, and says what each forecast rests on."""
    if body.write:
        request.app.state.gate.admit(request, Role.WRITER)
    posted = None if body.series is None else [_measured(one, at) for at, one in enumerate(body.series)]
    answered, written = await service.forecast(body.sensors, body.minutes, posted, write=body.write)
    return JSON({"forecast": answered, "written": written})


def _measured(one: PostedSeries, number: int) -> Measured:
    if (one.started_at is None) == (one.times is None):
        raise InputError("either started_at or times", f"series[{number}]")
    times = one.times if one.times is not None else [one.started_at] if one.started_at is not None else []
    if one.times is not None and len(times) != len(one.values):
        raise InputError(f"{len(times)} times for {len(one.values)} values", f"series[{number}].times")
    return Measured(one.sensor, [_seconds(time) for time in times], one.values)


def _seconds(time: datetime) -> float:
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()
