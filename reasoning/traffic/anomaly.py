"""Anomalies of one series, told as each value comes, from the past alone.

A value is compared with all values so far (the last 10,000): how far it lies from their median, in robust standard
deviations of its own side, since speeds fall further than they rise. The scale of a side is the distance from the
median to the quantile that 5 % of a normal distribution lie beyond, over 1.645; at least half that of the quartiles.
Where the deviation reaches the threshold, an alert is given, and then none for some hours: an event is told once.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from kg.errors import InputError

THRESHOLD = 4.0
"""Robust standard deviations from which a value is an anomaly."""
QUIET_S = 3 * 3600.0
"""Seconds after an alert in which none is given."""
_LEARNS_FROM = 20
_REMEMBERS = 10_000
_QUARTILE = 0.6745
_TWENTIETH = 1.6449
"""Standard normal quantiles of 75 % and 95 %."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A value, and how it compares.

    Attributes:
        time: s.
        expected: median so far; None at the beginning.
        low, high: beyond these it is an anomaly.
        score: 0…1; .5 at the threshold.
        alert: whether this is told.
    """

    time: float
    value: float
    expected: float | None
    low: float | None
    high: float | None
    score: float
    alert: bool


class AnomalyDetector:
    """Follows one series.

    Args:
        threshold: robust standard deviations.
        quiet_s: s without alerts after one.
    """

    def __init__(self, threshold: float = THRESHOLD, quiet_s: float = QUIET_S) -> None:
        self.threshold = threshold
        self.quiet_s = quiet_s
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []
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
        if math.isinf(value):
            raise InputError("must be finite", f"value at {time:.0f}")
        moment = self._compare(time, value)
        self._remember(value)
        if moment.alert:
            self._alerted = time
        return moment

    def state(self) -> dict[str, Any]:
        """All that it has learned, for JSON."""
        times = {
            name: None if math.isinf(at) else at for name, at in (("time", self._time), ("alerted", self._alerted))
        }
        return {"threshold": self.threshold, "quiet_s": self.quiet_s, "values": list(self._recent), **times}

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> AnomalyDetector:
        """Goes on where `state` was taken.

        Raises:
            InputError: it is no such state.
        """
        try:
            made = cls(float(state["threshold"]), float(state["quiet_s"]))
            for value in state["values"]:
                made._remember(float(value))
            made._time, made._alerted = (
                -math.inf if state[name] is None else float(state[name]) for name in ("time", "alerted")
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"is no state of a detector: {error}") from error
        return made

    def _compare(self, time: float, value: float) -> Moment:
        if len(self._sorted) < _LEARNS_FROM:
            return Moment(time, value, None, None, None, 0.0, False)
        median = self._quantile(0.5)
        middle = (self._quantile(0.75) - self._quantile(0.25)) / (2 * _QUARTILE)
        middle = max(middle, 1e-3 * abs(median), 1e-6)
        below, above = (max(abs(self._quantile(share) - median) / _TWENTIETH, middle / 2) for share in (0.05, 0.95))
        deviation = (value - median) / (above if value > median else below)
        score = deviation**2 / (deviation**2 + self.threshold**2)
        alert = abs(deviation) >= self.threshold and time - self._alerted >= self.quiet_s
        low, high = median - self.threshold * below, median + self.threshold * above
        return Moment(time, value, median, low, high, score, alert)

    def _quantile(self, share: float) -> float:
        return self._sorted[min(int(share * len(self._sorted)), len(self._sorted) - 1)]

    def _remember(self, value: float) -> None:
        insort(self._sorted, value)
        self._recent.append(value)
        if len(self._recent) > _REMEMBERS:
            del self._sorted[bisect_left(self._sorted, self._recent.popleft())]


def alerts_of(series: Iterable[tuple[float, float | None]], detector: AnomalyDetector | None = None) -> list[Moment]:
    """The alerts of a whole series, each told from what came before it.

    Raises:
        InputError: the clock goes back, or a value is infinite.
    """
    detector = detector or AnomalyDetector()
    moments = (detector.update(time, value) for time, value in series)
    return [moment for moment in moments if moment is not None and moment.alert]
