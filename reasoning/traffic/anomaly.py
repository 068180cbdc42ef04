"""Anomalies of one series, told as each value comes, from the past alone.

A value is compared twice, each time in robust standard deviations of its own side, since speeds fall further than they
rise (`ordinary`):

* with the values of late: how far it lies from their median;
* with what is usual at that hour, once it was measured on five days: how far its distance from the mean of the hour, in
  spreads of the hour, lies from the median of such distances. So a road that is empty at noon is noticed, though it is
  empty each night.

Where the greater of the two reaches the threshold, an alert is given, and then none for some hours: an event is told
once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

from kg.errors import InputError
from reasoning.traffic.ordinary import Ordinary, UsualDay

THRESHOLD = 4.0
"""Robust standard deviations from which a value is an anomaly."""
QUIET_S = 3 * 3600.0
"""Seconds after an alert in which none is given."""
_LEARNS_FROM, _HOURLY_FROM = 20, 50
_CERTAIN, _MOST = 1e6, 1e100


@dataclass(frozen=True, slots=True)
class Moment:
    """A value, and how it compares.

    Attributes:
        time: s.
        expected: median of late, or what is usual at the hour: from which it is farther; None at the beginning.
        low, high: beyond these it is an anomaly.
        score: 0…1; .5 at the threshold.
        alert: whether this is told.
        hourly: whether `expected`, `low` and `high` are of the hour.
    """

    time: float
    value: float
    expected: float | None
    low: float | None
    high: float | None
    score: float
    alert: bool
    hourly: bool = False


class AnomalyDetector:
    """Follows one series.

    Args:
        threshold: robust standard deviations.
        quiet_s: s without alerts after one.
    """

    def __init__(self, threshold: float = THRESHOLD, quiet_s: float = QUIET_S) -> None:
        self.threshold = threshold
        self.quiet_s = quiet_s
        self._values = Ordinary()
        self._distances = Ordinary()
        self._usual = UsualDay()
        self._time = -math.inf
        self._alerted = -math.inf

    def update(self, time: float, value: float | None) -> Moment | None:
        """Takes in the next value; None where nothing was measured.

        Raises:
            InputError: the clock went back, or the value is infinite.
        """
        if not math.isfinite(time) or time < self._time:
            raise InputError(f"comes before the value before it ({self._time:.0f} s)", f"time {time:.0f}")
        self._time = time
        if value is None or math.isnan(value):
            return None
        if abs(value) > _MOST:
            raise InputError("must be finite, and 1e100 at most", f"value at {time:.0f}")
        moment = self._compare(time, value)
        self._remember(time, value)
        if moment.alert:
            self._alerted = time
        return moment

    def state(self) -> dict[str, Any]:
        """All that it has learned, for JSON."""
        times = {
            name: None if math.isinf(at) else at for name, at in (("time", self._time), ("alerted", self._alerted))
        }
        numbers = {"values": list(self._values.recent), "distances": list(self._distances.recent)}
        return {"threshold": self.threshold, "quiet_s": self.quiet_s, **numbers, "usual": asdict(self._usual), **times}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> AnomalyDetector:
        """Goes on where `state` was taken.

        Raises:
            InputError: it is no such state.
        """
        try:
            made = cls(float(state["threshold"]), float(state["quiet_s"]))
            made._values, made._distances = (Ordinary(map(float, state[name])) for name in ("values", "distances"))
            made._usual = UsualDay(**deepcopy(state["usual"]))
            made._time, made._alerted = (
                -math.inf if state[name] is None else float(state[name]) for name in ("time", "alerted")
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"is no state of a detector: {error}") from error
        return made

    def _compare(self, time: float, value: float) -> Moment:
        """Held against the past; the nearer bounds are told."""
        if len(self._values) < _LEARNS_FROM:
            return Moment(time, value, None, None, None, 0.0, False)
        median, below, above = self._values.median_and_scales()
        deviation, hourly = abs(value - median) / (above if value > median else below), False
        usual = self._usual.at(time)
        if usual is not None and len(self._distances) >= _HOURLY_FROM:
            mean, spread = usual
            middle, *scales = self._distances.median_and_scales()
            of_hour = mean + middle * spread
            below_hour, above_hour = (scale * spread for scale in scales)
            far = abs(value - of_hour) / (above_hour if value > of_hour else below_hour)
            if far > deviation:
                deviation, hourly, median, below, above = far, True, of_hour, below_hour, above_hour
        ratio = abs(deviation) / self.threshold
        score = 1.0 if ratio > _CERTAIN else ratio**2 / (ratio**2 + 1.0)
        alert = deviation >= self.threshold and time - self._alerted >= self.quiet_s
        low, high = median - self.threshold * below, median + self.threshold * above
        return Moment(time, value, median, low, high, score, alert, hourly)

    def _remember(self, time: float, value: float) -> None:
        usual = self._usual.at(time)
        if usual is not None:
            self._distances.add((value - usual[0]) / usual[1])
        self._usual.add(time, value)
        self._values.add(value)


def alerts_of(series: Iterable[tuple[float, float | None]], detector: AnomalyDetector | None = None) -> list[Moment]:
    """The alerts of a whole series, each told from what came before it.

    Raises:
        InputError: the clock goes back, or a value is infinite.
    """
    detector = detector or AnomalyDetector()
    moments = (detector.update(time, value) for time, value in series)
    return [moment for moment in moments if moment is not None and moment.alert]
