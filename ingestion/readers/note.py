"""A clinical note or report of one patient: text, PDF or picture; the findings that it names are the patient's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from encoders.vision.first_bytes import is_document
from ingestion.extraction.concepts import ConceptExtractor, mention_claim
from ingestion.extraction.passages import Passage
from ingestion.readers.base import Document
from ingestion.readers.pdf import PdfReader
from ingestion.readers.written import content_of
from kg.model import Entity, Record, Value
from kg.utf8 import decoded

_FINDING = {"present": "HAS_PHENOTYPE", "excluded": "EXCLUDES_PHENOTYPE"}
_DISEASE = {"present": "HAS_DIAGNOSIS", "excluded": "EXCLUDES_DIAGNOSIS"}


class NoteReader(PdfReader):
    """One patient a note, under an id made of the document's.

    Findings and diseases that the note says are there, or are not, become the patient's; those of relatives, uncertain
    and hypothetical ones do not. Of the words of the note only those that name a finding come to the graph, with their
    place: no sentence, and no name of a person, unless `identifiers` asks for them.

    Attributes:
        identifiers: lets all extractors read, those of named entities and statements, too; see
            `EVIGRAPH_NOTE_IDENTIFIERS`.
    """

    name = "note"
    extensions: tuple[str, ...] = (".txt", ".md", ".pdf", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")
    example = "evigraph ingest note notes/"
    identifiers = False

    def passage(self, document: Document) -> tuple[Passage, dict[str, Value]]:
        """See `WrittenReader.passage`."""
        content = content_of(document)
        if is_document(content):
            return self.passage_of(content, document), {}
        return Passage(document.id, decoded(content, str(document.path))), {}

    def claims(self, passage: Passage) -> Iterator[Record]:
        """The patient, and what the note says of them; extractors of other things read only if asked for."""
        patient = f"patient:note-{hashlib.blake2b(passage.document.encode(), digest_size=8).hexdigest()}"
        yield Entity(patient, ("Patient",), passage.document, {}, passage.document, "text")
        for extractor in self.extractors:
            if not (self.identifiers or isinstance(extractor, ConceptExtractor)):
                continue
            yield replace(extractor.source, document=passage.document)
            if not isinstance(extractor, ConceptExtractor):
                yield from extractor.records(passage)
                continue
            findings = extractor.findings(passage)
            there = {found.concept for found in findings if found.status == "present"}
            for found in findings:
                if found.status == "excluded" and found.concept in there:
                    continue  # as in a diagnosis: what is said to be there and not to be there counts as there
                relations = _DISEASE if found.concept in extractor.diseases else _FINDING
                if relation := relations.get(found.status):
                    yield mention_claim(passage, extractor.source.id, found, relation, patient)
