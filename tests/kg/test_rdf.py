"""RDF: what is exported reads back the same, in whatever order; what is broken is refused by name."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest
import rdflib
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rdflib import RDF, Dataset, Graph, Literal, URIRef

from kg.errors import InputError, OntologyError, StoreUnavailableError
from kg.model import Claim, Entity, Record, Rejected, Source
from kg.ontology import EG, Ontology
from kg.rdf import export_rdf
from kg.rdf_import import read_rdf
from kg.rdf_terms import Terms
from tests.kg.memory_store import MemoryStore

ONTOLOGY = Ontology.load()
OBO = "http://purl.obolibrary.org/obo/"


def loaded(records: list[Record]) -> MemoryStore:
    """A store with these records; the order must be one that a store can take."""
    store = MemoryStore(ONTOLOGY)
    kinds = [type(record) for record in records]
    assert kinds == sorted(kinds, key=(Source, Entity, Claim).index)
    parts = [[r for r in records if isinstance(r, kind)] for kind in (Source, Entity, Claim)]
    for check, part in zip((ONTOLOGY.check_source, ONTOLOGY.check_entity, ONTOLOGY.check_claim), parts, strict=True):
        assert [check(record) for record in part] == [None] * len(part)
    store.write(*parts)
    return store


def example() -> MemoryStore:
    store = MemoryStore(ONTOLOGY, batch=2)
    store.write(
        [
            Source("PMID:1", "publication", document="d1"),
            Source("hpo:2025", "database", name="HPO", version="2025", url="https://hpo.jax.org", document="d1"),
            Source("hpo:2025", "database", name="Another name", reliability=1, document="d2"),
            Source("llm x/1@ü", "model", model="m", reliability=0.25),
        ],
        [
            Entity(
                "HP:0001250", ("Phenotype",), "hpo:2025", {"name": "Seizure", "synonyms": ("b", "a", "b")}, "d1", "L1"
            ),
            Entity("HP:0001250", ("Phenotype",), "llm x/1@ü", {"name": "Fit", "synonyms": ()}, "d2"),
            Entity("OMIM:1", ("Disease",), "hpo:2025", {"name": 'line\none "two" \\ ü漢\U0001f600\t\r'}, "d1"),
            Entity("X:patient_ü", ("Patient",), "PMID:1", {"age": "P12M", "sex": "FEMALE", "obsolete": False}),
            Entity("NCBIGene:5", ("Gene",), "hpo:2025", {"name": ""}, "d1"),
        ],
        [
            Claim("OMIM:1", "HAS_PHENOTYPE", "HP:0001250", "PMID:1", 0.1, {"frequency_percent": 5}, "d1", "L17"),
            Claim("OMIM:1", "HAS_PHENOTYPE", "HP:0001250", "PMID:1", 1.0, {"frequency_percent": 5.0}, "d1", "L18"),
            Claim("OMIM:1", "HAS_PHENOTYPE", "HP:0001250", "llm x/1@ü", 0.25, {"onset_term": "HP:0003577"}, "", ""),
            Claim(
                "OMIM:1", "HAS_PHENOTYPE", "HP:0001250", "hpo:2025", 0.0, {"onset_age": "P12M", "evidence": ""}, "d 2"
            ),
            Claim("OMIM:1", "HAS_PHENOTYPE", "HP:0001250", "hpo:2025", 0.5, {"onset_term": "no curie"}, "d1"),
            Claim("NCBIGene:5", "ASSOCIATED_WITH", "OMIM:1", "hpo:2025", 1.0, {"frequency_numerator": 2**62}, "d1"),
            Claim("HP:0001250", "IS_A", "HP:0000118", "hpo:2025", document="d1"),
        ],
    )
    return store


@pytest.mark.parametrize("name", ["graph.ttl", "graph.nq"])
async def test_reads_back_the_same(tmp_path: Path, name: str) -> None:
    store = example()
    report = await export_rdf(store, tmp_path / name)
    assert (report.version, report.entities, report.facts, report.claims, report.sources) == (1, 5, 3, 7, 3)
    records = list(read_rdf(tmp_path / name, ONTOLOGY))
    assert loaded(records).content() == store.content()
    assert len(records) == 4 + 5 + 7
    assert [entry.name for entry in os.scandir(tmp_path)] == [name]


async def test_turtle_is_one_document_and_repeatable(tmp_path: Path) -> None:
    for name in ("one.ttl", "two.ttl"):
        await export_rdf(example(), tmp_path / name)
    text = (tmp_path / "one.ttl").read_text()
    prefixes = [line.split()[1] for line in text.splitlines() if line.startswith("@prefix")]
    assert prefixes == sorted(set(prefixes))
    assert "\nHP:0001250 a eg:Entity , eg:OntologyTerm , eg:Phenotype ;" in text
    assert (tmp_path / "two.ttl").read_text() == text


async def test_order_of_statements_does_not_matter(tmp_path: Path) -> None:
    store = example()
    await export_rdf(store, tmp_path / "graph.nq")
    lines = (tmp_path / "graph.nq").read_bytes().splitlines(keepends=True)
    random.Random(3).shuffle(lines)
    (tmp_path / "graph.nq").write_bytes(b"".join(lines + lines[:20]))
    assert loaded(list(read_rdf(tmp_path / "graph.nq", ONTOLOGY))).content() == store.content()


async def test_reads_what_another_tool_wrote_from_an_export(tmp_path: Path) -> None:
    store = example()
    await export_rdf(store, tmp_path / "graph.ttl")
    rdflib.NORMALIZE_LITERALS = False
    try:
        graph = Graph().parse(tmp_path / "graph.ttl")
        graph.serialize(tmp_path / "again.ttl", format="turtle", encoding="utf-8")
    finally:
        rdflib.NORMALIZE_LITERALS = True
    assert loaded(list(read_rdf(tmp_path / "again.ttl", ONTOLOGY))).content() == store.content()


texts = st.text(st.characters(codec="utf-8"), max_size=6)
ids = st.builds("{}:{}".format, st.sampled_from(["HP", "OMIM", "PMID", "x", "http"]), st.text(min_size=1, max_size=4))
ids = ids.filter(lambda id_: ONTOLOGY.check_entity(Entity(id_, ("Disease",), "s")) is None and id_.isprintable())
sources = st.sampled_from(["PMID:1", "hpo:2025", "llm x/1@ü", "%", "a b"])
qualifiers = st.fixed_dictionaries(
    {},
    optional={
        "frequency_numerator": st.integers(-(2**63), 2**63 - 1),
        "frequency_percent": st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: abs(x) < 1e308),
        "frequency_term": texts,
        "onset_age": texts,
        "evidence": texts,
    },
)
properties = st.fixed_dictionaries(
    {},
    optional={
        "name": texts,
        "synonyms": st.lists(texts, max_size=3).map(tuple),
        "obsolete": st.booleans(),
        "age": texts,
    },
)
classes = st.sampled_from([("Disease",), ("Patient",), ("Disease", "Patient"), ("Gene", "Patient")])
patients = st.builds(Entity, ids, classes.filter(lambda c: "Patient" in c), sources, properties, texts, texts)
claims = st.builds(
    Claim, ids, st.sampled_from(["HAS_PHENOTYPE", "IS_A"]), ids, sources, st.floats(0, 1), qualifiers, texts, texts
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(patients, max_size=4), st.lists(claims, max_size=6), st.sampled_from([".ttl", ".nq"]))
def test_anything_reads_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, entities: list[Entity], claims: list[Claim], suffix: str
) -> None:
    store = MemoryStore(ONTOLOGY, batch=2)
    cited = sorted({record.source for record in (*entities, *claims)})
    store.write([Source(id_, "person", document="d") for id_ in cited], entities, claims)
    path = tmp_path_factory.mktemp("rdf") / f"graph{suffix}"
    asyncio.run(export_rdf(store, path))
    assert loaded(list(read_rdf(path, ONTOLOGY))).content() == store.content()


@given(st.text(st.characters(codec="utf-8")))
def test_iri_of_any_text_is_reversible(text: str) -> None:
    terms = Terms(ONTOLOGY)
    for id_ in (text, f"HP:{text}", f"OMIM:{text}", f"{text}:1"):
        assert terms.id(terms.iri(id_)) == id_
        assert terms.node(id_).value == terms.iri(id_)


def test_iris_are_those_that_others_use() -> None:
    terms = Terms(ONTOLOGY)
    assert terms.iri("HP:0001250") == f"{OBO}HP_0001250"
    assert terms.iri("OMIM:154700") == "https://omim.org/entry/154700"
    assert terms.iri("PMID:31675180") == "https://pubmed.ncbi.nlm.nih.gov/31675180"
    assert terms.iri("ORPHA:558") == "http://www.orpha.net/ORDO/Orphanet_558"
    assert terms.iri("case:a b/ü") == f"{EG}id/case:a%20b/%C3%BC"
    with pytest.raises(ValueError, match="no prefix"):
        terms.id("https://example.org/1")


async def test_what_a_user_of_rdf_sees(tmp_path: Path) -> None:
    await export_rdf(example(), tmp_path / "graph.nq")
    data = Dataset()
    data.parse(tmp_path / "graph.nq", format="nquads")
    plain = data.default_graph
    disease, seizure = URIRef("https://omim.org/entry/1"), URIRef(f"{OBO}HP_0001250")
    assert (disease, EG.hasPhenotype, seizure) in plain
    assert set(plain.objects(seizure, RDF.type)) == {EG.Entity, EG.OntologyTerm, EG.Phenotype}
    assert plain.value(seizure, EG.name) == Literal("Seizure"), "of two sources, the more reliable one's"
    assert set(plain.objects(seizure, EG.synonyms)) == {Literal("a"), Literal("b"), Literal("Fit")}
    assert set(plain.predicates()) <= {RDF.type} | {URIRef(t.iri) for t in ONTOLOGY.properties.values()} | {
        URIRef(r.iri) for r in ONTOLOGY.relations.values()
    }, "nothing but what the graph holds"
    rows = data.graph(URIRef(f"{EG}graph/provenance")).query(
        """
        PREFIX prov: <http://www.w3.org/ns/prov#> PREFIX eg: <https://w3id.org/evigraph/>
        SELECT ?belief ?confidence ?source ?kind ?onset WHERE {
            ?fact a eg:Fact, rdf:Statement ; rdf:subject ?s ; rdf:predicate eg:hasPhenotype ; rdf:object ?o .
            ?fact eg:belief ?belief . ?claim a eg:Claim, prov:Entity ; eg:supports ?fact ; eg:onsetTerm ?onset .
            ?claim eg:confidence ?confidence ; prov:wasAttributedTo ?source .
            ?source a eg:Source, prov:Entity ; eg:sourceKind ?kind
        } ORDER BY ?onset""",
        initBindings={"s": disease, "o": seizure},
    )
    found = [tuple(row) for row in rows]
    assert [row[4] for row in found] == [URIRef(f"{OBO}HP_0003577"), URIRef(f"{EG}id/no%20curie")]
    assert found[0][0].toPython() == pytest.approx(1 - (1 - 0.95) * (1 - 0.25 * 0.25) * (1 - 1 * 0.5))
    assert found[0][1].toPython() == 0.25
    assert found[0][2:4] == (URIRef(f"{EG}id/llm%20x/1@%C3%BC"), EG.model)


async def test_one_domain(tmp_path: Path) -> None:
    turtle = tmp_path / "birds.ttl"
    turtle.write_text(
        """@prefix eg: <https://w3id.org/evigraph/> . @prefix owl: <http://www.w3.org/2002/07/owl#> .
        @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
        eg:Bird a owl:Class ; rdfs:subClassOf eg:Entity . eg:Nest a owl:Class ; rdfs:subClassOf eg:Entity .
        eg:buildsNest a owl:ObjectProperty ; rdfs:domain eg:Bird ; rdfs:range eg:Nest ."""
    )
    folder = Path(__file__).parents[2] / "kg" / "ontologies"
    ontology = Ontology.load([*sorted(folder.glob("*.ttl")), turtle])
    store = MemoryStore(ontology)
    store.write(
        [Source("s:birds", "person"), Source("s:medical", "person"), Source("s:neither", "person")],
        [
            Entity("b:wren", ("Bird",), "s:birds"),
            Entity("b:bird", ("Bird",), "s:birds"),
            Entity("b:nest", ("Nest",), "s:birds"),
            Entity("OMIM:1", ("Disease",), "s:medical"),
            Entity("OMIM:2", ("Disease",), "s:medical"),
        ],
        [
            Claim("b:wren", "BUILDS_NEST", "b:nest", "s:birds"),
            Claim("b:wren", "IS_A", "b:bird", "s:birds"),
            Claim("OMIM:1", "IS_A", "OMIM:2", "s:medical"),
            Claim("OMIM:1", "HAS_PHENOTYPE", "HP:1", "s:medical"),
        ],
    )
    await export_rdf(store, tmp_path / "out.ttl", domain="birds")
    records = list(read_rdf(tmp_path / "out.ttl", ontology))
    assert {r.id for r in records if isinstance(r, Source)} == {"s:birds"}
    assert {r.id for r in records if isinstance(r, Entity)} == {"b:wren", "b:bird", "b:nest"}
    assert {(r.subject, r.relation) for r in records if isinstance(r, Claim)} == {
        ("b:wren", "BUILDS_NEST"),
        ("b:wren", "IS_A"),
    }
    whole = await export_rdf(store, tmp_path / "all.ttl")
    assert (whole.facts, whole.entities, whole.sources) == (4, 6, 3)
    with pytest.raises(OntologyError, match="fish"):
        await export_rdf(store, tmp_path / "out.ttl", domain="fish")


class RestlessStore(MemoryStore):
    """Is written to during each of the first passes."""

    writes = 2

    async def scan_facts(self, relations, since=0):
        async for rows in super().scan_facts(relations, since):
            yield rows
        if self.writes:
            self.writes -= 1
            self.write(claims=[Claim("X:new", "IS_A", f"X:{self.writes}", "s")])


async def test_an_export_is_of_one_version(tmp_path: Path) -> None:
    store = RestlessStore(ONTOLOGY)
    store.write([Source("s", "person")], (), [Claim("X:1", "IS_A", "X:2", "s")])
    report = await export_rdf(store, tmp_path / "graph.ttl")
    assert (report.version, report.facts) == (3, 3)
    assert loaded(list(read_rdf(tmp_path / "graph.ttl", ONTOLOGY))).content() == store.content()
    store.writes = 100
    with pytest.raises(StoreUnavailableError, match="faster"):
        await export_rdf(store, tmp_path / "other.ttl")
    assert [entry.name for entry in os.scandir(tmp_path)] == ["graph.ttl"], "nothing half-written is left"


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("a.ttl", b"@prefix eg: <https://w3id.org/evigraph/> .\n\neg:a eg:b eg:c .\n eg:c ;", "a.ttl:4"),
        ("a.nq", b"<a:b> <c:d> <e:f> .\n<a:b> <c:d> nonsense .\n", "a.nq:2"),
        ("a.nq", b'<a:b> <c:d> "\xff" .\n', "a.nq:1"),
    ],
)
def test_bad_syntax_names_file_and_line(tmp_path: Path, name: str, text: bytes, place: str) -> None:
    (tmp_path / name).write_bytes(text)
    with pytest.raises(InputError) as error:
        list(read_rdf(tmp_path / name, ONTOLOGY))
    assert error.value.place.endswith(place)
    assert error.value.reason


async def test_truncated_export_gives_no_records(tmp_path: Path) -> None:
    await export_rdf(example(), tmp_path / "graph.ttl")
    whole = (tmp_path / "graph.ttl").read_bytes()
    (tmp_path / "graph.ttl").write_bytes(whole[: len(whole) // 2 - 1])
    with pytest.raises(InputError):
        next(read_rdf(tmp_path / "graph.ttl", ONTOLOGY))


async def test_files_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.ttl"):
        list(read_rdf(tmp_path / "missing.ttl", ONTOLOGY))
    with pytest.raises(InputError, match=r"\.ttl, \.nq"):
        list(read_rdf(tmp_path / "graph.xml", ONTOLOGY))
    with pytest.raises(InputError, match=r"\.ttl, \.nq"):
        await export_rdf(example(), tmp_path / "graph.xml")


BREAKS = {
    "no source": (lambda line: "wasAttributedTo" in line and "/claim/" in line, None, "wasAttributedTo"),
    "no confidence": (lambda line: "evigraph/confidence" in line, None, "confidence"),
    "wrong number": (lambda line: "evigraph/confidence" in line, ('"1.0"', '"much"'), "much"),
    "no fact": (lambda line: "ns#predicate" in line, None, "predicate"),
    "unknown relation": (lambda line: "ns#predicate" in line, ("evigraph/isA", "evigraph/wasA"), "wasA"),
    "unknown prefix": (lambda line: "ns#object" in line, (OBO + "HP_", "http://example.org/"), "no prefix"),
    "unknown qualifier": (lambda line: "atPlace" in line, ("atPlace", "atHome"), "atHome"),
    "a gap in a list": (lambda line: "ns#_1>" in line, None, "gaps"),
    "no entity": (lambda line: "evigraph/describes>" in line, None, "describes"),
}


@pytest.mark.parametrize("name", BREAKS)
async def test_broken_nodes_are_rejected_and_the_rest_read(tmp_path: Path, name: str) -> None:
    wanted, change, word = BREAKS[name]
    store = example()
    await export_rdf(store, tmp_path / "graph.nq")
    whole = list(read_rdf(tmp_path / "graph.nq", ONTOLOGY))
    lines = (tmp_path / "graph.nq").read_text().split("\n")
    line = next(i for i, text in enumerate(lines) if wanted(text) and (change is None or change[0] in text))
    lines[line] = lines[line].replace(*change) if change else ""
    (tmp_path / "graph.nq").write_text("\n".join(lines))
    records = list(read_rdf(tmp_path / "graph.nq", ONTOLOGY))
    rejected = [r for r in records if isinstance(r, Rejected)]
    assert rejected
    assert all(word in r.reason and r.place.startswith(str(EG)) for r in rejected), rejected
    assert len(records) == len(whole)
    assert all(record in whole for record in records if not isinstance(record, Rejected))


def test_claims_under_other_iris_are_not_dropped_in_silence(tmp_path: Path) -> None:
    (tmp_path / "other.ttl").write_text("@prefix eg: <https://w3id.org/evigraph/> . <urn:x> a eg:Claim .")
    (record,) = read_rdf(tmp_path / "other.ttl", ONTOLOGY)
    assert isinstance(record, Rejected)
    assert "urn:x" in record.place
