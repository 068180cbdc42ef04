"""Shapes of requests for causes of jams."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from api.schemas import Curie, RequestBody, Short
from api.schemas_route import Clock, seconds_of
from kg.errors import InputError
from reasoning.traffic.cause import KnownEvent
from reasoning.traffic.edge_series import MEASURES, EdgeSeries
from reasoning.traffic.road_network import RoadNetwork

Column = Annotated[list[Annotated[float, Field(ge=0.0, le=1e7)] | None], Field(min_length=1, max_length=2000)]


class EdgeBody(RequestBody):
    """What was measured on a segment, interval by interval; null where nothing was."""

    segment: Curie
    speed: Column = Field(description="m/s; null where nobody drove.")
    density: Column = Field(description="Vehicles a km.")
    entered: Column = Field(description="Vehicles.")
    left: Column = Field(description="Vehicles.")
    waiting: Column | None = Field(None, description="Seconds that vehicles stood, all together.")
    sampled: Column | None = Field(None, description="Seconds that vehicles were there, all together.")


class DayBody(RequestBody):
    """Measurements of many segments from one moment on."""

    begin: Clock
    edges: list[EdgeBody] = Field(min_length=1, max_length=20_000)

    @model_validator(mode="after")
    def _is_even(self) -> DayBody:
        count = len(self.edges[0].speed)
        for number, edge in enumerate(self.edges):
            for name in MEASURES:
                column = getattr(edge, name)
                if column is not None and len(column) != count:
                    raise ValueError(f"edges[{number}].{name} has {len(column)} values, edges[0].speed {count}")
        return self

    def series(self, network: RoadNetwork, step_s: float, place: str) -> EdgeSeries:
        """The same for the reasoner; segments that were not measured are not in it.

        Raises:
            NotFoundError: the network has no such segment.
            InputError: a segment comes twice.
        """
        ids = [
            network.ids[network.index(edge.segment, f"{place}edges[{at}].segment")]
            for at, edge in enumerate(self.edges)
        ]
        if len({*ids}) != len(ids):
            raise InputError("a segment comes twice", f"{place}edges")
        order = sorted(range(len(ids)), key=lambda at: ids[at])
        columns = {name: [getattr(self.edges[at], name) for at in order] for name in MEASURES}
        speed = _table(columns["speed"], np.nan)
        tables = {
            name: _table(columns[name], 0.0, speed.shape) for name in MEASURES if name not in ("speed", "sampled")
        }
        sampled = (
            _table(columns["sampled"], 0.0, speed.shape) if None not in columns["sampled"] else 1.0 * ~np.isnan(speed)
        )
        begin = seconds_of(self.begin) or 0.0
        return EdgeSeries(tuple(ids[at] for at in order), begin, step_s, speed, sampled=sampled, **tables)


def _table(columns: list[list[float | None] | None], missing: float, shape: tuple[int, ...] = (0, 0)) -> np.ndarray:
    """(K, E); a column that is not given is 0."""
    filled = [
        np.zeros(shape[0]) if column is None else np.array([missing if value is None else value for value in column])
        for column in columns
    ]
    return np.stack(filled, 1).astype(np.float64)


class EventBody(RequestBody):
    """An event that is known."""

    id: Short
    kind: Literal["incident", "works", "weather", "event"]
    segment: Curie | None = Field(None, description="Where; none: everywhere.")
    begin: Clock | None = None
    end: Clock | None = None
    belief: float = Field(1.0, ge=0.0, le=1.0)
    source: Short | None = None

    def known(self) -> KnownEvent:
        """The same for the reasoner."""
        begin, end = seconds_of(self.begin), seconds_of(self.end)
        return KnownEvent(self.id, self.kind, self.segment or "", begin, end, self.belief, self.source or "")


class CauseQuestion(RequestBody):
    """What is asked, whatever the measurements come from."""

    events: list[EventBody] = Field([], max_length=10_000, description="What is known, beside the events of the graph.")
    since: Clock | None = Field(None, description="When the jam began, where known: it is explained in any case.")
    limit: int = Field(3, ge=1, le=20, description="How many segments to name.")


class ObservedCauseRequest(CauseQuestion):
    """Sources of the graph whose observations are compared, each of one day."""

    observed: Short = Field(description="Id of the source that observed up to now.")
    usual: list[Short] = Field(min_length=1, max_length=60, description="Sources of days without incident.")


class CauseRequest(DayBody, CauseQuestion):
    """Measurements up to now, and of usual days."""

    step_s: float = Field(ge=1, le=3600, description="Seconds of each interval.")
    usual: list[DayBody] = Field(
        min_length=1, max_length=60, description="Days without incident, of the same segments."
    )
