"""What a forecast is compared with: the last value, the usual day, linear regression, and an LSTM without a graph.

Each takes a series to learn from and one to forecast, and returns float32 (windows, sensors, `FUTURE`) for all windows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.linear_model import Ridge
from torch import nn

from encoders.forecast.profile import Profile
from encoders.forecast.series import Array, SensorSeries
from encoders.forecast.windows import FUTURE, PAST, Scale, by_day, inputs, starts, targets

_EPOCHS, _BATCH, _WIDTH = 8, 4096, 32
Baseline = Callable[[SensorSeries, SensorSeries, int], Array]


def last_value(learned: SensorSeries, asked: SensorSeries, seed: int) -> Array:  # noqa: ARG001 (all take the same)
    """What was measured last goes on."""
    scale = Scale.of(learned)
    last = inputs(asked, starts(asked), scale, Profile(learned).usual())[..., PAST - 1].numpy()
    return np.repeat(last[..., None] * scale.spread + scale.mean, FUTURE, -1)


def usual_day(learned: SensorSeries, asked: SensorSeries, seed: int) -> Array:  # noqa: ARG001 (all take the same)
    """The mean of the time of day."""
    usual = Profile(learned).usual()
    steps = starts(asked)[:, None] + PAST + np.arange(FUTURE)
    return np.ascontiguousarray(usual[asked.moment(steps)].transpose(0, 2, 1))


def ridge(learned: SensorSeries, asked: SensorSeries, seed: int) -> Array:  # noqa: ARG001 (all take the same)
    """Linear regression of the change, one for all sensors, on what the networks see of a sensor."""
    scale, profile = Scale.of(learned), Profile(learned)
    windows = by_day(learned, starts(learned), scale, profile).numpy()
    change = scale.to(targets(learned, starts(learned))) - windows[..., PAST - 1 : PAST]
    known = ~np.isnan(change).any(-1)
    model = Ridge(alpha=10.0).fit(windows[known], change[known])
    seen = inputs(asked, starts(asked), scale, profile.usual()).numpy()
    found = model.predict(seen.reshape(-1, seen.shape[-1])).reshape(*seen.shape[:2], FUTURE)
    forecast: Array = ((found + seen[..., PAST - 1 : PAST]) * scale.spread + scale.mean).astype(np.float32)
    return forecast


class _Lstm(nn.Module):
    """Reads value, whether it was measured, and the usual one, step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, _WIDTH, batch_first=True)
        self.last = nn.Linear(_WIDTH + FUTURE, FUTURE)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        steps = torch.stack([windows[:, at * PAST : (at + 1) * PAST] for at in range(3)], -1)
        _, (state, _) = self.lstm(steps)
        later = windows[:, 3 * PAST : 3 * PAST + FUTURE]
        found: torch.Tensor = self.last(torch.cat((state[-1], later), 1)) + windows[:, PAST - 1 : PAST]
        return found


def lstm(learned: SensorSeries, asked: SensorSeries, seed: int) -> Array:
    """One LSTM for all sensors, each alone."""
    torch.manual_seed(seed)
    scale, profile = Scale.of(learned), Profile(learned)
    windows = by_day(learned, starts(learned), scale, profile).flatten(0, 1)
    truth = torch.from_numpy(scale.to(targets(learned, starts(learned)))).flatten(0, 1)
    model = _Lstm()
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(_EPOCHS):
        for some in torch.randperm(len(windows)).split(_BATCH):
            wrong = (model(windows[some]) - truth[some]).abs()
            loss = wrong[~torch.isnan(wrong)].mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
    seen = inputs(asked, starts(asked), scale, profile.usual())
    with torch.inference_mode():
        found = torch.cat([model(part) for part in seen.flatten(0, 1).split(_BATCH)])
    forecast: Array = (found * scale.spread + scale.mean).unflatten(0, seen.shape[:2]).numpy()
    return forecast


BASELINES: dict[str, Baseline] = {"last value": last_value, "usual day": usual_day, "ridge": ridge, "LSTM": lstm}
