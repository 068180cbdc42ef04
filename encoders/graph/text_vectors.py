"""Vectors of names and definitions: words and pairs of words, weighted by TF-IDF, as a sum of signatures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import log
from typing import Self

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from encoders.graph.signatures import signatures

_WORD = re.compile(r"[^\W\d_]+|\d+")
_UNPARTED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


class TextVectors:
    """Knows in how many texts each word is.

    Args:
        texts: how many there were.
        counts: texts of each word, and each pair of neighbouring words; a word that is missing is as rare as can be.
    """

    def __init__(self, texts: int, counts: Mapping[str, int]) -> None:
        self.texts = texts
        self.counts = counts

    @classmethod
    def fit(cls, texts: Iterable[str]) -> Self:
        """Counts words; those of one text alone are left out, since they are as rare as can be."""
        counts: Counter[str] = Counter()
        many = 0
        for many, text in enumerate(texts, 1):  # noqa: B007 (the last one counts)
            counts.update(set(_terms(text)))
        return cls(many, {word: count for word, count in sorted(counts.items()) if count > 1})

    def __call__(self, texts: Sequence[str], width: int) -> Tensor:
        """float32 (texts, width), of length 1, or 0 for a text without words."""
        places: dict[str, int] = {}
        rows, columns, weights = [], [], []
        for row, text in enumerate(texts):
            for word, count in Counter(_terms(text)).items():
                rows.append(row)
                columns.append(places.setdefault(word, len(places)))
                rare = log((1 + self.texts) / (1 + self.counts.get(word, 1))) + 1
                weights.append((1 + log(count)) * rare)
        shape = (len(texts), len(places))
        weighted = csr_matrix((np.array(weights, np.float32), (rows, columns)), shape=shape, dtype=np.float32)
        signs = signatures(places, width).numpy()
        return torch.nn.functional.normalize(torch.from_numpy(weighted @ signs), dim=1)


def _terms(text: str) -> Iterator[str]:
    """Words and pairs of neighbouring words; Chinese and Japanese, which don't part words, by character."""
    words: list[str] = []
    for word in _WORD.findall(text.casefold()):
        words += list(word) if _UNPARTED.search(word) else [word]
    yield from words
    yield from map(" ".join, pairwise(words))
