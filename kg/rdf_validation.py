"""SHACL validation of RDF against the ontology's shapes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyoxigraph
import pyshacl
from rdflib import RDF, SH, XSD, BNode, Graph, Literal, URIRef

from kg.ontology import Ontology
from kg.rdf_import import parse_rdf


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one node: IRIs of the node and the property (empty where it is not about one), and why."""

    focus: str
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """Whether a graph fits the shapes, and where not, sorted."""

    conforms: bool
    violations: tuple[Violation, ...]


def validate_rdf(graph: Graph | Path, ontology: Ontology) -> ValidationReport:
    """Checks an export, or any RDF in the ontology's words, against the SHACL shapes of the ontology.

    The whole graph is held in memory: this is for files of up to some hundred thousand statements.

    Args:
        graph: a graph, or a file of Turtle or N-Quads (whose named graphs are taken together).
        ontology: its Turtle files hold the shapes.

    Raises:
        InputError: the file can't be read, or is not what its extension says.
    """
    data = graph if isinstance(graph, Graph) else _load(graph)
    conforms, results, _ = pyshacl.validate(data, shacl_graph=ontology.graph, inference="none")
    found = {
        Violation(
            focus=str(results.value(result, SH.focusNode)),
            path=str(results.value(result, SH.resultPath) or ""),
            message=str(results.value(result, SH.resultMessage)),
        )
        for result in results.subjects(RDF.type, SH.ValidationResult)
    }
    return ValidationReport(bool(conforms), tuple(sorted(found, key=lambda v: (v.focus, v.path, v.message))))


def _load(path: Path) -> Graph:
    graph = Graph()
    for quad in parse_rdf(path):
        graph.add((_rdflib(quad.subject), _rdflib(quad.predicate), _rdflib(quad.object)))
    return graph


def _rdflib(term: object) -> URIRef | BNode | Literal:
    if isinstance(term, pyoxigraph.NamedNode):
        return URIRef(term.value)
    if isinstance(term, pyoxigraph.Literal):
        if term.language or term.datatype.value == str(XSD.string):  # RDFLib's plain literals are strings, untyped
            return Literal(term.value, lang=term.language)
        return Literal(term.value, datatype=URIRef(term.datatype.value))
    return BNode(str(term))
