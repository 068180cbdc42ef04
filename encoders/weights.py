"""Weights of a model as safetensors: loading refuses what is not of this model, and never unpickles."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kg.errors import InputError


def best_device() -> torch.device:
    """CUDA, else MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def load_weights(model: nn.Module, path: Path) -> None:
    """Fills a model from a file of safetensors; the model is left as it was if anything is wrong.

    Raises:
        InputError: not such a file, other tensors or shapes than the model's, or a number that is not finite.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"not a readable safetensors file: {error}", str(path)) from None
    expected = model.state_dict()
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise InputError(f"no tensor {name!r}, which this model needs", str(path))
        if name not in expected:
            raise InputError(f"tensor {name!r} is not of this model", str(path))
        if tensors[name].shape != expected[name].shape:
            shapes = f"{tuple(tensors[name].shape)}, not {tuple(expected[name].shape)}"
            raise InputError(f"tensor {name!r} is {shapes}", str(path))
        if not torch.isfinite(tensors[name]).all():
            raise InputError(f"tensor {name!r} holds numbers that are not finite", str(path))
    model.load_state_dict(tensors)


def save_weights(model: nn.Module, path: Path) -> None:
    """Writes a model's weights, whole or not at all."""
    save_tensors({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Writes tensors, whole or not at all."""
    partial = path.with_suffix(".partial")
    save_file(tensors, partial)
    partial.replace(path)
