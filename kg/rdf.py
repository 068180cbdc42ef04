"""Export of the graph as RDF, with the provenance of all it says: Turtle, or N-Quads.

What the graph holds is written as plain triples. Who said it stands beside them: a fact is an `rdf:Statement` with its
belief, the claims behind it are PROV entities attributed to sources, and so are descriptions of entities and sources.
`docs/rdf.md` shows it; `kg.rdf_import` reads it back.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson
from pyoxigraph import DefaultGraph, Literal, NamedNode, Quad, RdfFormat, Triple, serialize
from rdflib import RDF

from kg.errors import StoreUnavailableError
from kg.merge import SourceDescriptions
from kg.ontology import EG, Ontology
from kg.rdf_terms import PROV, PROVENANCE_GRAPH, SCHEMA, SOURCE_FIELDS, Terms, node_hash, plain, rdf_format
from kg.snapshot_build import Readable, effective_properties, read_reliabilities

_ATTEMPTS = 3
_PAGE = 1000
_SOURCES = """
MATCH (s:Source) WHERE s.id > $after
RETURN s.id AS id, s.documents AS documents, s.descriptions AS descriptions ORDER BY s.id LIMIT $limit
"""

Statement = tuple[NamedNode, NamedNode, NamedNode | Literal, bool]
"""Subject, predicate, object; whether it is provenance."""


@dataclass(frozen=True, slots=True)
class RdfReport:
    """What an export holds, and the graph's version that it is of."""

    version: int
    entities: int
    facts: int
    claims: int
    sources: int
    statements: int


async def export_rdf(store: Readable, path: Path, *, domain: str | None = None) -> RdfReport:
    """Writes the graph, or one domain of it, to a file, as a stream; the file appears once it is complete.

    A domain's export has the facts of its relations and those of `core`, the entities of the classes that its
    relations connect, and entities of no class.

    Args:
        store: the graph.
        path: `.ttl` is Turtle; `.nq` N-Quads with the provenance in a graph of its own.
        domain: name of the domain; None: everything.

    Raises:
        InputError: the extension is neither.
        OntologyError: no such domain.
        StoreUnavailableError: the store is down, or the graph changed during each of three attempts.
        OSError: the file can't be written.
    """
    format_ = rdf_format(path)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        for _ in range(_ATTEMPTS):
            version = await store.version()
            with unfinished.open("wb") as file:
                export = _Export(store, domain, _Writer(file, format_, store.ontology))
                await export.run()
            if await store.version() == version:
                unfinished.replace(path)
                return RdfReport(version=version, **export.counts)
    finally:
        unfinished.unlink(missing_ok=True)
    raise StoreUnavailableError("the graph is written to faster than it can be exported; try again later")


class _Writer:
    """Serialises statements batch by batch, under one header of prefixes."""

    def __init__(self, file: IO[bytes], format_: RdfFormat, ontology: Ontology) -> None:
        self.statements = 0
        self._file = file
        self._format = format_
        common = {"eg": str(EG), "prov": PROV, "rdf": str(RDF), "schema": SCHEMA}
        self._prefixes = {} if format_.supports_datasets else common | Terms(ontology).namespaces
        for prefix, namespace in sorted(self._prefixes.items()):
            file.write(f"@prefix {prefix}: <{namespace}> .\n".encode())

    def write(self, statements: Iterable[Statement]) -> None:
        """Adds a batch."""
        graphs = DefaultGraph(), PROVENANCE_GRAPH
        terms: list[Triple] | list[Quad]
        if self._format.supports_datasets:
            terms = [Quad(s, p, o, graphs[provenance]) for s, p, o, provenance in statements]
        else:
            terms = [Triple(s, p, o) for s, p, o, _ in statements]
        self.statements += len(terms)
        if terms:
            written = serialize(terms, format=self._format, prefixes=self._prefixes) or b""
            self._file.write(written.split(b"\n", len(self._prefixes))[-1])  # one line a prefix, in any order


def _eg(name: str) -> NamedNode:
    return NamedNode(f"{EG}{name}")


_TYPE = NamedNode(str(RDF.type))
_STATEMENT, _SUBJECT, _PREDICATE, _OBJECT, _SEQ = (
    NamedNode(str(t)) for t in (RDF.Statement, RDF.subject, RDF.predicate, RDF.object, RDF.Seq)
)
_ENTITY, _ATTRIBUTED = NamedNode(f"{PROV}Entity"), NamedNode(f"{PROV}wasAttributedTo")
_FACT, _CLAIM, _SOURCE, _DESCRIPTION, _SOURCE_DESCRIPTION = map(
    _eg, ("Fact", "Claim", "Source", "Description", "SourceDescription")
)
_BELIEF, _SUPPORTS, _CONFIDENCE, _DOCUMENT, _PLACE, _DESCRIBES, _DESCRIBED_CLASS = map(
    _eg, ("belief", "supports", "confidence", "inDocument", "atPlace", "describes", "describedClass")
)


class _Export:
    """One pass over the graph, batch by batch."""

    def __init__(self, store: Readable, domain: str | None, writer: _Writer) -> None:
        ontology = store.ontology
        self._counts = Counter[str]()
        self._store = store
        self._writer = writer
        self._ontology = ontology
        self._terms = Terms(ontology)
        self._relations = tuple(sorted(ontology.relations)) if domain is None else ontology.domain_relations(domain)
        self._classes = None if domain is None else _domain_classes(ontology, domain)
        self._exported: set[str] = set()
        self._cited: set[str] = set()
        named = (ontology.properties, ontology.qualifiers, ontology.relations)
        self._predicates = {name: NamedNode(term.iri) for table in named for name, term in table.items()}
        self._source_fields = {name: NamedNode(iri) for name, iri in SOURCE_FIELDS.items()}

    @property
    def counts(self) -> dict[str, int]:
        """How many of each have been written."""
        names = ("entities", "facts", "claims", "sources")
        return {name: self._counts[name] for name in names} | {"statements": self._writer.statements}

    async def run(self) -> None:
        """Writes everything; serialises in a thread, so that the event loop stays free."""
        reliabilities: dict[str, float] = {}
        async for rows in self._store.scan_entities():
            await read_reliabilities(self._store, rows, reliabilities)
            await self._write(self._entities(rows, reliabilities))
        async for rows in self._store.scan_facts(self._relations):
            await self._write(self._facts(rows))
        after = ""
        while page := [row async for row in self._store.read(_SOURCES, {"after": after, "limit": _PAGE})]:
            await self._write(self._sources(page))
            after = page[-1]["id"]

    async def _write(self, statements: Iterator[Statement]) -> None:
        await asyncio.to_thread(self._writer.write, statements)

    # ---- entities -------------------------------------------------------------------------------------------------

    def _entities(self, rows: list[tuple[Any, ...]], reliabilities: dict[str, float]) -> Iterator[Statement]:
        for row in rows:
            labels = set(row[1]) | {"Entity"}
            if self._classes is not None:
                if labels != {"Entity"} and not labels & self._classes:
                    continue
                self._exported.add(row[0])
                self._cited.update(row[2] or ())
            self._counts["entities"] += 1
            yield from self._entity(row, labels, effective_properties(self._ontology, row, reliabilities))

    def _entity(self, row: tuple[Any, ...], labels: set[str], properties: dict[str, Any]) -> Iterator[Statement]:
        id_, _, sources, documents, descriptions, places, _ = row
        node = self._terms.node(id_)
        for label in sorted(labels):
            yield node, _TYPE, _eg(label), False
        for name, value in properties.items():
            known = self._ontology.properties[name]
            for item in value if known.multi else [value]:
                yield node, self._predicates[name], self._terms.value(item, known), False
        for source, document, content, place in zip(
            sources or (), documents or (), descriptions or (), places or (), strict=True
        ):
            said = _eg(f"description/{node_hash(id_, source, document, content)}")
            yield said, _TYPE, _DESCRIPTION, True
            yield said, _DESCRIBES, node, True
            yield from self._origin(said, source, document, place)
            description = orjson.loads(content)
            for name in description["classes"]:
                yield said, _DESCRIBED_CLASS, _eg(name), True
            for name, value in description["properties"].items():
                yield from self._described(said, name, value)

    def _described(self, said: NamedNode, name: str, value: Any) -> Iterator[Statement]:  # noqa: ANN401 (JSON)
        """One property in a description; several values are an `rdf:Seq`, which keeps their order and number."""
        known, predicate = self._ontology.properties[name], self._predicates[name]
        if not known.multi:
            yield said, predicate, self._terms.value(value, known), True
            return
        list_ = NamedNode(f"{said.value}/{name}")
        yield said, predicate, list_, True
        yield list_, _TYPE, _SEQ, True
        for number, item in enumerate(value, start=1):
            yield list_, NamedNode(f"{RDF}_{number}"), Literal(item), True

    def _origin(self, said: NamedNode, source: str, document: str, place: str) -> Iterator[Statement]:
        yield said, _ATTRIBUTED, self._terms.node(source), True
        if document:
            yield said, _DOCUMENT, Literal(document), True
        if place:
            yield said, _PLACE, Literal(place), True

    # ---- facts ----------------------------------------------------------------------------------------------------

    def _facts(self, rows: list[tuple[Any, ...]]) -> Iterator[Statement]:
        for row in rows:
            if self._classes is None or (row[0] in self._exported and row[2] in self._exported):
                self._counts["facts"] += 1
                self._counts["claims"] += len(row[4])
                yield from self._fact(row)

    def _fact(self, row: tuple[Any, ...]) -> Iterator[Statement]:
        subject, relation, object_, belief, *claims, _ = row
        ends = self._terms.node(subject), self._predicates[relation], self._terms.node(object_)
        yield *ends, False
        fact = _eg(f"fact/{node_hash(subject, relation, object_)}")
        yield fact, _TYPE, _FACT, True
        yield fact, _TYPE, _STATEMENT, True
        yield fact, _SUBJECT, ends[0], True
        yield fact, _PREDICATE, ends[1], True
        yield fact, _OBJECT, ends[2], True
        yield fact, _BELIEF, plain(float(belief)), True
        for source, confidence, document, qualifiers, place in zip(*claims, strict=True):
            claim = NamedNode(f"{fact.value}/claim/{node_hash(source, document, qualifiers)}")
            yield claim, _TYPE, _CLAIM, True
            yield claim, _TYPE, _ENTITY, True
            yield claim, _SUPPORTS, fact, True
            yield claim, _CONFIDENCE, plain(float(confidence)), True
            yield from self._origin(claim, source, document, place)
            for name, value in orjson.loads(qualifiers).items():
                known = self._ontology.qualifiers[name]
                yield claim, self._predicates[name], self._terms.value(value, known), True
            if self._classes is not None:
                self._cited.add(source)

    # ---- sources --------------------------------------------------------------------------------------------------

    def _sources(self, page: list[dict[str, Any]]) -> Iterator[Statement]:
        for row in page:
            if self._classes is None or row["id"] in self._cited:
                self._counts["sources"] += 1
                yield from self._source(row["id"], SourceDescriptions.from_properties(row))

    def _source(self, id_: str, descriptions: SourceDescriptions) -> Iterator[Statement]:
        node = self._terms.node(id_)
        yield node, _TYPE, _SOURCE, True
        yield node, _TYPE, _ENTITY, True
        yield from self._source_said(node, descriptions.properties(self._ontology))
        for document, content in sorted(descriptions.entries):
            said = _eg(f"source-description/{node_hash(id_, document, content)}")
            yield said, _TYPE, _SOURCE_DESCRIPTION, True
            yield said, _DESCRIBES, node, True
            if document:
                yield said, _DOCUMENT, Literal(document), True
            yield from self._source_said(said, orjson.loads(content))

    def _source_said(self, node: NamedNode, fields: dict[str, Any]) -> Iterator[Statement]:
        for name, predicate in self._source_fields.items():
            if name in fields:
                value = fields[name]
                term = _eg(value) if name == "kind" else plain(value)
                yield node, predicate, term, True


def _domain_classes(ontology: Ontology, domain: str) -> frozenset[str]:
    """Classes that can be at an end of one of the domain's own relations."""
    own = [r for r in ontology.relations.values() if r.domain_of == domain]
    return frozenset().union(*(r.domain | r.range for r in own)) - {"Entity"}
