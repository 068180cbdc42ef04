"""PDF: the text of its pages, that of scanned ones by OCR, and the claims that extractors find in it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from encoders.vision.load import load_text_reader, text_of_document
from ingestion.extraction.passages import Passage, Place
from ingestion.readers.base import Document
from ingestion.readers.written import WrittenReader, content_of
from kg.model import Value

if TYPE_CHECKING:
    from encoders.vision.ocr import TextReader


class PdfReader(WrittenReader):
    """A claim's span counts characters of the text of all pages; page, and box of a scanned line, are kept."""

    name = "pdf"
    extensions: tuple[str, ...] = (".pdf",)
    example = "evigraph ingest pdf reports/"

    @cached_property
    def _ocr(self) -> TextReader:
        return load_text_reader()

    def passage(self, document: Document) -> tuple[Passage, dict[str, Value]]:
        """See `WrittenReader.passage`."""
        return self.passage_of(content_of(document), document), {}

    def passage_of(self, content: bytes, document: Document) -> Passage:
        """The text of a PDF or a picture.

        Raises:
            InputError: it is neither, is encrypted or broken, or too large.
        """
        read = text_of_document(content, self._ocr, str(document.path))
        places = [Place(p.start, p.end, p.page, p.box, None, p.confidence) for p in read.parts]
        return Passage(document.id, read.text, places)
