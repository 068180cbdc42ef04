"""Follows things from frame to frame by their boxes, as ByteTrack does (Zhang et al. 2022, arXiv:2110.06864).

Sure boxes are matched first with the tracks, then what is left of the tracks with the unsure boxes, so that a thing
that is half hidden is not lost; an unsure box alone begins no track. A track is looked for where it would be by now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from encoders.vision.detector import SeenBox

SURE = 0.5
_OVERLAP, _OVERLAP_UNSURE = 0.2, 0.5
"""Least intersection over union of a match."""
_KEPT_S = 1.0
"""For how long a track that is not seen is looked for."""
_SMOOTH = 0.6
"""Of the newest speed."""


@dataclass
class _Track:
    number: int
    label: str
    box: np.ndarray
    seconds: float
    speed: np.ndarray = field(default_factory=lambda: np.zeros(4))

    def at(self, seconds: float) -> np.ndarray:
        return self.box + self.speed * (seconds - self.seconds)


class Tracker:
    """Numbers the things of one film; its frames must come in their order."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._begun = 0

    def update(self, seconds: float, seen: Sequence[SeenBox]) -> list[int | None]:
        """The number of each thing's track; None for what is too unsure to begin one.

        Args:
            seconds: of the frame.
            seen: boxes of one frame, as parts of it.
        """
        found: list[int | None] = [None] * len(seen)
        self._tracks = [track for track in self._tracks if seconds - track.seconds <= _KEPT_S]
        free = list(self._tracks)
        sure = [at for at, one in enumerate(seen) if one.confidence >= SURE]
        unsure = [at for at, one in enumerate(seen) if one.confidence < SURE]
        for boxes, least in ((sure, _OVERLAP), (unsure, _OVERLAP_UNSURE)):
            for at, track in _matched([(at, seen[at]) for at in boxes], free, seconds, least):
                _follow(track, seconds, np.array(seen[at].box))
                free.remove(track)
                found[at] = track.number
        for at in sure:
            if found[at] is None:
                self._begun += 1
                self._tracks.append(_Track(self._begun, seen[at].label, np.array(seen[at].box), seconds))
                found[at] = self._begun
        return found


def _follow(track: _Track, seconds: float, box: np.ndarray) -> None:
    gone = seconds - track.seconds
    if gone > 0:
        track.speed = _SMOOTH * (box - track.box) / gone + (1 - _SMOOTH) * track.speed
    track.box, track.seconds = box, seconds


def _matched(
    boxes: Sequence[tuple[int, SeenBox]], tracks: Sequence[_Track], seconds: float, least: float
) -> list[tuple[int, _Track]]:
    """Boxes and tracks of one label, so that they overlap the most all together."""
    if not boxes or not tracks:
        return []
    overlap = np.array(
        [
            [_iou(np.array(one.box), track.at(seconds)) if one.label == track.label else 0.0 for track in tracks]
            for _, one in boxes
        ]
    )
    rows, columns = linear_sum_assignment(-overlap)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(boxes[row][0], tracks[column]) for row, column in pairs if overlap[row, column] >= least]


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    both = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]))
    return shared / (both - shared) if both > shared else 0.0
