"""Answers of language models: every item of each is a claim or a dead letter, whatever it is broken by."""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdflib import OWL, SKOS, URIRef

from ingestion.readers.base import Document, get_reader
from ingestion.readers.llm_answer import AnswerReader
from ingestion.readers.llm_candidates import Statement, Thing, Unfit
from ingestion.readers.llm_placing import Origin, Placing
from ingestion.readers.llm_triples import MAX_ANSWER, LlmTripleReader
from ingestion.resolve import VocabularyResolver
from kg.model import Claim, Entity, Record, Rejected, Source
from kg.ontology import Ontology, words
from tests.ingestion import samples
from tests.ingestion.test_reader_contract import ReaderContract, read_all
from tests.support.backends import ONTOLOGY

OUTPUTS = Path(__file__).with_name("llm_outputs.txt")


@dataclass(frozen=True)
class Output:
    """One answer of `llm_outputs.txt`, and what it gives: claims, `!` dead letters, `+` descriptions."""

    file: str
    text: str
    gives: tuple[str, ...]


def _outputs() -> Iterator[Output]:
    for part in re.split(r"^=== ", OUTPUTS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        head, _, rest = part.partition("\n")
        text, _, gives = rest.partition("\n--- gives\n")
        yield Output(head, text, tuple(gives.strip("\n").split("\n")))


CASES = list(_outputs())
UNENDED = re.compile(r"arrow|table_without_outer|csv|tsv|yaml|labelled_lines|labels_between|types_in|chinese_prose")
"""Shapes whose last line does not show that it is cut: its object may be the beginning of the whole one's."""


def told(record: Record) -> str:
    def name(id_: str) -> str:
        return unquote(id_.removeprefix("mention:"))

    match record:
        case Claim():
            return f"{name(record.subject)} | {record.relation} | {name(record.object)} @ {record.confidence:g}"
        case Entity():
            return f"+ {name(record.id)} {'/'.join(record.classes)}"
        case Rejected():
            return f"! {record.place}: {record.reason}"
        case Source():
            return ""


def read(
    folder: Path, text: str | bytes, file: str = "answer.txt", reader: LlmTripleReader | None = None
) -> list[Record]:
    path = folder / file
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list((reader or LlmTripleReader(ONTOLOGY)).read(Document(f"llm_triples:{file}", path)))


def claims(records: list[Record]) -> list[Claim]:
    return [r for r in records if isinstance(r, Claim)]


def rejected(records: list[Record]) -> list[Rejected]:
    return [r for r in records if isinstance(r, Rejected)]


# ---- the contract, and real-shaped answers


class TestLlmTriples(ReaderContract):
    name = "llm_triples"

    def write_good(self, folder: Path) -> Path:
        folder.mkdir(parents=True)
        (folder / "one.txt").write_text("Sure:\n```json\n[['A', 'has phenotype', 'HP:0001250'],]\n```\n")
        triple = {"head": "A", "head_type": "Disease", "relation": "has symptom", "tail": "Fits"}
        lines = [{"model": "m 1", "output": json.dumps([triple])}, [["SCN1A", "causes", "A", 0.5]]]
        (folder / "two.jsonl").write_text("\n".join(map(json.dumps, lines)))
        return folder

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        self.write_good(folder)
        with (folder / "two.jsonl").open("a") as file:
            file.write('\n[["A", "has phenotype", "B')
        return folder, "L3[0]"


def test_the_outputs_are_many_and_differ() -> None:
    assert len(CASES) >= 70
    assert len({c.file for c in CASES}) == len({c.text for c in CASES}) == len(CASES)
    assert sum(bool(re.search("[一-鿿]", c.text)) or "\\u7cd6" in c.text for c in CASES) >= 6


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_every_item_of_an_output_is_a_claim_or_a_dead_letter(case: Output, tmp_path: Path) -> None:
    records = read(tmp_path, case.text, case.file)
    assert [told(r) for r in records if not isinstance(r, Source)] == list(case.gives)
    assert claims(records) or rejected(records)
    check(records)


def check(records: list[Record]) -> None:
    """What the reader's contract asks of records, also of those out of broken answers."""
    sources = {r.id for r in records if isinstance(r, Source)}
    for record in records:
        json.dumps(record.document if isinstance(record, Source) else record.place).encode()
        match record:
            case Source():
                assert ONTOLOGY.check_source(record) is None
            case Entity():
                assert ONTOLOGY.check_entity(record) is None
                assert record.source in sources
                assert record.place
            case Claim():
                assert ONTOLOGY.check_claim(record) is None
                assert record.source in sources
                assert record.place
                repr(record.qualifiers).encode()
            case Rejected():
                assert record.reason
                record.record.encode()
                record.reason.encode()


# ---- what can't happen, whatever the answer


def candidates(text: str) -> list[Statement | Thing | Unfit]:
    return list(AnswerReader(Placing(ONTOLOGY).is_relation).read(text))


def placed(text: str) -> list[Record]:
    placing = Placing(ONTOLOGY)
    origin = Origin("llm:m", "llm_triples:a")
    return [r for c in candidates(text) for r in placing.records(c, origin)]


def facts(records: list[Record]) -> set[tuple[str, str, str]]:
    return {(c.subject, c.relation, c.object) for c in claims(records)}


ANSWERS = [c for c in CASES if not c.file.endswith(".jsonl") and not c.file.startswith("thoughts_without")]


@given(st.sampled_from(ANSWERS), st.floats(0, 1))
@settings(max_examples=500, deadline=None)
def test_an_answer_cut_anywhere_says_nothing_that_the_whole_does_not(case: Output, share: float) -> None:
    cut = placed(case.text[: int(len(case.text) * share)])
    whole = facts(placed(case.text))
    new = facts(cut) - whole
    if UNENDED.match(case.file):
        assert len(new) <= 1
        new = {n for n in new if not any(n[:2] == w[:2] and unquote(w[2]).startswith(unquote(n[2])) for w in whole)}
        if case.file == "arrow_of_two.txt":
            new.clear()  # the whole chain is refused, and a part of it is a triple
    assert not new
    assert cut


@given(st.sampled_from([c.text for c in CASES]), st.lists(st.tuples(st.floats(0, 1), st.text(max_size=3)), max_size=8))
@settings(max_examples=500, deadline=None)
def test_no_damage_crashes_it(text: str, damages: list[tuple[float, str]]) -> None:
    for share, put in damages:
        at = int(len(text) * share)
        text = text[:at] + put + text[at + len(put) % 2 + 1 :]
    records: list[Record] = [Source("llm:m", "model"), *placed(text)]
    assert len(records) > 1
    check(records)


@given(st.text(alphabet="[]{}()<>|#\"'`,:;->\\ \nabAB一：，“”0.", max_size=60))
@settings(max_examples=500, deadline=None)
def test_no_text_crashes_it(text: str) -> None:
    records: list[Record] = [Source("llm:m", "model"), *placed(text)]
    assert len(records) > 1
    check(records)


NAME = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=2, max_size=12).filter(
    lambda name: re.search(r"^[^\W_]\w*[^\W_]$", name) and name.casefold() not in ("none", "null", "nan", "undefined")
)


@given(st.lists(st.tuples(NAME, NAME), min_size=1, max_size=5), st.integers(0, 5))
@settings(max_examples=200, deadline=None)
def test_one_set_of_triples_in_every_shape_is_one(pairs: list[tuple[str, str]], first: int) -> None:
    """The shapes differ, and what they say does not."""
    rows = [(s, "has phenotype", o) for s, o in pairs]
    keys = [("subject", "predicate", "object"), ("head", "relation", "tail"), ("from", "label", "to"), ("s", "p", "o")]
    shapes = [
        json.dumps(rows),
        json.dumps(rows, ensure_ascii=False, indent=1),
        repr(rows),
        repr([list(r) for r in rows]),
    ]
    shapes += [json.dumps({"items": [dict(zip(k, r, strict=True)) for r in rows]}) for k in keys]
    shapes += [f"Here:\n```json\n{s}\n```\nDone." for s in shapes[:3]]
    shapes += ["\n".join(f"({s}, {r}, {o})" for s, r, o in rows), "\n".join(f"- {s} -> {r} -> {o}" for s, r, o in rows)]
    shapes += ["|subject|relation|object|\n|---|---|---|\n" + "\n".join(f"| {s} | {r} | {o} |" for s, r, o in rows)]
    expected = [Claim(*_ids(s, o), "llm:m") for s, o in pairs]
    for shape in shapes[first:] + shapes[:first]:
        records = placed(shape)
        assert not rejected(records), shape
        assert [(c.subject, c.object) for c in claims(records)] == [(e.subject, e.object) for e in expected], shape


def _ids(subject: str, object_: str) -> tuple[str, str, str]:
    records = placed(json.dumps([subject, "has phenotype", object_]))
    (claim,) = claims(records)
    return claim.subject, claim.relation, claim.object


# ---- what three models really said


def test_real_claims_are_all_accounted_for(tmp_path: Path) -> None:
    data = samples.SHARED / "llm_claims" / "rare_disease_phenotypes_dev.jsonl.xz"
    if not data.exists():
        pytest.skip(f"no {data.name}")
    said = 0
    with lzma.open(data, "rt") as file, (tmp_path / "said.jsonl").open("w") as out:
        for line in islice(file, 300):
            disease = json.loads(line)
            for model, findings in disease["claims"].items():
                if not findings:
                    continue
                said += len(findings)
                keys = ("subject", "relation", "object", "frequency")
                triples = [dict(zip(keys, (disease["id"], "has phenotype", *f), strict=True)) for f in findings]
                out.write(json.dumps({"model": model, "output": json.dumps(triples)}) + "\n")
    records = read(tmp_path, (tmp_path / "said.jsonl").read_text(), "said.jsonl")
    check(records)
    assert said > 5000
    assert len(claims(records)) + len(rejected(records)) == said
    assert len(claims(records)) > 0.99 * said
    assert len({r.id for r in records if isinstance(r, Source)}) == 3
    told_often = [c for c in claims(records) if {"frequency_term", "frequency_stated"} & set(c.qualifiers)]
    assert len(told_often) > 0.9 * said


# ---- broken files


@pytest.mark.parametrize(
    ("file", "content", "place", "reason"),
    [
        ("a.txt", '[["A", "has phenotype", "B"]]'.encode("utf-16"), "L1", "not UTF-8: byte 0xff"),
        ("a.txt", "糖尿病 -> 症状 -> 多饮".encode("gb18030"), "L1", "not UTF-8: byte 0xcc"),
        ("a.json", b"[" + b'["A", "has phenotype", "B"],' * 400_000 + b"]", "", "an answer of 11,200,002 bytes"),
        ("a.json", b"", "L1", "no triple in the answer"),
        ("a.json", b"\x00\x00\x00", "L1", "no triple in the answer"),
        ("a.json", b"[" * 100_000, "L1", "nested too deeply"),
        ("a.json", b'{"a":' * 100_000, "L1", "nested too deeply"),
        ("a.txt", b'[["A", "has phenotype", ' + b"9" * 5000 + b"]]", "L1[0]", "a name of 5,000 characters"),
        ("a.jsonl", b'{"model": "m", "output": 7}\n', "L1.output", "no triple in the answer"),
        ("a.jsonl", b'"half a \\ud800"\n', "L1", "no triple in the answer"),
    ],
)
def test_a_broken_file_is_one_clear_dead_letter(
    tmp_path: Path, file: str, content: bytes, place: str, reason: str
) -> None:
    records = read(tmp_path, content, file)
    (letter,) = rejected(records)
    assert not claims(records)
    assert letter.place == place
    assert letter.reason.startswith(reason)
    check(records)


def test_a_bad_line_costs_no_other(tmp_path: Path) -> None:
    good = b'{"model": "m", "output": "A -> has phenotype -> B"}\n'
    lines = [good, b'{"output": "\xff"}\n', b"x" * (MAX_ANSWER + 10) + b"\n", good, b'{"model": "m", "output": "A ->']
    records = read(tmp_path, b"".join(lines), "a.jsonl")
    assert [c.place for c in claims(records)] == ["L1.output", "L4.output"]
    assert [(r.place, r.reason[:14]) for r in rejected(records)] == [
        ("L2", "not UTF-8: byt"),
        ("L3", "line of 8,388,"),
        ("L5", "the answer bre"),
    ]


# ---- sources, confidences, qualifiers


def test_the_model_is_the_source(tmp_path: Path) -> None:
    lines = (
        {"model": "gpt 4o", "output": "A -> has phenotype -> B", "document": "PMID:1"},
        {"model": "org/small-1b", "output": "A -> has phenotype -> B"},
        [["A", "has phenotype", "B"]],
    )
    records = read(tmp_path, "\n".join(map(json.dumps, lines)), "run 7.jsonl")
    sources = [r for r in records if isinstance(r, Source)]
    assert [(s.id, s.kind, s.model) for s in sources] == [
        ("llm:gpt%204o", "model", "gpt 4o"),
        ("llm:org/small-1b", "model", "org/small-1b"),
        ("llm:run%207", "model", ""),
    ]
    assert [c.source for c in claims(records)] == [s.id for s in sources]
    assert claims(records)[0].qualifiers["read_in"] == "PMID:1"


@pytest.mark.parametrize(
    ("given_", "confidence"),
    [(0, 0.0), (0.25, 0.25), (1, 1.0), (85, 0.85), ("0.4", 0.4), ("40 %", 0.4), ("1%", 0.01), ("HIGH", 0.9),
     ("Very low", 0.1), ("高", 0.9), (None, 0.8)],
)  # fmt: skip
def test_confidence(given_: object, confidence: float) -> None:
    triple = {"subject": "A", "predicate": "has phenotype", "object": "B", "confidence": given_}
    (claim,) = claims(placed(json.dumps(triple)))
    assert claim.confidence == pytest.approx(confidence)


@pytest.mark.parametrize(
    ("given_", "qualifiers"),
    [("VERY_FREQUENT", {"frequency_term": "HP:0040281"}), ("Occasional (5-29%)", {"frequency_term": "HP:0040283"}),
     ("HP:0040282", {"frequency_term": "HP:0040282"}), ("45%", {"frequency_percent": 45.0}), ("N/A", {}),
     ("7/12", {"frequency_numerator": 7, "frequency_denominator": 12}), ("7/0", {"frequency_stated": "7/0"}),
     ("now and then", {"frequency_stated": "now and then"})],
)  # fmt: skip
def test_frequency(given_: str, qualifiers: dict[str, object]) -> None:
    triple = {"subject": "OMIM:1", "predicate": "has phenotype", "object": "HP:1", "frequency": given_}
    (claim,) = claims(placed(json.dumps(triple)))
    assert claim.qualifiers == qualifiers
    assert claim.relation == "HAS_PHENOTYPE"


@pytest.mark.parametrize("given_", [-0.1, 101, "sure thing", True, "-3", "1e9", [0.5]])
def test_a_confidence_that_is_none_is_told(given_: object) -> None:
    triple = {"subject": "A", "predicate": "has phenotype", "object": "B", "confidence": given_}
    (letter,) = rejected(placed(json.dumps(triple)))
    assert letter.reason.startswith("confidence ")


def test_what_else_an_item_says_is_kept() -> None:
    triple = {
        "subject": {"name": "Dravet syndrome", "type": "Disease"},
        "predicate": "presents with",
        "object": "Seizure (HP:0001250)",
        "evidence": "All  had seizures.",
        "frequency": "very frequent",
        "onset_age": "P6M",
        "mood": "glum",
    }
    entity, claim = placed(json.dumps(triple))
    assert isinstance(entity, Entity)
    assert (entity.classes, entity.properties) == (("Disease",), {"name": "Dravet syndrome"})
    assert isinstance(claim, Claim)
    assert claim.object == "HP:0001250"
    assert claim.qualifiers == {
        "quote": "All had seizures.",
        "onset_age": "P6M",
        "frequency_term": "HP:0040281",
        "subject_mention": "Dravet syndrome",
        "mention": "Seizure",
        "predicate": "presents with",
    }


def test_a_model_does_not_name_what_a_catalogue_names() -> None:
    """Models mix up ids: a name under a wrong one would be found as its name from then on."""
    nodes = [
        {"id": "OMIM:154700", "name": "Diabetes", "type": "Disease"},
        {"id": "ex:1", "name": "Ann", "type": "Patient"},
    ]
    entities = placed(json.dumps({"nodes": nodes}))
    assert [(e.id, e.properties) for e in entities if isinstance(e, Entity)] == [
        ("OMIM:154700", {}),
        ("ex:1", {"name": "Ann"}),
    ]


def test_an_invented_term_does_not_join_a_vocabulary() -> None:
    nodes = [{"id": "HP:9999999", "name": "Glum mood", "type": "Phenotype"}]
    edges = [{"source": "OMIM:1", "target": "HP:9999999", "type": "has phenotype"}]
    records = placed(json.dumps({"nodes": nodes, "edges": edges}))
    assert [type(r) for r in records] == [Claim]


def test_types_that_no_class_is_named_are_kept_where_any_class_will_do() -> None:
    triple = {"head": "Paris", "head_type": "Metropolis", "relation": "related to", "tail": "Seine"}
    entity, claim = placed(json.dumps(triple))
    assert isinstance(entity, Entity)
    assert entity.properties == {"name": "Paris", "stated_types": ("Metropolis",)}
    assert isinstance(claim, Claim)
    assert claim.relation == "RELATED_TO"


# ---- names of relations and classes


def test_a_label_names_one_relation_one_way() -> None:
    meant: dict[str, set[str]] = {}
    for relation in ONTOLOGY.relations.values():
        iri = URIRef(relation.iri)
        inverses = [*ONTOLOGY.graph.objects(iri, OWL.inverseOf)]
        for node, way in ((iri, relation.name), *((i, f"{relation.name} inverse") for i in inverses)):
            for label in ONTOLOGY.graph.objects(node, SKOS.altLabel):
                meant.setdefault(words(str(label)), set()).add(way)
        meant.setdefault(words(relation.name), set()).add(relation.name)
    assert len(meant) > len(ONTOLOGY.relations) + 50
    assert {label: ways for label, ways in meant.items() if len(ways) > 1} == {}


@pytest.mark.parametrize(
    ("text", "relation"),
    [("HAS_PHENOTYPE", "HAS_PHENOTYPE"), ("hasPhenotype", "HAS_PHENOTYPE"), ("has phenotype", "HAS_PHENOTYPE"),
     ("biolink:has_phenotype", "HAS_PHENOTYPE"), ("https://w3id.org/evigraph/hasPhenotype", "HAS_PHENOTYPE"),
     ("Presents-with", "HAS_PHENOTYPE"), ("症状", "HAS_PHENOTYPE"), ("is_a", "IS_A"), ("causes", "ASSOCIATED_WITH")],
)  # fmt: skip
def test_relations_are_found_by_their_names(ontology: Ontology, text: str, relation: str) -> None:
    found = ontology.relation_named(text)
    assert found is not None
    assert found.name == relation


def test_inverse_relations_and_classes_are_found_by_their_names(ontology: Ontology) -> None:
    inverse = ontology.inverse_named("is a symptom of")
    assert inverse is not None
    assert inverse.name == "HAS_PHENOTYPE"
    assert ontology.relation_named("is a symptom of") is None
    assert ontology.class_named("DISEASE") == ontology.class_named("疾病") == "Disease"
    assert ontology.class_named("Clinical Finding") == "Phenotype"
    assert ontology.class_named("Spaceship") is None


# ---- on the way into the graph


def test_mentions_become_terms_and_what_is_none_is_told(tmp_path: Path) -> None:
    resolver = VocabularyResolver(ONTOLOGY, mentions=True)
    for record in read_all(get_reader("hpo"), samples.write_hpo(tmp_path / "hpo")):
        resolver.resolve_all(record)
    resolver.start_document()
    triples = [
        ["Temtamy syndrome", "presents with", "Seizures"],
        ["Temtamy syndrome", "presents with", "ataxia"],
        ["Temtamy syndrome", "presents with", "a heavy heart"],
        ["AARS1", "causes", "Temtamy syndrome"],
        ["Temtamy syndrome", "presents with", "HP:0000535"],
    ]
    found = [r for record in read(tmp_path, json.dumps(triples)) for r in resolver.resolve_all(record)]
    assert [(c.subject, c.relation, c.object) for c in claims(found)] == [
        ("ORPHA:1777", "HAS_PHENOTYPE", "HP:0001250"),
        ("ORPHA:1777", "HAS_PHENOTYPE", "HP:0001251"),
        ("NCBIGene:16", "ASSOCIATED_WITH", "ORPHA:1777"),
    ]
    assert [(r.place, r.reason[:39]) for r in rejected(found)] == [
        ("[2]", "no OntologyTerm is called 'a heavy hear"),
        ("[4]", "HP:0000535 is obsolete, and was split i"),
    ]


# ---- envelopes of services -------------------------------------------------------------------------------------------

_SAID = '[{"subject": "OMIM:1", "relation": "has phenotype", "object": "Seizure"}]'


@pytest.mark.parametrize(
    "envelope",
    [
        {"model": "m", "output": []},
        {"choices": []},
        {"response": {"candidates": []}},
        {"message": {"content": []}},
        {"content": [{"type": "thinking", "thinking": "Let me see"}]},
    ],
)
def test_an_empty_answer_is_a_dead_letter(tmp_path: Path, envelope: dict[str, object]) -> None:
    records = read(tmp_path, json.dumps(envelope) + "\n" + json.dumps({"model": "m", "output": _SAID}), "a.jsonl")
    assert len(rejected(records)) == 1
    assert len(claims(records)) == 1


@pytest.mark.parametrize(
    "envelope",
    [
        {
            "output": [
                {"type": "reasoning", "summary": []},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": _SAID}]},
            ]
        },
        {"content": [{"type": "thinking", "thinking": "Let me see"}, {"type": "text", "text": _SAID}]},
        {"candidates": [{"content": {"parts": [{"text": "Let me see", "thought": True}, {"text": _SAID}]}}]},
        {"content": [{"type": "tool_use", "name": "save", "input": {"triples": json.loads(_SAID)}}]},
    ],
)
def test_what_a_model_thinks_is_not_what_it_says(tmp_path: Path, envelope: dict[str, object]) -> None:
    records = read(tmp_path, json.dumps(envelope), "a.json")
    assert len(claims(records)) == 1
    assert not rejected(records)
