"""Shapes of requests for routes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AwareDatetime, Field, NaiveDatetime

from api.schemas import Curie, RequestBody, Short
from reasoning.traffic.route_answer import KnownSpeed, RouteQuestion

Place = Curie | tuple[float, float]
_MOST_S = 1e11
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Seconds = Annotated[float, Field(ge=-_MOST_S, le=_MOST_S, allow_inf_nan=False)]
Clock = Annotated[
    AwareDatetime | NaiveDatetime | Seconds, Field(description="ISO 8601, UTC unless it says; or seconds.")
]


class KnownSpeedBody(RequestBody):
    """What is known of the speed on a segment."""

    segment: Curie
    speed: float = Field(ge=0.0, le=150.0, allow_inf_nan=False, description="m/s")
    since: Clock | None = None
    until: Clock | None = None
    source: Short | None = None


class RouteRequest(RequestBody):
    """Where from, where to, when."""

    start: Place = Field(alias="from", description="Id of a segment or junction, or x, y in metres.")
    end: Place = Field(alias="to", description="Id of a segment or junction, or x, y in metres.")
    depart: Clock = Field(0.0, description="When; ISO 8601, or seconds on the clock of the speeds.")
    vehicle_class: Short = Field("passenger", description="As in SUMO: passenger, truck, bus, bicycle, …")
    count: int = Field(1, ge=1, le=5, description="How many routes that differ.")
    speeds: list[KnownSpeedBody] = Field(
        [], max_length=100_000, description="Known speeds; they go before observed ones."
    )
    closed: list[Curie] = Field([], max_length=10_000, description="Segments to leave out.")
    observed: bool = Field(True, description="Whether the newest speeds that the graph has observed count.")
    predicted: bool = Field(
        True, description="Whether speeds that are forecast count at their times, in place of observed ones."
    )

    def question(self) -> RouteQuestion:
        """The same for the reasoner."""
        speeds = [
            KnownSpeed(one.segment, one.speed, seconds_of(one.since), seconds_of(one.until), source=one.source or "")
            for one in self.speeds
        ]
        depart = seconds_of(self.depart) or 0.0
        return RouteQuestion(self.start, self.end, depart, self.vehicle_class, self.count, speeds, self.closed)


def seconds_of(clock: datetime | float | None) -> float | None:
    """Seconds since 1970, UTC where the time names no zone; a number as it is."""
    if not isinstance(clock, datetime):
        return clock
    aware = clock if clock.tzinfo else clock.replace(tzinfo=UTC)
    return (aware - _EPOCH) / timedelta(seconds=1)
