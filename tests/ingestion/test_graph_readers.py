"""RDF, tables with a mapping, GraphML, Neo4j's JSON: the contract, what each format says, real files."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from ingestion.pipeline import ingest
from ingestion.readers.base import get_reader
from ingestion.readers.rdf import RdfReader
from ingestion.readers.table import TableReader
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected, Source
from kg.ontology import Ontology
from kg.rdf import export_rdf
from kg.store import Batch, GraphStore
from tests.ingestion import samples
from tests.ingestion.test_reader_contract import ReaderContract, read_all
from tests.kg.graphs import ATAXIA, DRAVET, MODEL, PUBLICATION, RELEASE, SCN1A, SEIZURE, has
from tests.kg.memory_store import MemoryStore
from tests.support.backends import Backend

PREFIXES = """@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix schema: <http://schema.org/> .
@prefix biolink: <https://w3id.org/biolink/vocab/> .
@prefix ex: <http://example.org/> .
@prefix hp: <http://purl.obolibrary.org/obo/HP_> .
"""
TURTLE = (
    PREFIXES
    + """ex:fever a biolink:Disease ; rdfs:label "Fever"@en, "Fieber"@de ; skos:altLabel "heat" ;
    biolink:has_phenotype hp:0001945 .
ex:pan a schema:Product ; schema:name "Pan" ; schema:price 12.5 ; schema:brand ex:acme .
ex:acme a schema:Brand ; schema:name "Acme" .
"""
)
ITEMS = "id,title,genres,price,maker,score\n1,Toy Story,Animation|Comedy,9.5,Pixar,0.9\n2,Heat,Crime,8,,0.8\n"
MAPPING = """source: {id: "shop:catalogue", kind: database, name: Shop}
split: {genres: "|"}
entities:
  - {class: Item, id: "item:{id}", properties: {name: title, price: price}}
  - {class: Category, id: "genre:{genres}", properties: {name: genres}}
claims:
  - {subject: "item:{id}", relation: HAS_CATEGORY, object: "genre:{genres}", confidence: score}
  - {subject: "item:{id}", relation: HAS_BRAND, object: "brand:{maker}"}
"""
GRAPHML = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key id="d0" for="node" attr.name="type" attr.type="string"/>
  <key id="d1" for="node" attr.name="name" attr.type="string"/>
  <key id="d2" for="node" attr.name="price" attr.type="double"><default>3.5</default></key>
  <key id="d3" for="edge" attr.name="label" attr.type="string"/>
  <key id="d4" for="edge" attr.name="confidence" attr.type="double"/>
  <graph edgedefault="directed">
    <edge source="n0" target="n1"><data key="d3">HAS_BRAND</data><data key="d4">0.7</data></edge>
    <node id="n0"><data key="d0">Item</data><data key="d1">Pan</data></node>
    <node id="n1"><data key="d0">brand</data><data key="d1">Acme</data><data key="d2"></data></node>
    <edge source="n1" target="n0"/>
  </graph>
</graphml>
"""
NEO4J = [
    {"type": "node", "id": "0", "labels": ["Item"], "properties": {"name": "Pan", "price": 9, "id": "item:7"}},
    {"type": "node", "id": "1", "labels": ["Brand"], "properties": {"name": "Acme"}},
    {"id": "5", "type": "relationship", "label": "HAS_BRAND", "start": {"id": "0"}, "end": {"id": "1"}},
]


def lines(*items: object) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def read(reader: str, folder: Path, files: dict[str, str]) -> list[Record]:
    return read_all(get_reader(reader), write(folder, files))


def entities(records: list[Record]) -> dict[str, Entity]:
    return {record.id: record for record in records if isinstance(record, Entity)}


def facts(records: list[Record]) -> list[tuple[str, str, str]]:
    return [(r.subject, r.relation, r.object) for r in records if isinstance(r, Claim)]


def refused(records: list[Record]) -> list[tuple[str, str]]:
    return [(r.place, r.reason) for r in records if isinstance(r, Rejected)]


class TestRdfContract(ReaderContract):
    name = "rdf"

    def write_good(self, folder: Path) -> Path:
        return write(folder, {"a.ttl": TURTLE})

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        return write(folder, {"a.ttl": f"{TURTLE}ex:broken a ] .\n"}), "L11"


class TestTableContract(ReaderContract):
    name = "table"

    def write_good(self, folder: Path) -> Path:
        return write(folder, {"items.csv": ITEMS, "mapping.yaml": MAPPING})

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        return write(folder, {"items.csv": f"{ITEMS}3,too few\n", "mapping.yaml": MAPPING}), "L4"


class TestGraphMLContract(ReaderContract):
    name = "graphml"

    def write_good(self, folder: Path) -> Path:
        return write(folder, {"a.graphml": GRAPHML})

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        edge = '<edge source="n0" target="n1"><data key="d3">EATS</data></edge></graph>'
        return write(folder, {"a.graphml": GRAPHML.replace("</graph>", edge, 1)}), "edge[3]"


class TestNeo4jJsonContract(ReaderContract):
    name = "neo4j_json"

    def write_good(self, folder: Path) -> Path:
        return write(folder, {"a.json": lines(*NEO4J)})

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        return write(folder, {"a.json": f'{lines(*NEO4J)}{{"type": "node", "id": "9", "lab'}), "L4"


# ---- RDF -------------------------------------------------------------------------------------------------------------


def everything() -> Batch:
    """Facts of two sources and documents whose entities are all described."""
    return Batch(
        sources=[PUBLICATION, MODEL, RELEASE],
        entities=[SEIZURE, ATAXIA, DRAVET, SCN1A],
        claims=[
            has(confidence=0.9, frequency_numerator=3, frequency_denominator=4),
            has(source=MODEL, confidence=0.5),
            has(ATAXIA.id, source=MODEL, confidence=0.25, place="L9", onset_age="P1Y"),
            has(DRAVET.id, subject=SCN1A.id, relation="ASSOCIATED_WITH"),
        ],
    )


@pytest.mark.parametrize("name", ["graph.ttl", "graph.nq"])
def test_an_export_comes_back_with_the_same_digest(embedded_backend: Backend, tmp_path: Path, name: str) -> None:
    async def exported() -> str:
        store: GraphStore = await embedded_backend.open()
        try:
            await store.write(everything())
            await export_rdf(store, tmp_path / name)
            return await store.digest()
        finally:
            await store.close()

    async def restored() -> str:
        store = await embedded_backend.open()
        try:
            report = await ingest(store, RdfReader(), tmp_path / name, dead_letters=tmp_path / "letters")
            assert (report.rejected, report.claims) == (0, 4)
            return await store.digest()
        finally:
            await store.close()

    embedded_backend.empty()
    before = asyncio.run(exported())
    embedded_backend.empty()
    assert asyncio.run(restored()) == before


async def test_what_an_export_does_not_describe_is_refused(tmp_path: Path) -> None:
    store = MemoryStore(Ontology.load())
    batch = everything()
    store.write(batch.sources, batch.entities, batch.claims)
    await export_rdf(store, tmp_path / "graph.nq")
    whole = (tmp_path / "graph.nq").read_text().splitlines(keepends=True)
    kept = [line for line in whole if "source-description" not in line or "small" not in line]
    text = "".join(line for line in kept if not ("sourceKind" in line and "/model>" in line))
    (tmp_path / "graph.nq").write_text(text)
    records = read_all(get_reader("rdf"), tmp_path / "graph.nq")
    assert any("nothing describes its source llm:small@1" in reason for _, reason in refused(records))
    assert {r.source for r in records if isinstance(r, Claim)} == {"PMID:1"}
    (tmp_path / "graph.nq").write_text("".join(whole)[:-40])
    with pytest.raises(InputError, match=r"graph\.nq"):
        read_all(get_reader("rdf"), tmp_path / "graph.nq")


def test_words_that_the_ontology_borrows(tmp_path: Path) -> None:
    records = read("rdf", tmp_path / "in", {"a.ttl": TURTLE})
    assert not refused(records)
    found = entities(records)
    assert found["http://example.org/fever"].classes == ("Disease",)
    assert found["http://example.org/fever"].properties == {"name": "Fever", "synonyms": ("heat", "Fieber")}
    assert found["http://example.org/pan"].properties == {"name": "Pan", "price": 12.5}
    assert set(facts(records)) == {
        ("http://example.org/fever", "HAS_PHENOTYPE", "HP:0001945"),
        ("http://example.org/pan", "HAS_BRAND", "http://example.org/acme"),
    }


def test_words_that_nobody_knows(tmp_path: Path) -> None:
    text = f"""{PREFIXES}ex:a a ex:Widget ; rdfs:label "A" ; ex:fits ex:b ; ex:height 5 ; ex:part [ a ex:Screw ] ;
        schema:price 3 ; <http://www.w3.org/2002/07/owl#imports> ex:c ."""
    records = read("rdf", tmp_path / "in", {"a.ttl": text})
    a = entities(records)["http://example.org/a"]
    assert (a.classes, a.properties["stated_types"]) == (("Entity",), ("http://example.org/Widget",))
    (claim,) = (r for r in records if isinstance(r, Claim))
    assert (claim.relation, claim.object) == ("RELATED_TO", "http://example.org/b")
    assert claim.qualifiers == {"predicate": "http://example.org/fits"}
    reasons = " ".join(reason for _, reason in refused(records))
    for part in ("unknown property <http://example.org/height>", "blank node", "imports", "other classes"):
        assert part in reasons


def test_each_named_graph_is_a_source(tmp_path: Path) -> None:
    text = "<http://e.org/a> <https://w3id.org/evigraph/isA> <http://e.org/b> <https://pubmed.ncbi.nlm.nih.gov/7> .\n"
    text += text.replace("med.ncbi.nlm.nih.gov/7", "med.ncbi.nlm.nih.gov/8")
    records = read("rdf", tmp_path / "in", {"a.nq": text})
    assert [r.id for r in records if isinstance(r, Source)] == ["rdf:in/a.nq", "PMID:7", "PMID:8"]
    assert [r.source for r in records if isinstance(r, Claim)] == ["PMID:7", "PMID:8"]


SAME_GRAPH = {
    "a.nt": '<http://e.org/a> <http://www.w3.org/2004/02/skos/core#prefLabel> "A" .\n'
    "<http://e.org/a> <http://www.w3.org/2004/02/skos/core#related> <http://e.org/b> .\n",
    "a.trig": '@prefix s: <http://www.w3.org/2004/02/skos/core#> . { <http://e.org/a> s:prefLabel "A" ; '
    "s:related <http://e.org/b> }",
    "a.jsonld": '{"@context": {"s": "http://www.w3.org/2004/02/skos/core#"}, "@id": "http://e.org/a", '
    '"s:prefLabel": "A", "s:related": {"@id": "http://e.org/b"}}',
    "a.rdf": '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns:s="http://www.w3.org/2004/02/skos/core#"><rdf:Description rdf:about="http://e.org/a">'
    '<s:prefLabel>A</s:prefLabel><s:related rdf:resource="http://e.org/b"/></rdf:Description></rdf:RDF>',
}


@pytest.mark.parametrize("name", SAME_GRAPH)
def test_one_graph_in_every_format(tmp_path: Path, name: str) -> None:
    records = read("rdf", tmp_path / "in", {name: SAME_GRAPH[name]})
    assert not refused(records)
    assert entities(records)["http://e.org/a"].properties == {"name": "A"}
    assert facts(records) == [("http://e.org/a", "RELATED_TO", "http://e.org/b")]


def test_the_order_of_statements_does_not_matter(tmp_path: Path) -> None:
    text = "".join(
        f"<http://e.org/{n % 7}> <http://e.org/p{n % 3}> <http://e.org/{n}> .\n<http://e.org/{n % 7}> "
        f'<http://www.w3.org/2004/02/skos/core#altLabel> "{n}" .\n'
        for n in range(40)
    )
    shuffled = text.splitlines(keepends=True)
    random.Random(1).shuffle(shuffled)
    records = read("rdf", tmp_path / "in", {"a.nt": text})
    assert read("rdf", tmp_path / "other" / "in", {"a.nt": "".join(shuffled)}) == records


def test_entities_without_end_are_refused(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    harmless = '<!DOCTYPE r [<!ENTITY s "http://www.w3.org/2004/02/skos/core#">]>'
    for head in (bomb, harmless):
        path = write(tmp_path, {"a.rdf": head + SAME_GRAPH["a.rdf"]})
        if head == bomb:
            with pytest.raises(InputError, match="entities that stand for more"):
                read_all(get_reader("rdf"), path)
        else:
            assert len(facts(read_all(get_reader("rdf"), path))) == 1
    file = write(tmp_path, {"a.graphml": bomb + GRAPHML.partition("?>")[2]}) / "a.graphml"
    assert refused(read_all(get_reader("graphml"), file))[0][1].startswith("document type declarations are refused")


def test_real_ontologies_are_read(tmp_path: Path) -> None:
    folder = samples.SHARED / "triples" / "dbpedia_webnlg" / "ontologies"
    if not folder.is_dir():
        pytest.skip("../shared/data is not there")
    records = read_all(get_reader("rdf"), folder)
    kinds = Counter(type(record).__name__ for record in records)
    assert kinds["Entity"] > 100
    assert ("Entity" in kinds) and not [r for r in refused(records) if "not Turtle" in r[1]]
    films = [e for e in entities(records).values() if e.properties.get("name") == "Film"]
    assert films
    assert all(e.classes == ("Concept",) for e in films)


# ---- tables ----------------------------------------------------------------------------------------------------------


def test_rows_by_a_mapping(tmp_path: Path) -> None:
    records = read("table", tmp_path, {"items.csv": ITEMS, "items.csv.yaml": MAPPING})
    assert not refused(records)
    assert records[0] == Source("shop:catalogue", "database", name="Shop", document=records[0].document)
    found = entities(records)
    assert found["item:1"].properties == {"name": "Toy Story", "price": 9.5}
    assert set(found) == {"item:1", "item:2", "genre:Animation", "genre:Comedy", "genre:Crime"}
    assert facts(records) == [
        ("item:1", "HAS_CATEGORY", "genre:Animation"),
        ("item:1", "HAS_CATEGORY", "genre:Comedy"),
        ("item:1", "HAS_BRAND", "brand:Pixar"),
        ("item:2", "HAS_CATEGORY", "genre:Crime"),
    ]
    assert [r.confidence for r in records if isinstance(r, Claim)] == [0.9, 0.9, 1.0, 0.8]


def test_parquet_gives_what_csv_gives(tmp_path: Path) -> None:
    polars = pytest.importorskip("polars")
    expected = read("table", tmp_path / "a" / "in", {"items.csv": ITEMS, "mapping.yaml": MAPPING})
    folder = write(tmp_path / "b" / "in", {"mapping.yaml": MAPPING})
    polars.read_csv(tmp_path / "a" / "in" / "items.csv").write_parquet(folder / "items.parquet")
    records = read_all(get_reader("table"), folder)
    assert facts(records) == facts(expected)
    assert {i: e.properties for i, e in entities(records).items()} == {
        i: e.properties for i, e in entities(expected).items()
    }


def test_one_file_maps_several_tables(tmp_path: Path) -> None:
    mapping = """tables:
  "users*.csv": {entities: [{class: User, id: "user:{id}"}]}
  likes.csv: {claims: [{subject: "user:{u}", relation: "{how}", object: "item:{i}", qualifiers: {rating: stars}}]}
"""
    files = {"users_1.csv": "id\n1\n", "likes.csv": "u,how,i,stars\n1,interacted with,2,4.5\n", "mapping.yaml": mapping}
    records = read("table", tmp_path, files)
    assert not refused(records)
    assert facts(records) == [("user:1", "INTERACTED_WITH", "item:2")]
    assert [r.qualifiers for r in records if isinstance(r, Claim)] == [{"rating": 4.5}]


def test_a_table_of_claims_needs_no_mapping(tmp_path: Path) -> None:
    text = "subject,relation,object,confidence,quote\nitem:1,HAS_BRAND,brand:2,0.5,so they say\nitem:1,EATS,b:2,1,\n"
    records = read("table", tmp_path, {"claims.csv": text})
    (claim,) = (r for r in records if isinstance(r, Claim))
    assert (claim.confidence, claim.qualifiers) == (0.5, {"quote": "so they say"})
    assert refused(records) == [("L3", "no relation is called 'EATS'")]


def test_a_changed_mapping_changes_the_document(tmp_path: Path) -> None:
    contents = []
    for mapping in (MAPPING, MAPPING.replace("Shop", "Store")):
        write(tmp_path, {"items.csv": ITEMS, "mapping.yaml": mapping})
        contents += [document.content for document in TableReader().documents(tmp_path / "items.csv")]
    assert len(set(contents)) == 2


WRONG_MAPPINGS = {
    "class": ("class: Item", "class: Itm", "entities[0].class: unknown class 'Itm'"),
    "property": ("name: title", "nam: title", "entities[0].properties.nam: unknown"),
    "property of others": ("price: price", "latitude: price, sex: price", "sex: is a property of Patient only"),
    "column": ("{maker}", "{mkr}", "claims[1].object: no column 'mkr'; the table has id, title"),
    "relation": ("HAS_BRAND", "HAS_BRND", "claims[1].relation: unknown relation 'HAS_BRND'"),
    "field": ("confidence: score", "confidence: score, sure: score", "claims[0].sure: extra"),
    "kind": ("kind: database", "kind: db", "source.kind: unknown; known: database"),
    "constant": ("confidence: score", "confidence: 7", "confidence '7' is not a number in 0…1"),
    "wrong type": ("price: price", "price: true", "price takes float, got a boolean"),
    "truncated": ('object: "brand', "object: [", "not YAML"),
    "key twice": ("split:", "source:", "key 'source' is there twice"),
    "empty": (MAPPING, "", "mapping.yaml: "),
    "nothing": (MAPPING, "split: {}", "names neither entities nor claims"),
}


@pytest.mark.parametrize("name", WRONG_MAPPINGS)
def test_a_wrong_mapping_names_its_field(tmp_path: Path, name: str) -> None:
    old, new, reason = WRONG_MAPPINGS[name]
    assert old in MAPPING
    with pytest.raises(InputError) as error:
        read("table", tmp_path, {"items.csv": ITEMS, "mapping.yaml": MAPPING.replace(old, new)})
    assert reason in str(error.value)
    assert str(tmp_path) not in str(error.value)


def test_a_table_without_a_mapping_says_what_it_wants(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"items\.csv\.yaml nor mapping\.yaml"):
        read("table", tmp_path, {"items.csv": ITEMS})


REAL_TABLES = {
    "traffic/scats/arms.csv": (
        """entities: [{class: TrafficDetector, id: "scats:{arm_id}", properties: {name: location, latitude: lat,
  longitude: lon}}]\nclaims: [{subject: "scats:{arm_id}", relation: LOCATED_IN, object: "site:{site}"}]""",
        137,
    ),
    "medical_zh/baidu_disease_findings.tsv": (
        """entities: [{class: Concept, id: "zh:{disease}", properties: {name: disease}}]
claims: [{subject: "zh:{disease}", relation: RELATED_TO, object: "zh:{finding}",
  qualifiers: {predicate: finding_type}}]""",
        1000,
    ),
}


@pytest.mark.parametrize("table", REAL_TABLES)
def test_real_tables(tmp_path: Path, table: str) -> None:
    if not (samples.SHARED / table).is_file():
        pytest.skip("../shared/data is not there")
    mapping, least = REAL_TABLES[table]
    write(tmp_path, {"mapping.yaml": mapping})
    shutil.copy(samples.SHARED / table, tmp_path)
    records = read_all(get_reader("table"), tmp_path)
    rows = sum(1 for _ in (samples.SHARED / table).open(encoding="utf-8")) - 1
    assert rows >= least
    assert not refused(records)
    assert len(facts(records)) == rows


# ---- property graphs -------------------------------------------------------------------------------------------------


def test_graphml_of_networkx(tmp_path: Path) -> None:
    records = read("graphml", tmp_path, {"a.graphml": GRAPHML})
    assert not refused(records)
    pan, acme = (f"graphml:{tmp_path.name}/a.graphml#n{n}" for n in range(2))
    assert entities(records)[pan].properties == {"name": "Pan", "price": 3.5}
    assert entities(records)[acme].classes == ("Brand",)
    assert facts(records) == [(acme, "RELATED_TO", pan), (pan, "HAS_BRAND", acme)]
    assert [r.confidence for r in records if isinstance(r, Claim)] == [1.0, 0.7]


def test_graphml_of_neo4j(tmp_path: Path) -> None:
    text = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="name" for="node" attr.name="name"/>
    <key id="aliases" for="node" attr.name="aliases" attr.type="string" attr.list="string"/>
    <key id="labels" for="node" attr.name="labels"/><key id="label" for="edge" attr.name="label"/><graph id="G">
    <node id="n0" labels=":Item:Thing2"><data key="labels">:Item:Thing2</data><data key="name">Pan</data>
    <data key="aliases">["pot", "skillet"]</data></node>
    <node id="n1" labels=":Category"><data key="labels">:Category</data></node>
    <edge id="e0" source="n0" target="n1" label="HAS_CATEGORY"><data key="label">HAS_CATEGORY</data></edge>
    </graph></graphml>"""
    records = read("graphml", tmp_path, {"a.graphml": text})
    (pan, _) = entities(records).values()
    assert pan.classes == ("Item",)
    assert pan.properties == {"name": "Pan", "synonyms": ("pot", "skillet"), "stated_types": ("Thing2",)}
    assert [reason for _, reason in refused(records)] == ["no class is called 'Thing2': such nodes are plain entities"]
    assert [relation for _, relation, _ in facts(records)] == ["HAS_CATEGORY"]


def test_graphml_of_gephi_and_yed(tmp_path: Path) -> None:
    text = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://www.yworks.com/xml/graphml">
    <key attr.name="label" attr.type="string" for="node" id="label"/><key attr.name="r" for="node" id="r"/>
    <key attr.name="Edge Label" for="edge" id="edgelabel"/><key attr.name="weight" for="edge" id="weight"/>
    <key for="node" id="d6" yfiles.type="nodegraphics"/><key for="edge" id="d9" yfiles.type="edgegraphics"/>
    <graph edgedefault="undirected"><node id="a"><data key="label">Alpha</data><data key="r">255</data></node>
    <node id="g"><graph id="g:"><node id="b"><data key="d6"><y:ShapeNode><y:Fill color="#FF0000"/>
    <y:NodeLabel>Beta</y:NodeLabel></y:ShapeNode></data></node></graph></node>
    <edge source="a" target="b"><data key="edgelabel">is a</data><data key="weight">2.0</data></edge>
    <edge source="b" target="a"><data key="d9"><y:PolyLineEdge><y:EdgeLabel>related to</y:EdgeLabel></y:PolyLineEdge>
    </data></edge></graph></graphml>"""
    records = read("graphml", tmp_path, {"a.graphml": text})
    assert not refused(records)
    assert [e.properties for e in entities(records).values()] == [{"name": "Alpha"}, {"name": "Beta"}, {}]
    assert [relation for _, relation, _ in facts(records)] == ["IS_A", "RELATED_TO"]
    assert [r.qualifiers for r in records if isinstance(r, Claim)] == [{"number": 2.0}, {}]


BROWSER = [
    {
        "n": {"identity": 0, "labels": ["Item"], "properties": {"name": "Pan"}, "elementId": "4:x:0"},
        "r": {
            "identity": 9,
            "start": 0,
            "end": 1,
            "type": "HAS_BRAND",
            "properties": {},
            "startNodeElementId": "4:x:0",
            "endNodeElementId": "4:x:1",
        },
        "m": {"identity": 1, "labels": ["Brand"], "properties": {"name": "Acme"}, "elementId": "4:x:1"},
    },
    {"n": {"identity": 0, "labels": ["Item"], "properties": {"name": "Pan"}, "elementId": "4:x:0"}, "r": None},
]


@pytest.mark.parametrize(
    "text",
    [
        lines(*NEO4J),
        json.dumps(NEO4J, indent=2),
        json.dumps({"nodes": NEO4J[:2], "rels": NEO4J[2:]}),
        lines(*reversed(NEO4J)),
        json.dumps(BROWSER),
    ],
    ids=["lines", "array", "object", "relationships first", "browser"],
)
def test_neo4j_exports(tmp_path: Path, text: str) -> None:
    records = read("neo4j_json", tmp_path, {"a.json": text})
    assert not refused(records)
    assert {e.properties["name"]: e.classes for e in entities(records).values()} == {
        "Pan": ("Item",),
        "Acme": ("Brand",),
    }
    assert [relation for _, relation, _ in facts(records)] == ["HAS_BRAND"]
    assert isinstance(records[0], Source)
    assert records[0].kind == "database"


def test_a_node_known_by_its_relationship_only(tmp_path: Path) -> None:
    relationship = NEO4J[2] | {"end": {"id": "7", "labels": ["Brand"], "properties": {"name": "Other"}}}
    records = read("neo4j_json", tmp_path, {"a.json": lines(NEO4J[0], relationship)})
    assert not refused(records)
    assert len(entities(records)) == 2
    assert len(facts(records)) == 1


@pytest.mark.parametrize("reader", ["rdf", "table", "graphml", "neo4j_json"])
def test_memory_is_bounded(tmp_path: Path, reader: str) -> None:
    """Ten times the records need no more memory, but for what is buffered."""

    def peak(folder: Path, many: int) -> int:
        if reader == "rdf":
            text = "".join(f"<http://e.org/{n}> <http://e.org/p> <http://e.org/{n + 1}> .\n" for n in range(many))
            path = write(folder, {"a.nt": text})
        elif reader == "table":
            text = "subject,relation,object\n" + "".join(f"a:{n},IS_A,a:{n + 1}\n" for n in range(many))
            path = write(folder, {"a.csv": text})
        elif reader == "graphml":
            nodes = "".join(f'<node id="{n}"/><edge source="{n}" target="{n - 1}"/>' for n in range(many))
            path = write(folder, {"a.graphml": f"<graphml><graph>{nodes}</graph></graphml>"})
        else:
            path = write(folder, {"a.json": lines(*({"type": "node", "id": str(n)} for n in range(many)))})
        (document,) = get_reader(reader).documents(path)
        for _ in get_reader(reader).read(document):
            break  # what is loaded once is not counted
        tracemalloc.start()
        try:
            for _ in get_reader(reader).read(document):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(tmp_path / "large", 20_000) < peak(tmp_path / "small", 2_000) + (4 << 20)
