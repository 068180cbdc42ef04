"""The usual day of each sensor: its mean at each time of day, smoothed over half an hour around."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from encoders.forecast.series import Array, SensorSeries

_SMOOTH_S = 1800.0
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
        """float32 (times of day, sensors).

        Args:
            without: a day that is left out.
        """
        total, count = self._sum.sum(0), self._count.sum(0)
        if without is not None:
            at = np.flatnonzero(self._days == without)
            total, count = total - self._sum[at].sum(0), count - self._count[at].sum(0)
        total, count = (sum(np.roll(table, by, 0) * weight for by, weight in self._kernel) for table in (total, count))
        return np.where(count > 1e-3, total / np.maximum(count, 1e-3), self.overall).astype(np.float32)
