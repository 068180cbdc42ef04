"""Shapes of requests for routes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.schemas import Curie, RequestBody, Short
from reasoning.traffic.route_answer import KnownSpeed, RouteQuestion

Place = Curie | tuple[float, float]
Clock = Annotated[datetime | float, Field(description="ISO 8601, or seconds on any one clock.")]


class KnownSpeedBody(RequestBody):
    """What is known of the speed on a segment."""

    segment: Curie
    speed: float = Field(ge=0.0, le=150.0, description="m/s")
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

    def question(self) -> RouteQuestion:
        """The same for the reasoner."""
        speeds = [
            KnownSpeed(one.segment, one.speed, _seconds(one.since), _seconds(one.until), source=one.source or "")
            for one in self.speeds
        ]
        depart = _seconds(self.depart) or 0.0
        return RouteQuestion(self.start, self.end, depart, self.vehicle_class, self.count, speeds, self.closed)


def _seconds(clock: datetime | float | None) -> float | None:
    return clock.timestamp() if isinstance(clock, datetime) else clock
