"""What every store must do: each test runs on the embedded database and on Neo4j."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from kg.errors import (
    ConfigurationError,
    InputError,
    NotFoundError,
    OntologyError,
    QueryTimeoutError,
    StoreUnavailableError,
)
from kg.model import Claim, Entity, Source
from kg.store import Batch, GraphStore, open_store
from tests.kg.graphs import (
    ATAXIA,
    DRAVET,
    MODEL,
    PUBLICATION,
    RELEASE,
    SCN1A,
    SEIZURE,
    content,
    has,
    ledger,
    sample,
    split,
)
from tests.support.backends import ONTOLOGY, Backend


@pytest_asyncio.fixture
async def store(backend: Backend) -> AsyncIterator[GraphStore]:
    """An empty graph."""
    opened = await backend.open()
    yield opened
    await opened.close()


async def belief(store: GraphStore, object_: str = SEIZURE.id) -> float:
    rows = [
        row["belief"]
        async for row in store.read(
            "MATCH ({id: $s})-[f:HAS_PHENOTYPE]->({id: $o}) RETURN f.belief AS belief", {"s": DRAVET.id, "o": object_}
        )
    ]
    assert len(rows) == 1
    return float(rows[0])


class TestWriting:
    async def test_an_empty_graph(self, store: GraphStore) -> None:
        assert await store.version() == 0
        assert await store.digest() == "0" * 32 + "-0"
        assert await store.counts() == {"version": 0, "entities": {}, "facts": {}, "sources": 0, "documents": 0}
        assert await store.ledger() == {}

    async def test_what_is_written_is_there(self, store: GraphStore) -> None:
        report = await store.write(sample())
        assert (report.version, report.entities, report.facts) == (1, 5, 4)
        assert await store.counts() == {
            "version": 1,
            "entities": {"Entity": 5, "Disease": 1, "Gene": 1, "OntologyTerm": 2, "Phenotype": 2},
            "facts": {"ASSOCIATED_WITH": 1, "HAS_PHENOTYPE": 3},
            "sources": 3,
            "documents": 2,
        }
        assert await store.ledger() == {entry.document: entry for entry in sample().ledger}

    async def test_the_same_again_changes_nothing_but_the_version(self, store: GraphStore) -> None:
        await store.write(sample())
        before = await store.digest(), await content(store)
        report = await store.write(sample())
        assert (report.version, report.entities, report.facts) == (2, 0, 0)
        assert (await store.digest(), await content(store)) == before

    async def test_another_client_writes_the_same(self, store: GraphStore, backend: Backend) -> None:
        await store.write(sample())
        before = await store.digest()
        other = await backend.open()
        try:
            report = await other.write(sample())
            assert (report.entities, report.facts) == (0, 0)
            assert await other.digest() == before
        finally:
            await other.close()

    async def test_records_in_any_batches_and_order_give_the_same(self, store: GraphStore, backend: Backend) -> None:
        await store.write(sample())
        expected = await store.digest()
        for seed in range(4):
            backend.empty()
            dice = random.Random(seed)
            batch = sample()
            for records in (batch.entities, batch.claims, batch.sources):
                dice.shuffle(records)  # type: ignore[arg-type]
            parts = split(batch, [dice.randrange(4) for _ in range(7)], 4)
            dice.shuffle(parts)
            for part in parts:
                await store.write(part)
            assert await store.digest() == expected

    async def test_what_an_entity_says_of_itself_is_merged(self, store: GraphStore) -> None:
        other = replace(DRAVET, source=MODEL.id, document="doc:b", properties={"name": "SMEI"}, place="")
        await store.write(sample())
        await store.write(Batch(entities=[other]))
        entity = await store.entity(DRAVET.id)
        assert entity is not None
        assert entity["properties"] == {"name": "Dravet syndrome", "synonyms": ["SMEI"]}
        assert [(d["source"], d["document"], d["place"]) for d in entity["descriptions"]] == [
            ("hpo:2025", "doc:a", "L1"),
            ("llm:small@1", "doc:b", ""),
        ]

    async def test_labels_follow_what_is_said(self, store: GraphStore) -> None:
        await store.write(Batch(sources=[RELEASE, MODEL], entities=[replace(SEIZURE, classes=("OntologyTerm",))]))
        await store.write(Batch(entities=[replace(SEIZURE, source=MODEL.id, document="doc:b")]))
        entity = await store.entity(SEIZURE.id)
        assert entity is not None
        assert entity["labels"] == ["Entity", "OntologyTerm", "Phenotype"]
        await store.retract(MODEL.id)
        entity = await store.entity(SEIZURE.id)
        assert entity is not None
        assert entity["labels"] == ["Entity", "OntologyTerm"]

    async def test_a_refused_batch_leaves_no_trace(self, store: GraphStore) -> None:
        await store.write(sample())
        before = await store.digest(), await store.version(), await store.ledger()
        bad = (
            (Batch(claims=[has("HP:9", source=Source("nobody", "person"))], ledger=[ledger("doc:c")]), "nobody"),
            (Batch(claims=[has(relation="KNOWS")]), "unknown relation 'KNOWS'"),
            (Batch(claims=[has(confidence=1.5)]), "outside 0…1"),
            (Batch(entities=[replace(DRAVET, classes=("Illness",))]), "unknown class 'Illness'"),
            (Batch(sources=[Source("x", "rumour")]), "unknown source kind 'rumour'"),
        )
        for batch, reason in bad:
            with pytest.raises(OntologyError, match=reason):
                await store.write(batch)
        assert (await store.digest(), await store.version(), await store.ledger()) == before

    async def test_a_claim_by_a_source_of_another_batch(self, store: GraphStore, backend: Backend) -> None:
        await store.write(Batch(sources=[PUBLICATION]))
        other = await backend.open()
        try:
            assert (await other.write(Batch(claims=[has()]))).facts == 1
        finally:
            await other.close()


class TestBelief:
    async def test_noisy_or(self, store: GraphStore) -> None:
        await store.write(sample())
        assert await belief(store) == pytest.approx(1 - (1 - 0.95 * 0.9) * (1 - 0.8 * 0.5), abs=1e-12)
        assert await belief(store, ATAXIA.id) == pytest.approx(0.8 * 0.25, abs=1e-12)

    async def test_one_source_counts_once(self, store: GraphStore) -> None:
        claims = [has(confidence=0.4), has(confidence=0.6, onset_age="P1Y"), has(confidence=0.5)]
        await store.write(Batch(sources=[PUBLICATION], claims=claims))
        assert await belief(store) == pytest.approx(0.95 * 0.6, abs=1e-12)
        [fact] = await store.neighbourhood(DRAVET.id)
        assert [(c["confidence"], c["qualifiers"]) for c in fact["claims"]] == [(0.6, {"onset_age": "P1Y"}), (0.5, {})]

    async def test_another_reliability_weighs_all_facts_of_a_source_anew(self, store: GraphStore) -> None:
        await store.write(sample())
        doubted = replace(MODEL, reliability=0.1, document="doc:c")
        await store.write(Batch(sources=[doubted], ledger=[ledger("doc:c")]))
        assert await belief(store, ATAXIA.id) == pytest.approx(0.1 * 0.25, abs=1e-12)
        await store.retract("doc:c")
        assert await belief(store, ATAXIA.id) == pytest.approx(0.8 * 0.25, abs=1e-12)


class TestRetraction:
    async def test_what_only_it_supports_goes_and_the_rest_is_believed_less(self, store: GraphStore) -> None:
        await store.write(sample())
        done = await store.retract(MODEL.id)
        assert (done.version, done.facts) == (2, 2)
        assert await belief(store) == pytest.approx(0.95 * 0.9, abs=1e-12)
        assert (await store.counts())["facts"] == {"ASSOCIATED_WITH": 1, "HAS_PHENOTYPE": 2}
        assert await store.source(MODEL.id) is None
        assert await store.entity(ATAXIA.id) is not None

    async def test_an_entity_that_nothing_speaks_of_goes(self, store: GraphStore) -> None:
        await store.write(sample())
        await store.retract(PUBLICATION.id)
        assert await store.entity("HP:0002133") is None  # was an end of its claim
        assert await store.entity(SCN1A.id) is None  # was described by it
        assert await store.entity(SEIZURE.id) is not None

    async def test_it_equals_a_graph_that_never_had_it(self, store: GraphStore, backend: Backend) -> None:
        batch = sample()
        await store.write(
            Batch(
                [s for s in batch.sources if s != MODEL],
                batch.entities,
                [c for c in batch.claims if c.source != MODEL.id],
            )
        )
        expected = await content(store)
        backend.empty()
        await store.write(batch)
        assert await content(store) != expected
        await store.retract(MODEL.id)
        assert await content(store) == expected

    async def test_loaded_again_it_equals_a_graph_that_never_lost_it(self, store: GraphStore) -> None:
        await store.write(sample())
        before = await store.digest()
        for id_ in (MODEL.id, PUBLICATION.id, RELEASE.id, "doc:a", "doc:b"):
            await store.retract(id_)
            assert await store.digest() != before
            await store.write(sample())
            assert await store.digest() == before

    async def test_a_document_goes_with_all_it_says(self, store: GraphStore) -> None:
        await store.write(sample())
        await store.retract("doc:a")
        assert [s["id"] for s in await store.sources()] == [MODEL.id]
        assert (await store.counts())["facts"] == {"HAS_PHENOTYPE": 2}
        assert (await store.ledger()).keys() == {"doc:b"}

    async def test_documents_that_quote_it_must_be_loaded_again(self, store: GraphStore) -> None:
        quoted = has("HP:0000252", document="doc:b")
        await store.write(sample())
        await store.write(Batch(claims=[quoted], sources=[replace(PUBLICATION, document="doc:b")]))
        await store.retract(PUBLICATION.id)
        entries = await store.ledger()
        assert [(e.document, e.records, e.complete) for e in entries.values()] == [
            ("doc:a", 0, False),
            ("doc:b", 0, False),
        ]

    async def test_documents_that_only_describe_it_must_be_loaded_again(self, store: GraphStore) -> None:
        await store.write(sample())
        await store.write(Batch(sources=[replace(PUBLICATION, document="doc:b")]))
        await store.retract(PUBLICATION.id)
        assert not (await store.ledger())["doc:b"].complete

    async def test_others_stay_loaded(self, store: GraphStore) -> None:
        await store.write(sample())
        await store.retract(MODEL.id)
        entries = await store.ledger()
        assert (entries["doc:a"].records, entries["doc:a"].complete) == (7, True)
        assert (entries["doc:b"].records, entries["doc:b"].complete) == (0, False)

    async def test_nothing_to_retract(self, store: GraphStore) -> None:
        await store.write(sample())
        before = await store.digest(), await store.version()
        for id_ in ("PMID:2", "doc:z", "", DRAVET.id):
            with pytest.raises(NotFoundError, match="no source or document"):
                await store.retract(id_)
        assert (await store.digest(), await store.version()) == before


class TestLookingUp:
    async def test_entity(self, store: GraphStore) -> None:
        await store.write(sample())
        assert await store.entity(SEIZURE.id) == {
            "id": SEIZURE.id,
            "labels": ["Entity", "OntologyTerm", "Phenotype"],
            "properties": {"name": "Seizure", "synonyms": ["Epileptic seizure", "Fits"]},
            "descriptions": [
                {
                    "source": "hpo:2025",
                    "document": "doc:a",
                    "classes": ["Phenotype"],
                    "properties": {"name": "Seizure", "synonyms": ["Fits", "Epileptic seizure"]},
                    "place": "",
                }
            ],
        }
        assert await store.entity("HP:0002133") == {
            "id": "HP:0002133",
            "labels": ["Entity"],
            "properties": {},
            "descriptions": [],
        }
        assert await store.entity("HP:1") is None

    async def test_neighbourhood(self, store: GraphStore) -> None:
        await store.write(sample())
        found = await store.neighbourhood(DRAVET.id)
        told = [(f["direction"], f["relation"], f["entity"]["id"], f["entity"]["name"]) for f in found]
        assert told == [
            ("in", "ASSOCIATED_WITH", SCN1A.id, "SCN1A"),
            ("out", "HAS_PHENOTYPE", "HP:0002133", None),
            ("out", "HAS_PHENOTYPE", SEIZURE.id, "Seizure"),
            ("out", "HAS_PHENOTYPE", ATAXIA.id, "Ataxia"),
        ]
        assert found[2]["claims"][0] == {
            "source": "PMID:1",
            "document": "doc:a",
            "confidence": 0.9,
            "qualifiers": {"frequency_numerator": 3, "frequency_denominator": 4},
            "place": "L1",
        }
        assert await store.neighbourhood(DRAVET.id, limit=2) == found[:2]
        assert await store.neighbourhood(DRAVET.id, limit=2, offset=1) == found[1:3]
        assert await store.neighbourhood(DRAVET.id, relations=["ASSOCIATED_WITH"]) == found[:1]
        assert await store.neighbourhood("HP:1") == []

    async def test_search(self, store: GraphStore) -> None:
        await store.write(sample())

        async def search(text: str, **options: object) -> list[tuple[str, str]]:
            for _ in range(50):  # Neo4j's full-text index lags a little behind
                found = [(hit["id"], hit["match"]) for hit in await store.search(text, **options)]  # type: ignore[arg-type]
                if found:
                    break
                await asyncio.sleep(0.1)
            return found

        assert await search("seizure") == [(SEIZURE.id, "name")]
        assert await search("Fits") == [(SEIZURE.id, "synonym")]
        assert await search("epileptic") == [(SEIZURE.id, "full-text")]
        assert await search(SEIZURE.id) == [(SEIZURE.id, "id")]
        assert await search("syndrome dravet") == [(DRAVET.id, "full-text")]
        assert await search("dravet", labels=["Disease"]) == [(DRAVET.id, "full-text")]
        assert await store.search("dravet", labels=["Gene"]) == []
        assert await search("dravet", labels=["Gene", "Disease"]) == [(DRAVET.id, "full-text")]
        assert await search("dravet syn") == [(DRAVET.id, "full-text")]
        assert await search("dravat's") == [(DRAVET.id, "full-text")]
        assert await store.search("dravet seizure") == []
        assert await store.search("癫痫") == []
        for text in ("", " ", '"', "a:b", "+-&&||!(){}[]^~*?\\/", "x" * 5000, "name:*"):
            assert await store.search(text) == []

    async def test_search_follows_changes(self, store: GraphStore) -> None:
        await store.write(sample())
        await store.retract(RELEASE.id)
        for _ in range(50):
            if not (found := await store.search("seizure")):
                break
            await asyncio.sleep(0.1)
        assert found == []

    async def test_sources(self, store: GraphStore) -> None:
        await store.write(sample())
        assert await store.source(MODEL.id) == {
            "id": MODEL.id,
            "kind": "model",
            "name": None,
            "model": "small",
            "version": "1",
            "url": None,
            "reliability": 0.8,
            "trust": None,
            "quarantined": None,
        }
        assert [s["id"] for s in await store.sources()] == [PUBLICATION.id, RELEASE.id, MODEL.id]
        assert [s["id"] for s in await store.sources(kind="model")] == [MODEL.id]
        assert [s["id"] for s in await store.sources(limit=1, offset=1)] == [RELEASE.id]
        assert await store.source("PMID:2") is None

    async def test_a_source_in_quarantine_does_not_count(self, store: GraphStore) -> None:
        await store.write(sample())
        before = await store.digest()
        beliefs = "MATCH ()-[f]->() WHERE $id IN f.sources RETURN f.belief AS belief, size(f.sources) AS sources"

        async def read() -> list[dict[str, Any]]:
            return [row async for row in store.read(beliefs, {"id": MODEL.id})]

        counted = await read()
        done = await store.trust(MODEL.id, quarantined=True)
        assert done.facts == len(counted) > 0
        assert (await store.source(MODEL.id))["quarantined"]
        assert [source["id"] for source in await store.sources(quarantined=True)] == [MODEL.id]
        for row, was in zip(await read(), counted, strict=True):
            assert row["belief"] < was["belief"]
            assert row["belief"] == 0 or row["sources"] > 1
        await store.write(sample())  # what it says once more stays in quarantine
        assert (await store.source(MODEL.id))["reliability"] == 0
        await store.trust(MODEL.id)
        assert await store.digest() == before
        await store.trust(MODEL.id, 0.5)
        assert (await store.source(MODEL.id))["reliability"] == 0.5
        with pytest.raises(NotFoundError, match="no source 'nobody'"):
            await store.trust("nobody")
        with pytest.raises(InputError, match="outside 0…1"):
            await store.trust(MODEL.id, 1.5)

    async def test_who_is_in_quarantine_gives_no_names_and_classes(self, store: GraphStore, backend: Backend) -> None:
        """Neither to what others describe, nor to what nobody else does, nor in what is written meanwhile."""
        other = Entity("OMIM:1", ("Disease",), MODEL.id, {"name": "Zebra syndrome"}, "doc:b")
        own = [
            replace(DRAVET, source=MODEL.id, document="doc:b", properties={"name": "Smei", "definition": "Fits."}),
            replace(SCN1A, source=MODEL.id, document="doc:b", classes=("Gene", "Disease"), properties={}),
            other,
        ]

        async def found(text: str) -> list[str]:
            for _ in range(50):  # the full-text index follows
                hits = [hit["id"] for hit in await store.search(text)]
                if bool(hits) != bool(quarantined):
                    break
                await asyncio.sleep(0.1)
            return hits

        await store.write(sample())
        without = await content(store)
        quarantined = False
        await store.write(Batch([MODEL], own))
        counted, digest = await content(store), await store.digest()
        assert await found("zebra") == [other.id]
        assert await found("smei") == [DRAVET.id]

        quarantined = True
        await store.trust(MODEL.id, quarantined=True)
        now = await content(store)
        for id_, (labels, properties) in without.entities.items():
            names = ("name", "synonyms", "definition")
            assert now.entities[id_][0] == labels
            assert [now.entities[id_][1].get(n) for n in names] == [properties.get(n) for n in names]
        assert now.entities[other.id][0] == ["Entity"]
        assert "name" not in now.entities[other.id][1]
        assert await found("zebra") == await found("smei") == []
        assert await store.search("zebra", labels=["Disease"]) == []
        backend.empty()
        await store.write(sample())
        await store.trust(MODEL.id, quarantined=True)
        await store.write(Batch([MODEL], own))
        assert await content(store) == now

        quarantined = False
        await store.trust(MODEL.id)
        assert (await content(store), await store.digest()) == (counted, digest)
        assert await found("zebra") == [other.id]

    async def test_identity_stays(self, store: GraphStore, backend: Backend) -> None:
        identity = await store.identity()
        other = await backend.open()
        try:
            await other.write(sample())
            assert await other.identity() == identity
        finally:
            await other.close()


HOSTILE = "x:'\"`}]-[]->(){}//\\*$a;MATCH(n)DETACH\u2028DELETE(n)"


class TestNames:
    """Identifiers in Cypher come from the ontology only, values are parameters."""

    async def test_any_text_is_a_value(self, store: GraphStore) -> None:
        id_ = HOSTILE.replace("\u2028", "_")
        source = Source(HOSTILE, "person", name=HOSTILE, document=HOSTILE)
        entity = Entity(id_, ("Disease",), HOSTILE, {"name": HOSTILE, "synonyms": (HOSTILE + "2",)}, HOSTILE, HOSTILE)
        claim = Claim(id_, "IS_A", id_ + "2", HOSTILE, 1.0, {"curator": HOSTILE}, HOSTILE, HOSTILE)
        await store.write(Batch([source], [entity], [claim], [ledger(HOSTILE)]))
        found = await store.entity(id_)
        assert found is not None
        assert found["properties"] == {"name": HOSTILE, "synonyms": [HOSTILE + "2"]}
        [fact] = await store.neighbourhood(id_)
        assert fact["claims"] == [
            {
                "source": HOSTILE,
                "document": HOSTILE,
                "confidence": 1.0,
                "qualifiers": {"curator": HOSTILE},
                "place": HOSTILE,
            }
        ]
        assert [s["id"] for s in await store.sources()] == [HOSTILE]
        await store.retract(HOSTILE)
        assert await store.digest() == "0" * 32 + "-0"

    @pytest.mark.parametrize("name", ["IS_A]->() DETACH DELETE n //", "IS_A|HAS_PHENOTYPE", "`IS_A`", "is_a", "", "*"])
    async def test_other_names_are_refused(self, store: GraphStore, name: str) -> None:
        await store.write(sample())
        before = await store.digest()
        for batch in (
            Batch(claims=[has(relation=name)]),
            Batch(entities=[replace(DRAVET, classes=(name,))]),
            Batch(entities=[replace(DRAVET, properties={name: "x"})]),
            Batch(claims=[has(**{name: "x"})]),
        ):
            with pytest.raises(OntologyError):
                await store.write(batch)
        with pytest.raises(OntologyError):
            await store.neighbourhood(DRAVET.id, relations=[name])
        with pytest.raises(OntologyError):
            await store.search("seizure", labels=[name])
        with pytest.raises(OntologyError):
            [rows async for rows in store.scan_facts([name])]
        assert await store.digest() == before


class TestErrors:
    async def test_a_wrong_query(self, store: GraphStore) -> None:
        with pytest.raises(InputError, match="query: "):
            [row async for row in store.read("MATCH (n RETURN n")]

    async def test_a_query_that_takes_too_long(self, store: GraphStore) -> None:
        endless = (
            "UNWIND range(1, 100000) AS a UNWIND range(1, 100000) AS b WITH a * b AS c WHERE c < 0 RETURN count(c)"
        )
        with pytest.raises(QueryTimeoutError, match="took too long"):
            await asyncio.wait_for(anext(store.read(endless, timeout_s=0.5)), 20)
        assert await store.version() == 0

    async def test_a_wrong_password(self, backend: Backend) -> None:
        uri, user, _ = backend.bolt()
        with pytest.raises(StoreUnavailableError, match=uri):
            await open_store(uri, ONTOLOGY, user=user, password="wrong")

    async def test_nobody_listens(self) -> None:
        with pytest.raises(StoreUnavailableError, match=r"bolt://127\.0\.0\.1:1"):
            await open_store("bolt://127.0.0.1:1", ONTOLOGY, password="x")

    @pytest.mark.parametrize("url", ["", "embedded:", "http://localhost:7474", "bolt", "/tmp/graph"])
    async def test_no_graph(self, url: str) -> None:
        with pytest.raises(ConfigurationError, match="the graph is embedded:FOLDER"):
            await open_store(url, ONTOLOGY)
