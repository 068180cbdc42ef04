"""Triples that language models extracted, in the shapes in which they really answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from ingestion.readers.base import Document, find_documents
from ingestion.readers.graph_names import shipped_ontology
from ingestion.readers.lines import lines
from ingestion.readers.llm_answer import AnswerReader
from ingestion.readers.llm_candidates import shown
from ingestion.readers.llm_envelopes import Answer, answers
from ingestion.readers.llm_placing import Origin, Placing
from ingestion.readers.llm_structure import parse_json
from kg.errors import InputError
from kg.model import Entity, Record, Rejected, Source
from kg.ontology import Ontology

MAX_ANSWER = 8 << 20
"""Bytes of one answer, or of one line of a JSON-lines file."""
_LINES = (".jsonl", ".ndjson")
_REMEMBERED = 100_000
"""Descriptions of one document that are not repeated."""


class LlmTripleReader:
    """One answer in a file, or one on each line of a JSON-lines file.

    A line, or a JSON file, may be an envelope that names the model: `{"model": …, "output": …, "document": …}`, or what
    the interfaces of OpenAI, Anthropic, Google and Ollama return. The model is the source, or else the file's stem.

    Ends of triples that are no CURIEs become `mention:` ids, for the resolver to replace by those of known entities.

    Args:
        ontology: that relations and classes are looked up in; the one that is shipped if None.
    """

    name = "llm_triples"
    version = "2"
    extensions: tuple[str, ...] = (".json", ".jsonl", ".ndjson", ".txt", ".md")
    mentions = True
    example = "evigraph ingest llm_triples answers.jsonl"

    def __init__(self, ontology: Ontology | None = None) -> None:
        self._ontology = ontology

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """Files under a path.

        Raises:
            InputError: no path, or nothing to read there.
        """
        if path is None:
            raise InputError("llm_triples needs a file or folder of answers")
        return find_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """Claims, and the entities that they mention; `Rejected` for each item that can't be one."""
        placing = Placing(self._ontology or shipped_ontology())
        reader = AnswerReader(placing.is_relation)
        sources: set[str] = set()
        described: set[tuple[object, ...]] = set()
        for answer in _answers(document):
            if isinstance(answer, Rejected):
                yield answer
                continue
            if answer.refused:
                yield Rejected(answer.refused, answer.place, shown(answer.content), document.id)
                continue
            model = answer.model or document.path.name.rsplit(".", 1)[0]
            source = f"llm:{quote(model, safe='/:@.+-_')}"
            if source not in sources:
                sources.add(source)
                yield Source(source, "model", name=model, model=answer.model, document=document.id)
            origin = Origin(source, document.id, answer.read_in)
            for candidate in (
                reader.read(answer.content, answer.place, complete=not answer.stopped)
                if isinstance(answer.content, str)
                else reader.read_value(answer.content, answer.place)
            ):
                for record in placing.records(candidate, origin):
                    if isinstance(record, Entity):
                        key = (record.id, record.classes, source, *sorted(record.properties.items()))
                        if key in described:
                            continue
                        if len(described) >= _REMEMBERED:
                            described.clear()
                        described.add(key)
                    yield record


def _answers(document: Document) -> Iterator[Answer | Rejected]:
    if document.path.name.lower().endswith(_LINES):
        for line in lines(document, MAX_ANSWER):
            if isinstance(line, Rejected):
                yield line
            elif line[1].strip():
                yield from _unwrapped(line[1], f"L{line[0]}")
        return
    with document.open() as file:
        raw = file.read(MAX_ANSWER + 1)
    if len(raw) > MAX_ANSWER:
        reason = f"an answer of {document.size:,} bytes, longer than {MAX_ANSWER:,}"
        yield Rejected(reason, "", raw[:2000].decode("utf-8", "replace"), document.id)
        return
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line_number = raw.count(b"\n", 0, error.start) + 1
        reason = f"not UTF-8: byte {raw[error.start]:#04x}"
        yield Rejected(reason, f"L{line_number}", raw[:2000].decode("utf-8", "replace"), document.id)
        return
    yield from _unwrapped(text, "")


def _unwrapped(text: str, place: str) -> Iterator[Answer]:
    """The answers in a text: those of its envelopes, or itself."""
    try:
        value = parse_json(text)
    except (ValueError, RecursionError):
        yield Answer(text, f"{place}/" if place else "")
        return
    if isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
        found = [a for n, v in enumerate(value) for a in answers(v, f"{place}[{n}]")]
        if any(a.enveloped for a in found):
            yield from found
            return
    yield from answers(value, place)
