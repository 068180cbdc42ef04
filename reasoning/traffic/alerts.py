"""Alerts: what sensors measure that is far from what was expected of them.

A value is held against the forecast that was made before its step began. One of ten lies outside an interval of 90 %,
so it takes a distance from the interval that is more than the interval is wide. And it is held against all that its
sensor has measured since somebody listens; see `reasoning.traffic.anomaly`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from encoders.forecast.measurements import Measurement
from encoders.forecast.newest import Newest
from encoders.forecast.series import Array
from encoders.forecast.windows import FUTURE, PAST
from kg.errors import InputError
from reasoning.traffic.anomaly import AnomalyDetector

_LEAST_WIDTH = 1e-6
THRESHOLD = 1.0
"""Widths of the interval that a value must lie away from it."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A value that was not expected.

    Attributes:
        time: seconds since 1970, UTC.
        kind: `forecast`: it is far from what was forecast; `anomaly`: from what the sensor has measured.
        score: distance from the interval, in widths of it; of an anomaly 0…1, .5 at the threshold.
        low: of the interval, as `median` and `high`.
        forecast_at: seconds since 1970, UTC, of the last step that the forecast rests on; None for an anomaly.
    """

    kind: str
    sensor: str
    time: float
    value: float
    score: float
    low: float
    median: float
    high: float
    forecast_at: int | None

    @property
    def text(self) -> str:
        """In words."""
        side = "below" if self.value < self.low else "above"
        expected = "what was forecast" if self.kind == "forecast" else "what the sensor measures"
        return f"{self.value:g} is far {side} {expected}: {self.median:g} ({self.low:g} to {self.high:g})"


class Alerts:
    """Remembers the last forecast that was made before the step that is being measured.

    Of a sensor there is one alert a step, however often it measures; and one of an anomaly, then none for hours.
    """

    def __init__(self) -> None:
        self._detectors: dict[str, AnomalyDetector] = {}
        self._told: dict[str, int] = {}
        self._before: tuple[Newest, Array] | None = None
        self._latest: tuple[Newest, Array] | None = None

    def forecast(self, newest: Newest, found: Array) -> None:
        """Takes in a forecast; see `Forecaster.ahead`."""
        if self._latest is not None and self._latest[0].end != newest.end:
            self._before = self._latest
        self._latest = newest, found

    def check(self, measurements: Iterable[Measurement]) -> list[Alert]:
        """The alerts of new measurements, made before the forecast that takes them in."""
        found = [by(one) for one in measurements for by in (self._by_forecast, self._by_detector)]
        return [alert for alert in found if alert is not None]

    def _by_detector(self, one: Measurement) -> Alert | None:
        detector = self._detectors.setdefault(one.sensor, AnomalyDetector())
        try:
            moment = detector.update(one.time, one.value)
        except InputError:  # it comes late, and tells nothing of now
            return None
        if moment is None or not moment.alert or moment.expected is None or moment.low is None or moment.high is None:
            return None
        low, median, high = (round(value, 3) for value in (moment.low, moment.expected, moment.high))
        return Alert("anomaly", one.sensor, one.time, one.value, round(moment.score, 3), low, median, high, None)

    def _by_forecast(self, one: Measurement) -> Alert | None:
        for base in (self._latest, self._before):
            if base is None:
                continue
            newest, found = base
            at = newest.series.place.get(one.sensor)
            step = int((one.time - newest.series.start) // newest.series.step_s) - PAST
            if at is None or not newest.measured[at] or not 0 <= step < FUTURE:
                continue
            low, median, high = np.round(found[at, step].astype(np.float64), 3).tolist()
            score = max(low - one.value, one.value - high) / max(high - low, _LEAST_WIDTH)
            begins = newest.time(PAST + step)
            if score > THRESHOLD and self._told.get(one.sensor) != begins:
                self._told[one.sensor] = begins
                return Alert(
                    "forecast", one.sensor, one.time, one.value, round(score, 3), low, median, high, newest.end
                )
            return None
        return None
