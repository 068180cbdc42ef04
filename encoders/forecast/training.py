"""Training of a forecaster: networks of several seeds and trees, whose mean forecasts, and how wide intervals must be.

The last part of the series tells when to stop and how wide the intervals are; then, unless it is not to be learned
from, the networks are trained anew on all of it, for as long.
"""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoders.forecast.forecaster import Forecaster
from encoders.forecast.model import QUANTILES, ForecastModel
from encoders.forecast.profile import Profile
from encoders.forecast.series import Array, SensorSeries
from encoders.forecast.trees import Trees
from encoders.forecast.windows import FUTURE, PAST, Scale, by_day, hide, starts, targets
from encoders.progress import Progress, quiet
from encoders.weights import best_device
from kg.errors import InputError

COVERED = QUANTILES[-1] - QUANTILES[0]


@dataclass(frozen=True, slots=True)
class ForecastSettings:
    """How to train.

    Attributes:
        epochs: passes over all windows.
        members: networks whose mean is the forecast.
        batch: windows of a step.
        rate: greatest learning rate of AdamW, in one cycle (Smith and Topin 2019).
        decay: of the weights.
        hidden: mean share of sensors that are silent in a window, so that gaps are learned.
        trees: of each step ahead; 0: networks alone.
        judged: share of the series, its end, that tells when to stop.
        refit: train on all of the series in the end.
        graph: whether sensors see their neighbours.
        seed: of all that is drawn.
    """

    epochs: int = 25
    members: int = 3
    batch: int = 32
    rate: float = 2e-3
    decay: float = 1e-2
    hidden: float = 0.15
    trees: int = 250
    judged: float = 0.125
    refit: bool = True
    graph: bool = True
    seed: int = 0


def train_forecaster(series: SensorSeries, settings: ForecastSettings, progress: Progress = quiet) -> Forecaster:
    """A forecaster of these sensors.

    Raises:
        InputError: the series is too short.
    """
    cut = len(series) - max(PAST + FUTURE, round(len(series) * settings.judged))
    fitted, judged = series.part(0, cut), series.part(cut, len(series))
    if cut < 2 * series.slots or not len(starts(judged)):
        long = 2 * series.slots + PAST + FUTURE
        raise InputError(f"{len(series)} steps are too few to learn from; {long} are the least", "series")
    first = _fit(fitted, judged, settings, settings.epochs, progress)
    first.widen = _widening(first, judged)
    if not settings.refit:
        return first
    whole = _fit(series, None, settings, max(first.epochs), progress)
    whole.widen, whole.card = first.widen, first.card | {"refit": True}
    return whole


def _fit(
    series: SensorSeries, judged: SensorSeries | None, settings: ForecastSettings, epochs: int, progress: Progress
) -> Forecaster:
    scale, profile, device = Scale.of(series), Profile(series), best_device()
    first = starts(series)
    windows = by_day(series, first, scale, profile)
    truth = torch.from_numpy(scale.to(targets(series, first)))
    seen_near = series.near if settings.graph else np.zeros_like(series.near)
    near = torch.from_numpy(seen_near)
    made = Forecaster(series, scale, profile.usual(), [], asdict(settings))
    for member in range(settings.members):
        torch.manual_seed(settings.seed * 1000 + member)
        draw = torch.Generator().manual_seed(settings.seed * 1000 + member)
        model = ForecastModel(near, graph=settings.graph).to(device)
        optimiser = torch.optim.AdamW(model.parameters(), lr=settings.rate, weight_decay=settings.decay)
        steps = epochs * math.ceil(len(first) / settings.batch)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, total_steps=steps)
        best = math.inf, epochs, model
        for epoch in range(epochs):
            progress(f"Network {member + 1} of {settings.members}", epoch, epochs)
            model.train()
            for some in torch.randperm(len(first), generator=draw).split(settings.batch):
                seen = hide(windows[some], settings.hidden, draw).to(device)
                loss = pinball(model(seen), truth[some].to(device))
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                cycle.step()
            if judged is not None and epoch >= epochs // 2:
                alone = Forecaster(series, scale, made.usual, [model.eval()], {})
                error = float(np.nanmean(np.abs(alone.forecast(judged)[..., 1] - targets(judged, starts(judged)))))
                if error < best[0]:
                    best = error, epoch + 1, copy.deepcopy(model)
        made.members.append((best[2] if judged is not None else model).eval())
        made.epochs.append(best[1] if judged is not None else epochs)
    if settings.trees:
        hidden = hide(windows, settings.hidden, torch.Generator().manual_seed(settings.seed))
        made.trees = Trees.fit(
            hidden, truth, seen_near, settings.trees, settings.seed, lambda done, of: progress("Trees", done, of)
        )
    return made


def pinball(forecast: Tensor, truth: Tensor) -> Tensor:
    """Mean pinball loss of the quantiles (Koenker and Bassett 1978), twice, so that the median's is the mean error.

    Args:
        forecast: (…, quantiles).
        truth: (…,); NaN counts in nothing.
    """
    known = ~torch.isnan(truth)
    wrong = (truth[..., None] - forecast)[known]
    levels = torch.tensor(QUANTILES, device=forecast.device)
    return 2 * torch.maximum(levels * wrong, (levels - 1) * wrong).sum(-1).mean()


def _widening(made: Forecaster, judged: SensorSeries) -> NDArray[np.float64]:
    """(`FUTURE`,): by how much intervals must be widened to cover what was judged as often as they say.

    Conformalised quantile regression (Romano et al. 2019), a step ahead at a time.
    """
    low, _, high = np.moveaxis(made.forecast(judged), -1, 0)
    truth: Array = targets(judged, starts(judged))
    outside = np.maximum(low - truth, truth - high)
    return np.array([np.nanquantile(outside[..., step], COVERED) for step in range(FUTURE)])
