"""The usual day of each sensor: its mean at each time of day, smoothed over half an hour around, apart for weekends."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from encoders.forecast.series import Array, SensorSeries

_SMOOTH_S = 1800.0
_LEAST = 1e-3
Longs = NDArray[np.int64]


class Profile:
    """Means by time of day, of all days or of all but one.

    Leaving a day out keeps a network that is trained on it from learning that the usual day is always right.

    Attributes:
        overall: float32 (sensors,), means of all that was measured, for times of day when nothing was.
    """

    def __init__(self, series: SensorSeries) -> None:
        steps = np.arange(len(series))
        self._days, day = np.unique(series.day(steps), return_inverse=True)
        slot = series.slot(steps)
        self._weekend = np.zeros(len(self._days), np.bool_)
        self._weekend[day] = series.moment(steps) >= series.slots
        shape = (len(self._days), series.slots, len(series.sensors))
        self._sum, self._count = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        measured = ~np.isnan(series.values)
        self._sum[day, slot] = np.where(measured, series.values, 0.0)
        self._count[day, slot] = measured
        width = _SMOOTH_S / series.step_s
        reach = int(2 * width)
        offsets = np.arange(-reach, reach + 1)
        self._kernel = list(zip(offsets.tolist(), np.exp(-0.5 * (offsets / width) ** 2).tolist(), strict=True))
        total = self._count.sum((0, 1))
        everything = float(self._sum.sum() / max(float(total.sum()), 1.0))
        self.overall: Array = np.where(
            total > 0, self._sum.sum((0, 1)) / np.maximum(total, 1), everything
        ).astype(np.float32)  # fmt: skip

    @property
    def days(self) -> Longs:
        """Days that there are."""
        return self._days

    def usual(self, without: int | None = None) -> Array:
        """float32 (times of day of weekdays, then of weekends; sensors).

        Where there are few days of a sort, the mean of all days counts too, like half a day.

        Args:
            without: a day that is left out.
        """
        chosen = self._days != without if without is not None else np.ones(len(self._days), np.bool_)
        everything = self._smoothed(chosen)
        mean = np.where(everything[1] > _LEAST, everything[0] / np.maximum(everything[1], _LEAST), self.overall)
        prior = 0.5 * sum(weight for _, weight in self._kernel)
        sorts = [self._smoothed(chosen & (self._weekend == weekend)) for weekend in (False, True)]
        return np.concatenate([(total + prior * mean) / (count + prior) for total, count in sorts]).astype(np.float32)

    def _smoothed(self, chosen: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Sums and counts of some days, (times of day, sensors)."""
        tables = self._sum[chosen].sum(0), self._count[chosen].sum(0)
        total, count = (sum(np.roll(table, by, 0) * weight for by, weight in self._kernel) for table in tables)
        return total, count
