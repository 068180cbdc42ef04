"""How the things in a picture stand to one another, by their boxes alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from encoders.vision.detector import SeenBox

Relation = Literal["on", "overlaps", "left of", "right of"]
_WITHIN = 0.9
"""Part of a box that lies in another one for it to be on it."""
_OVERLAP = 0.1
"""Part of the smaller box."""
_BESIDE = 0.5
"""Of the lower box's height, how much both share, and of the wider one's width, what may lie between, to be beside."""


@dataclass(frozen=True, slots=True)
class SeenRelation:
    """One thing's place to another's; both by their number in the list."""

    subject: int
    relation: Relation
    object: int


def relations_of(seen: Sequence[SeenBox]) -> list[SeenRelation]:
    """Relations between the boxes of one picture, each pair once: text and things on others, overlaps, neighbours.

    Args:
        seen: boxes as parts of the picture; lines of text are related to the smallest thing that they are on.
    """
    found: list[SeenRelation] = []
    on: set[tuple[int, int]] = set()
    for at, one in enumerate(seen):
        holders = [n for n, other in enumerate(seen) if n != at and other.label != "text" and _within(one, other)]
        if holders:
            holder = min(holders, key=lambda n: _area(seen[n].box))
            on.add((at, holder))
            found.append(SeenRelation(at, "on", holder))
    things = [at for at, one in enumerate(seen) if one.label != "text"]
    for position, at in enumerate(things):
        for other in things[position + 1 :]:
            if (at, other) in on or (other, at) in on:
                continue
            if _shared(seen[at].box, seen[other].box) >= _OVERLAP * min(_area(seen[at].box), _area(seen[other].box)):
                found.append(SeenRelation(at, "overlaps", other))
            elif _beside(seen[at].box, seen[other].box):
                left = seen[at].box[0] < seen[other].box[0]
                found.append(SeenRelation(at, "left of" if left else "right of", other))
    return found


def _within(one: SeenBox, other: SeenBox) -> bool:
    area = _area(one.box)
    return area < _area(other.box) and _shared(one.box, other.box) >= _WITHIN * area


def _beside(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    height = min(one[3], other[3]) - max(one[1], other[1])
    gap = max(one[0], other[0]) - min(one[2], other[2])
    width = max(one[2] - one[0], other[2] - other[0])
    return height >= _BESIDE * min(one[3] - one[1], other[3] - other[1]) and gap <= _BESIDE * width


def _area(box: tuple[float, float, float, float]) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _shared(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)
