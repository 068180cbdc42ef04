"""Pictures of requests, read by the detector and OCR that the settings name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from encoders.vision.load import load_reader, load_text_reader, text_of_document
from kg.errors import ConflictError
from reasoning.traffic.detections import DetectedBox

if TYPE_CHECKING:
    from encoders.vision.detector import SeenBox
    from encoders.vision.documents import DocumentText
    from encoders.vision.ocr import TextReader
    from encoders.vision.reading import PictureReader


class PictureBoxes:
    """Loads the models when the first picture comes; they read one picture at a time."""

    def __init__(self, detector: str | None) -> None:
        self._detector = detector
        self._reader: PictureReader | None = None
        self._text_reader: TextReader | None = None
        self._lock = asyncio.Lock()

    async def seen(self, content: bytes) -> list[DetectedBox]:
        """What the models see in a picture.

        Raises:
            ConflictError: no detector is set.
            InputError: it is no picture, or too large; or the detector can't be loaded.
        """
        if self._detector is None:
            raise ConflictError("no detector reads pictures here: set EVIGRAPH_DETECTOR")
        async with self._lock:
            return await asyncio.to_thread(self._seen, content)

    async def read(self, content: bytes) -> DocumentText:
        """The text of a PDF or a picture.

        Raises:
            InputError: it is neither, is encrypted or broken, or too large.
            ConfigurationError: the extra is not installed.
        """
        async with self._lock:
            return await asyncio.to_thread(self._read, content)

    def _read(self, content: bytes) -> DocumentText:
        return text_of_document(content, self._ocr())

    def _ocr(self) -> TextReader:
        if self._text_reader is None:
            self._text_reader = load_text_reader()
        return self._text_reader

    def _seen(self, content: bytes) -> list[DetectedBox]:
        if self._reader is None:
            self._reader = load_reader(str(self._detector), self._ocr())
        return boxes_of_picture(self._reader, content)


def boxes_of_picture(reader: PictureReader, picture: Path | bytes) -> list[DetectedBox]:
    """What is seen in a picture, for the reading of scenes.

    Raises:
        InputError: it is no picture, or too large.
    """
    from encoders.vision.pictures import read_picture

    return [_detected(seen, reader.name) for seen in reader.encode([read_picture(picture)])[0]]


def _detected(seen: SeenBox, source: str) -> DetectedBox:
    return DetectedBox(seen.label, seen.confidence, seen.box, seen.text, source)
