"""GraphML (http://graphml.graphdrawing.org), as NetworkX, Gephi, yEd and Neo4j's `apoc.export.graphml` write it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

import orjson
from defusedxml.common import DefusedXmlException

from ingestion.readers.base import Document, find_documents
from ingestion.readers.graph_names import GraphNames, shipped_ontology
from ingestion.readers.limited_xml import events
from ingestion.readers.property_graph import Node, PropertyGraph
from kg.errors import InputError
from kg.model import Record, Rejected
from kg.ontology import Ontology

_LABELS = ("labels", "type", "class", "category", "node_type", "entity_type", "kind")
"""Attributes that say what kind of thing a node is, the most telling first; `label` does where it names a class."""
_RELATIONS = ("label", "labels", "relation", "predicate", "relationship", "type", "edge label", "interaction")
_DRAWING = frozenset(("r", "g", "b", "a", "size", "x", "y", "z"))
"""Where and how Gephi draws a node or edge: nothing that is said of it."""


class GraphMLReader:
    """Reads nodes as entities and edges as claims; an edge that names no relation is a `RELATED_TO`."""

    name = "graphml"
    version = "2"
    extensions: tuple[str, ...] = (".graphml",)
    example = "evigraph ingest graphml graph.graphml"

    def __init__(self, ontology: Ontology | None = None) -> None:
        self._ontology = ontology

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each file; see `Reader.documents`."""
        if path is None:
            raise InputError("reader graphml needs a file or folder")
        return find_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """The file as source, then nodes and edges as they come; edges wait for their nodes."""
        names = GraphNames(self._ontology or shipped_ontology())
        with PropertyGraph(document, names, "document") as graph:
            yield graph.source
            try:
                yield from _File(document, graph, names).records()
            except ParseError as error:
                line, column = error.position
                reason = f"not XML from here on: {str(error.msg).partition(':')[0]} at column {column + 1}"
                yield graph.rejected(reason, f"L{line}")
            except DefusedXmlException:
                yield graph.rejected("document type declarations are refused: what follows is not read", "")
            except LookupError as error:  # of its declared encoding
                yield graph.rejected(f"can't be decoded: {error}", "L1")
            except ValueError as error:
                yield graph.rejected(f"not read from here on: {error}", "")
            yield from graph.rest()


@dataclass(frozen=True, slots=True)
class _Key:
    """A declared attribute: whose (`node`, `edge`, `all`), its name, whether it is a list, how it is left out."""

    domain: str
    name: str
    is_list: bool
    is_drawing: bool
    default: str | None


class _File:
    """One pass over a file; what has been read of it is freed element by element."""

    def __init__(self, document: Document, graph: PropertyGraph, names: GraphNames) -> None:
        self._document = document
        self._graph = graph
        self._names = names
        self._keys: dict[str, _Key] = {}
        self._edges = 0

    def records(self) -> Iterator[Record]:
        parents: list[Element] = []
        with self._document.open() as file:
            for event, element in events(file, forbid_dtd=True):
                if event == "start":
                    parents.append(element)
                    continue
                parents.pop()
                kind = _local(element)
                if kind == "key":
                    self._key(element)
                elif kind == "node":
                    yield from self._node(element)
                elif kind == "edge":
                    yield from self._edge(element)
                elif kind == "hyperedge":
                    yield self._graph.rejected("hyperedges are not read", "hyperedge", element.attrib)
                elif kind != "graph":
                    continue
                if parents:
                    parents[-1].remove(element)

    def _key(self, element: Element) -> None:
        default = next((child.text or "" for child in element if _local(child) == "default"), None)
        self._keys[element.get("id", "")] = _Key(
            domain=element.get("for", "all"),
            name=element.get("attr.name", "") or element.get("id", ""),
            is_list="attr.list" in element.attrib,
            is_drawing=element.get("yfiles.type") is not None,
            default=default,
        )

    # ---- nodes ----------------------------------------------------------------------------------------------------

    def _node(self, element: Element) -> Iterator[Record]:
        key = element.get("id")
        if not key:
            yield self._graph.rejected("a node needs an id", "node", element.attrib)
            return
        place = f"node[@id='{key}']"
        given: dict[str, object] = {}
        yield from self._data(element, "node", given, place)
        labels, implied = self._labels(element, given)
        for name in [n for n in given if n in _DRAWING and self._names.property_(n, implied) is None]:
            del given[name]
        yield from self._graph.node(Node(key, labels, given), place)

    def _labels(self, element: Element, given: dict[str, object]) -> tuple[list[str], frozenset[str]]:
        """What kind of thing a node is: taken out of its data."""
        text = element.get("labels", "")
        for name in _LABELS:
            if name in given and (not text or name == "labels"):
                text = text or str(given[name] or "")
                del given[name]
        labels = [part.strip() for part in _split(text) if part.strip()]
        if not labels and self._names.class_(str(given.get("label", ""))):
            labels = [str(given.pop("label"))]
        return labels, self._names.implied(self._names.classes(labels)[0])

    # ---- edges ----------------------------------------------------------------------------------------------------

    def _edge(self, element: Element) -> Iterator[Record]:
        self._edges += 1
        place = f"edge[{self._edges}]"
        start, end = element.get("source"), element.get("target")
        if not start or not end:
            yield self._graph.rejected("an edge needs a source and a target", place, element.attrib)
            return
        given: dict[str, object] = {}
        yield from self._data(element, "edge", given, place)
        relation = element.get("label", "")
        by_name = {name.lower(): name for name in given}
        for wanted in _RELATIONS:
            if wanted in by_name and (not relation or given[by_name[wanted]] == relation):
                relation = str(given.pop(by_name[wanted]) or "")
        for name in _DRAWING & given.keys():
            del given[name]
        yield from self._graph.edge(Node(start), relation.strip(), Node(end), given, place)

    # ---- data -----------------------------------------------------------------------------------------------------

    def _data(self, element: Element, domain: str, given: dict[str, object], place: str) -> Iterator[Rejected]:
        """Fills in the values of an element's attributes, defaults included."""
        seen: set[str] = set()
        for data in element:
            if _local(data) != "data":
                continue
            id_ = data.get("key", "")
            key = self._keys.get(id_) or _Key("all", id_, is_list=False, is_drawing=False, default=None)
            if id_ in seen and not key.is_drawing:
                yield self._graph.rejected("is given twice", f"{place}.{key.name}", data.text or "")
                continue
            seen.add(id_)
            if key.is_drawing:
                if text := _drawn(data):
                    given.setdefault("label", text)
                continue
            try:
                given[key.name] = _value(data.text or "", key)
            except ValueError:
                yield self._graph.rejected("is not a JSON list", f"{place}.{key.name}", data.text or "")
        for id_, key in self._keys.items():
            if key.default is not None and key.domain in (domain, "all") and id_ not in seen and not key.is_drawing:
                given[key.name] = _value(key.default, key)


def _value(text: str, key: _Key) -> object:
    """A value; None for an empty one, since none of the writers tells an empty text from no value.

    Raises:
        ValueError: it should be a list and is not.
    """
    if not text.strip():
        return None
    if not key.is_list:
        return text
    found = orjson.loads(text)
    if not isinstance(found, list):
        raise ValueError("not a list")
    return found


def _drawn(data: Element) -> str:
    """The first text that yEd draws on a node or edge."""
    texts = ((e.text or "").strip() for e in data.iter() if _local(e) in ("NodeLabel", "EdgeLabel"))
    return next(filter(None, texts), "")


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _split(text: str) -> list[str]:
    """Labels in one text: `:Person:User` of Neo4j, `biolink:Gene|biolink:Protein` of KGX, or one."""
    if text.startswith(":"):
        return text.split(":")
    return text.replace("|", ";").split(";")
