"""Merging entities and taking it back, on real stores: whatever was said in between, nothing is left of a merge."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from kg.batch import PreparedBatch
from kg.changes import Unsaid
from kg.errors import ConflictError, InputError, NotFoundError
from kg.model import Claim, Entity
from kg.same import merges, possibly_same, reject
from kg.store import Batch, GraphStore
from tests.kg.graphs import DRAVET, MODEL, RELEASE, SCN1A, SEIZURE, has, ledger, sample
from tests.kg.test_store_sequences import (
    DOCUMENTS,
    ENTITY_IDS,
    SOURCE_IDS,
    Client,
    Retract,
    Write,
    examples,
    writes,
)
from tests.support.backends import Backend

SMEI = Entity("named:Disease/smei", ("Disease",), MODEL.id, {"name": "SMEI"}, "doc:b", "L9")


@pytest_asyncio.fixture
async def store(backend: Backend) -> AsyncIterator[GraphStore]:
    opened = await backend.open()
    await opened.write(sample())
    await opened.write(
        Batch(
            entities=[SMEI],
            claims=[
                has(subject=SMEI.id, source=MODEL, confidence=0.6),
                has("HP:0001251", subject=SMEI.id, source=MODEL),
                has(SMEI.id, subject=SCN1A.id, relation="ASSOCIATED_WITH", source=MODEL),
                has(DRAVET.id, subject=SMEI.id, relation="POSSIBLY_SAME", source=MODEL, confidence=0.9),
            ],
            ledger=[ledger("doc:b", 4)],
        )
    )
    yield opened
    await opened.close()


async def facts(store: GraphStore, id_: str) -> set[tuple[str, str, str, int]]:
    return {
        (f["direction"], f["relation"], f["entity"]["id"], len(f["claims"]))
        for f in await store.neighbourhood(id_, limit=100)
    }


async def test_what_is_said_of_one_is_said_of_the_other(store: GraphStore) -> None:
    merge = await store.merge(SMEI.id, DRAVET.id, by="me")
    assert (merge.id, merge.into, merge.by) == (SMEI.id, DRAVET.id, "me")
    assert await merges(store) == [merge]
    assert await store.entity(SMEI.id) is None
    found = await store.entity(DRAVET.id)
    assert found is not None
    assert found["properties"]["name"] == "Dravet syndrome"
    assert found["properties"]["synonyms"] == ["SMEI"]
    assert await facts(store, DRAVET.id) == {
        ("out", "HAS_PHENOTYPE", SEIZURE.id, 3),
        ("out", "HAS_PHENOTYPE", "HP:0001251", 2),
        ("out", "HAS_PHENOTYPE", "HP:0002133", 1),
        ("in", "ASSOCIATED_WITH", SCN1A.id, 2),
        ("out", "POSSIBLY_SAME", DRAVET.id, 1),
        ("in", "POSSIBLY_SAME", DRAVET.id, 1),
    }
    (seizure,) = [f for f in await store.neighbourhood(DRAVET.id) if f["entity"]["id"] == SEIZURE.id]
    marked = [c["qualifiers"].get("merged_subject") for c in seizure["claims"]]
    assert sorted(marked, key=str) == [None, None, SMEI.id]
    assert await possibly_same(store) == []


async def test_unmerging_leaves_nothing(store: GraphStore) -> None:
    before = await store.digest()
    merged = await store.merge(SMEI.id, DRAVET.id, by="me")
    assert await store.digest() != before
    assert await store.unmerge(SMEI.id) == merged
    assert await store.digest() == before
    assert await merges(store) == []
    assert [{e["id"] for e in pair["entities"]} for pair in await possibly_same(store)] == [{SMEI.id, DRAVET.id}]


async def test_claims_that_come_later_follow(store: GraphStore, backend: Backend) -> None:
    later = Batch(
        entities=[Entity(SMEI.id, ("Disease",), MODEL.id, {"name": "Severe myoclonic epilepsy"}, "doc:b")],
        claims=[has("HP:0000252", subject=SMEI.id, source=MODEL)],
        ledger=[ledger("doc:b", 6)],
    )
    await store.merge(SMEI.id, DRAVET.id, by="me")
    preview = store.preview()
    await preview.write(PreparedBatch.of(later, store.ontology))
    assert (preview.entities, preview.facts) == (2, 1)  # Dravet syndrome with one more name, and microcephaly
    other = await backend.open()  # a process that was not told
    await other.write(later)
    await other.write(later)
    await other.close()
    assert await store.entity(SMEI.id) is None
    assert ("out", "HAS_PHENOTYPE", "HP:0000252", 1) in await facts(store, DRAVET.id)
    await store.unmerge(SMEI.id)
    assert ("out", "HAS_PHENOTYPE", "HP:0000252", 1) in await facts(store, SMEI.id)
    digest = await store.digest()
    await store.write(later)
    assert await store.digest() == digest


async def test_a_document_that_changes_meanwhile(store: GraphStore) -> None:
    """What a merged entity's document no longer says goes, what it says still stays."""
    await store.merge(SMEI.id, DRAVET.id, by="me")
    entry = ledger("doc:b", 4)
    unsaid = Unsaid("doc:b")
    for record in (MODEL, SMEI, has(subject=SMEI.id, source=MODEL, confidence=0.6)):
        unsaid.say(record)
    preview = store.preview()
    await preview.finish(unsaid)
    assert preview.retracted == 4  # both of ataxia in one fact, of a seizure, of the gene, of the doubt
    await store.finish(entry, unsaid)
    assert await facts(store, DRAVET.id) == {
        ("out", "HAS_PHENOTYPE", SEIZURE.id, 2),
        ("out", "HAS_PHENOTYPE", "HP:0002133", 1),
        ("in", "ASSOCIATED_WITH", SCN1A.id, 1),
    }
    await store.unmerge(SMEI.id)
    assert await facts(store, SMEI.id) == {("out", "HAS_PHENOTYPE", SEIZURE.id, 1)}


async def test_chains_are_undone_in_any_order(store: GraphStore) -> None:
    third = Entity("named:Disease/dravet", ("Disease",), MODEL.id, {"name": "Dravet"}, "doc:b")
    await store.write(Batch(entities=[third], claims=[has(subject=third.id, source=MODEL)]))
    before = await store.digest()
    await store.merge(SMEI.id, third.id, by="me")
    middle = await store.digest()
    await store.merge(third.id, DRAVET.id, by="me")
    assert (await store.entity(DRAVET.id) or {})["properties"]["synonyms"] == ["Dravet", "SMEI"]
    await store.unmerge(third.id)
    assert await store.digest() == middle
    await store.merge(third.id, DRAVET.id, by="me")
    await store.unmerge(SMEI.id)
    await store.unmerge(third.id)
    assert await store.digest() == before


async def test_what_is_refused(store: GraphStore) -> None:
    version = await store.version()
    with pytest.raises(NotFoundError, match="no entity 'OMIM:9'"):
        await store.merge("OMIM:9", DRAVET.id, by="me")
    with pytest.raises(NotFoundError, match="no entity 'OMIM:9'"):
        await store.merge(SMEI.id, "OMIM:9", by="me")
    with pytest.raises(NotFoundError, match="no merge of"):
        await store.unmerge(SMEI.id)
    with pytest.raises(InputError, match="the same already"):
        await store.merge(SMEI.id, SMEI.id, by="me")
    with pytest.raises(InputError, match="controlled vocabulary"):
        await store.merge(SEIZURE.id, DRAVET.id, by="me")
    assert await store.version() == version
    await store.merge(SMEI.id, DRAVET.id, by="me")
    with pytest.raises(ConflictError, match="was merged into OMIM:607208"):
        await store.merge(SMEI.id, DRAVET.id, by="me")
    with pytest.raises(ConflictError, match="was merged into OMIM:607208"):
        await store.merge(DRAVET.id, SMEI.id, by="me")


async def test_what_is_said_to_be_different_is_not_proposed(store: GraphStore) -> None:
    assert len(await possibly_same(store)) == 1
    assert await possibly_same(store, offset=1) == []
    await reject(store, DRAVET.id, SMEI.id, by="a curator")
    assert await possibly_same(store) == []
    with pytest.raises(NotFoundError):
        await reject(store, "OMIM:9", SMEI.id, by="me")
    with pytest.raises(InputError):
        await reject(store, SMEI.id, SMEI.id, by="me")
    await store.retract("person:a%20curator")
    assert len(await possibly_same(store)) == 1


async def test_sources_are_retracted_from_merged_entities_too(store: GraphStore) -> None:
    await store.merge(SMEI.id, DRAVET.id, by="me")
    await store.retract(MODEL.id)
    digest = await store.digest()
    await store.unmerge(SMEI.id)
    assert await store.digest() == digest  # nothing else was said of it
    assert await store.entity(SMEI.id) is None


@pytest.fixture(scope="module")
def client(database: Backend) -> Iterator[Client]:
    opened = Client(database)
    yield opened
    opened.close()


@dataclass(frozen=True)
class Merging:
    id: str
    into: str


@dataclass(frozen=True)
class Unmerging:
    id: str


STEPS = st.lists(
    st.one_of(
        writes(),
        writes(),
        st.builds(Merging, ENTITY_IDS, ENTITY_IDS),
        st.builds(Merging, ENTITY_IDS, ENTITY_IDS),
        st.builds(Unmerging, ENTITY_IDS),
        st.builds(Retract, st.one_of(SOURCE_IDS, st.sampled_from(DOCUMENTS))),
    ),
    min_size=3,
    max_size=9,
)


THERE = Batch(
    sources=[RELEASE],
    entities=[Entity(f"E:{i}", ("Disease",), RELEASE.id, {"name": f"number {i}"}, "doc:a") for i in (1, 2, 3)],
)
"""What every graph begins with, so that there is something to be merged."""


def test_a_graph_whose_merges_are_taken_back_never_had_them(client: Client) -> None:
    done = 0

    @examples(client)
    @given(STEPS)
    def check(steps: list[Write | Retract | Merging | Unmerging]) -> None:
        nonlocal done
        client.empty()

        async def run() -> None:
            nonlocal done
            store = client.store
            await store.write(THERE)
            for step in steps:
                try:
                    if isinstance(step, Write):
                        await store.write(step.batch)
                    elif isinstance(step, Merging):
                        await store.merge(step.id, step.into, by="me")
                        done += 1
                    elif isinstance(step, Unmerging):
                        await store.unmerge(step.id)
                    else:
                        await store.retract(step.id)
                except (NotFoundError, ConflictError, InputError):
                    continue
            for merge in await merges(store):
                await store.unmerge(merge.id)
            digest = await store.digest()
            await store._bolt.write(delete_all)
            await store.write(THERE)
            for step in steps:
                if isinstance(step, Write):
                    await store.write(step.batch)
                elif isinstance(step, Retract):
                    try:
                        await store.retract(step.id)
                    except NotFoundError:
                        continue
            assert await store.digest() == digest

        client.run(run)

    check()
    assert done > (5 if client.backend.name == "embedded" else 0)


async def delete_all(transaction: object) -> None:
    await (await transaction.run("MATCH (n) DETACH DELETE n")).consume()  # type: ignore[attr-defined]


def test_claims_keep_their_own_qualifiers() -> None:
    from kg.merge import FactClaims
    from kg.same import Roots

    claims = FactClaims.empty()
    claims.add(Claim("E:1", "RELATED_TO", "E:2", "S:1", 1.0, {"number": 1.5, "predicate": "ü"}))
    claims.add(Claim("E:1", "RELATED_TO", "E:2", "S:1"))
    fact = ("E:1", "RELATED_TO", "E:2")
    (moved,) = Roots({"E:1": "E:3", "E:3": "E:4"}).filed(fact, claims).items()
    assert moved[0] == ("E:4", "RELATED_TO", "E:2")
    (back,) = Roots({}).filed(*moved).items()
    assert back == (fact, claims)
