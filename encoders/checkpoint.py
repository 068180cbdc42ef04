"""Where a training stands after an epoch, on disk, so that one that was stopped goes on as if it never had been."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from encoders.weights import save_tensors

_TENSORS, _STATE = "state.safetensors", "state.json"


@dataclass
class Standing:
    """How far a training is.

    Attributes:
        epochs: that are through.
        best: greatest F1 so far; `best_epoch` is where it was reached, counted from 0, and `best_weights` its model.
        history: what each epoch reached.
    """

    epochs: int = 0
    best: float = -1.0
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


class Checkpoint:
    """A folder with the state of one training; another training's is not touched but replaced.

    Args:
        folder: made when the first state is kept.
        fingerprint: of what is trained on what, and how.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder = folder
        self._fingerprint = fingerprint

    def save(
        self, standing: Standing, model: nn.Module, optimiser: torch.optim.Optimizer, draw: torch.Generator
    ) -> None:
        """Keeps a state; the JSON file goes first and comes last, so that it is never of other tensors."""
        self._folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in standing.best_weights.items()}
        for number, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}.{name}": torch.as_tensor(value) for name, value in state.items()}
        tensors |= {"draw": draw.get_state(), "random": torch.get_rng_state()}
        (self._folder / _STATE).unlink(missing_ok=True)
        save_tensors({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, self._folder / _TENSORS)
        kept = {
            "fingerprint": self._fingerprint, "epochs": standing.epochs, "best": standing.best,
            "best_epoch": standing.best_epoch, "history": standing.history,
        }  # fmt: skip
        (self._folder / _STATE).write_bytes(orjson.dumps(kept))

    def load(self, model: nn.Module, optimiser: torch.optim.Optimizer, draw: torch.Generator) -> Standing:
        """Puts everything where it stood; at the beginning if there is no state of this training."""
        try:
            kept = orjson.loads((self._folder / _STATE).read_bytes())
            if kept["fingerprint"] != self._fingerprint:
                return Standing()
            tensors = load_file(self._folder / _TENSORS)
        except (OSError, ValueError, KeyError, SafetensorError):
            return Standing()
        model.load_state_dict(_part(tensors, "model."))
        groups = optimiser.state_dict()
        for name, tensor in _part(tensors, "optimiser.").items():
            number, _, what = name.partition(".")
            groups["state"].setdefault(int(number), {})[what] = tensor
        optimiser.load_state_dict(groups)
        draw.set_state(tensors["draw"])
        torch.set_rng_state(tensors["random"])
        return Standing(kept["epochs"], kept["best"], kept["best_epoch"], _part(tensors, "best."), kept["history"])

    def remove(self) -> None:
        """Removes it, once the training is through."""
        for name in (_STATE, _TENSORS):
            (self._folder / name).unlink(missing_ok=True)
        if self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()


def fingerprint(settings: Mapping[str, Any], *parts: Sequence[object]) -> str:
    """SHA-256 of what makes a training."""
    digest = hashlib.sha256(orjson.dumps(settings, option=orjson.OPT_SORT_KEYS))
    for part in parts:
        digest.update(repr(part).encode())
    return digest.hexdigest()


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
