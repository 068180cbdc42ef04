"""What sensors will measure, with what each forecast rests on; of a sensor that it can't tell, it says why not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from encoders.forecast.forecast_graph import COVERAGE, iso
from encoders.forecast.forecaster import Forecaster
from encoders.forecast.newest import Newest
from encoders.forecast.series import Array
from encoders.forecast.windows import FUTURE, PAST
from kg.errors import InputError
from reasoning.traffic.forecast_answer import Abstention, ForecastAnswer, Neighbour, RestsOn, SensorForecast, Step

_NEIGHBOURS = 5


def steps_until(minutes: float | None, step_s: int) -> int:
    """How many steps are asked for.

    Raises:
        InputError: less than one, or more than are forecast.
    """
    if minutes is None:
        return FUTURE
    steps = int(minutes * 60 // step_s)
    if steps < 1 or minutes * 60 > FUTURE * step_s:
        raise InputError(f"forecasts are for {step_s / 60:g} to {FUTURE * step_s / 60:g} minutes ahead", "minutes")
    return steps


def answer(
    forecaster: Forecaster,
    newest: Newest,
    found: Array,
    sensors: Sequence[str] | None = None,
    minutes: float | None = None,
    graph_version: int | None = None,
) -> ForecastAnswer:
    """The answer of a forecast.

    Args:
        forecaster: that made it.
        newest: what it rests on.
        found: see `Forecaster.ahead`.
        sensors: of which it is asked, all of them the forecaster's; None: all.
        minutes: up to which; None: as far as there is.
        graph_version: of the graph.

    Raises:
        InputError: the time ahead is too short or too long.
    """
    kept = forecaster.series
    steps = steps_until(minutes, kept.step_s)
    place = kept.place
    asked = list(dict.fromkeys(sensors)) if sensors is not None else list(kept.sensors)
    measured = newest.measured
    rests_on = RestsOn(
        iso(newest.time(0)),
        iso(newest.end),
        int(measured.sum()),
        [kept.sensors[at] for at in np.flatnonzero(~measured).tolist()],
        newest.negative,
    )
    return ForecastAnswer(
        kept.measure,
        newest.series.unit or kept.unit or None,
        kept.step_s,
        COVERAGE,
        True,
        forecaster.version,
        graph_version,
        rests_on,
        [_of_sensor(forecaster, newest, found, place[name], steps) for name in asked if measured[place[name]]],
        [Abstention(name, newest.why_not[name]) for name in asked if name in newest.why_not],
    )


def _of_sensor(forecaster: Forecaster, newest: Newest, found: Array, at: int, steps: int) -> SensorForecast:
    kept = forecaster.series
    weights = forecaster.weights[at]
    told = newest.measured & (weights > 0)
    first = np.argsort(-np.where(told, weights, 0), kind="stable")[: min(_NEIGHBOURS, int(told.sum()))]
    ahead = [
        Step(step * kept.step_s / 60, iso(newest.time(PAST - 1 + step)), *_rounded(found[at, step - 1].tolist()))
        for step in range(1, steps + 1)
    ]
    last = int(newest.last[at])
    return SensorForecast(
        kept.sensors[at],
        iso(newest.time(last)),
        round(float(newest.series.values[last, at]), 3),
        int((~np.isnan(newest.series.values[:, at])).sum()),
        [Neighbour(kept.sensors[i], round(float(weights[i]), 4)) for i in first.tolist()],
        int(((weights > 0) & ~newest.measured).sum()),
        ahead,
    )


def _rounded(values: list[float]) -> tuple[float, float, float]:
    low, median, high = (round(value, 3) for value in values)
    return low, median, high
