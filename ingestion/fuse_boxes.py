"""Boxes of several detectors on one image become one box a thing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from kg.extras import needs_extra

OVERLAP = 0.55
"""Boxes of one class are one thing if their intersection is more than this part of their union."""

Edges = tuple[float, float, float, float]
"""Left, top, right, bottom, as shares of the image."""


@dataclass(frozen=True, slots=True)
class Box:
    """What a detector saw: where, what, and how sure it is; `id` is empty for a fused one."""

    edges: Edges
    label: str
    score: float
    id: str = ""


@dataclass(frozen=True, slots=True)
class Fused:
    """A fused box, and the ids of the boxes that it was made of."""

    box: Box
    parts: tuple[str, ...]


def iou(one: Edges, other: Edges) -> float:
    """Intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (_area(one) + _area(other) - both)


def _area(edges: Edges) -> float:
    return (edges[2] - edges[0]) * (edges[3] - edges[1])


def fuse_boxes(
    detectors: Mapping[str, Sequence[Box]], weights: Mapping[str, float] | None = None, overlap: float = OVERLAP
) -> list[Fused]:
    """Weighted boxes fusion: each edge is the mean of the boxes' of one thing, weighted by their scores.

    Solovyev, Wang and Gabruseva, Weighted boxes fusion: ensembling boxes from different object detection models, Image
    and Vision Computing 107 (2021); as `ensemble-boxes` has it. What few of the detectors saw loses score.

    Args:
        detectors: the boxes of each on one image; a detector that saw nothing counts, too.
        weights: of the detectors, such as their reliabilities; without, all weigh the same.
        overlap: see `OVERLAP`.

    Returns:
        The surest first.

    Raises:
        ConfigurationError: `ensemble-boxes` is not installed.
    """
    with needs_extra("fusion", "fusing boxes"):
        from ensemble_boxes import weighted_boxes_fusion
    names = sorted(detectors)
    labels = sorted({box.label for name in names for box in detectors[name]})
    number = {label: at for at, label in enumerate(labels)}
    ordered = [sorted(detectors[name], key=lambda box: (-box.score, box.edges, box.label)) for name in names]
    edges, scores, kinds = weighted_boxes_fusion(
        [[box.edges for box in boxes] for boxes in ordered],
        [[box.score for box in boxes] for boxes in ordered],
        [[number[box.label] for box in boxes] for boxes in ordered],
        weights=[weights[name] if weights else 1.0 for name in names],
        iou_thr=overlap,
    )
    found = []
    for edge, score, kind in zip(edges, scores, kinds, strict=True):
        left, top, right, bottom = (round(float(value), 6) for value in edge)  # they are of 32 bits
        box = Box((left, top, right, bottom), labels[int(kind)], min(round(float(score), 6), 1.0))
        parts = [b.id for boxes in ordered for b in boxes if b.label == box.label and iou(b.edges, box.edges) > overlap]
        found.append(Fused(box, tuple(sorted(filter(None, parts)))))
    return sorted(found, key=lambda fused: (-fused.box.score, fused.box.edges, fused.box.label))


def average_precision(
    truth: Sequence[tuple[str, Box]], found: Sequence[tuple[str, Box]], overlap: float = 0.5
) -> float:
    """Area below the curve of precision over recall, interpolated; the mean over the classes of the truth.

    Everingham et al., The Pascal visual object classes challenge: a retrospective (IJCV 2015).

    Args:
        truth: (image, box).
        found: (image, box).
        overlap: intersection over union from which a box counts as found.
    """
    values = []
    for label in sorted({box.label for _, box in truth}):
        left: dict[str, list[Edges]] = defaultdict(list)
        for image, box in truth:
            if box.label == label:
                left[image].append(box.edges)
        many = sum(map(len, left.values()))
        hits = []
        for image, box in sorted((f for f in found if f[1].label == label), key=lambda f: -f[1].score):
            there = left.get(image, [])
            nearest = max(there, key=lambda edges: iou(box.edges, edges), default=None)
            hits.append(nearest is not None and iou(box.edges, nearest) >= overlap)
            if nearest is not None and hits[-1]:
                there.remove(nearest)
        right = list(accumulate(hits))
        precision = [r / (n + 1) for n, r in enumerate(right)]
        envelope = list(accumulate(reversed(precision), max))[::-1]
        values.append(sum(e for e, hit in zip(envelope, hits, strict=True) if hit) / many)
    return sum(values) / len(values) if values else 0.0
