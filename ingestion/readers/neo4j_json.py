"""Exports of a Neo4j database as JSON: those of `apoc.export.json`, and results saved by Neo4j's browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingestion.readers.base import Document, find_documents
from ingestion.readers.graph_names import GraphNames, shipped_ontology
from ingestion.readers.json_values import TOP, starts_with_object, values
from ingestion.readers.property_graph import Node, PropertyGraph
from kg.errors import InputError
from kg.model import Record, Rejected
from kg.ontology import Ontology

_CONTAINERS = (("nodes",), ("rels",), ("relationships",))
_HEAD = 4096


class Neo4jJsonReader:
    """Reads JSON lines, an array, or an object of `nodes` and `rels`.

    Labels are classes, relationship types relations, properties those of the ontology, in whatever case they are
    written. An export holds what the database says: it is one source.
    """

    name = "neo4j_json"
    version = "1"
    extensions: tuple[str, ...] = (".json", ".jsonl")
    example = "evigraph ingest neo4j_json export.json"

    def __init__(self, ontology: Ontology | None = None) -> None:
        self._ontology = ontology

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each file; see `Reader.documents`."""
        if path is None:
            raise InputError("reader neo4j_json needs a file or folder")
        return find_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """The database as source, then nodes and relationships as they come; relationships wait for their nodes."""
        with PropertyGraph(document, GraphNames(self._ontology or shipped_ontology()), "database") as graph:
            yield graph.source
            for item in values(document, *(_CONTAINERS if _is_one_object(document) else (TOP,))):
                if isinstance(item, Rejected):
                    yield item
                    continue
                found = False
                for value, place in _parts(item.value, item.place):
                    found = True
                    yield from (
                        _relationship(graph, value, place)
                        if "start" in value or value.get("type") == "relationship"
                        else _node(graph, value, place)
                    )
                if not found:
                    yield graph.rejected("neither a node nor a relationship", item.place, item.value)
            yield from graph.rest()


def _is_one_object(document: Document) -> bool:
    """Whether the file is one object with `nodes`, rather than lines or an array."""
    if not starts_with_object(document):
        return False
    with document.open() as file:
        head = file.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()[1:].lstrip()
    return head.startswith(tuple(f'"{name}"'.encode() for (name,) in _CONTAINERS))


def _parts(value: Any, place: str) -> Iterator[tuple[dict[str, Any], str]]:  # noqa: ANN401 (JSON)
    """The nodes and relationships (these have a `start`) in a value, such as a row of a result, with their places."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _parts(item, f"{place}[{number}]")
    elif isinstance(value, dict):
        if (
            "labels" in value
            or value.get("type") in ("node", "relationship")
            or {"start", "end", "type"} <= value.keys()
        ):
            yield value, place
        else:
            for name, item in value.items():
                yield from _parts(item, f"{place}.{name}")


def _node(graph: PropertyGraph, value: dict[str, Any], place: str) -> Iterator[Record]:
    node = _as_node(value)
    if node is None:
        yield graph.rejected("a node needs an id, a list of labels and named properties", place, value)
    else:
        yield from graph.node(node, place)


def _as_node(value: object) -> Node | None:
    """A node; None if it is not one. A mere id is a node of which nothing is said."""
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return Node(str(value))
    if not isinstance(value, dict):
        return None
    key = next((value[name] for name in ("id", "elementId", "identity") if name in value), None)
    labels, properties = value.get("labels") or [], value.get("properties") or {}
    if not isinstance(key, (str, int)) or not isinstance(labels, list) or not isinstance(properties, dict):
        return None
    return Node(str(key), labels, properties) if all(isinstance(label, str) for label in labels) else None


def _relationship(graph: PropertyGraph, value: dict[str, Any], place: str) -> Iterator[Record]:
    relation = value.get("label", value.get("type"))
    properties = value.get("properties") or {}
    # the browser names ends by number and by element id; nodes go by their element id, too
    ends = ("startNodeElementId", "endNodeElementId") if "startNodeElementId" in value else ("start", "end")
    start, end = (_as_node(value.get(name)) for name in ends)
    if start is None or end is None or not isinstance(relation, str) or not isinstance(properties, dict):
        yield graph.rejected("a relationship needs a label, a start, an end and named properties", place, value)
    else:
        yield from graph.edge(start, relation, end, properties, place)
