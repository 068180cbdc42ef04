"""Gradient-boosted trees beside the networks: they err elsewhere, so that the mean of both errs less.

One model for each step ahead, the same for all sensors (LightGBM, Ke et al. 2017), learns the change from the last
value to the median. It sees what the networks see, and how much the neighbours along the network and against it, and
theirs, differ from a sensor; what was not measured counts in no mean.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import lightgbm
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from encoders.forecast.series import Array
from encoders.forecast.windows import FUTURE, PAST
from kg.errors import InputError

ROWS = 120_000
"""Windows of one sensor that are learned from, at most."""
_AT_ONCE = 64
_LEAST = 1e-3
_OWN = [11, 10, 9, 8, 6, 3, 0]
_USUAL = [11, 5, 0]
_NEAR = [11, 8, 5]
_AHEAD = [2, 5, 8, 11]
"""Steps of the window, or ahead, that are seen."""
_BOOSTING: dict[str, Any] = {
    "objective": "l1",
    "learning_rate": 0.06,
    "num_leaves": 31,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
Progress = Callable[[int, int], None]


class Trees:
    """Forecasts of all sensors.

    Args:
        boosters: one for each step ahead.
        near: float32 (sensors, sensors), see `SensorSeries.near`; all 0: each sensor alone.
    """

    def __init__(self, boosters: Sequence[lightgbm.Booster], near: Array) -> None:
        self._boosters = list(boosters)
        self._networks = _networks(near)

    @classmethod
    def fit(
        cls,
        windows: Tensor,
        truth: Tensor,
        near: Array,
        rounds: int,
        seed: int,
        progress: Progress = lambda _done, _of: None,
    ) -> Self:
        """Learns from windows.

        Args:
            windows: (windows, sensors, `FEATURES`), some of their values hidden.
            truth: (windows, sensors, `FUTURE`), in spreads from the mean; NaN counts in nothing.
            near: see the class.
            rounds: trees of each step ahead.
            seed: of all that is drawn.
            progress: told how many steps ahead are done.
        """
        draw = np.random.default_rng(seed)
        sensors = windows.shape[1]
        many = min(len(windows), -(-2 * ROWS // sensors))
        chosen = np.sort(draw.choice(len(windows), many, replace=False))
        row = np.sort(draw.choice(many * sensors, min(many * sensors, ROWS), replace=False))
        made = cls([], near)
        parts = np.split(chosen, range(_AT_ONCE, many, _AT_ONCE))
        seen = np.concatenate([made._features(windows[some].numpy()).reshape(-1, made._width) for some in parts])[row]
        here = windows[chosen].numpy()
        last = here[..., PAST - 1].reshape(-1)[row]
        usual, change = _usual(here).reshape(-1, FUTURE)[row], truth[chosen].numpy().reshape(-1, FUTURE)[row]
        for step in range(FUTURE):
            progress(step, FUTURE)
            known = ~np.isnan(change[:, step])
            matrix = np.column_stack([seen, usual[:, step]])[known]
            data = lightgbm.Dataset(matrix, change[known, step] - last[known], free_raw_data=True)
            made._boosters.append(lightgbm.train(_BOOSTING | {"seed": seed}, data, rounds))
        return made

    def forecast(self, windows: Tensor) -> Array:
        """float32 (windows, sensors, `FUTURE`), in spreads from the mean, of (windows, sensors, `FEATURES`)."""
        here = windows.numpy()
        seen, usual = self._features(here).reshape(-1, self._width), _usual(here).reshape(-1, FUTURE)
        change = [
            np.asarray(booster.predict(np.column_stack([seen, usual[:, step]]), num_threads=1))
            for step, booster in enumerate(self._boosters)
        ]
        found: Array = (np.stack(change, -1).reshape(*here.shape[:2], FUTURE) + here[..., PAST - 1, None]).astype(
            np.float32
        )
        return found

    def text(self) -> str:
        """LightGBM's text of all trees."""
        return "\f".join(booster.model_to_string(importance_type="gain") for booster in self._boosters)

    def save(self, folder: Path) -> None:
        """Writes `trees.txt.gz`; the same trees give the same bytes."""
        (folder / "trees.txt.gz").write_bytes(gzip.compress(self.text().encode(), 6, mtime=0))

    @classmethod
    def load(cls, folder: Path, near: Array) -> Self:
        """From the folder that `save` wrote to.

        Raises:
            InputError: there are none, or damaged ones.
        """
        path = folder / "trees.txt.gz"
        try:
            texts = gzip.decompress(path.read_bytes()).decode().split("\f")
            boosters = [lightgbm.Booster(model_str=text) for text in texts]
        except (OSError, EOFError, ValueError, lightgbm.basic.LightGBMError) as error:
            raise InputError(f"no trees of a forecaster: {error}", str(path)) from error
        made = cls(boosters, near)
        if len(boosters) != FUTURE or {booster.num_feature() for booster in boosters} != {made._width + 1}:
            raise InputError("trees of other features than this version has; train it again", str(path))
        return made

    @property
    def _width(self) -> int:
        return len(_OWN) + len(_USUAL) + 2 + len(_AHEAD) + 4 + len(self._networks) * (len(_NEAR) + 1)

    def _features(self, windows: Array) -> Array:
        values, measured, then = (windows[..., at * PAST : (at + 1) * PAST] for at in range(3))
        apart = values - then
        columns = [
            values[..., _OWN],
            apart[..., _USUAL],
            measured[..., -1:],
            measured.sum(-1, keepdims=True),
            _usual(windows)[..., _AHEAD],
            windows[..., 3 * PAST + FUTURE :],
        ]
        for network in self._networks:
            told = [_told(values[..., at], measured[..., at], network) - values[..., -1] for at in _NEAR]
            told.append(_told(apart[..., -1], measured[..., -1], network))
            columns += [column[..., None] for column in told]
        return np.concatenate(columns, -1).astype(np.float32)


def _usual(windows: Array) -> Array:
    """(windows, sensors, `FUTURE`): by how much the usual day changes from now on."""
    now = 3 * PAST
    return windows[..., now : now + FUTURE] - windows[..., now - 1 : now]


def _networks(near: Array) -> list[Array]:
    """Along the network, against it, and two steps of each; none if there is none."""
    if not (near != 0).any():
        return []
    ways: list[NDArray[np.float32]] = [
        table / np.maximum(table.sum(1, keepdims=True), 1e-6) for table in (near, near.T)
    ]
    return [*ways, *(way @ way for way in ways)]


def _told(values: Array, measured: Array, network: Array) -> Array:
    """(windows, sensors): mean of what neighbours measured, by their weights; NaN where none did."""
    weight = measured @ network.T
    total = (values * measured) @ network.T
    mean: Array = np.where(weight > _LEAST, total / np.maximum(weight, _LEAST), np.nan)
    return mean
