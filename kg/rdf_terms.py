"""How ids, values and names of the ontology are written as RDF terms, and read back without loss."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, unquote

import orjson
from pyoxigraph import Literal, NamedNode, RdfFormat
from rdflib import OWL, RDF, RDFS, SH, XSD, URIRef

from kg.errors import InputError
from kg.model import Scalar
from kg.ontology import EG, Ontology, Property

PROV = "http://www.w3.org/ns/prov#"
SCHEMA = "https://schema.org/"
PROVENANCE_GRAPH = NamedNode(f"{EG}graph/provenance")
SOURCE_FIELDS = {
    "kind": f"{EG}sourceKind",
    "name": f"{SCHEMA}name",
    "model": f"{SCHEMA}model",
    "version": f"{SCHEMA}version",
    "url": f"{SCHEMA}url",
    "reliability": f"{EG}reliability",
}
"""Field of a source → IRI of the property that says it."""

_FORMATS = {".ttl": RdfFormat.TURTLE, ".nq": RdfFormat.N_QUADS}
_ID = f"{EG}id/"
_SAFE = "/:@!$'()*,;=+&"
_BOOLEAN, _INTEGER, _DOUBLE, _DURATION = (
    NamedNode(str(t)) for t in (XSD.boolean, XSD.integer, XSD.double, XSD.duration)
)


def rdf_format(path: Path) -> RdfFormat:
    """Turtle or N-Quads, by the file's extension.

    Raises:
        InputError: neither `.ttl` nor `.nq`.
    """
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise InputError(f"unknown RDF format; known: {', '.join(_FORMATS)}", str(path)) from None


class Terms:
    """IRIs of ids by the ontology's prefix table (`sh:declare`), and RDF values by its ranges."""

    def __init__(self, ontology: Ontology) -> None:
        graph = ontology.graph
        self.namespaces = {
            str(graph.value(entry, SH.prefix)): str(graph.value(entry, SH.namespace))
            for entry in graph.objects(None, SH.declare)
        }
        self._by_length = sorted(self.namespaces.items(), key=lambda item: -len(item[1]))
        self.references = {
            p.name for p in ontology.qualifiers.values() if (URIRef(p.iri), RDF.type, OWL.ObjectProperty) in graph
        }
        durations = set(graph.subjects(RDFS.range, XSD.duration))
        both = (*ontology.properties.values(), *ontology.qualifiers.values())
        self._durations = {p.name for p in both if URIRef(p.iri) in durations}
        self.node = lru_cache(maxsize=1 << 16)(self._node)

    def iri(self, id_: str) -> str:
        """IRI of a CURIE (of any text): in its prefix's namespace, else under `…/id/`; the rest is percent-encoded."""
        prefix, _, local = id_.partition(":")
        namespace = self.namespaces.get(prefix)
        if namespace is not None:
            found = namespace + quote(local, safe=_SAFE)
            if self.id(found) == id_:
                return found
        return _ID + quote(id_, safe=_SAFE)

    def id(self, iri: str) -> str:
        """What `iri` was made of.

        Raises:
            ValueError: no id is written so.
        """
        if iri.startswith(_ID):
            return unquote(iri.removeprefix(_ID), errors="strict")
        for prefix, namespace in self._by_length:
            if iri.startswith(namespace):
                return f"{prefix}:{unquote(iri.removeprefix(namespace), errors='strict')}"
        raise ValueError(f"the ontology declares no prefix for <{iri}>")

    def _node(self, id_: str) -> NamedNode:
        return NamedNode(self.iri(id_))

    def value(self, value: Scalar, known: Property) -> NamedNode | Literal:
        """A value of a property or qualifier, by the ontology's range for it."""
        if not isinstance(value, str):
            return plain(value)
        if known.name in self.references:
            return self.node(value)
        return Literal(value, datatype=_DURATION) if known.name in self._durations else Literal(value)


def plain(value: Scalar) -> Literal:
    """A literal of the value's own type, so that 5, 5.0 and "5" stay apart."""
    if isinstance(value, bool):
        return Literal("true" if value else "false", datatype=_BOOLEAN)
    if isinstance(value, int):
        return Literal(str(value), datatype=_INTEGER)
    if isinstance(value, float):
        return Literal(repr(value), datatype=_DOUBLE)
    return Literal(value)


def scalar(text: str, datatype: str) -> Scalar:
    """The value of a literal.

    Raises:
        ValueError: the text is not of the datatype.
    """
    if datatype == _BOOLEAN.value:
        if text not in ("true", "false", "1", "0"):
            raise ValueError(f"{text!r} is not a boolean")
        return text in ("true", "1")
    if datatype == _INTEGER.value:
        return int(text)
    if datatype == _DOUBLE.value:
        return float(text)
    return text


def node_hash(*parts: str) -> str:
    """24 hexadecimal digits that stand for a sequence of texts in an IRI."""
    return hashlib.blake2b(orjson.dumps(parts), digest_size=12).hexdigest()
