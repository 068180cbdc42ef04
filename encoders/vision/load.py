"""Loads what reads pictures and documents, or says which extra is missing; importing this loads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kg.extras import needs_extra

if TYPE_CHECKING:
    from encoders.vision.documents import DocumentText
    from encoders.vision.ocr import TextReader
    from encoders.vision.reading import PictureReader


def load_text_reader() -> TextReader:
    """OCR.

    Raises:
        ConfigurationError: what it needs is not installed.
    """
    with needs_extra("vision", "reading documents"):
        from encoders.vision.ocr import TextReader
    return TextReader()


def text_of_document(content: bytes, text_reader: TextReader, place: str = "document") -> DocumentText:
    """The text of a PDF or a picture; see `encoders.vision.documents`.

    Raises:
        InputError: it is neither, is encrypted or broken, or too large.
        ConfigurationError: what it needs is not installed.
    """
    with needs_extra("vision", "reading documents"):
        from encoders.vision.documents import read_document
    return read_document(content, text_reader, place)


def load_reader(detector: str | None, text_reader: TextReader | None = None) -> PictureReader:
    """A detector, if one is named, with OCR, which is loaded unless it is given.

    Raises:
        InputError: the detector can't be loaded.
        ConfigurationError: what they need is not installed.
    """
    with needs_extra("vision", "reading pictures"):
        from encoders.vision.detector import load_detector
        from encoders.vision.reading import PictureReader
    return PictureReader(load_detector(detector) if detector else None, text_reader or load_text_reader())
