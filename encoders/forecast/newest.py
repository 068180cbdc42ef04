"""What was measured last, as a forecast needs it: one window of a forecaster's sensors, and which of them it can't use.

A clock that runs ahead would make every other sensor look silent. So where a few sensors have times more than a window
after those of all others, theirs are left out. A value below 0 is no speed, flow or count, and counts as not measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from encoders.forecast.series import SensorSeries
from encoders.forecast.windows import PAST
from kg.errors import InputError

_FEW = 0.05
"""Share of the sensors whose clocks may be wrong at once; of three or more it is one at least."""


@dataclass(frozen=True, slots=True, eq=False)
class Newest:
    """The last `PAST` steps of the sensors of a forecaster.

    Attributes:
        series: the steps, with the forecaster's sensors in its order.
        last: int64 (sensors,), step of the window at which each measured last; -1: not in it.
        why_not: by sensor, why it is not forecast.
        negative: values below 0 that were left out.
    """

    series: SensorSeries
    last: NDArray[np.int64]
    why_not: Mapping[str, str]
    negative: int

    @property
    def end(self) -> int:
        """Seconds since 1970, UTC, of the last step."""
        return self.time(PAST - 1)

    def time(self, step: int) -> int:
        """Seconds since 1970, UTC, of a step of the window, or after it."""
        return self.series.start + step * self.series.step_s

    @property
    def measured(self) -> NDArray[np.bool_]:
        """(sensors,): which measured anything in the window."""
        return self.last >= 0


def newest(series: SensorSeries, sensors: tuple[str, ...], step_s: int) -> Newest:
    """The newest window of a series.

    Args:
        series: what was measured, of any sensors.
        sensors: of the forecaster.
        step_s: of the forecaster.

    Raises:
        InputError: none of the sensors has a series, or it is of another step, or has not one value.
    """
    if series.step_s != step_s:
        raise InputError(f"steps of {series.step_s} s, not {step_s} s as in what was learned from", "step_seconds")
    series = series.of_sensors(sensors)
    below = series.values < 0
    values = np.where(below, np.nan, series.values)
    steps = np.where(~np.isnan(values), np.arange(len(values))[:, None], -1).max(0, initial=-1)
    if (steps < 0).all():
        raise InputError("no sensor has a value", "series")
    end, ahead = _end(steps)
    first = end + 1 - PAST
    window = np.full((PAST, len(sensors)), np.nan, np.float32)
    window[max(0, -first) :] = values[max(0, first) : end + 1]
    window[:, ahead] = np.nan
    measured = ~np.isnan(window)
    last = np.where(measured, np.arange(PAST)[:, None], -1).max(0)
    why_not = {}
    minutes = PAST * step_s // 60
    for at in np.flatnonzero(last < 0).tolist():
        if ahead[at]:
            why_not[sensors[at]] = "its clock is more than a window ahead of the others'"
        else:
            why_not[sensors[at]] = f"it measured nothing in the last {minutes} minutes"
    part = replace(series, start=series.start + first * step_s, values=window)
    return Newest(part, last, why_not, int(below[max(0, first) : end + 1].sum()))


def _end(last: NDArray[np.int64]) -> tuple[int, NDArray[np.bool_]]:
    """Step at which the newest window ends, and which sensors are ahead of it.

    Args:
        last: (sensors,), step at which each measured last; -1: never.
    """
    ends = np.sort(last[last >= 0])
    few = max(1, int(len(ends) * _FEW)) if len(ends) >= 3 else 0
    for many in range(few, 0, -1):
        if ends[-many] - ends[-many - 1] > PAST:
            return int(ends[-many - 1]), last > ends[-many - 1]
    return int(ends[-1]), np.zeros(len(last), np.bool_)
