"""Claims that a document mentions persons, places and the like: named entities by a trained tagger, or by spaCy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from encoders.tokens.tagger import NamedEntity, TokenTagger
from ingestion.extraction.chunks import chunks_of
from ingestion.extraction.kept_entities import Tagger
from ingestion.extraction.passages import Passage
from ingestion.readers.llm_candidates import End, Statement
from ingestion.readers.llm_placing import Origin, Placing
from kg.errors import InputError
from kg.model import Record, Source
from kg.ontology import Ontology

_KINDS = {
    "PER": "person", "LOC": "place", "ORG": "organization", "GPE": "place", "FAC": "place", "MISC": "thing",
    "NORP": "group", "EVENT": "event", "PERSON": "person",
}  # fmt: skip
"""Words for the tags of CoNLL-2003 and OntoNotes; other tags stand for themselves."""
_NO_THINGS = {"CARDINAL", "DATE", "MONEY", "ORDINAL", "PERCENT", "QUANTITY", "TIME"}
"""Tags of OntoNotes for values."""
_LONGEST = 10_000_000
"""Characters of a text; the pipelines' own limit is for parsers, which need more memory than taggers."""
_UNSTATED = 0.8
"""Confidence where the tagger tells none: about the F1 of small pipelines."""


class SpacyTagger:
    """The named entities of a pipeline of spaCy.

    Args:
        name: of an installed pipeline, or its folder.
    """

    def __init__(self, name: str) -> None:
        import spacy

        try:
            self._pipeline = spacy.load(name)
        except (OSError, ValueError) as error:
            raise InputError(f"is no tagger, and no pipeline of spaCy: {error}", name) from error
        self._pipeline.max_length = _LONGEST
        self.name = f"{self._pipeline.meta['lang']}_{self._pipeline.meta['name']}@{self._pipeline.meta['version']}"

    def encode(self, texts: Sequence[str]) -> list[list[NamedEntity]]:
        """See `Tagger.encode`."""
        return [
            [NamedEntity(e.start_char, e.end_char, e.text, e.label_, _UNSTATED) for e in read.ents]
            for read in self._pipeline.pipe(texts)
        ]


def load_tagger(path: str) -> Tagger:
    """A tagger that `evigraph train tokens` made, or a pipeline of spaCy.

    Raises:
        InputError: it is neither.
    """
    if (Path(path) / "card.json").is_file():
        return TokenTagger.load(Path(path))
    return SpacyTagger(path)


class EntityExtractor:
    """Claims that a document mentions named entities.

    Args:
        tagger: finds them.
        ontology: that they are placed in.
    """

    def __init__(self, tagger: Tagger, ontology: Ontology) -> None:
        model, _, version = tagger.name.partition("@")
        self.source = Source(f"tagger:{tagger.name}", "model", model, model=model, version=version)
        self._tagger = tagger
        self._placing = Placing(ontology)

    def records(self, passage: Passage) -> Iterator[Record]:
        """See `Extractor.records`."""
        chunks = list(chunks_of(passage.text))
        for chunk, entities in zip(chunks, self._tagger.encode([chunk.text for chunk in chunks]), strict=True):
            for found in entities:
                words = " ".join(found.words.split())
                if found.kind in _NO_THINGS or not words:
                    continue
                start, end = chunk.start + found.start, chunk.start + found.end
                confidence = round(found.confidence * passage.confidence(start), 4)
                extras = {"confidence": confidence, **passage.qualifiers(start, end)}
                kind = _KINDS.get(found.kind, found.kind.lower())
                statement = Statement(
                    End(words, type=kind), "MENTIONED_IN", End(passage.document, id=passage.document),
                    f"c{start}", extras, extras,
                )  # fmt: skip
                yield from self._placing.records(statement, Origin(self.source.id, passage.document))
