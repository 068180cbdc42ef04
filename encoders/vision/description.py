"""One description of a picture and the words beside it: facts, each from boxes, OCR, words, or several of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from encoders.concepts.names import ConceptName
from encoders.concepts.reader import ConceptReader
from encoders.vision.coco import COCO_80
from encoders.vision.detector import SeenBox
from encoders.vision.relations import relations_of

_PEOPLE = (
    "man",
    "woman",
    "men",
    "women",
    "people",
    "pedestrian",
    "child",
    "children",
    "boy",
    "girl",
    "mother",
    "father",
)
Evidence = Literal["box", "OCR", "words"]


@dataclass(frozen=True, slots=True)
class DescribedFact:
    """One fact of a scene.

    Attributes:
        text: in words.
        evidence: what it rests on.
        belief: 0…1: noisy-or of the surest box and the words, as independent witnesses.
        boxes: numbers of the boxes that it rests on.
        words: of the caption.
    """

    text: str
    evidence: tuple[Evidence, ...]
    belief: float
    boxes: tuple[int, ...] = ()
    words: str = ""


SAID = 0.8
"""Belief of what a caption alone says."""


def named_things(caption: str) -> dict[str, tuple[int, int]]:
    """Things that a detector knows and that English words say to be there: label, and characters of the first name."""
    found: dict[str, tuple[int, int]] = {}
    for one in _labels().find(caption):
        if one.status != "excluded":  # a mother's child is in the picture, too
            found.setdefault(one.concept, (one.start, one.end))
    return found


def describe(seen: Sequence[SeenBox], caption: str = "") -> list[DescribedFact]:
    """The facts of a scene: what is there and how often, what is written on what, how things stand to one another.

    Args:
        seen: boxes of one picture; lines of text have the label `text`.
        caption: English words beside the picture, if there are any.
    """
    named = {label: caption[start:end] for label, (start, end) in named_things(caption).items()}
    counts = Counter(one.label for one in seen if one.label != "text")
    facts = []
    for label in sorted(counts.keys() | named.keys(), key=lambda each: (-counts[each], each)):
        boxes = tuple(at for at, one in enumerate(seen) if one.label == label)
        surest = max((seen[at].confidence for at in boxes), default=0.0)
        words = named.get(label, "")
        doubt = (1 - surest) * (1 - (SAID if words else 0.0))
        evidence: list[Evidence] = []
        if boxes:
            evidence.append("box")
        if words:
            evidence.append("words")
        what = f"{counts[label]} × {label}" if boxes else f"{label}, which the words name and no box shows"
        facts.append(DescribedFact(what, tuple(evidence), round(1 - doubt, 4), boxes, words))
    relations = relations_of(seen)
    on = {one.subject: one.object for one in relations if one.relation == "on"}
    for at, one in enumerate(seen):
        if one.label == "text":
            where = f" on the {seen[on[at]].label}" if at in on else ""
            both = one.confidence * (seen[on[at]].confidence if at in on else 1.0)
            boxes = (at, on[at]) if at in on else (at,)
            facts.append(DescribedFact(f"“{one.text}” is written{where}", ("OCR",), round(both, 4), boxes))
    for relation in relations:
        first, second = seen[relation.subject], seen[relation.object]
        if first.label != "text":
            how = "in front of or behind" if relation.relation == "overlaps" else relation.relation
            both, pair = first.confidence * second.confidence, (relation.subject, relation.object)
            facts.append(DescribedFact(f"{first.label} {how} {second.label}", ("box",), round(both, 4), pair))
    return facts


@cache
def _labels() -> ConceptReader:
    return ConceptReader([ConceptName(name, name) for name in COCO_80] + [
        ConceptName("person", other, preferred=False) for other in _PEOPLE
    ])  # fmt: skip
