"""What readers of texts share: the document as an entity, and what extractors find in its text."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ingestion.extraction.passages import Extractor, Passage
from ingestion.readers.base import Document, find_documents
from ingestion.readers.detection import curie
from kg.errors import InputError
from kg.model import Entity, Record, Rejected, Source, Value

MOST_BYTES = 200_000_000
"""Of one document."""


class ModelReader(ABC):
    """What models read.

    Attributes:
        replayable: a record's number tells nothing here, since models may say more the next time.
    """

    name: str
    version = "1"
    extensions: tuple[str, ...]
    example: str
    replayable = False

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One for each file; see `Reader.documents`."""
        if path is None:
            raise InputError(f"reader {self.name} needs a file or folder")
        return find_documents(self, path, name)

    @abstractmethod
    def read(self, document: Document) -> Iterator[Record]:
        """A document's records; see `Reader.read`."""


class ExtractingReader(ModelReader):
    """What has words in it.

    Attributes:
        extractors: find claims in the text; the service sets them, see `EVIGRAPH_EXTRACTORS`.
    """

    mentions = True
    extractors: Sequence[Extractor] = ()

    def claims(self, passage: Passage) -> Iterator[Record]:
        """What the extractors find."""
        for extractor in self.extractors:
            yield replace(extractor.source, document=passage.document)
            yield from extractor.records(passage)


class WrittenReader(ExtractingReader):
    """A document that is its words."""

    class_ = "Document"

    def read(self, document: Document) -> Iterator[Record]:
        """The document, and what its text says; see `Reader.read`."""
        try:
            passage, described = self.passage(document)
        except InputError as error:
            yield Rejected(error.reason, "", "", document.id)
            return
        yield Source(document.id, "document", document=document.id)
        properties = {"name": document.path.name, **described}
        yield Entity(document.id, (self.class_,), document.id, properties, document.id, "text")
        yield from self.claims(passage)

    @abstractmethod
    def passage(self, document: Document) -> tuple[Passage, dict[str, Value]]:
        """The text of a document, and properties of its entity.

        Raises:
            InputError: it can't be read.
        """


def content_of(document: Document, most: int = MOST_BYTES) -> bytes:
    """A document's bytes.

    Raises:
        InputError: it can't be read, or has more than `most`.
    """
    if document.size > most:
        raise InputError(f"has {document.size:,} bytes; at most {most:,} are read", str(document.path))
    with document.open() as file:
        return file.read()


def model_source(name: str, document: str) -> Source:
    """The source that a model is.

    Args:
        name: of the model, `@` and its version.
        document: that describes it.
    """
    model, _, version = name.partition("@")
    return Source(curie("model", f"{model}@{version}"), "model", model, model=model, version=version, document=document)
