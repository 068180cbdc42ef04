"""Mentions in records become ids, entities of their own, doubts for a person, or dead letters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from ingestion.identifiers import Identifiers
from ingestion.mentions import Mentions, mention_id, named_id
from ingestion.pipeline import ingest
from ingestion.readers.base import Document, find_documents, get_reader
from ingestion.resolve import VocabularyResolver
from kg.model import Claim, Entity, Record, Rejected, Source
from kg.store import Batch, GraphStore
from tests.ingestion.samples import write_hpo
from tests.support.backends import ONTOLOGY, Backend

LLM = "llm:small@1"
KNOWN = (
    Source("hpo:2025", "database", document="doc:a"),
    Entity("HP:0001250", ("Phenotype",), "hpo:2025", {"name": "Seizure", "synonyms": ("Epileptic seizure",)}),
    Entity("HP:0000316", ("Phenotype",), "hpo:2025", {"name": "Hypertelorism"}),
    Entity("HP:0000601", ("Phenotype",), "hpo:2025", {"name": "Hypotelorism"}),
    Entity("HP:0002133", ("Phenotype",), "hpo:2025", {"name": "obsolete Fits", "obsolete": True}),
    Claim("HP:0002133", "REPLACED_BY", "HP:0001250", "hpo:2025"),
    Entity("OMIM:607208", ("Disease",), "hpo:2025", {"name": "Dravet syndrome"}),
    Entity("OMIM:1", ("Disease",), "hpo:2025", {"name": "Epilepsy"}),
)


@pytest.fixture
def resolver() -> VocabularyResolver:
    made = VocabularyResolver(ONTOLOGY, mentions=True)
    for record in KNOWN:
        assert not any(isinstance(r, Rejected) for r in made.resolve_all(record))
    made.start_document()
    return made


def has(disease: str, finding: str, relation: str = "HAS_PHENOTYPE") -> Claim:
    return Claim(mention_id(disease), relation, mention_id(finding), LLM, 0.7, {}, "doc:b", "L3")


def only(records: object) -> Record:
    (record,) = records  # type: ignore[misc]
    return record  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("disease", "finding", "ids"),
    [
        ("Dravet syndrome", "Seizures", ("OMIM:607208", "HP:0001250")),
        ("OMIM:607208", "HP:0001250", ("OMIM:607208", "HP:0001250")),
        ("MIM:607208", "http://purl.obolibrary.org/obo/HP_0001250", ("OMIM:607208", "HP:0001250")),
        ("syndrome, Dravet", "epileptic  SEIZURE", ("OMIM:607208", "HP:0001250")),
    ],
)
def test_both_ends_are_found(resolver: VocabularyResolver, disease: str, finding: str, ids: tuple[str, str]) -> None:
    claim = only(resolver.resolve_all(has(disease, finding)))
    assert isinstance(claim, Claim)
    assert (claim.subject, claim.object) == ids
    assert claim.qualifiers == {"subject_mention": disease, "mention": finding}
    assert (claim.confidence, claim.source, claim.place) == (0.7, LLM, "L3")


def test_obsolete_ids_are_brought_up_to_date(resolver: VocabularyResolver) -> None:
    claim = only(resolver.resolve_all(has("Dravet syndrome", "hp:0002133")))
    assert isinstance(claim, Claim)
    assert claim.object == "HP:0001250"
    assert claim.qualifiers["original_id"] == "HP:0002133"


@pytest.mark.parametrize(
    ("finding", "reason"),
    [
        ("Flying", "no OntologyTerm is called 'Flying'"),
        ("Hypetelorism", "the nearest: HP:0000316 (Hypertelorism"),
        ("HP:7777777", "unknown id HP:7777777"),
        ("  ", "no OntologyTerm is called '  '"),
        ("obsolete Fits", "no OntologyTerm is called 'obsolete Fits'"),
    ],
)
def test_a_closed_vocabulary_gets_no_new_members(resolver: VocabularyResolver, finding: str, reason: str) -> None:
    refused = only(resolver.resolve_all(has("Dravet syndrome", finding)))
    assert isinstance(refused, Rejected)
    assert reason in refused.reason
    assert (refused.place, refused.document) == ("L3", "doc:b")


def test_an_open_class_gets_an_entity_and_a_doubt(resolver: VocabularyResolver) -> None:
    stated = Entity(mention_id("Dravet syndrome B"), ("Disease",), LLM, {"name": "…"}, "doc:b", "L2")
    own = named_id("Disease", "Dravet syndrome B")
    described, doubt = resolver.resolve_all(stated)
    assert described == Entity(own, ("Disease",), LLM, {"name": "Dravet syndrome B"}, "doc:b", "L2")
    assert isinstance(doubt, Claim)
    assert (doubt.subject, doubt.relation, doubt.object) == (own, "POSSIBLY_SAME", "OMIM:607208")
    assert 0.7 < doubt.confidence < 1.0
    claim = only(resolver.resolve_all(has("Dravet syndrome B", "Seizure")))  # nothing is said twice
    assert isinstance(claim, Claim)
    assert claim.subject == own
    resolver.start_document()
    again = replace(stated, id=mention_id("B, Dravet SYNDROME"))
    assert {r.id for r in resolver.resolve_all(again) if isinstance(r, Entity)} == {own}


def test_what_it_is_must_be_clear(resolver: VocabularyResolver) -> None:
    refused = only(resolver.resolve_all(has("Something unheard-of", "Seizure")))
    assert isinstance(refused, Rejected)
    assert "not said whether it is a Disease or a Patient" in refused.reason


def test_the_relation_outweighs_the_class_stated(resolver: VocabularyResolver) -> None:
    resolver.resolve_all(Entity(mention_id("Seizure"), ("Concept",), LLM, {}, "doc:b"))
    claim = only(resolver.resolve_all(has("Epilepsy", "Seizure")))
    assert isinstance(claim, Claim)
    assert (claim.subject, claim.object) == ("OMIM:1", "HP:0001250")
    refused = only(resolver.resolve_all(has("Epilepsy", "OMIM:607208")))
    assert isinstance(refused, Rejected)


def test_descriptions_of_what_is_known_keep_properties_but_no_names(resolver: VocabularyResolver) -> None:
    stated = Entity(mention_id("Dravet syndrome"), ("Disease",), LLM, {"name": "Dravet", "definition": "x"}, "doc:b")
    assert list(resolver.resolve_all(stated)) == [replace(stated, id="OMIM:607208", properties={"definition": "x"})]
    term = Entity(mention_id("Seizure"), ("Phenotype",), LLM, {"definition": "mine"}, "doc:b")
    assert list(resolver.resolve_all(term)) == []


def test_a_refused_claim_describes_nothing(resolver: VocabularyResolver) -> None:
    resolver._mentions._stated[mention_id("New")] = frozenset({"Disease"})  # type: ignore[union-attr]
    assert isinstance(only(resolver.resolve_all(has("New", "Flying"))), Rejected)
    kinds = [type(r) for r in resolver.resolve_all(has("New", "Seizure"))]
    assert kinds == [Entity, Claim]


def test_names_without_letters_and_long_ones_have_ids() -> None:
    assert named_id("Disease", "???").startswith("named:Disease/")
    assert named_id("Disease", "x " * 900) != named_id("Disease", "y " * 900)
    assert len(named_id("Disease", "word " * 900)) < 512
    assert named_id("Disease", "癲癇") == named_id("Disease", "癫痫")


class Triples:
    """Lines `disease, finding`, in words."""

    name = "triples"
    version = "1"
    extensions = (".txt",)
    example = ""
    mentions = True

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        assert path is not None
        return find_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        yield Source(LLM, "model", document=document.id)
        for number, line in enumerate(document.open(), 1):
            disease, finding = line.decode().strip().split(", ")
            yield Entity(mention_id(disease), ("Disease",), LLM, {}, document.id, f"L{number}")
            yield Claim(
                mention_id(disease), "HAS_PHENOTYPE", mention_id(finding), LLM, 0.5, {}, document.id, f"L{number}"
            )


@pytest_asyncio.fixture
async def store(embedded_backend: Backend) -> AsyncIterator[GraphStore]:
    embedded_backend.empty()
    opened = await embedded_backend.open()
    yield opened
    await opened.close()


async def test_through_the_pipeline_in_any_order(store: GraphStore, embedded_backend: Backend, tmp_path: Path) -> None:
    letters = tmp_path / "letters.jsonl"
    folder = tmp_path / "said"
    folder.mkdir()
    (folder / "a.txt").write_text("Dravet syndrom, Seizures\nDravet disease, Flying\nUnknown disease, seizure\n")
    (folder / "b.txt").write_text("unknown diseases, Seizure\nDravet syndrome, Seizure\n")
    digests = set()
    for files in (("a.txt", "b.txt"), ("b.txt", "a.txt")):
        embedded_backend.empty()
        await ingest(store, get_reader("hpo"), write_hpo(tmp_path / "hpo"), dead_letters=letters)
        for file in files:
            await ingest(store, Triples(), folder / file, dead_letters=letters)
        digests.add(await store.digest())
    assert len(digests) == 1
    reasons = [orjson.loads(line)["reason"] for line in letters.read_bytes().splitlines()]
    assert any(reason == "no OntologyTerm is called 'Flying'" for reason in reasons)
    facts = await store.neighbourhood(named_id("Disease", "unknown disease"))
    assert [(f["relation"], f["entity"]["id"]) for f in facts] == [("HAS_PHENOTYPE", "HP:0001250")]
    assert len(facts[0]["claims"]) == 2


async def test_learning_again_reads_what_has_changed(store: GraphStore, embedded_backend: Backend) -> None:
    """Whoever changed it: another process, or the run itself, whose entities may never have been written."""
    named = [r for r in KNOWN if isinstance(r, Entity)]
    source = Source("S:1", "person", document="doc:c")
    nameless = Entity("E:1", ("Disease",), "hpo:2025")
    await store.write(Batch([r for r in KNOWN if isinstance(r, Source)], [*named, nameless]))
    mentions = Mentions(ONTOLOGY, Identifiers(ONTOLOGY))
    await mentions.learn(store)

    def meant(words: str) -> str:
        match = mentions.index.find(words, frozenset({"Disease"}))
        return match.id if match else ""

    assert "E:1" not in mentions.index  # without a name it can't be meant
    first = mentions.index
    mentions.describe(Entity("OMIM:2", ("Disease",), "S:1", {"name": "Never written"}, "doc:c"))
    assert meant("never written") == "OMIM:2"
    other = await embedded_backend.open()
    await other.write(Batch([source], [Entity("OMIM:3", ("Disease",), "S:1", {"name": "Zebra syndrome"}, "doc:c")]))
    await mentions.learn(store)
    assert mentions.index is first
    assert [meant(words) for words in ("never written", "zebra syndrome", "epilepsy")] == ["", "OMIM:3", "OMIM:1"]

    await other.trust("S:1", quarantined=True)  # names that don't count mean nothing
    await mentions.learn(store)
    assert [meant(words) for words in ("zebra syndrome", "epilepsy")] == ["", "OMIM:1"]
    await other.trust("S:1")
    await mentions.learn(store)
    assert meant("zebra syndrome") == "OMIM:3"
    await other.retract("S:1")
    await other.close()
    await mentions.learn(store)
    assert meant("zebra syndrome") == ""
    assert "OMIM:3" not in mentions.index
