"""What is ordinary: in robust standard deviations from the median of late, and from what is usual at this hour."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

_REMEMBERS = 2000
"""Values: a week of such that come every five minutes."""
_QUARTILE = 0.6745
_TWENTIETH = 1.6449
"""Standard normal quantiles of 75 % and 95 %."""
_DAY_S, _HOURS = 86_400, 24
_THURSDAY, _SATURDAY = 3, 5
"""Days of the week counted from Monday; 1970 began on a Thursday."""
_DAYS = 5
"""Days on which an hour must have been measured before anything is usual in it."""
_COUNTS, _FIRST, _PRIOR, _FARTHEST = 60, 3, 10.0, 4.0
"""Values that an hour remembers; those taken as they are; for how many the spread of all hours counts; and in spreads,
how far a value counts at most: what happened once is not usual."""


def least_scale(value: float) -> float:
    """What counts as a deviation at least, so that what hardly ever varies has one."""
    return max(1e-3 * abs(value), 1e-6)


class Ordinary:
    """The last 2,000 numbers, sorted.

    The scale of a side is the distance from the median to the quantile that 5 % of a normal distribution lie beyond,
    over 1.645; at least half that of the quartiles.
    """

    def __init__(self, numbers: Iterable[float] = ()) -> None:
        self.recent: deque[float] = deque()
        self._sorted: list[float] = []
        for number in numbers:
            self.add(number)

    def __len__(self) -> int:
        return len(self._sorted)

    def add(self, number: float) -> None:
        """Remembers one more."""
        insort(self._sorted, number)
        self.recent.append(number)
        if len(self.recent) > _REMEMBERS:
            del self._sorted[bisect_left(self._sorted, self.recent.popleft())]

    def median_and_scales(self) -> tuple[float, float, float]:
        """Median, robust standard deviation below it, and above; needs one number at least."""
        median = self._quantile(0.5)
        middle = (self._quantile(0.75) - self._quantile(0.25)) / (2 * _QUARTILE)
        middle = max(middle, least_scale(median))
        below, above = (max(abs(self._quantile(share) - median) / _TWENTIETH, middle / 2) for share in (0.05, 0.95))
        return median, below, above

    def _quantile(self, share: float) -> float:
        return self._sorted[min(int(share * len(self._sorted)), len(self._sorted) - 1)]


@dataclass(slots=True)
class UsualDay:
    """Mean and spread by hour of the day, Saturdays and Sundays apart.

    Attributes:
        mean: of each hour, first those of working days.
        spread: mean absolute deviation in each hour.
        count: values in each, at most 60.
        days: on which each was measured.
        last_day: on which each was measured last, since 1970.
        spread_of_all: mean absolute deviation of the last values from the mean of their hour.
        counted: how many that is of, at most 2,000.
    """

    mean: list[float] = field(default_factory=lambda: [0.0] * (2 * _HOURS))
    spread: list[float] = field(default_factory=lambda: [0.0] * (2 * _HOURS))
    count: list[int] = field(default_factory=lambda: [0] * (2 * _HOURS))
    days: list[int] = field(default_factory=lambda: [0] * (2 * _HOURS))
    last_day: list[int] = field(default_factory=lambda: [-1] * (2 * _HOURS))
    spread_of_all: float = 0.0
    counted: int = 0

    def __post_init__(self) -> None:
        if any(len(of) != 2 * _HOURS for of in (self.mean, self.spread, self.count, self.days, self.last_day)):
            raise ValueError(f"needs {2 * _HOURS} hours")

    def at(self, time: float) -> tuple[float, float] | None:
        """Mean and spread at a time in s since 1970; None where too few days were seen."""
        hour, _ = _hour_and_day(time)
        return (self.mean[hour], self._spread(hour)) if self.days[hour] >= _DAYS else None

    def add(self, time: float, value: float) -> None:
        """Remembers one more."""
        hour, day = _hour_and_day(time)
        if self.last_day[hour] != day:
            self.last_day[hour] = day
            self.days[hour] += 1
        self.count[hour] = count = min(self.count[hour] + 1, _COUNTS)
        away = value - self.mean[hour]
        if count > _FIRST:
            most = _FARTHEST * self._spread(hour)
            away = max(-most, min(most, away))
        self.mean[hour] += away / count
        if count > 1:
            self.counted = min(self.counted + 1, _REMEMBERS)
            self.spread[hour] += (abs(away) - self.spread[hour]) / count
            self.spread_of_all += (abs(away) - self.spread_of_all) / self.counted

    def _spread(self, hour: int) -> float:
        count = self.count[hour]
        spread = (count * self.spread[hour] + _PRIOR * self.spread_of_all) / (count + _PRIOR)
        return max(spread, least_scale(self.mean[hour]))


def _hour_and_day(time: float) -> tuple[int, int]:
    day, second = divmod(time, _DAY_S)
    weekend = (int(day) + _THURSDAY) % 7 >= _SATURDAY
    return int(second * _HOURS / _DAY_S) + _HOURS * weekend, int(day)
