"""Which of several concepts of one name a text means: the one whose other names are nearest to what stands around."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from encoders.concepts.names import ConceptName

_AROUND = 200
"""Characters that are read before and after a name."""
_LIKE = 8
"""Names of a concept that are compared."""


class VectorEncoder(Protocol):
    """Makes vectors of texts."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, width), each of length 1."""
        ...


class ContextChoice:
    """Chooses by the vectors of a text and of names.

    Args:
        encoder: makes the vectors.
        names: of all concepts.
    """

    def __init__(self, encoder: VectorEncoder, names: Iterable[ConceptName]) -> None:
        self._encoder = encoder
        self._names: dict[str, list[str]] = defaultdict(list)
        for name in names:
            self._names[name.concept].insert(0 if name.preferred else len(self._names[name.concept]), name.text)
        self._known: dict[tuple[str, str], NDArray[np.float32] | None] = {}

    def best(self, text: str, start: int, end: int, concepts: Sequence[str]) -> str:
        """The concept that a text means by a name.

        Args:
            text: around the name.
            start: characters before the name.
            end: characters before what is behind it.
            concepts: that have the name; the first is meant if nothing tells them apart, and of those that are called
                alike the first is taken.
        """
        shared = text[start:end].casefold()
        apart = {self._names[concept][0].casefold(): concept for concept in reversed(concepts)}
        known = [(concept, of) for concept in concepts
                 if concept in apart.values() and (of := self._vectors(concept, shared)) is not None]  # fmt: skip
        around = " ".join((text[max(0, start - _AROUND) : start], text[end : end + _AROUND])).strip()
        if len(known) < 2 or not around:
            return concepts[0]
        here = self._encoder.encode([around])[0]
        return max(known, key=lambda one: float((one[1] @ here).max()))[0]

    def _vectors(self, concept: str, shared: str) -> NDArray[np.float32] | None:
        """(names, width) of a concept's names but the one that is shared; None if it has no other."""
        key = concept, shared
        if key not in self._known:
            others = [name for name in self._names[concept] if name.casefold() != shared][:_LIKE]
            self._known[key] = self._encoder.encode(others) if others else None
        return self._known[key]
