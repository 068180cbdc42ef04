"""What detected boxes say of a scene: label and place in the picture → concepts."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from kg.errors import InputError
from reasoning.traffic.rules import RuleBook, SceneConcept
from reasoning.traffic.scene import Observation, SceneEvidence

_BETWEEN = str.maketrans("_-/", "   ")
_ANY_SIGN = {"traffic sign", "road sign", "sign"}
_NUMBER = re.compile(r"\b[1-9]\d{0,2}\b")
_KMH_OF_MPH = 1.609344
_MOST_DIGITS, _SPEEDS = 3, (5, 150)
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
        self._book = book
        self._by_label: dict[str, list[SceneConcept]] = {}
        self._patterns: list[tuple[re.Pattern[str], SceneConcept]] = []
        for concept in book.concepts.values():
            for label in {_normal(label) for label in (*concept.object_labels, *_sign_names(concept))}:
                self._by_label.setdefault(label, []).append(concept)
            self._patterns += [(re.compile(pattern), concept) for pattern in concept.patterns]

    def read(self, boxes: Iterable[DetectedBox]) -> list[Observation]:
        """What the boxes show; a box of unknown label, or out of the zone that a concept asks for, shows nothing."""
        found = []
        for detected in boxes:
            near = detected.box is None or in_the_way(detected.box)  # where it is unknown, it may be ahead
            meant = [concept.id for concept in self._meant(detected) if concept.zone != "ahead" or near]
            for shows in self._book.most_specific(meant):
                evidence = SceneEvidence(
                    "box", detected.label, detected.confidence, detected.box, None, None, detected.source
                )
                found.append(Observation(shows, detected.confidence, evidence))
        return found

    def speed(self, detected: DetectedBox, unit: str = "") -> tuple[SceneConcept, float] | None:
        """The sign with a number that a box shows, and its km/h: from the label, else from the text in the box.

        Args:
            detected: the box.
            unit: `mph` where signs are in miles.
        """
        label = _normal(detected.label)
        for pattern, concept in self._patterns:
            if found := pattern.search(label):
                return _plausible(concept, found[1], f"{label} {unit}")
        for concept in self._by_label.get(label, ()):
            if concept.limits_speed and (found := _NUMBER.search(detected.text)):
                return _plausible(concept, found[0], f"{label} {detected.text} {unit}")
        return None

    def _meant(self, detected: DetectedBox) -> list[SceneConcept]:
        label, text = _normal(detected.label), _normal(detected.text)
        concepts = list(self._by_label.get(label, ()))
        if not concepts and label in _ANY_SIGN and text:
            concepts = [concept for concept in self._by_label.get(text, ()) if concept.id.startswith("sign/")]
        concepts += [
            concept for pattern, concept in self._patterns if pattern.search(label) and concept not in concepts
        ]
        return concepts


def _sign_names(concept: SceneConcept) -> tuple[str, ...]:
    """By which a detector may name a sign: in any language; other things it names by its own classes alone."""
    return concept.names if concept.id.startswith("sign/") else ()


def _normal(label: str) -> str:
    """In lower case, without punctuation between words; of `regulatory--stop--g1` the middle."""
    parts = label.casefold().split("--")
    return " ".join((parts[1] if len(parts) > 1 else parts[0]).translate(_BETWEEN).split())


def _plausible(concept: SceneConcept, number: str, words: str) -> tuple[SceneConcept, float] | None:
    """The sign with km/h, unless no such limit is ever set."""
    if len(number) > _MOST_DIGITS or not _SPEEDS[0] <= int(number) <= _SPEEDS[1]:
        return None
    return concept, round(int(number) * _KMH_OF_MPH, 1) if "mph" in words.casefold() else float(number)
