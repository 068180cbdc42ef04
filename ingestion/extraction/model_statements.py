"""Claims that a language model reads in a document, each with its sentence; what was read before costs nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from encoders.llm.client import LlmClient, LlmOptions, LlmUsage
from encoders.llm.replies import ReplyFolder
from ingestion.extraction.chunks import Chunk, chunks_of
from ingestion.extraction.passages import Passage
from ingestion.extraction.statements import Extraction, FoundStatement, StatementExtractor, example_of, forms_of, prompt
from ingestion.readers.llm_candidates import End, Statement, shown
from ingestion.readers.llm_placing import Origin, Placing
from kg.errors import EvigraphError, InputError, ModelUnavailableError, words_of
from kg.model import Record, Rejected, Source
from kg.ontology import Ontology

_ANSWER = 60
"""Tokens of an answer about a chunk, on average of short paragraphs."""
_AT_ONCE = 64
"""Chunks that are asked about before their claims are handed on."""


class ModelStatements:
    """Claims in the relations of a domain.

    Args:
        options: of the model.
        replies: folder where replies are kept.
        ontology: has the relations.
        domain: whose they are, such as `medical`.
        dry: ask nothing.
    """

    def __init__(
        self, options: LlmOptions, replies: Path, ontology: Ontology, domain: str, *, dry: bool = False
    ) -> None:
        self.source = Source(f"llm:{quote(options.model, safe='/:@.+-_')}", "model", options.model, model=options.model)
        self._options = replace(options, only_recorded=True) if dry else options
        self._replies = ReplyFolder(replies)
        self._ontology = ontology
        self._forms, self._examples = forms_of(ontology, domain), example_of(ontology, domain)
        self._placing = Placing(ontology)
        self._dry = dry
        self._chunks = self._tokens = 0

    @property
    def note(self) -> str:
        """What a dry run would ask of the model."""
        pace = self._replies.seconds_a_token()
        time = "" if pace is None else f", {self._tokens * pace:,.0f} s as its calls took so far"
        return (
            f"{self._options.model} would be asked about {self._chunks:,} chunks: about {self._tokens:,} tokens{time}"
        )

    def records(self, passage: Passage) -> Iterator[Record]:
        """See `Extractor.records`. A dry run gives what is known already, and counts what would be asked.

        Raises:
            InputError: the model can't be asked about a chunk. What was read before is kept, so that the document is
                read on from there when it is loaded again.
        """
        usage = LlmUsage()
        chunks = chunks_of(passage.text)
        while some := list(islice(chunks, _AT_ONCE)):
            for chunk, found in zip(some, asyncio.run(self._read(some, usage)), strict=True):
                place = f"c{chunk.start}"
                if self._dry and isinstance(found, ModelUnavailableError):
                    self._chunks += 1
                    self._tokens += (
                        sum(_tokens(one.content) for one in prompt(chunk.text, self._forms, self._examples)) + _ANSWER
                    )
                    continue
                if isinstance(found, EvigraphError):
                    raise InputError(words_of(found), place) from found
                for refused in found.refused:
                    yield Rejected(refused.reason, place, shown(refused.item), passage.document)
                for statement in found.statements:
                    yield from self._placed(statement, chunk, passage)

    async def _read(self, chunks: Sequence[Chunk], usage: LlmUsage) -> list[Extraction | EvigraphError]:
        async with LlmClient(self._options, self._replies, usage) as client:
            extractor = StatementExtractor(client, self._forms, self._examples)

            async def one(chunk: Chunk) -> Extraction | EvigraphError:
                try:
                    return await extractor.extract(chunk.text)
                except EvigraphError as error:
                    return error

            return await asyncio.gather(*map(one, chunks))

    def _placed(self, found: FoundStatement, chunk: Chunk, passage: Passage) -> Iterator[Record]:
        start, end = chunk.start + found.start, chunk.start + found.end
        relation = self._ontology.relation(found.relation)
        ends = [End(words, type=_only(classes)) for words, classes in (
            (found.subject, relation.domain), (found.object, relation.range),
        )]  # fmt: skip
        extras = {"quote": found.quote, **passage.qualifiers(start, end)}
        statement = Statement(ends[0], found.relation, ends[1], f"c{start}", extras, extras)
        yield from self._placing.records(statement, Origin(self.source.id, passage.document, passage.document))


def _tokens(text: str) -> int:
    """About how many tokens a text has: one for four Latin letters, one for each Chinese."""
    wide = sum(character > "\u2e7f" for character in text)
    return wide + (len(text) - wide) // 4 + 1


def _only(classes: frozenset[str]) -> str:
    """The class, if there is but one."""
    return next(iter(classes)) if len(classes) == 1 else ""
