"""What was measured last, as a forecast needs it: one window of a forecaster's sensors, and which of them it can't use.

Each sensor is kept by its own clock, and one that runs ahead does not make the others look silent: where a few sensors
have times more than a window after those of all others, theirs are left out. A value below 0 is no speed, flow or
count, and counts as not measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from encoders.forecast.series import SensorSeries
from encoders.forecast.windows import PAST
from kg.errors import InputError

_KEPT = 2 * PAST
"""Steps of a sensor that are kept: what comes late finds its place."""
_FEW = 0.05
"""Share of the sensors whose clocks may be wrong at once; of three or more it is one at least."""
_NEVER = -(1 << 60)
"""Number of a step before all others."""


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


class Window:
    """The latest steps of a forecaster's sensors, filled as measurements come.

    Args:
        kept: series of the forecaster, of which sensors, step, measure, unit and network count.
    """

    def __init__(self, kept: SensorSeries) -> None:
        shape = (_KEPT, len(kept.sensors))
        self._series = kept
        self._phase = 0
        self._slot = np.full(shape, _NEVER, np.int64)
        self._sum, self._count = np.zeros(shape), np.zeros(shape, np.int64)
        self._below = np.zeros(shape, np.bool_)
        self._ahead = np.zeros(shape[1], np.bool_)

    @property
    def empty(self) -> bool:
        """Whether no sensor has a value."""
        return not self._count.any()

    def fill(self, series: SensorSeries) -> None:
        """Takes over a series.

        Raises:
            InputError: it is of another step, or has none of the sensors.
        """
        kept = self._series
        if series.step_s != kept.step_s:
            raise InputError(
                f"steps of {series.step_s} s, not {kept.step_s} s as in what was learned from", "step_seconds"
            )
        series = series.of_sensors(kept.sensors)
        self._series = replace(kept, unit=series.unit or kept.unit)
        if self.empty:
            self._phase = series.start % series.step_s
        known = ~np.isnan(series.values)
        last = np.where(known, np.arange(len(series))[:, None], -1).max(0, initial=-1)
        first = (series.start - self._phase) // series.step_s
        for sensor in np.flatnonzero(last >= 0).tolist():
            steps = np.arange(max(0, last[sensor] + 1 - _KEPT), last[sensor] + 1)
            steps = steps[known[steps, sensor]]
            self._put(sensor, first + steps, series.values[steps, sensor].astype(np.float64))

    def add(self, sensor: str, time: float, value: float, *, alone: bool = False) -> bool:
        """Takes in one measurement, the mean of a step counting; False if it is of no sensor here, or too old.

        Args:
            sensor: id.
            time: seconds since 1970, UTC.
            value: in the unit of the measure.
            alone: instead of what was measured in the step.
        """
        at = self._series.place.get(sensor)
        if at is None:
            return False
        slot = int((time - self._phase) // self._series.step_s)
        if self._ahead[at] and slot < self._slot[:, at].max() - _KEPT:  # its clock is right again
            self._slot[:, at], self._count[:, at], self._below[:, at] = _NEVER, 0, False
        row = slot % _KEPT
        if slot < self._slot[row, at]:
            return False
        if alone or slot > self._slot[row, at]:
            self._put(at, np.array([slot]), np.array([value]))
        elif value < 0:
            self._below[row, at] = True
        else:
            self._sum[row, at] += value
            self._count[row, at] += 1
        return True

    def newest(self) -> Newest:
        """The window until now.

        Raises:
            InputError: it is empty.
        """
        kept = self._series
        if self.empty:
            raise InputError("no sensor has a value", "series")
        last_slot = np.where(self._count > 0, self._slot, _NEVER).max(0)
        end, self._ahead = _end(last_slot)
        slots = end + 1 - PAST + np.arange(PAST)
        rows = slots % _KEPT
        there = (self._slot[rows] == slots[:, None]) & ~self._ahead
        known = there & (self._count[rows] > 0)
        mean = self._sum[rows] / np.maximum(self._count[rows], 1)
        values = np.where(known, mean, np.nan).astype(np.float32)
        last = np.where(known, np.arange(PAST)[:, None], -1).max(0)
        silent = f"it measured nothing in the last {PAST * kept.step_s // 60} minutes"
        ahead = "its clock is more than a window ahead of the others'"
        why_not = {kept.sensors[at]: ahead if self._ahead[at] else silent for at in np.flatnonzero(last < 0).tolist()}
        series = replace(kept, start=int(slots[0]) * kept.step_s + self._phase, values=values)
        return Newest(series, last, why_not, int((there & self._below[rows]).sum()))

    def _put(self, sensor: int, slots: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        rows = slots % _KEPT
        self._slot[rows, sensor] = slots
        self._below[rows, sensor] = values < 0
        self._count[rows, sensor] = values >= 0
        self._sum[rows, sensor] = np.where(values >= 0, values, 0)


def newest(series: SensorSeries, kept: SensorSeries) -> Newest:
    """The newest window of a series.

    Args:
        series: what was measured, of any sensors.
        kept: of the forecaster.

    Raises:
        InputError: none of the sensors has a series, or it is of another step, or has not one value.
    """
    window = Window(kept)
    window.fill(series)
    return window.newest()


def _end(last: NDArray[np.int64]) -> tuple[int, NDArray[np.bool_]]:
    """Step at which the newest window ends, and which sensors are ahead of it.

    Args:
        last: (sensors,), step at which each measured last, or `_NEVER`.
    """
    ends = np.sort(last[last > _NEVER])
    few = max(1, int(len(ends) * _FEW)) if len(ends) >= 3 else 0
    for many in range(few, 0, -1):
        if ends[-many] - ends[-many - 1] > PAST:
            return int(ends[-many - 1]), last > ends[-many - 1]
    return int(ends[-1]), np.zeros(len(last), np.bool_)
