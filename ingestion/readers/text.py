"""Plain text: a document, and the claims that extractors find in it."""

from __future__ import annotations

from ingestion.extraction.passages import Passage
from ingestion.readers.base import Document
from ingestion.readers.written import WrittenReader, content_of
from kg.model import Value
from kg.utf8 import decoded


class TextReader(WrittenReader):
    """UTF-8; a claim's span counts its characters."""

    name = "text"
    extensions: tuple[str, ...] = (".txt", ".md", ".text")
    example = "evigraph ingest text articles/"

    def passage(self, document: Document) -> tuple[Passage, dict[str, Value]]:
        """See `WrittenReader.passage`."""
        return Passage(document.id, decoded(content_of(document), str(document.path))), {}
