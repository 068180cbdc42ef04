"""What a forecast is made from: windows of a series, their usual day, and their time, as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoders.forecast.profile import Profile
from encoders.forecast.series import Array, SensorSeries

PAST = 12
FUTURE = 12
FEATURES = 3 * PAST + FUTURE + 4
"""Values, whether they were measured, the usual values then and in the time asked for, and the time of day."""
Longs = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean and spread of what is measured."""

    mean: float
    spread: float

    @classmethod
    def of(cls, series: SensorSeries) -> Scale:
        """Of all sensors together."""
        return cls(float(np.nanmean(series.values)), max(float(np.nanstd(series.values)), 1e-6))

    def to(self, values: Array) -> Array:
        """In spreads from the mean."""
        return ((values - self.mean) / self.spread).astype(np.float32)


def starts(series: SensorSeries) -> Longs:
    """First steps of all windows of `PAST` and `FUTURE` steps."""
    return np.arange(max(0, len(series) - PAST - FUTURE + 1))


def targets(series: SensorSeries, first: Longs) -> Array:
    """float32 (windows, sensors, `FUTURE`): what was measured after the windows that begin at these steps."""
    future = series.values[first[:, None] + PAST + np.arange(FUTURE)]
    return np.ascontiguousarray(future.transpose(0, 2, 1))


def inputs(series: SensorSeries, first: Longs, scale: Scale, usual: Array) -> Tensor:
    """float32 (windows, sensors, `FEATURES`).

    Args:
        series: what was measured.
        first: steps at which windows begin.
        scale: of the values.
        usual: see `Profile.usual`.
    """
    past = first[:, None] + np.arange(PAST)
    future = past[:, -1:] + 1 + np.arange(FUTURE)
    expected = scale.to(usual)
    then, later = (expected[series.moment(steps)].transpose(0, 2, 1) for steps in (past, future))
    values = scale.to(series.values[past].transpose(0, 2, 1))
    angle = 2 * np.pi * series.slot(future[:, :1]) / series.slots
    clock = np.concatenate([wave(angle * times) for times in (1, 2) for wave in (np.sin, np.cos)], 1)
    clock = np.repeat(clock[:, None], len(series.sensors), 1)
    filled, measured = _filled(values, then)
    return torch.from_numpy(np.concatenate([filled, measured, then, later, clock], 2).astype(np.float32))


def hide(windows: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """The windows as if some of their values had not been measured.

    Of each window a random share of sensors, from none to twice the mean `share`, is silent: every other one all along,
    the rest from some step on until now.
    """
    windows = windows.clone()
    shape = windows.shape[:2]
    silent = torch.rand(shape, generator=generator) < 2 * share * torch.rand(shape[0], 1, generator=generator)
    long = torch.randint(1, PAST + 1, shape, generator=generator)
    long = torch.where(torch.rand(shape, generator=generator) < 0.5, PAST, long)
    gone = silent[..., None] & (torch.arange(PAST) >= PAST - long[..., None])
    values, measured, then = (windows[..., at * PAST : (at + 1) * PAST] for at in range(3))
    kept = torch.gather(values, 2, (PAST - 1 - long).clamp(min=0)[..., None])
    values[...] = torch.where(gone, torch.where(long[..., None] < PAST, kept, then), values)
    measured[...] = measured * ~gone
    return windows


def by_day(series: SensorSeries, first: Longs, scale: Scale, profile: Profile) -> Tensor:
    """As `inputs`, each window with the usual day of the other days."""
    day = series.day(first + PAST)
    windows = torch.empty(len(first), len(series.sensors), FEATURES)
    for of in np.unique(day).tolist():
        at = np.flatnonzero(day == of)
        windows[at] = inputs(series, first[at], scale, profile.usual(without=of))
    return windows


def _filled(values: Array, then: Array) -> tuple[Array, Array]:
    """The values, gaps filled with the last one before, or with the usual; and which were measured."""
    measured = ~np.isnan(values)
    if measured.all():
        return values, np.ones_like(values)
    steps = np.where(measured, np.arange(PAST), -1)
    last = np.maximum.accumulate(steps, 2)
    held = np.take_along_axis(np.nan_to_num(values), np.maximum(last, 0), 2)
    return np.where(last >= 0, held, then), measured.astype(np.float32)
