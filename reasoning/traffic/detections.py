"""What detected boxes say of a scene: label and place in the picture → concepts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from kg.errors import InputError
from reasoning.traffic.rules import RuleBook, SceneConcept
from reasoning.traffic.scene import Evidence, Observation

_HORIZON = 0.5
_NEAR = 0.6
_HALF_WIDTH_FAR = 0.06
_HALF_WIDTH_NEAR = 0.3
"""The way ahead of a camera behind the windscreen: a trapezium from the horizon down, as parts of the picture."""


@dataclass(frozen=True, slots=True)
class DetectedBox:
    """A detector's box.

    Attributes:
        label: the detector's class.
        confidence: 0…1.
        box: left, top, right, bottom as parts of the picture, 0…1, or None where it is not known.
        text: what OCR read in it.
        source: the detector.
    """

    label: str
    confidence: float
    box: tuple[float, float, float, float] | None = None
    text: str = ""
    source: str | None = None


def check_box(detected: DetectedBox, place: str) -> None:
    """Refuses what can be no box.

    Raises:
        InputError: confidence or corners are out of range; names the field.
    """
    if not (math.isfinite(detected.confidence) and 0.0 <= detected.confidence <= 1.0):
        raise InputError(f"must be in 0…1, not {detected.confidence}", f"{place}.confidence")
    if detected.box is not None:
        left, top, right, bottom = detected.box
        if not (all(map(math.isfinite, detected.box)) and 0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise InputError(
                f"must be left < right and top < bottom as parts of the picture, 0…1, not {list(detected.box)}",
                f"{place}.box",
            )


def in_the_way(box: tuple[float, float, float, float]) -> bool:
    """Whether a box stands near in the way ahead: its foot is within the trapezium, and low enough to be near."""
    left, _, right, bottom = box
    if bottom < _NEAR:
        return False
    near = (bottom - _HORIZON) / (1.0 - _HORIZON)
    half = _HALF_WIDTH_FAR + (_HALF_WIDTH_NEAR - _HALF_WIDTH_FAR) * near
    return right > 0.5 - half and left < 0.5 + half


class BoxReader:
    """Finds the concepts of a rule book that detected boxes mean."""

    def __init__(self, book: RuleBook) -> None:
        self._by_label: dict[str, list[SceneConcept]] = {}
        for concept in book.concepts.values():
            for label in concept.object_labels:
                self._by_label.setdefault(_normal(label), []).append(concept)

    def read(self, boxes: Iterable[DetectedBox]) -> list[Observation]:
        """What the boxes show; a box of unknown label, or out of the zone that a concept asks for, shows nothing."""
        found = []
        for detected in boxes:
            for concept in self._by_label.get(_normal(detected.label), ()):
                if concept.zone == "ahead" and (detected.box is None or not in_the_way(detected.box)):
                    continue
                evidence = Evidence(
                    "box", detected.label, detected.confidence, detected.box, None, None, detected.source
                )
                found.append(Observation(concept.id, detected.confidence, evidence))
        return found


def _normal(label: str) -> str:
    return " ".join(label.casefold().replace("_", " ").replace("-", " ").split())
