"""Reads back, without loss, what `kg.rdf` wrote, whatever the order of its statements.

Only what was said is read (`eg:Claim`, `eg:Description`, `eg:SourceDescription` and the facts they need); what the
graph makes of it, such as beliefs and the effective properties of entities, follows from it when it is written again.
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import orjson
from pyoxigraph import BlankNode, Literal, NamedNode, Quad, parse
from rdflib import RDF

from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected, Scalar, Source, Value
from kg.ontology import EG, Ontology
from kg.rdf_terms import PROV, SOURCE_FIELDS, Terms, rdf_format, scalar

_NODE = re.compile(re.escape(str(EG)) + r"(source-description|description|fact)/([0-9a-f]{24})(?:/(.+))?")
_KINDS = {f"{EG}{name}" for name in ("Claim", "Description", "SourceDescription", "Fact")}
_TYPE = str(RDF.type)
_ATTRIBUTED = f"{PROV}wasAttributedTo"
_ITEM = re.compile(re.escape(str(RDF)) + r"_([1-9][0-9]*)")

_Term = tuple[str, str]
"""Text of a literal and its datatype; of an IRI, and an empty text."""


def parse_rdf(path: Path) -> Iterator[Quad]:
    """Statements of a Turtle or N-Quads file, as a stream.

    Raises:
        InputError: the file can't be read, or is not what its extension says; names the line.
    """
    format_ = rdf_format(path)
    try:
        yield from parse(path=path, format=format_)
    except SyntaxError as error:
        raise InputError(str(error.msg), f"{path}:{error.lineno}" if error.lineno else str(path)) from error
    except OSError as error:
        raise InputError(error.strerror or str(error), str(path)) from error


def read_rdf(path: Path, ontology: Ontology) -> Iterator[Record]:
    """Sources, then entities, then claims of a file that `export_rdf` wrote.

    The statements may come in any order: they pass through a temporary database on disk, and memory stays bounded.
    A claim or description that can't be understood comes as a `Rejected` with its IRI as the place.

    Raises:
        InputError: the file can't be read, or is not what its extension says; before the first record.
    """
    return read_export(parse_rdf(path), ontology)


def is_of_export(subject: object) -> bool:
    """Whether a statement's subject is a claim, a fact or a description under the IRI that an export gives it."""
    return isinstance(subject, NamedNode) and _NODE.fullmatch(subject.value) is not None


def read_export(statements: Iterable[Quad], ontology: Ontology) -> Iterator[Record]:
    """The same, of statements that come from elsewhere."""
    reader = _Reader(ontology)
    with closing(sqlite3.connect("")) as spool:
        spool.execute("CREATE TABLE node (kind TEXT, iri TEXT, content BLOB)")
        yield from _spool(statements, spool)
        # in this order, since a claim can be written only once its source is known
        for kind in ("source-description", "description", "fact"):
            rows = spool.execute("SELECT iri, content FROM node WHERE kind = ? ORDER BY iri", (kind,))
            for root, parts in groupby(rows, key=lambda row: _root(row[0])):
                yield from reader.records(kind, root, _nodes(parts))


def _root(iri: str) -> str:
    found = _NODE.fullmatch(iri)
    return f"{EG}{found[1]}/{found[2]}" if found else iri


def _spool(quads: Iterable[Quad], spool: sqlite3.Connection) -> Iterator[Rejected]:
    """Keeps what is said of claims, facts and descriptions, one row for each run of statements of one subject."""
    for subject, run in groupby(quads, key=attrgetter("subject")):
        iri = subject.value
        if isinstance(subject, NamedNode) and (found := _NODE.fullmatch(iri)):
            content = [(quad.predicate.value, *_term(quad.object)) for quad in run]
            spool.execute("INSERT INTO node VALUES (?, ?, ?)", (found[1], iri, orjson.dumps(content)))
        elif any(
            q.predicate.value == _TYPE and q.object.value in _KINDS for q in run if isinstance(q.object, NamedNode)
        ):
            yield Rejected("not an IRI that an export gives to claims, facts and descriptions", place=str(subject))


def _term(node: object) -> _Term:
    if isinstance(node, Literal):
        return node.value, node.datatype.value
    if isinstance(node, (NamedNode, BlankNode)):
        return node.value, ""
    raise InputError(f"quoted triples are not understood: {node}")


class _BrokenNodeError(Exception):
    """A node lacks something; the text says what."""


@dataclass(slots=True)
class _Node:
    """All that is said of one node: predicate → values, each once."""

    iri: str
    values: dict[str, dict[_Term, None]] = field(default_factory=lambda: defaultdict(dict))

    def one(self, predicate: str) -> _Term:
        """The only value of a predicate."""
        found = list(self.values.get(predicate, ()))
        if len(found) != 1:
            raise _BrokenNodeError(f"has {len(found)} values of <{predicate}> instead of one")
        return found[0]

    def iri_of(self, predicate: str) -> str:
        """The only value, which is an IRI."""
        text, datatype = self.one(predicate)
        if datatype:
            raise _BrokenNodeError(f"<{predicate}> is not an IRI")
        return text

    def text(self, predicate: str) -> str:
        """The only value, or an empty text where there is none."""
        return self.one(predicate)[0] if predicate in self.values else ""


def _nodes(rows: Iterable[tuple[str, bytes]]) -> dict[str, _Node]:
    nodes: dict[str, _Node] = {}
    for iri, content in rows:
        node = nodes.setdefault(iri, _Node(iri))
        for predicate, text, datatype in orjson.loads(content):
            node.values[predicate][text, datatype] = None
    return nodes


class _Reader:
    """Makes records of nodes."""

    def __init__(self, ontology: Ontology) -> None:
        self._terms = Terms(ontology)
        self._relations = {r.iri: r.name for r in ontology.relations.values()}
        self._properties = {p.iri: p for p in ontology.properties.values()}
        self._qualifiers = {p.iri: p for p in ontology.qualifiers.values()}
        self._claim_words = {f"{EG}{word}" for word in ("supports", "confidence", "inDocument", "atPlace")}
        self._description_words = {f"{EG}{word}" for word in ("describes", "describedClass", "inDocument", "atPlace")}

    def records(self, kind: str, root: str, nodes: dict[str, _Node]) -> Iterator[Record]:
        """Records of a root node and the nodes below it; for a fact, one a claim."""
        below = [node for iri, node in nodes.items() if iri != root]
        if root not in nodes:
            yield Rejected("has parts, but is itself missing", place=root)
        elif kind == "fact":
            for claim in below:
                yield self._record(claim, lambda node: self._claim(node, nodes[root]))
        elif kind == "description":
            yield self._record(nodes[root], lambda node: self._entity(node, nodes))
        else:
            yield self._record(nodes[root], self._source)

    @staticmethod
    def _record(node: _Node, make: Callable[[_Node], Record]) -> Record:
        try:
            return make(node)
        except (_BrokenNodeError, ValueError, TypeError) as error:
            return Rejected(str(error), place=node.iri)

    def _source(self, node: _Node) -> Source:
        said: dict[str, Any] = {
            name: scalar(*node.one(iri)) for name, iri in SOURCE_FIELDS.items() if iri in node.values and name != "kind"
        }
        kind = node.iri_of(SOURCE_FIELDS["kind"]).removeprefix(str(EG))
        document = node.text(f"{EG}inDocument")
        return Source(self._terms.id(node.iri_of(f"{EG}describes")), kind, **said, document=document)

    def _entity(self, node: _Node, nodes: dict[str, _Node]) -> Entity:
        classes = node.values.get(f"{EG}describedClass", {})
        properties: dict[str, Value] = {}
        for iri in node.values:
            known = self._properties.get(iri)
            if known is None:
                self._refuse_unknown(iri, self._description_words, "property")
            elif known.multi:
                list_ = nodes.get(node.iri_of(iri))
                if list_ is None:
                    raise _BrokenNodeError(f"the list of <{iri}> is missing")
                properties[known.name] = _items(list_)
            else:
                properties[known.name] = self._value(node.one(iri))
        return Entity(
            id=self._terms.id(node.iri_of(f"{EG}describes")),
            classes=tuple(sorted(iri.removeprefix(str(EG)) for iri, _ in classes)),
            source=self._terms.id(node.iri_of(_ATTRIBUTED)),
            properties=properties,
            document=node.text(f"{EG}inDocument"),
            place=node.text(f"{EG}atPlace"),
        )

    def _claim(self, node: _Node, fact: _Node) -> Claim:
        if node.iri_of(f"{EG}supports") != fact.iri:
            raise _BrokenNodeError("supports another fact than the one its IRI names")
        relation = self._relations.get(predicate := fact.iri_of(str(RDF.predicate)))
        if relation is None:
            raise _BrokenNodeError(f"<{predicate}> is not a relation")
        qualifiers: dict[str, Scalar] = {}
        for iri in node.values:
            if (known := self._qualifiers.get(iri)) is None:
                self._refuse_unknown(iri, self._claim_words, "qualifier")
            else:
                qualifiers[known.name] = self._value(node.one(iri))
        return Claim(
            subject=self._terms.id(fact.iri_of(str(RDF.subject))),
            relation=relation,
            object=self._terms.id(fact.iri_of(str(RDF.object))),
            source=self._terms.id(node.iri_of(_ATTRIBUTED)),
            confidence=float(node.one(f"{EG}confidence")[0]),
            qualifiers=qualifiers,
            document=node.text(f"{EG}inDocument"),
            place=node.text(f"{EG}atPlace"),
        )

    def _value(self, term: _Term) -> Scalar:
        text, datatype = term
        return scalar(text, datatype) if datatype else self._terms.id(text)

    @staticmethod
    def _refuse_unknown(iri: str, words: set[str], what: str) -> None:
        if iri.startswith(str(EG)) and iri not in words:
            raise _BrokenNodeError(f"<{iri}> is not a {what}")


def _items(list_: _Node) -> tuple[str, ...]:
    """The items of an `rdf:Seq`, in order."""
    numbers = {int(found[1]): iri for iri in list_.values if (found := _ITEM.fullmatch(iri))}
    if sorted(numbers) != list(range(1, len(numbers) + 1)):
        raise _BrokenNodeError("its list has gaps")
    return tuple(list_.one(numbers[number])[0] for number in sorted(numbers))
