"""RDF statements of a file in any of its formats, as a stream, and a store on disk that groups them by subject."""

from __future__ import annotations

import io
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import TracebackType
from typing import IO, Self

import orjson
from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode, Quad, RdfFormat, parse

from ingestion.readers.base import Document
from ingestion.readers.graph_names import escape
from ingestion.readers.lines import lines
from kg.errors import InputError
from kg.model import Rejected
from kg.ontology import EG

FORMATS = {
    ".ttl": RdfFormat.TURTLE,
    ".nt": RdfFormat.N_TRIPLES,
    ".nq": RdfFormat.N_QUADS,
    ".trig": RdfFormat.TRIG,
    ".jsonld": RdfFormat.JSON_LD,
    ".rdf": RdfFormat.RDF_XML,
    ".owl": RdfFormat.RDF_XML,
}
_BY_LINES = (RdfFormat.TURTLE, RdfFormat.N_TRIPLES, RdfFormat.N_QUADS, RdfFormat.TRIG)
"""Formats whose parser goes on behind a mistake."""
_WHERE = re.compile(r"^Parser error [^:]*: ")
_MAX_MISTAKES = 1000
_HEAD = 1 << 16
_ENTITY = re.compile(rb"<!ENTITY\s([^>]*)>")
_MAX_ENTITY = 1000


def statements(document: Document) -> Iterator[Quad | Rejected]:
    """The statements of a file, told apart by its extension; what can't be parsed comes as `Rejected` with its line.

    Relative IRIs, such as `<#me>`, become ids of the document's own.

    Raises:
        InputError: the file can't be read, or may not be parsed.
    """
    format_ = FORMATS[document.path.suffix.lower()]
    refused: list[Rejected] = []
    with document.open() as file:
        if format_ == RdfFormat.RDF_XML:
            _check_entities(document)
        stream: IO[bytes] = io.BufferedReader(_Lines(document, refused)) if format_ in _BY_LINES else file
        found = parse(stream, format=format_, base_iri=f"{EG}id/{escape(document.id)}/")
        line = -1
        for _ in range(_MAX_MISTAKES):
            try:
                for quad in found:
                    if refused:
                        yield from refused
                        refused.clear()
                    yield quad
                yield from refused
                return
            except (SyntaxError, ValueError) as error:
                yield from refused
                refused.clear()
                at = getattr(error, "lineno", None)
                reason = _WHERE.sub("", str(getattr(error, "msg", error)))
                # the parser says of the end of a file twice that it came too soon
                if at is None or at != line or reason != "Unexpected end":
                    yield Rejected(f"not {format_.name}: {reason}", f"L{at}" if at else "", "", document.id)
                line = at or line
        yield Rejected(f"{_MAX_MISTAKES:,} mistakes: the rest is not read", f"L{line}", "", document.id)


class _Lines(io.RawIOBase):
    """A file without the lines that are not UTF-8 or are endless, in whose place are empty ones."""

    def __init__(self, document: Document, refused: list[Rejected]) -> None:
        self._refused = refused
        self._lines = lines(document)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        while not self._rest:
            line = next(self._lines, None)
            if line is None:
                return 0
            if isinstance(line, Rejected):
                self._refused.append(line)
                self._rest = b"\n"
            else:
                self._rest = line[1].encode() + b"\n"
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _check_entities(document: Document) -> None:
    """Refuses XML entities that stand for others, which can stand for texts without end; namespaces may be entities.

    Raises:
        InputError: there are such.
    """
    with document.open() as file:
        head = file.read(_HEAD)
    if b"\0" in head:
        raise InputError("RDF/XML must be UTF-8", document.path.name)
    declared = _ENTITY.findall(head)
    if head.count(b"<!ENTITY") != len(declared) or any(
        b"&" in e or b"%" in e or len(e) > _MAX_ENTITY for e in declared
    ):
        raise InputError("declares XML entities that stand for more than a short text", document.path.name)


# ---- grouped --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Term:
    """An object: the text of an IRI, of a literal, or the number of a blank node.

    Attributes:
        kind: `iri`, `blank`, `literal`, or `triple` for a quoted one.
        language: tag of a literal, in small letters.
    """

    kind: str
    text: str
    language: str = ""


Said = tuple[str, Term]
"""A predicate's IRI and its object."""


class Statements:
    """Statements on disk, to be read in the order of their graphs and subjects; blank nodes are numbered."""

    def __enter__(self) -> Self:
        self._spool = sqlite3.connect("")
        self._spool.execute("CREATE TABLE said (graph TEXT, subject TEXT, content BLOB)")
        self._spool.execute("CREATE TABLE blank (name TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID")
        self._blanks = 0
        self._run: list[tuple[str, str, str, str]] = []
        self._of = ("", "")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()

    def add(self, quad: Quad) -> None:
        """Takes in a statement."""
        graph = "" if isinstance(quad.graph_name, DefaultGraph) else self._text(quad.graph_name)
        of = (graph, self._text(quad.subject))
        if of != self._of:
            self._flush()
            self._of = of
        object_ = quad.object
        if isinstance(object_, Literal):
            said = ("literal", object_.value, (object_.language or "").lower())
        elif isinstance(object_, NamedNode):
            said = ("iri", object_.value, "")
        elif isinstance(object_, BlankNode):
            said = ("blank", self._text(object_), "")
        else:
            said = ("triple", str(object_), "")
        self._run.append((quad.predicate.value, *said))

    def grouped(self) -> Iterator[tuple[str, str, Sequence[Said]]]:
        """(graph or empty, subject, what is said of it, each once)."""
        self._flush()
        rows = self._spool.execute("SELECT graph, subject, content FROM said ORDER BY graph, subject, rowid")
        for (graph, subject), parts in groupby(rows, key=lambda row: row[:2]):
            said = {tuple(item): None for *_, content in parts for item in orjson.loads(content)}
            yield graph, subject, [(predicate, Term(*term)) for predicate, *term in sorted(said)]

    def _flush(self) -> None:
        if self._run:
            self._spool.execute("INSERT INTO said VALUES (?, ?, ?)", (*self._of, orjson.dumps(self._run)))
            self._run.clear()

    def _text(self, node: object) -> str:
        if isinstance(node, NamedNode):
            return node.value
        if not isinstance(node, BlankNode):
            return str(node)
        row = self._spool.execute("SELECT number FROM blank WHERE name = ?", (node.value,)).fetchone()
        if row is None:
            self._blanks += 1
            self._spool.execute("INSERT INTO blank VALUES (?, ?)", (node.value, self._blanks))
            return f"_:b{self._blanks}"
        return f"_:b{row[0]}"
