"""Shapes of forecasts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, FiniteFloat, StringConstraints

from api.schemas import MAX_ID, RequestBody
from reasoning.traffic.forecast_answer import ForecastAnswer

_MOST_SENSORS, _MOST_VALUES = 5_000, 2_000
SensorName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID)]


class PostedSeries(RequestBody):
    """What one sensor measured: values at equal steps from a time on, or each with its time."""

    sensor: SensorName = Field(examples=["detector:city/a1"])
    started_at: datetime | None = Field(None, description="Time of the first value; without zone, UTC.")
    times: list[datetime] | None = Field(
        None, max_length=_MOST_VALUES, description="Time of each value, ascending, instead of `started_at`."
    )
    values: list[FiniteFloat | None] = Field(
        min_length=1, max_length=_MOST_VALUES, description="Null: nothing was measured.", examples=[[52.1, None, 49.8]]
    )


class ForecastRequest(RequestBody):
    """Which sensors to forecast, and how far ahead."""

    sensors: list[SensorName] | None = Field(
        None, min_length=1, max_length=_MOST_SENSORS, description="Ids, or names. Default: all."
    )
    minutes: float | None = Field(
        None, ge=1, le=1440, description="Until so many minutes ahead. Default: as far as there is.", examples=[60]
    )
    series: list[PostedSeries] | None = Field(
        None,
        min_length=1,
        max_length=_MOST_SENSORS,
        description="What was measured, instead of what the graph has; at the forecaster's steps.",
    )
    write: bool = Field(False, description="Writes the forecast of all sensors to the graph. Needs role writer.")


class ForecastWritten(RequestBody):
    """Where the forecast is in the graph."""

    document: str
    source: str
    sensors: int


class ForecastResponse(RequestBody):
    """Forecasts, and what they rest on."""

    forecast: ForecastAnswer
    written: ForecastWritten | None
