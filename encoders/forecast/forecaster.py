"""A trained forecaster: its networks and trees, its usual days, and how it is kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import numpy as np
import orjson
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from encoders.forecast.model import ForecastModel
from encoders.forecast.newest import Newest
from encoders.forecast.series import Array, SensorSeries
from encoders.forecast.trees import Trees
from encoders.forecast.windows import FUTURE, Scale, inputs, starts
from encoders.weights import best_device, load_weights, save_tensors, save_weights
from kg.errors import InputError

_AT_ONCE = 64
_TREES = 0.5
"""Weight of the trees' median; the rest is that of the networks."""


class Forecaster:
    """Forecasts of the sensors that it was trained on.

    Args:
        series: what it was trained on, of which it keeps sensors, measure, step and network.
        scale: of the values.
        usual: see `Profile.usual`.
        members: networks, ready to forecast.
        card: JSON on how it was trained.
        trees: that move the networks' forecasts to the mean of both; None: there are none.

    Attributes:
        widen: float64 (`FUTURE`,), by how much the networks' intervals are widened.
        epochs: for how long each network was trained.
    """

    def __init__(
        self,
        series: SensorSeries,
        scale: Scale,
        usual: Array,
        members: Sequence[ForecastModel],
        card: Mapping[str, Any],
        trees: Trees | None = None,
    ) -> None:
        self.series = series.part(0, 0)
        self.scale, self.usual, self.members = scale, usual, list(members)
        self.trees = trees
        self.card: dict[str, Any] = dict(card)
        self.widen: NDArray[np.float64] = np.zeros(FUTURE)
        self.epochs: list[int] = []

    def forecast(self, series: SensorSeries, first: NDArray[np.int64] | None = None) -> Array:
        """float32 (windows, sensors, `FUTURE`, 3): low, median and high after windows of a series.

        Args:
            series: of the same sensors, in the same order.
            first: steps at which windows begin; None: all.
        """
        at = starts(series) if first is None else first
        device = next(self.members[0].parameters()).device
        parts = []
        with torch.inference_mode():
            for some in np.split(at, range(_AT_ONCE, len(at), _AT_ONCE)):
                windows = inputs(series, some, self.scale, self.usual)
                there = windows.to(device)
                part = torch.stack([member(there) for member in self.members]).mean(0).cpu().numpy()
                if self.trees is not None:
                    part += _TREES * (self.trees.forecast(windows) - part[..., 1])[..., None]
                parts.append(part)
        found = np.concatenate(parts) * self.scale.spread + self.scale.mean
        found[..., 0] -= self.widen
        found[..., 2] += self.widen
        ordered: Array = np.sort(found, -1).astype(np.float32)
        return ordered

    def ahead(self, newest: Newest) -> Array:
        """float32 (sensors, `FUTURE`, 3): low, median and high after the newest window; none is below 0."""
        [found] = self.forecast(newest.series, np.zeros(1, np.int64))
        above: Array = np.maximum(found, 0)
        return above

    @cached_property
    def version(self) -> str:
        """Tells forecasters apart by what they learned."""
        key = hashlib.blake2b(self.usual.tobytes() + self.widen.tobytes(), digest_size=6)
        if self.trees is not None:
            key.update(self.trees.text().encode())
        for member in self.members:
            for tensor in member.state_dict().values():
                key.update(tensor.cpu().numpy().tobytes())
        return key.hexdigest()

    @cached_property
    def weights(self) -> Array:
        """float32 (sensors, sensors): how much each one of a row is told by each other, by the network that is known.

        Where none is known, by the one that was learned, in the mean of the networks, without what is next to nothing.
        """
        if not any(member.graph for member in self.members):
            return np.zeros_like(self.series.near)
        with torch.inference_mode():
            tables = [member.along if member.known else member.learned() for member in self.members]
            found: Array = torch.stack(tables).mean(0).cpu().numpy().copy()
        if not (self.series.near != 0).any():
            found[found < 2 / len(found)] = 0
        np.fill_diagonal(found, 0)
        return found

    def bound_to(self, sensors: Iterable[str]) -> None:
        """Calls its sensors as a graph does, if it was trained on a file and only knows their names there.

        Args:
            sensors: ids such as `detector:city/a1`, of which `a1` is the name; names that several have bind to none.
        """
        known = set(sensors)
        if known & set(self.series.sensors):
            return
        ids: dict[str, list[str]] = {}
        for id_ in sorted(known):
            ids.setdefault(id_.rpartition("/")[2], []).append(id_)
        found = [ids.get(quote(name, safe=""), [name]) for name in self.series.sensors]
        called = tuple(
            some[0] if len(some) == 1 else name for some, name in zip(found, self.series.sensors, strict=True)
        )
        self.series = replace(self.series, sensors=called)

    def save(self, folder: Path) -> None:
        """Writes networks as safetensors, trees as text, and, last, a JSON card."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "card.json").unlink(missing_ok=True)
        for number, member in enumerate(self.members):
            save_weights(member, folder / f"network{number}.safetensors")
        if self.trees is not None:
            self.trees.save(folder)
        tables = {"usual": self.usual, "near": self.series.near, "widen": self.widen}
        save_tensors(
            {n: torch.from_numpy(np.ascontiguousarray(t)) for n, t in tables.items()}, folder / "tables.safetensors"
        )
        card = self.card | {
            "task": "forecast",
            "measure": self.series.measure,
            "unit": self.series.unit,
            "sensors": self.series.sensors,
            "start": self.series.start,
            "step_s": self.series.step_s,
            "mean": self.scale.mean,
            "spread": self.scale.spread,
            "networks": len(self.members),
            "with_trees": self.trees is not None,
            "epochs": self.epochs,
        }
        (folder / "card.json").write_bytes(orjson.dumps(card, option=orjson.OPT_INDENT_2))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """From a folder.

        Raises:
            InputError: it holds no forecaster, or a damaged one; names the file.
        """
        try:
            card = orjson.loads((folder / "card.json").read_bytes())
            tables = load_file(folder / "tables.safetensors")
            near, usual = tables["near"].numpy(), tables["usual"].numpy()
            sensors = tuple(map(str, card["sensors"]))
            kept = SensorSeries(
                str(card["measure"]), sensors, int(card["start"]), int(card["step_s"]),
                np.zeros((0, len(sensors)), np.float32), near, str(card.get("unit", "")),
            )  # fmt: skip
            if near.shape != (len(sensors),) * 2 or usual.shape != (2 * kept.slots, len(sensors)):
                raise InputError("tables of other sensors than the card's", str(folder / "tables.safetensors"))
            made = cls(kept, Scale(float(card["mean"]), float(card["spread"])), usual, [], card)
            made.widen, made.epochs = tables["widen"].numpy(), list(card["epochs"])
            networks, graph = int(card["networks"]), bool(card.get("graph", True))
            with_trees = bool(card["with_trees"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise InputError(f"no forecaster: {error}", str(folder)) from error
        seen = near if graph else np.zeros_like(near)
        if with_trees:
            made.trees = Trees.load(folder, seen)
        for number in range(networks):
            member = ForecastModel(torch.from_numpy(seen), graph=graph)
            load_weights(member, folder / f"network{number}.safetensors")
            made.members.append(member.to(best_device()).eval())
        return made
