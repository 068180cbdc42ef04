"""The answer to a question for forecasts, as users get it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """A time ahead: what is expected lies between `low` and `high` as often as the answer's `coverage` says."""

    minutes: float
    time: str
    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A sensor that told of another, and its share of what all of them told."""

    sensor: str
    weight: float


@dataclass(frozen=True, slots=True)
class SensorForecast:
    """Of one sensor.

    Attributes:
        last_measured: time of its last value.
        last_value: in the unit of the measure.
        measured_steps: steps of the window in which it measured.
        neighbours: the weightiest that measured anything in the window.
        silent_neighbours: how many others did not.
        steps: of the time asked for.
    """

    sensor: str
    last_measured: str
    last_value: float
    measured_steps: int
    neighbours: list[Neighbour]
    silent_neighbours: int
    steps: list[Step]


@dataclass(frozen=True, slots=True)
class Abstention:
    """A sensor that is not forecast, and why."""

    sensor: str
    reason: str


@dataclass(frozen=True, slots=True)
class RestsOn:
    """What was measured.

    Attributes:
        since: time of the window's first step.
        until: time of its last, the last that any sensor measured at.
        sensors: how many measured in it.
        missing: ids of those that did not.
        negative: values below 0, which count as not measured.
    """

    since: str
    until: str
    sensors: int
    missing: list[str]
    negative: int


@dataclass(frozen=True, slots=True)
class ForecastAnswer:
    """Forecasts.

    Attributes:
        unit: UCUM; None if nobody stated it.
        coverage: share of what comes that lies in the intervals.
        predicted: nobody measured it: true.
        model_version: of the weights.
        graph_version: of the graph whose series it rests on; None if the values came with the question.
    """

    measure: str
    unit: str | None
    step_seconds: int
    coverage: float
    predicted: bool
    model_version: str
    graph_version: int | None
    rests_on: RestsOn
    forecasts: list[SensorForecast]
    abstained: list[Abstention]
