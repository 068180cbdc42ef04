"""The text of documents: PDFs, whose scanned pages are read by OCR, and pictures; each part knows its page and box."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from encoders.vision.detector import SeenBox
from encoders.vision.ocr import TextReader
from encoders.vision.pdf_limits import check_streams
from encoders.vision.pictures import MOST_PIXELS, Picture, read_pictures
from kg.errors import InputError
from kg.extras import needs_extra

MOST_PAGES = 500
MOST_CHARACTERS = 5_000_000
_DPI = 200
"""Of a scanned page when it is drawn for OCR."""
_POINTS_PER_INCH = 72
_LEAST_CHARACTERS = 20
"""A page with fewer is taken for a scan."""
_TEXT_LAYER = 300
"""Characters of a scan's page from which it has a layer of text; a printed header or stamp has fewer."""
_SCAN = 0.5
"""Part of a page that a picture covers for it to be a scan."""
_MOST_SECONDS = 120
"""For drawing all pages."""
_MOST_SIDE = 5000
_SAME_LINE = 0.6
"""Boxes that overlap by so much of the lower one's height are of one line."""


@dataclass(frozen=True, slots=True)
class Part:
    """Where a piece of the text stands.

    Attributes:
        start, end: characters of the text, end excluded.
        page: from 1.
        box: left, top, right, bottom as parts of the page; None for the text of a page that is no scan.
        confidence: OCR's, 0…1; 1 where nothing had to be read.
    """

    start: int
    end: int
    page: int
    box: tuple[float, float, float, float] | None
    confidence: float


@dataclass(frozen=True, slots=True)
class DocumentText:
    """The text of a document, and where each part of it stands; lines and pages end by line feeds."""

    text: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class _Page:
    """Its text, and its picture where that is to be read, too."""

    text: str
    picture: Picture | None = None


def read_document(content: bytes, text_reader: TextReader, place: str = "document") -> DocumentText:
    """The text of a PDF or a picture.

    Args:
        content: of the file.
        text_reader: for scanned pages and pictures.
        place: what errors name.

    Raises:
        InputError: it is neither, is encrypted or broken, or has too many pages or characters.
    """
    pages: Iterator[_Page]
    if content.lstrip()[:5] == b"%PDF-":
        pages = _pdf_pages(content, place)
    else:
        pages = (_Page("", picture) for picture in read_pictures(content, place, MOST_PAGES))
    text, parts, length = [], [], 0
    for number, page in enumerate(pages, 1):
        lines: list[tuple[str, tuple[float, float, float, float] | None, float]] = []
        if page.text:
            lines.append((page.text, None, 1.0))
        if page.picture is not None:
            seen = in_reading_order(text_reader.encode(page.picture))
            known = set(page.text.split())
            lines += [(one.text, one.box, one.confidence) for one in seen if not known.issuperset(one.text.split())]
        for line, box, confidence in lines:
            parts.append(Part(length, length + len(line), number, box, confidence))
            text.append(line)
            length += len(line) + 1
            if length > MOST_CHARACTERS:
                raise InputError(f"has more than {MOST_CHARACTERS:,} characters", place)
    return DocumentText("\n".join(text), tuple(parts))


def in_reading_order(lines: Sequence[SeenBox]) -> list[SeenBox]:
    """Lines from top to bottom, those side by side from left to right."""
    rows: list[list[SeenBox]] = []
    for line in sorted(lines, key=lambda seen: (seen.box[1] + seen.box[3]) / 2):
        top, bottom = line.box[1], line.box[3]
        if rows:
            last = rows[-1][-1].box
            overlap = min(bottom, last[3]) - max(top, last[1])
            if overlap > _SAME_LINE * min(bottom - top, last[3] - last[1]):
                rows[-1].append(line)
                continue
        rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda seen: seen.box[0])]


def _pdf_pages(content: bytes, place: str) -> Iterator[_Page]:
    """Each page: its text, and where it has hardly any, or a picture covers most of it, what it looks like."""
    with needs_extra("vision", "reading PDF"):
        import pypdfium2
    check_streams(content, place)
    try:
        document = pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        locked = "password" in str(error).casefold()
        raise InputError("is encrypted" if locked else f"is no PDF that can be read: {error}", place) from error
    try:
        if len(document) > MOST_PAGES:
            raise InputError(f"has {len(document):,} pages; at most {MOST_PAGES} are read", place)
        seconds = 0.0
        for number in range(len(document)):
            started = time.perf_counter()
            try:
                page = _pdf_page(document[number], f"{place}: page {number + 1}")
                seconds += time.perf_counter() - started
                if seconds > _MOST_SECONDS:
                    raise InputError(f"takes more than {_MOST_SECONDS} s to draw", f"{place}: page {number + 1}")
                yield page
            except pypdfium2.PdfiumError as error:
                raise InputError(f"can't be read: {error}", f"{place}: page {number + 1}") from error
    finally:
        document.close()


def _pdf_page(page: Any, place: str) -> _Page:  # noqa: ANN401 (pypdfium2 has no types)
    words = page.get_textpage()
    if words.count_chars() > MOST_CHARACTERS:
        raise InputError(f"has more than {MOST_CHARACTERS:,} characters", place)
    text = str(words.get_text_range()).replace("\r\n", "\n").replace("\r", "\n").replace("\ufffe", "-")
    width, height = page.get_size()
    length = len("".join(text.split()))
    if length >= _TEXT_LAYER or (length >= _LEAST_CHARACTERS and not _is_scan(page, width * height)):
        return _Page(text)
    scale = min(_DPI / _POINTS_PER_INCH, _MOST_SIDE / max(width, height, 1.0))
    if width * height * scale * scale > MOST_PIXELS:
        raise InputError(f"is {width:.0f} × {height:.0f} points large", place)
    drawn = page.render(scale=scale).to_pil()
    return _Page(text if text.strip() else "", np.asarray(drawn.convert("RGB")))


def _is_scan(page: Any, area: float) -> bool:  # noqa: ANN401 (pypdfium2 has no types)
    """Whether a picture covers most of a page, as the scan under a printed header does."""
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

    for picture in page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE]):
        left, bottom, right, top = picture.get_bounds()
        if (right - left) * (top - bottom) >= _SCAN * area:
            return True
    return False
