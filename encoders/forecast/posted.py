"""Series that come with a question, checked: steps of the forecaster, times that go forward, no values below 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from encoders.forecast.series import SensorSeries
from kg.errors import InputError

_MOST_STEPS = 100_000
_EARLIEST_S, _LATEST_S = -2_208_988_800, 7_258_118_400
"""1900 and 2200."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one sensor measured.

    Attributes:
        times: seconds since 1970 of each value; or of the first, if all are at the forecaster's steps.
        values: None where nothing was measured.
    """

    sensor: str
    times: Sequence[float]
    values: Sequence[float | None]


def series_of_measured(measured: Sequence[Measured], kept: SensorSeries) -> SensorSeries:
    """One array of them all; values of one sensor in one step are averaged.

    Args:
        measured: of sensors of the forecaster.
        kept: of the forecaster.

    Raises:
        InputError: a value below 0, times that don't ascend, lie too far apart or are not as many as the values, or a
            sensor that comes twice, or of another century; names the field.
    """
    step = kept.step_s
    seen: set[str] = set()
    columns: list[int] = []
    slots: list[int] = []
    numbers: list[float] = []
    for number, one in enumerate(measured):
        where = f"series[{number}]"
        if one.sensor in seen:
            raise InputError(f"{one.sensor!r} comes twice", f"{where}.sensor")
        seen.add(one.sensor)
        for at, value in enumerate(one.values):
            if value is not None and value < 0:
                raise InputError(f"{value:g} is below 0, which no sensor measures", f"{where}.values[{at}]")
        slots_of = _slots(one, step, where)
        for slot, value in zip(slots_of, one.values, strict=True):
            if value is not None:
                columns.append(kept.place[one.sensor])
                slots.append(slot)
                numbers.append(value)
    if not numbers:
        raise InputError("no sensor has a value", "series")
    begin, length = min(slots), max(slots) - min(slots) + 1
    if length > _MOST_STEPS:
        raise InputError(f"the times of all sensors span {length:,} steps, more than {_MOST_STEPS:,}", "series")
    cells = np.array(slots) - begin, np.array(columns)
    total, count = (np.zeros((length, len(kept.sensors)), np.float64) for _ in range(2))
    np.add.at(total, cells, numbers)
    np.add.at(count, cells, 1)
    values = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
    return SensorSeries(kept.measure, kept.sensors, begin * step, step, values, kept.near, kept.unit)


def _slots(one: Measured, step: int, where: str) -> list[int]:
    for at, time in enumerate(one.times):
        if not _EARLIEST_S <= time < _LATEST_S:
            raise InputError("a time outside 1900…2200", f"{where}.times[{at}]" if len(one.times) > 1 else where)
    if len(one.times) == 1:
        first = int(one.times[0] // step)
        return list(range(first, first + len(one.values)))
    if len(one.times) != len(one.values):
        raise InputError(f"{len(one.times)} times for {len(one.values)} values", f"{where}.times")
    for at in range(1, len(one.times)):
        if one.times[at] <= one.times[at - 1]:
            raise InputError("the clock jumps back: not after the time before", f"{where}.times[{at}]")
    return [int(time // step) for time in one.times]
