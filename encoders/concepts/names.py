"""What concepts are called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConceptName:
    """A name of a concept.

    Attributes:
        concept: its id.
        preferred: whether it is the name, not a synonym.
    """

    concept: str
    text: str
    preferred: bool = True
