"""How far forecasts are from what was measured then."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from encoders.forecast.series import Array, SensorSeries
from encoders.forecast.windows import FUTURE

MINUTES = (15, 30, 60)


@dataclass(frozen=True, slots=True)
class ForecastMetrics:
    """Errors at some times ahead, in the unit of the measure; what was not measured counts in nothing.

    Attributes:
        mae: by minutes ahead; mean absolute error.
        rmse: by minutes ahead; root of the mean squared error.
        covered: by minutes ahead; share that lies in the interval; empty if there is none.
        n: values that were compared, of all times ahead.
    """

    mae: dict[int, float]
    rmse: dict[int, float]
    covered: dict[int, float]
    n: int

    @property
    def mean_mae(self) -> float:
        """Mean of the errors at the times ahead."""
        return float(np.mean(list(self.mae.values())))


def forecast_metrics(series: SensorSeries, forecast: Array, truth: Array) -> ForecastMetrics:
    """The figures of forecasts.

    Args:
        series: says how long steps are.
        forecast: (windows, sensors, `FUTURE`), or (…, 3) of low, median and high.
        truth: (windows, sensors, `FUTURE`); NaN where nothing was measured.
    """
    middle = forecast if forecast.ndim == truth.ndim else forecast[..., 1]
    mae, rmse, covered = {}, {}, {}
    n = 0
    for minutes in MINUTES:
        step = minutes * 60 // series.step_s - 1
        if not 0 <= step < FUTURE:
            continue
        known = ~np.isnan(truth[..., step])
        wrong = np.abs(middle[..., step] - truth[..., step])[known].astype(np.float64)
        n += len(wrong)
        mae[minutes], rmse[minutes] = float(wrong.mean()), float(np.sqrt((wrong**2).mean()))
        if middle is not forecast:
            low, high, true = forecast[..., step, 0][known], forecast[..., step, 2][known], truth[..., step][known]
            covered[minutes] = float(((low <= true) & (true <= high)).mean())
    return ForecastMetrics(mae, rmse, covered, n)
