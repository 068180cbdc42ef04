"""SHACL: a real export conforms to the ontology's shapes; each kind of damage is found and named."""

from __future__ import annotations

from pathlib import Path

import pytest
from rdflib import RDF, SH, XSD, Graph, Literal, Namespace, URIRef

from kg.errors import InputError
from kg.ontology import EG, Ontology
from kg.rdf import export_rdf
from kg.rdf_validation import validate_rdf
from tests.kg.test_rdf import OBO, ONTOLOGY, example

PROV = Namespace("http://www.w3.org/ns/prov#")
SEIZURE, DISEASE = URIRef(f"{OBO}HP_0001250"), URIRef("https://omim.org/entry/1")
PATIENT = URIRef(f"{EG}id/X:patient_%C3%BC")


@pytest.mark.parametrize("name", ["graph.ttl", "graph.nq"])
async def test_export_conforms(tmp_path: Path, name: str) -> None:
    await export_rdf(example(), tmp_path / name)
    report = validate_rdf(tmp_path / name, ONTOLOGY)
    assert report.violations == ()
    assert report.conforms


def first(graph: Graph, class_: URIRef) -> URIRef:
    return sorted(graph.subjects(RDF.type, class_))[0]


def belief_beyond_one(g: Graph) -> tuple[URIRef, URIRef]:
    fact = first(g, EG.Fact)
    g.set((fact, EG.belief, Literal(1.5, datatype=XSD.double)))
    return fact, EG.belief


def claim_without_source(g: Graph) -> tuple[URIRef, URIRef]:
    claim = first(g, EG.Claim)
    g.remove((claim, PROV.wasAttributedTo, None))
    return claim, PROV.wasAttributedTo


def claim_of_nobody_known(g: Graph) -> tuple[URIRef, URIRef]:
    claim = first(g, EG.Claim)
    g.set((claim, PROV.wasAttributedTo, URIRef("urn:nobody")))
    return claim, PROV.wasAttributedTo


def confidence_as_text(g: Graph) -> tuple[URIRef, URIRef]:
    claim = first(g, EG.Claim)
    g.set((claim, EG.confidence, Literal("high")))
    return claim, EG.confidence


def two_names(g: Graph) -> tuple[URIRef, URIRef]:
    g.add((SEIZURE, EG.name, Literal("Another name")))
    return SEIZURE, EG.name


def phenotype_that_is_a_disease(g: Graph) -> tuple[URIRef, URIRef]:
    g.add((DISEASE, EG.hasPhenotype, DISEASE))
    return DISEASE, EG.hasPhenotype


def unknown_sex(g: Graph) -> tuple[URIRef, URIRef]:
    g.set((PATIENT, EG.sex, Literal("often")))
    return PATIENT, EG.sex


def source_without_kind(g: Graph) -> tuple[URIRef, URIRef]:
    source = first(g, EG.Source)
    g.remove((source, EG.sourceKind, None))
    return source, EG.sourceKind


def fact_that_nobody_claims(g: Graph) -> tuple[URIRef, URIRef | None]:
    fact = first(g, EG.Fact)
    for claim in list(g.subjects(EG.supports, fact)):
        g.remove((claim, None, None))
    return fact, None


def description_of_nothing(g: Graph) -> tuple[URIRef, URIRef]:
    description = first(g, EG.Description)
    g.remove((description, EG.describes, None))
    return description, EG.describes


@pytest.mark.parametrize(
    "damage",
    [
        belief_beyond_one,
        claim_without_source,
        claim_of_nobody_known,
        confidence_as_text,
        two_names,
        phenotype_that_is_a_disease,
        unknown_sex,
        source_without_kind,
        fact_that_nobody_claims,
        description_of_nothing,
    ],
)
async def test_damage_is_found(tmp_path: Path, damage) -> None:
    await export_rdf(example(), tmp_path / "graph.ttl")
    graph = Graph().parse(tmp_path / "graph.ttl")
    focus, path = damage(graph)
    report = validate_rdf(graph, ONTOLOGY)
    assert not report.conforms
    assert {v.focus for v in report.violations} == {str(focus)}
    assert path is None or {v.path for v in report.violations} == {str(path)}
    assert all(v.message for v in report.violations)


def test_kinds_of_source_are_those_of_the_ontology() -> None:
    """The shape lists them, since a closed list is what SHACL can check without the ontology at hand."""
    query = "SELECT ?kind WHERE { ?p sh:path eg:sourceKind ; sh:in/rdf:rest*/rdf:first ?kind }"
    listed = {str(row[0]).removeprefix(str(EG)) for row in ONTOLOGY.graph.query(query, initNs={"eg": EG, "sh": SH})}
    assert listed == set(Ontology.load().source_kinds)


def test_bad_syntax(tmp_path: Path) -> None:
    (tmp_path / "bad.ttl").write_text("<a:b>")
    with pytest.raises(InputError, match=r"bad\.ttl:1"):
        validate_rdf(tmp_path / "bad.ttl", ONTOLOGY)
