"""Tables (CSV, TSV, Parquet) whose rows a small YAML file explains; see `ingestion.readers.table_mapping`."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingestion.readers.base import Document, find_documents
from ingestion.readers.beside import Accompanied
from ingestion.readers.graph_names import GraphNames, confidence, convert, shipped_ontology
from ingestion.readers.retail_tables import TABLE_EXTENSIONS, Table
from ingestion.readers.table_mapping import (
    Cell,
    Cells,
    ClaimRule,
    Compiler,
    EntityRule,
    MappingFile,
    SourceRule,
    Template,
    Value,
    expanded,
    mapping_path,
    plain_mapping,
    read_mapping,
)
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected, Source
from kg.model import Value as PropertyValue
from kg.ontology import Ontology, Property

_REMEMBERED = 100_000
"""Entities and sources that are not described again when the next rows name them."""


class TableReader:
    """Reads a table with `<file>.yaml` or `mapping.yaml` beside it: without, columns `subject relation object`.

    The mapping is a part of the document: when it changes, the table is loaded anew.
    """

    name = "table"
    version = "2"
    extensions: tuple[str, ...] = TABLE_EXTENSIONS
    example = "evigraph ingest table sensors.csv   # with sensors.csv.yaml beside it"

    def __init__(self, ontology: Ontology | None = None) -> None:
        self._ontology = ontology

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each table; see `Reader.documents`."""
        if path is None:
            raise InputError("reader table needs a file or folder")
        for document in find_documents(self, path, name):
            mapping = mapping_path(document.path)
            yield Accompanied(document, (mapping,) if mapping else ())

    def read(self, document: Document) -> Iterator[Record]:
        """Of a row: its source, entities, claims."""
        ontology = self._ontology or shipped_ontology()
        try:
            table = Table(document)
        except (ValueError, csv.Error) as error:
            raise InputError(str(error), document.path.name) from error
        path = mapping_path(document.path)
        if path is not None:
            mapping, place = read_mapping(path, document.path.name), path.name
        else:
            plain = plain_mapping(table.names, ontology)
            if plain is None:
                wanted = f"{document.path.name}.yaml nor mapping.yaml beside it"
                raise InputError(f"neither {wanted}, nor columns subject, relation, object", document.path.name)
            mapping, place = plain, document.path.name
        rows = _Rows(document, mapping, Compiler(table.names, ontology, place), GraphNames(ontology))
        for row in table.rows():
            if isinstance(row, Rejected):
                yield row
                continue
            where, cells = row
            try:
                yield from rows.records(dict(zip(table.names, cells, strict=True)), where)
            except ValueError as error:
                yield table.rejected(str(error), row)


@dataclass(frozen=True, slots=True)
class _EntityMaker:
    class_: Template | str
    id: Template
    properties: tuple[tuple[Property, Value], ...]
    columns: tuple[str, ...]
    """Those that make the id: where they hold several values, there are several entities."""

    @classmethod
    def of(cls, rule: EntityRule, compiler: Compiler, ontology: Ontology, field: str) -> _EntityMaker:
        class_ = compiler.class_(rule.class_, f"{field}.class")
        classes = ontology.classes[class_] if isinstance(class_, str) else None
        id_ = compiler.template(rule.id, f"{field}.id")
        properties = compiler.values(rule.properties, ontology.properties, classes, f"{field}.properties")
        return cls(class_, id_, properties, id_.columns)


@dataclass(frozen=True, slots=True)
class _ClaimMaker:
    subject: Template
    relation: Template | str
    object: Template
    confidence: Value
    qualifiers: tuple[tuple[Property, Value], ...]
    columns: tuple[str, ...]

    @classmethod
    def of(cls, rule: ClaimRule, compiler: Compiler, ontology: Ontology, field: str) -> _ClaimMaker:
        subject = compiler.template(rule.subject, f"{field}.subject")
        object_ = compiler.template(rule.object, f"{field}.object")
        sure = compiler.value(rule.confidence, f"{field}.confidence")
        if sure.constant is not None:
            try:
                confidence(sure.constant)
            except ValueError as error:
                raise compiler.error(str(error), f"{field}.confidence") from error
        return cls(
            subject,
            compiler.relation(rule.relation, f"{field}.relation"),
            object_,
            sure,
            compiler.values(rule.qualifiers, ontology.qualifiers, None, f"{field}.qualifiers"),
            (*subject.columns, *object_.columns),
        )


class _Rows:
    """Makes records of rows by a compiled mapping."""

    def __init__(self, document: Document, mapping: MappingFile, compiler: Compiler, names: GraphNames) -> None:
        ontology = names.ontology
        self._document = document.id
        self._title = document.path.name
        self._names = names
        self._split = {compiler.column(column, "split"): by for column, by in mapping.split.items()}
        self._source_rule = mapping.source
        if mapping.source is not None and mapping.source.kind not in ontology.source_kinds:
            raise compiler.error(f"unknown; known: {', '.join(sorted(ontology.source_kinds))}", "source.kind")
        self._source_id = None if mapping.source is None else compiler.template(mapping.source.id, "source.id")
        self._entities = [
            _EntityMaker.of(rule, compiler, ontology, f"entities[{n}]") for n, rule in enumerate(mapping.entities)
        ]
        self._claims = [
            _ClaimMaker.of(rule, compiler, ontology, f"claims[{n}]") for n, rule in enumerate(mapping.claims)
        ]
        self._seen: set[object] = set()

    def records(self, row: dict[str, Cell], place: str) -> Iterator[Record]:
        """Records of one row.

        Raises:
            ValueError: the id of its source, of its first entity (what the row is about) or of a subject is empty.
        """
        for column, by in self._split.items():
            if isinstance(cell := row[column], str):
                row[column] = tuple(part.strip() for part in cell.split(by) if part.strip())
        cells: Cells = {column: cell.strip() if isinstance(cell, str) else cell for column, cell in row.items()}
        source = self._source(cells)
        if self._is_new(source):
            yield source
        for number, maker in enumerate(self._entities):
            if number == 0 and (empty := maker.id.first_empty(cells)):
                raise ValueError(f"column {empty!r} is empty: an entity needs its id")
            for part in expanded(cells, maker.columns):
                yield from self._entity(maker, part, source.id, place)
        for rule in self._claims:
            for part in expanded(cells, rule.columns):
                yield from self._claim(rule, part, source.id, place)

    def _is_new(self, thing: object) -> bool:
        if thing in self._seen:
            return False
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen.add(thing)
        return True

    def _source(self, cells: Cells) -> Source:
        rule: SourceRule | None = self._source_rule
        if rule is None or self._source_id is None:
            return Source(self._document, "document", name=self._title, document=self._document)
        if not (id_ := self._source_id.id(cells)):
            raise ValueError(f"column {self._source_id.first_empty(cells)!r} is empty: whose word is it?")
        said = (rule.name, rule.model, rule.version, rule.url, rule.reliability)
        return Source(id_, rule.kind, *said, document=self._document)

    def _entity(self, maker: _EntityMaker, cells: Cells, source: str, place: str) -> Iterator[Record]:
        if not (id_ := maker.id.id(cells)):  # the row names no such thing
            return
        class_ = maker.class_
        if isinstance(class_, Template):
            text = class_.fill(cells)
            if (found := self._names.class_(text)) is None:
                yield self._rejected(f"no class is called {text!r}", place, cells)
                return
            class_ = found
        properties: dict[str, PropertyValue] = {}
        problems = []
        for known, value in maker.properties:
            if (given := value.of(cells)) is None:
                continue
            try:
                properties[known.name] = convert(given, known)
            except ValueError as error:
                problems.append((known.name, str(error)))
        entity = Entity(id_, (class_,), source, properties, self._document, place)
        if problem := self._names.ontology.check_entity(entity):
            yield self._rejected(problem, place, cells)
        elif self._is_new((id_, class_, source, tuple(properties.items()))):
            yield entity
        for name, reason in problems:
            yield self._rejected(reason, f"{place}.{name}", cells)

    def _claim(self, maker: _ClaimMaker, cells: Cells, source: str, place: str) -> Iterator[Record]:
        subject, object_ = maker.subject.id(cells), maker.object.id(cells)
        if not object_:  # says nothing
            return
        if not subject:
            raise ValueError(f"column {maker.subject.first_empty(cells)!r} is empty: a claim needs its subject")
        relation, ends = maker.relation, (subject, object_)
        if isinstance(relation, Template):
            text = relation.fill(cells)
            if (named := self._names.relation(text)) is None:
                yield self._rejected(f"no relation is called {text!r}", place, cells)
                return
            relation = named[0]
            ends = (object_, subject) if named[1] else ends
        try:
            given = maker.confidence.of(cells)
            sure = 1.0 if given is None else confidence(given)
            qualifiers = {
                known.name: convert(value_, known)
                for known, value in maker.qualifiers
                if (value_ := value.of(cells)) is not None
            }
        except ValueError as error:
            yield self._rejected(str(error), place, cells)
            return
        claim = Claim(ends[0], relation, ends[1], source, sure, qualifiers, self._document, place)  # type: ignore[arg-type]
        if problem := self._names.ontology.check_claim(claim):
            yield self._rejected(problem, place, cells)
        else:
            yield claim

    def _rejected(self, reason: str, place: str, cells: Cells) -> Rejected:
        return Rejected(
            reason, place, ",".join(c if isinstance(c, str) else "|".join(c) for c in cells.values()), self._document
        )
