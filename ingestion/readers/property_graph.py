"""Records of a labelled property graph, whichever format its nodes and edges come in."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from ingestion.readers.base import Document
from ingestion.readers.graph_names import CONFIDENCE, STATED_TYPES, GraphNames, confidence, escape
from kg.model import Claim, Entity, Record, Rejected, Source

_NEGATIONS = ("negated", "negation", "not")


@dataclass(frozen=True, slots=True)
class Node:
    """A node as a format has it: `key` is its id in the file, `labels` what it is called a kind of."""

    key: str
    labels: Sequence[str] = ()
    properties: Mapping[str, object] = field(default_factory=dict)


class PropertyGraph:
    """Makes entities of nodes and claims of edges; what the ontology does not know is rejected by name, alone.

    A node's id is the CURIE or IRI among its properties, else its key if that is one, else its key in this document.
    Which node has which id is kept in a temporary database on disk, so memory stays bounded.
    """

    def __init__(self, document: Document, names: GraphNames, kind: str) -> None:
        self._document = document.id
        self._names = names
        self._unknown: set[str] = set()
        self.source = Source(document.id, kind, name=document.path.name, document=document.id)

    def __enter__(self) -> Self:
        self._spool = sqlite3.connect("")
        self._spool.execute("CREATE TABLE node (key TEXT PRIMARY KEY, id TEXT, content BLOB) WITHOUT ROWID")
        self._spool.execute("CREATE TABLE edge (content BLOB)")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._spool.close()

    def rejected(self, reason: str, place: str, record: object = "") -> Rejected:
        """What could not become a record."""
        text = record if isinstance(record, str) else _json(record)
        return Rejected(reason, place, text, self._document)

    # ---- nodes ----------------------------------------------------------------------------------------------------

    def node(self, node: Node, place: str) -> Iterator[Record]:
        """The entity of a node; nothing for one that was there before, word for word."""
        said = _json([list(node.labels), dict(node.properties)])
        content = hashlib.blake2b(said.encode("utf-8", "replace"), digest_size=16).digest()
        known = self._spool.execute("SELECT content FROM node WHERE key = ?", (node.key,)).fetchone()
        if known is not None:
            if known[0] != content:
                yield self.rejected(f"node {node.key!r} is there twice", place, node.properties)
            return
        given = dict(node.properties)
        id_ = self._names.id_of(given) or self._names.id(node.key) or f"{self._document}#{escape(node.key)}"
        classes, unknown = self._names.classes(node.labels)
        properties, problems = self._names.properties(given, classes)
        if unknown and STATED_TYPES in self._names.ontology.properties:
            properties[STATED_TYPES] = unknown
        entity = Entity(id_, classes, self._document, properties, self._document, place)
        if problem := self._names.ontology.check_entity(entity):
            yield self.rejected(problem, place, node.properties)
            return
        self._spool.execute("INSERT INTO node VALUES (?, ?, ?)", (node.key, id_, content))
        yield entity
        for label in unknown:
            if label not in self._unknown:
                self._unknown.add(label)
                yield self.rejected(f"no class is called {label!r}: such nodes are plain entities", place, label)
        for name, reason in problems:
            yield self.rejected(reason, f"{place}.{name}", {name: given[name]})

    def _id(self, key: str) -> str | None:
        row = self._spool.execute("SELECT id FROM node WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    # ---- edges ----------------------------------------------------------------------------------------------------

    def edge(
        self, start: Node, relation: str, end: Node, properties: Mapping[str, object], place: str
    ) -> Iterator[Record]:
        """The claim of an edge; one whose nodes are yet to come waits for `rest`."""
        ids = self._id(start.key), self._id(end.key)
        if ids[0] is None or ids[1] is None:
            ends = [[node.key, list(node.labels), dict(node.properties)] for node in (start, end)]
            waiting = _json([*ends, relation, dict(properties), place])
            self._spool.execute("INSERT INTO edge VALUES (?)", (waiting,))
        else:
            yield from self._claim(ids[0], relation, ids[1], properties, place)

    def rest(self) -> Iterator[Record]:
        """The edges that waited, at the end of the file; nodes that only edges describe, if these give labels."""
        for (content,) in self._spool.execute("SELECT content FROM edge ORDER BY rowid"):
            *ends, relation, properties, place = json.loads(content)
            ids: list[str] = []
            for (key, labels, own), which in zip(ends, ("start", "end"), strict=True):
                if self._id(key) is None and labels:
                    yield from self.node(Node(key, labels, own), f"{place}.{which}")
                if (id_ := self._id(key)) is None:
                    yield self.rejected(f"its {which} is node {key!r}, which is not there", place, relation)
                    break
                ids.append(id_)
            else:
                yield from self._claim(ids[0], relation, ids[1], properties, place)

    def _claim(
        self, subject: str, relation: str, object_: str, properties: Mapping[str, object], place: str
    ) -> Iterator[Record]:
        named = self._names.relation(relation) if relation else ("RELATED_TO", False)
        if named is None:
            yield self.rejected(f"no relation is called {relation!r}", place, [subject, relation, object_])
            return
        given = dict(properties)
        if denied := next((n for n in _NEGATIONS if str(given.get(n) or "false").lower() != "false"), None):
            yield self.rejected(f"says by {denied!r} that it does not hold", place, [subject, relation, object_])
            return
        try:
            sure = confidence(given.pop(CONFIDENCE, 1.0))
        except ValueError as error:
            yield self.rejected(str(error), f"{place}.{CONFIDENCE}", [subject, relation, object_])
            return
        for name in _NEGATIONS:
            given.pop(name, None)
        qualifiers, problems = self._names.qualifiers(given)
        name, inverted = named
        ends = (object_, subject) if inverted else (subject, object_)
        yield Claim(ends[0], name, ends[1], self._document, sure, qualifiers, self._document, place)
        for unknown, reason in problems:
            yield self.rejected(reason, f"{place}.{unknown}", {unknown: given[unknown]})


def _json(value: object) -> str:
    """JSON with sorted keys; numbers of any size, which orjson refuses."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
