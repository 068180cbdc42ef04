"""Broken graphs and tables: a clear dead letter that names place and field, the rest loaded, no crash."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from ingestion.pipeline import ingest
from ingestion.readers.base import get_reader
from ingestion.resolve import VocabularyResolver
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected
from kg.ontology import Ontology
from tests.ingestion.test_graph_readers import GRAPHML, ITEMS, MAPPING, NEO4J, TURTLE, lines
from tests.ingestion.test_reader_contract import read_all
from tests.support.backends import Backend

NT = (
    '<http://e.org/{0}> <https://w3id.org/evigraph/name> "N" .\n'
    "<http://e.org/{0}> <https://w3id.org/evigraph/isA> <http://e.org/b> .\n"
)
ITEM = {"type": "node", "id": "3", "labels": ["Item"], "properties": {"name": "x"}}
END = "</graph>"
XML = (
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="https://w3id.org/evigraph/">'
    '<rdf:Description rdf:about="http://e.org/a"><e:name>A</e:name></rdf:Description><rdf:Description/></rdf:RDF>'
)


def turtle(old: str, new: str) -> str:
    assert old in TURTLE
    return TURTLE.replace(old, new, 1)


def node(**properties: object) -> str:
    return lines(*NEO4J, {**ITEM, "properties": properties})


def graphml(old: str, new: str) -> str:
    assert old in GRAPHML
    return GRAPHML.replace(old, new, 1)


def added(element: str) -> str:
    return graphml("  " + END, element + END)


def row(text: str) -> str:
    return f"{ITEMS}{text}\n"


Case = tuple[str, str, str | bytes, tuple[int, int], list[tuple[str, str]]]
"""Reader, file, content, entities and claims that remain, (place, part of the reason) of what is refused."""

CASES: dict[str, Case] = {
    "rdf truncated turtle": ("rdf", "a.ttl", TURTLE[:-25], (3, 2), [("L11", "not Turtle")]),
    "rdf truncated triples": (
        "rdf",
        "a.nt",
        NT.format(1) + NT.format(2)[:-70],
        (2, 1),
        [("L4", "must be followed by a dot")],
    ),
    "rdf bad triple": (
        "rdf",
        "a.nt",
        NT.format(1) + "<a:b> <c:d> nonsense .\n" + NT.format(2),
        (2, 2),
        [("L3", "IRI")],
    ),
    "rdf latin-1": (
        "rdf",
        "a.nt",
        (NT.format("é") + NT.format(2)).encode("latin-1"),
        (1, 1),
        [("L1", "not UTF-8: byte 0xe9"), ("L2", "not UTF-8")],
    ),
    "rdf latin-1 turtle": (
        "rdf",
        "a.ttl",
        turtle("ex:acme a schema:Brand ; schema:name", "ex:acme a schema:Brand .\nex:acme schema:name")
        .replace("Acme", "Acmé")
        .encode("latin-1"),
        (3, 2),
        [("L11", "not UTF-8")],
    ),
    "rdf huge number": (
        "rdf",
        "a.ttl",
        turtle("12.5", "1e999"),
        (3, 2),
        [("<http://example.org/pan> <http://schema.org/price>", "price is not a finite number")],
    ),
    "rdf not a number": (
        "rdf",
        "a.ttl",
        turtle("12.5", '"NaN"^^<http://www.w3.org/2001/XMLSchema#double>'),
        (3, 2),
        [("<http://example.org/pan> <http://schema.org/price>", "price is not a finite number")],
    ),
    "rdf wrong type": (
        "rdf",
        "a.ttl",
        turtle("12.5", '"cheap"'),
        (3, 2),
        [("<http://example.org/pan> <http://schema.org/price>", "price takes float, got 'cheap'")],
    ),
    "rdf two values": (
        "rdf",
        "a.ttl",
        turtle("12.5", "12.5, 13"),
        (3, 2),
        [("<http://example.org/pan> <http://schema.org/price>", "takes one value")],
    ),
    "rdf text for an entity": (
        "rdf",
        "a.ttl",
        turtle("schema:brand ex:acme", 'schema:brand "Acme"'),
        (3, 1),
        [("<http://example.org/pan> <http://schema.org/brand>", "needs an entity")],
    ),
    "rdf unknown prefix": ("rdf", "a.ttl", turtle("ex:acme a", "nope:acme a"), (2, 2), [("L10", "prefix nope:")]),
    "rdf quoted triple": (
        "rdf",
        "a.ttl",
        TURTLE + "ex:s ex:p <<( ex:a ex:b ex:c )>> .",
        (3, 2),
        [("<http://example.org/s> <http://example.org/p>", "quoted triples")],
    ),
    "rdf json truncated": (
        "rdf",
        "a.jsonld",
        '[{"@id": "http://e.org/a", "https://w3id.org/evigraph/name": "A"}, {"@id": "ht',
        (1, 0),
        [("L1", "Unexpected end of file")],
    ),
    "rdf json nan": (
        "rdf",
        "a.jsonld",
        '[{"@id": "http://e.org/a", "https://w3id.org/evigraph/name": "A"}, {"x": NaN}]',
        (1, 0),
        [("L1", "Unexpected char")],
    ),
    "rdf remote context": (
        "rdf",
        "a.jsonld",
        '{"@context": "https://schema.org", "@id": "http://e.org/a"}',
        (0, 0),
        [("", "remote contexts")],
    ),
    "rdf xml truncated": ("rdf", "a.rdf", XML[:-20], (1, 0), [("", "not RDF/XML")]),
    "rdf empty json": ("rdf", "a.jsonld", "", (0, 0), [("L1", "Unexpected end of file")]),
    "table too few": ("table", "a.csv", row("3,x"), (5, 4), [("L4", "2 columns instead of 6")]),
    "table too many": ("table", "a.csv", row("3,x,,1,,1,1"), (5, 4), [("L4", "7 columns instead of 6")]),
    "table open quote": ("table", "a.csv", row('3,"x,,1,,1') + "4,y,,1,,1\n", (6, 4), [("L4", "no CSV")]),
    "table latin-1": ("table", "a.csv", row("3,é,,1,,1").encode("latin-1"), (5, 4), [("L4", "not UTF-8: byte 0xe9")]),
    "table huge number": (
        "table",
        "a.csv",
        row("3,x,,1e400,,1"),
        (6, 4),
        [("L4.price", "price is not a finite number")],
    ),
    "table nan": (
        "table",
        "a.csv",
        row("3,x,Crime,1,,NaN"),
        (6, 4),
        [("L4", "confidence 'NaN' is not a number in 0…1")],
    ),
    "table wrong type": (
        "table",
        "a.csv",
        row("3,x,,cheap,,1"),
        (6, 4),
        [("L4.price", "price takes float, got 'cheap'")],
    ),
    "table no id": ("table", "a.csv", row(",x,,1,,1"), (5, 4), [("L4", "column 'id' is empty")]),
    "table not parquet": ("table", "a.parquet", b"PAR1 and then nothing", (0, 0), [("a.parquet", "no Parquet file")]),
    "table columns twice": (
        "table",
        "a.csv",
        ITEMS.replace("title", "id", 1),
        (0, 0),
        [("a.csv", "column id is there twice")],
    ),
    "table empty": ("table", "a.csv", "", (0, 0), [("a.csv", "the file is empty")]),
    "graphml truncated": (
        "graphml",
        "a.graphml",
        GRAPHML[: GRAPHML.index('<node id="n1"') + 20],
        (1, 0),
        [("L11", "not XML from here on"), ("edge[1]", "its end is node 'n1', which is not there")],
    ),
    "graphml wrong encoding": (
        "graphml",
        "a.graphml",
        graphml("Acme", "Acmé").encode("latin-1"),
        (1, 0),
        [("L11", "not XML from here on"), ("edge[1]", "which is not there")],
    ),
    "graphml unknown encoding": (
        "graphml",
        "a.graphml",
        graphml("UTF-8", "utf-99"),
        (0, 0),
        [("L1", "unknown encoding")],
    ),
    "graphml endless text": (
        "graphml",
        "a.graphml",
        added(f'<node id="n2"><data key="d0">{"x" * (5 << 20)}</data></node>'),
        (2, 2),
        [("", "a tag or text of more than 4,194,304 bytes")],
    ),
    "graphml endless attribute": (
        "graphml",
        "a.graphml",
        added(f'<node id="{"x" * (5 << 20)}"/>'),
        (2, 2),
        [("", "a tag or text of more than 4,194,304 bytes")],
    ),
    "graphml huge number": (
        "graphml",
        "a.graphml",
        added('<node id="n2"><data key="d0">Item</data><data key="d2">1e999</data></node>'),
        (3, 2),
        [("node[@id='n2'].price", "price is not a finite number")],
    ),
    "graphml nan": (
        "graphml",
        "a.graphml",
        graphml("0.7", "NaN"),
        (2, 1),
        [("edge[1].confidence", "confidence 'NaN' is not a number in 0…1")],
    ),
    "graphml wrong type": (
        "graphml",
        "a.graphml",
        added('<node id="n2"><data key="d0">Item</data><data key="d2">cheap</data></node>'),
        (3, 2),
        [("node[@id='n2'].price", "price takes float, got 'cheap'")],
    ),
    "graphml key twice": (
        "graphml",
        "a.graphml",
        graphml('<data key="d1">Pan</data>', '<data key="d1">Pan</data><data key="d1">Pot</data>'),
        (2, 2),
        [("node[@id='n0'].name", "is given twice")],
    ),
    "graphml node twice": (
        "graphml",
        "a.graphml",
        added('<node id="n0"><data key="d1">Pot</data></node>'),
        (2, 2),
        [("node[@id='n0']", "node 'n0' is there twice")],
    ),
    "graphml no such node": (
        "graphml",
        "a.graphml",
        added('<edge source="n0" target="n9"/>'),
        (2, 2),
        [("edge[3]", "its end is node 'n9'")],
    ),
    "graphml unknown property": (
        "graphml",
        "a.graphml",
        added('<node id="n2"><data key="colour">red</data><data key="d0">Item</data></node>'),
        (3, 2),
        [("node[@id='n2'].colour", "unknown property: 'colour'")],
    ),
    "graphml unknown label": (
        "graphml",
        "a.graphml",
        added('<node id="n2"><data key="d0">Gizmo</data><data key="d2"> </data></node>'),
        (3, 2),
        [("node[@id='n2']", "no class is called 'Gizmo'")],
    ),
    "graphml no id": (
        "graphml",
        "a.graphml",
        added("<node/><edge/><hyperedge/>"),
        (2, 2),
        [("node", "needs an id"), ("edge[3]", "needs a source"), ("hyperedge", "not read")],
    ),
    "graphml negated": (
        "graphml",
        "a.graphml",
        added('<edge source="n0" target="n1"><data key="negated">true</data></edge>'),
        (2, 2),
        [("edge[3]", "does not hold")],
    ),
    "graphml empty": ("graphml", "a.graphml", "", (0, 0), [("L1", "no element found")]),
    "neo4j truncated": ("neo4j_json", "a.json", lines(*NEO4J) + json.dumps(ITEM)[:-20], (2, 1), [("L4", "not JSON")]),
    "neo4j truncated array": (
        "neo4j_json",
        "a.json",
        json.dumps([*NEO4J, ITEM])[:-20],
        (2, 1),
        [("[3]", "the file ends inside it")],
    ),
    "neo4j latin-1": (
        "neo4j_json",
        "a.json",
        (lines(*NEO4J) + json.dumps({**ITEM, "id": "é"}, ensure_ascii=False)).encode("latin-1"),
        (2, 1),
        [("L4", "not UTF-8: byte 0xe9")],
    ),
    "neo4j huge number": (
        "neo4j_json",
        "a.json",
        node(price=10**400),
        (3, 1),
        [("L4.price", "price is beyond 64 bits")],
    ),
    "neo4j nan": (
        "neo4j_json",
        "a.json",
        lines(*NEO4J) + json.dumps({**ITEM, "properties": {"price": float("nan")}}),
        (3, 1),
        [("L4.price", "price is not a finite number")],
    ),
    "neo4j wrong type": (
        "neo4j_json",
        "a.json",
        node(price=[1, 2], name={"first": "x"}),
        (3, 1),
        [("L4.price", "price takes one value, got a list"), ("L4.name", "name takes one value, got a structure")],
    ),
    "neo4j key twice": (
        "neo4j_json",
        "a.json",
        lines(*NEO4J) + '{"type": "node", "id": "3", "id": "4"}',
        (2, 1),
        [("L4", "key 'id' is there twice")],
    ),
    "neo4j node twice": (
        "neo4j_json",
        "a.json",
        lines(*NEO4J, NEO4J[1], {**NEO4J[1], "labels": ["Item"]}),
        (2, 1),
        [("L5", "node '1' is there twice")],
    ),
    "neo4j unknown property": (
        "neo4j_json",
        "a.json",
        node(name="x", colour="red"),
        (3, 1),
        [("L4.colour", "unknown property: 'colour'")],
    ),
    "neo4j unknown relation": (
        "neo4j_json",
        "a.json",
        lines(*NEO4J, {**NEO4J[2], "label": "EATS"}),
        (2, 1),
        [("L4", "no relation is called 'EATS'")],
    ),
    "neo4j unknown qualifier": (
        "neo4j_json",
        "a.json",
        lines(*NEO4J[:2], {**NEO4J[2], "properties": {"since": 1}}),
        (2, 1),
        [("L3.since", "unknown qualifier: 'since'")],
    ),
    "neo4j no labels": (
        "neo4j_json",
        "a.json",
        lines(*NEO4J, {**ITEM, "labels": "Item"}),
        (2, 1),
        [("L4", "a list of labels")],
    ),
    "neo4j no end": (
        "neo4j_json",
        "a.json",
        lines(*NEO4J, {"type": "relationship", "start": {"id": "0"}}),
        (2, 1),
        [("L4", "a relationship needs")],
    ),
    "neo4j neither": (
        "neo4j_json",
        "a.json",
        lines(*NEO4J, {"count": 3}),
        (2, 1),
        [("L4", "neither a node nor a relationship")],
    ),
    "neo4j empty": ("neo4j_json", "a.json", "", (0, 0), [("", "empty file")]),
}


def loaded(reader: str, folder: Path, name: str, content: str | bytes, ontology: Ontology) -> list[Record]:
    """What the pipeline would write, and refuse: a file that can't be read as a whole is refused, too."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    if reader == "table":
        (folder / "mapping.yaml").write_text(MAPPING)
    resolver = VocabularyResolver(ontology)
    resolver._members = {"HP:0001945": ontology.classes["Phenotype"]}
    try:
        return [resolver.resolve(record) for record in read_all(get_reader(reader), folder)]
    except InputError as error:
        return [Rejected(error.reason, error.place)]


@pytest.mark.parametrize("case", CASES)
def test_what_is_broken_costs_itself_only(tmp_path: Path, ontology: Ontology, case: str) -> None:
    reader, name, content, remaining, expected = CASES[case]
    records = loaded(reader, tmp_path / "in", name, content, ontology)
    refused = [(r.place, r.reason) for r in records if isinstance(r, Rejected)]
    assert [place for place, _ in refused] == [place for place, _ in expected], refused
    for (_, reason), (_, part) in zip(refused, expected, strict=True):
        assert part in reason
    kinds = [type(record) for record in records]
    assert (kinds.count(Entity), kinds.count(Claim)) == remaining


def test_at_least_six_variants_a_reader() -> None:
    for reader in ("rdf", "table", "graphml", "neo4j_json"):
        assert sum(case[0] == reader for case in CASES.values()) >= 6


GOOD = {
    "rdf": ("a.ttl", TURTLE),
    "table": ("a.csv", ITEMS),
    "graphml": ("a.graphml", GRAPHML),
    "neo4j_json": ("a.json", lines(*NEO4J)),
}


@pytest.mark.parametrize("reader", GOOD)
def test_random_damage_never_crashes(tmp_path: Path, ontology: Ontology, reader: str) -> None:
    name, text = GOOD[reader]
    chance = random.Random(4)
    whole = loaded(reader, tmp_path / "whole" / "in", name, text, ontology)
    for number in range(150):
        damaged = bytearray(text.encode())
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(damaged))
            if chance.random() < 0.5:
                damaged[at] = chance.randrange(256)
            else:
                del damaged[at : at + chance.randint(1, 30)]
        records = loaded(reader, tmp_path / str(number) / "in", name, bytes(damaged), ontology)
        assert len(records) <= len(whole) + 60
        for record in records:
            if isinstance(record, Rejected):
                assert record.reason


async def test_dead_letters_of_the_pipeline(embedded_backend: Backend, tmp_path: Path) -> None:
    embedded_backend.empty()
    store = await embedded_backend.open()
    try:
        for reader, case, rejected in (
            ("neo4j_json", "neo4j unknown property", 1),
            ("graphml", "graphml nan", 1),
            ("table", "table wrong type", 1),
            ("rdf", "rdf wrong type", 1),
        ):
            _, name, content, (_, claims), _ = CASES[case]
            loaded(reader, tmp_path / reader, name, content, store.ontology)
            if reader == "rdf":
                text = (tmp_path / reader / name).read_text().replace("biolink:has_phenotype hp", "schema:subjectOf hp")
                (tmp_path / reader / name).write_text(text)
            letters = tmp_path / f"{reader}.jsonl"
            report = await ingest(store, get_reader(reader), tmp_path / reader, dead_letters=letters)
            assert (report.rejected, report.claims, report.failed_documents) == (rejected, claims, 0)
            (letter,) = map(json.loads, letters.read_text().splitlines())
            assert CASES[case][4][0][1] in letter["reason"]
            assert letter["place"] == CASES[case][4][0][0]
    finally:
        await store.close()
