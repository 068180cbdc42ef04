"""What a picture shows: objects with the text that stands on them, and each line of text with its own box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from encoders.vision.detector import ObjectDetector, SeenBox
from encoders.vision.ocr import TextReader
from encoders.vision.pictures import Picture


class PictureReader:
    """A detector and OCR, joined."""

    def __init__(self, detector: ObjectDetector | None, text_reader: TextReader | None) -> None:
        self.detector = detector
        self.text_reader = text_reader

    @property
    def name(self) -> str:
        """Of its models."""
        return " + ".join(model.name for model in (self.detector, self.text_reader) if model is not None)

    def encode(self, pictures: Sequence[Picture]) -> list[list[SeenBox]]:
        """Objects, the surest first, each with the text on it; then all lines of text."""
        found = self.detector.encode(pictures) if self.detector else [[] for _ in pictures]
        lines = [self.text_reader.encode(picture) if self.text_reader else [] for picture in pictures]
        return [join_text(objects, read) for objects, read in zip(found, lines, strict=True)]


def join_text(objects: Sequence[SeenBox], lines: Sequence[SeenBox]) -> list[SeenBox]:
    """Each line goes to the smallest object that has its middle; all lines stay, too, with their own boxes."""
    texts: dict[int, list[str]] = {}
    for line in lines:
        left, top, right, bottom = line.box
        x, y = (left + right) / 2, (top + bottom) / 2
        on = [n for n, one in enumerate(objects) if one.box[0] <= x <= one.box[2] and one.box[1] <= y <= one.box[3]]
        if on:
            texts.setdefault(min(on, key=lambda number: _area(objects[number])), []).append(line.text)
    named = [replace(one, text=" ".join(texts.get(number, ()))) for number, one in enumerate(objects)]
    return [*named, *lines]


def _area(seen: SeenBox) -> float:
    left, top, right, bottom = seen.box
    return (right - left) * (bottom - top)
