"""What was measured on the segments of a network, interval by interval, and what is usual there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kg.errors import InputError

Floats = NDArray[np.float64]

MEASURES = ("speed", "density", "entered", "left", "waiting", "sampled")
_DAY_S = 86400.0
_WINDOW = 3
_AROUND = 5


@dataclass(frozen=True, slots=True, eq=False)
class EdgeSeries:
    """Measurements of K intervals on E segments.

    Attributes:
        segments: ids.
        begin: s, of the first interval.
        step: s, of each interval.
        speed: m/s, (K, E); NaN where nobody drove.
        density: vehicles a km, (K, E).
        entered: vehicles, (K, E).
        left: vehicles, (K, E).
        waiting: s that vehicles stood, (K, E).
        sampled: s that vehicles were there, (K, E).
    """

    segments: tuple[str, ...]
    begin: float
    step: float
    speed: Floats
    density: Floats
    entered: Floats
    left: Floats
    waiting: Floats
    sampled: Floats

    def __post_init__(self) -> None:
        shape = (len(self), len(self.segments))
        if self.step <= 0:
            raise InputError("must be above 0", "step_s")
        for name in MEASURES:
            table = getattr(self, name)
            if table.shape != shape:
                raise InputError(f"has shape {table.shape}, not {shape}", name)
            if (table < 0).any() or np.isinf(table).any():
                at = np.argwhere((table < 0) | np.isinf(table))[0]
                raise InputError(
                    f"must be from 0 up, not {table[tuple(at)]}", f"{self.segments[at[1]]}.{name}[{at[0]}]"
                )

    def __len__(self) -> int:
        """How many intervals."""
        return len(self.speed)

    def slots(self) -> NDArray[np.int64]:
        """Number of each interval within its day, (K,)."""
        times = (self.begin + self.step * np.arange(len(self))) % _DAY_S
        return (times // self.step).astype(np.int64)


def smoothed(series: EdgeSeries) -> dict[str, Floats]:
    """Each measure over the last three intervals: speed by vehicle seconds, density averaged, all else summed."""
    sampled = _last(series.sampled)
    driven = _last(np.nan_to_num(series.speed) * series.sampled)
    speed = np.where(sampled > 0, driven / np.maximum(sampled, 1e-9), np.nan)
    sums = {name: _last(getattr(series, name)) for name in ("entered", "left", "waiting")}
    return {"speed": speed, "density": _last(series.density) / _WINDOW, **sums}


@dataclass(frozen=True, slots=True, eq=False)
class Usual:
    """Mean and spread of each smoothed measure by time of day, (slots, E).

    Attributes:
        slots: which slots of the day are known, ascending.
    """

    segments: tuple[str, ...]
    slots: NDArray[np.int64]
    mean: dict[str, Floats]
    spread: dict[str, Floats]

    @classmethod
    def of(cls, days: Sequence[EdgeSeries]) -> Usual:
        """What is usual, from days without incident; times of day five intervals apart count together.

        Raises:
            InputError: there is none, or they are of other segments or steps.
        """
        if not days:
            raise InputError("needs at least one day to know what is usual", "usual")
        for number, day in enumerate(days):
            if day.segments != days[0].segments or day.step != days[0].step:
                raise InputError("is of other segments or steps than the first", f"usual[{number}]")
        slots = [day.slots() for day in days]
        first, last = min(int(of.min()) for of in slots), max(int(of.max()) for of in slots)
        tables = [smoothed(day) for day in days]
        mean: dict[str, Floats] = {}
        spread: dict[str, Floats] = {}
        for name in tables[0]:
            grid = np.full((len(days), last - first + 1, len(days[0].segments)), np.nan)
            for number, (table, at) in enumerate(zip(tables, slots, strict=True)):
                grid[number, at - first] = table[name]
            known = np.isfinite(grid)
            count, total, square = (
                _around(np.where(known, part, 0.0).sum(0)) for part in (known.astype(float), grid, grid**2)
            )
            mean[name] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
            spread[name] = np.sqrt(np.maximum(square / np.maximum(count, 1) - np.nan_to_num(mean[name]) ** 2, 0.0))
        known_slots = np.unique(np.concatenate(slots))
        rows = known_slots - first
        mean, spread = ({name: table[rows] for name, table in of.items()} for of in (mean, spread))
        return cls(days[0].segments, known_slots, mean, spread)

    def at(self, series: EdgeSeries) -> tuple[dict[str, Floats], dict[str, Floats]]:
        """Mean and spread for each interval of a series; beyond the known times of day the nearest known one's.

        Raises:
            InputError: the series is of other segments.
        """
        if series.segments != self.segments:
            raise InputError("must name the same segments as what is usual", "edges")
        rows = np.abs(series.slots()[:, None] - self.slots[None, :]).argmin(1)
        return {name: of[rows] for name, of in self.mean.items()}, {name: of[rows] for name, of in self.spread.items()}


def _last(table: Floats) -> Floats:
    """Sums over the last three intervals; fewer at the beginning."""
    total = np.cumsum(np.vstack([np.zeros((1, table.shape[1])), table]), axis=0)
    begins = np.maximum(np.arange(len(table)) - _WINDOW + 1, 0)
    return np.asarray(total[1:] - total[begins])


def _around(table: Floats) -> Floats:
    """Sums over five intervals to each side."""
    total = np.cumsum(np.vstack([np.zeros((1, table.shape[1])), table]), axis=0)
    at = np.arange(len(table))
    ends, begins = np.minimum(at + _AROUND + 1, len(table)), np.maximum(at - _AROUND, 0)
    return np.asarray(total[ends] - total[begins])
