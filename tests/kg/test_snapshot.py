"""Snapshots against the plainest dictionaries; refreshed ones against rebuilt ones, byte by byte."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.errors import NotFoundError, OntologyError, StoreUnavailableError
from kg.model import Claim, Entity, Source
from kg.ontology import Ontology
from kg.snapshot import Snapshot, load_snapshot, refresh_snapshot
from kg.snapshot_arrays import Strings
from tests.kg.memory_store import MemoryStore

ONTOLOGY = Ontology.load()
SOURCES = [Source("S:1", "database"), Source("S:2", "model"), Source("S:3", "person", reliability=0.2)]


def assert_same(one: Snapshot, other: Snapshot) -> None:
    assert one.version == other.version
    first, second = one.tables.arrays(), other.tables.arrays()
    assert first.keys() == second.keys()
    for name, values in first.items():
        assert values.dtype == second[name].dtype, name
        assert values.tobytes() == second[name].tobytes(), name
        assert values.shape == second[name].shape, name


def assert_is(snapshot: Snapshot, store: MemoryStore) -> None:
    """Everything a snapshot says, one by one, against the store's dictionaries."""
    assert [snapshot.id(i) for i in range(len(snapshot))] == sorted(store.entities)
    for position, (id_, (said, _)) in enumerate(sorted(store.entities.items())):
        expected = said.properties(ONTOLOGY, store.reliability)
        own = {k: v for k, v in expected.items() if k in ONTOLOGY.properties}
        assert snapshot.index(id_) == position
        assert snapshot.properties(position) == own
        assert snapshot.name(position) == (own.get("name") or id_)
        assert snapshot.labels(position) == said.labels(ONTOLOGY, store.reliability)
        assert id_ in snapshot
    for label in ("Entity", "Disease", "Phenotype", "Gene"):
        having = [
            i
            for i, (_, (said, _)) in enumerate(sorted(store.entities.items()))
            if label in said.labels(ONTOLOGY, store.reliability)
        ]
        assert snapshot.entities(label).tolist() == having
    ordered = sorted(store.facts, key=lambda f: (f[1], f[0], f[2]))
    assert snapshot.relations == ONTOLOGY.domain_relations("medical")
    assert sum(len(snapshot.facts(r)) for r in snapshot.relations) == len(ordered)
    for fact, (subject, relation, object_) in enumerate(ordered):
        claims = store.facts[subject, relation, object_][0]
        stored = claims.properties(store.reliability)
        assert snapshot.id(snapshot.subject(fact)) == subject
        assert snapshot.relation(fact) == relation
        assert snapshot.id(snapshot.object(fact)) == object_
        assert snapshot.belief(fact) == stored["belief"]
        columns = ("sources", "confidences", "qualifiers", "documents", "places")
        assert snapshot.claims(fact) == [
            Claim(subject, relation, object_, source, confidence, orjson.loads(qualifiers), document, place)
            for source, confidence, qualifiers, document, place in zip(*(stored[c] for c in columns), strict=True)
        ]
        facts = snapshot.facts(relation)
        at = fact - facts.first
        assert facts.subject[at] == snapshot.index(subject)
        assert facts.object[at] == snapshot.index(object_)
        assert facts.belief[at] == stored["belief"]
        rows = range(facts.claims.start[at], facts.claims.start[at + 1])
        assert [snapshot.source_id(facts.claims.source[j]) for j in rows] == stored["sources"]
        assert [facts.claims.confidence[j] for j in rows] == stored["confidences"]
        assert all(facts.claims.fact[j] == at for j in rows)
        for name, known in ONTOLOGY.qualifiers.items():
            values = facts.claims.qualifier(name)[rows.start : rows.stop]
            said_ = [orjson.loads(q).get(name) for q in stored["qualifiers"]]
            if str in known.types:
                assert [None if code < 0 else snapshot.texts[code] for code in values] == said_
            else:
                assert [None if math.isnan(value) else value for value in values] == said_
    for id_ in store.entities:
        entity = snapshot.index(id_)
        assert snapshot.out(entity).tolist() == [i for i, f in enumerate(ordered) if f[0] == id_]
        assert snapshot.in_(entity).tolist() == [i for i, f in enumerate(ordered) if f[2] == id_]
        assert snapshot.out(entity, "IS_A").tolist() == [
            i for i, f in enumerate(ordered) if f[0] == id_ and f[1] == "IS_A"
        ]
        assert snapshot.in_(entity, "HAS_PHENOTYPE").tolist() == [
            i for i, f in enumerate(ordered) if f[2] == id_ and f[1] == "HAS_PHENOTYPE"
        ]


texts = st.sampled_from(["", "a", "é\n", "漢字", "z\x01", "A longer text, with “quotes”"])
ids = st.sampled_from([f"X:{i}" for i in range(8)] + ["X:é", "X:漢"])
sources = st.sampled_from([s.id for s in SOURCES])
documents = st.sampled_from(["", "d1", "d2"])
qualifiers = st.fixed_dictionaries(
    {},
    optional={
        "frequency_numerator": st.integers(0, 9),
        "frequency_percent": st.floats(0, 100) | st.integers(0, 100),
        "onset_term": texts,
        "evidence": texts,
    },
)
properties = st.fixed_dictionaries(
    {},
    optional={
        "name": texts,
        "synonyms": st.lists(texts, max_size=3).map(tuple),
        "obsolete": st.booleans(),
    },
)
classes = st.sampled_from([("Disease",), ("Phenotype",), ("Gene",), ("Disease", "Gene")])
entities = st.builds(Entity, ids, classes, sources, properties, documents, texts)
claims = st.builds(
    Claim,
    ids,
    st.sampled_from(["HAS_PHENOTYPE", "IS_A", "ASSOCIATED_WITH"]),
    ids,
    sources,
    st.sampled_from([0.0, 0.5, 1.0]),
    qualifiers,
    documents,
    texts,
)
writes = st.tuples(st.lists(entities, max_size=4), st.lists(claims, max_size=8))
retractions = st.one_of(sources, st.sampled_from(["d1", "d2"]))


@settings(max_examples=120, deadline=None)
@given(st.lists(st.one_of(writes, retractions), min_size=1, max_size=8), st.integers(1, 5))
def test_refreshed_is_rebuilt(tmp_path_factory: pytest.TempPathFactory, steps: list, every: int) -> None:
    async def run() -> None:
        cache = tmp_path_factory.mktemp("cache")
        store = MemoryStore(ONTOLOGY)
        store.write(sources=SOURCES)
        snapshot = await load_snapshot(store, "medical", cache / "refreshed")
        for number, step in enumerate(steps, start=1):
            if isinstance(step, str):
                store.retract(step)
            else:
                store.write((), *step)
            if number % every == 0 or number == len(steps):
                snapshot = await refresh_snapshot(snapshot, store, cache / "refreshed")
        rebuilt = await load_snapshot(store, "medical", cache / "rebuilt")
        mapped = await load_snapshot(store, "medical", cache / "refreshed")
        assert_same(snapshot, rebuilt)
        assert_same(mapped, rebuilt)
        assert_is(snapshot, store)

    asyncio.run(run())


def small_store() -> MemoryStore:
    store = MemoryStore(ONTOLOGY)
    store.write(
        SOURCES,
        [Entity("OMIM:1", ("Disease",), "S:1", {"name": "one"}), Entity("HP:1", ("Phenotype",), "S:1", {"name": "p"})],
        [Claim("OMIM:1", "HAS_PHENOTYPE", "HP:1", "S:1", 0.5, {"frequency_numerator": 3, "onset_term": "HP:9"})],
    )
    return store


class CountingStore(MemoryStore):
    """Counts how often the graph is scanned, and may be written to in the midst of it."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store.ontology)
        self.__dict__.update(store.__dict__)
        self.scans: list[int] = []
        self.meanwhile: list = []

    async def scan_entities(self, since: int = 0):
        self.scans.append(since)
        async for rows in super().scan_entities(since):
            yield rows
        if self.meanwhile:
            self.meanwhile.pop(0)()


async def test_second_start_does_not_read_the_database(tmp_path: Path) -> None:
    store = CountingStore(small_store())
    built = await load_snapshot(store, "medical", tmp_path)
    assert store.scans == [0]
    mapped = await load_snapshot(store, "medical", tmp_path)
    assert store.scans == [0]
    assert_same(built, mapped)
    base = mapped.tables.fact_belief
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    assert not isinstance(base, np.ndarray), "memory-mapped"


async def test_start_after_a_change_reads_only_the_change(tmp_path: Path) -> None:
    store = CountingStore(small_store())
    await load_snapshot(store, "medical", tmp_path)
    store.write(claims=[Claim("OMIM:1", "HAS_PHENOTYPE", "HP:2", "S:2")])
    snapshot = await load_snapshot(store, "medical", tmp_path)
    assert store.scans == [0, 1]
    assert_is(snapshot, store)


async def test_written_to_while_read(tmp_path: Path) -> None:
    store = CountingStore(small_store())
    store.meanwhile = [
        lambda: store.write(claims=[Claim("OMIM:2", "HAS_PHENOTYPE", "HP:1", "S:2")]),
        lambda: store.retract("S:2"),
        lambda: store.write(claims=[Claim("OMIM:2", "HAS_PHENOTYPE", "HP:3", "S:2")]),
    ]
    snapshot = await load_snapshot(store, "medical", tmp_path)
    assert snapshot.version == 4
    assert_is(snapshot, store)


async def test_graph_that_never_rests_is_refused(tmp_path: Path) -> None:
    store = CountingStore(small_store())
    store.meanwhile = [lambda: store.write()] * 1000
    with pytest.raises(StoreUnavailableError, match="faster"):
        await load_snapshot(store, "medical", tmp_path)


async def test_forgotten_removals_mean_rebuild(tmp_path: Path) -> None:
    store = CountingStore(small_store())
    snapshot = await load_snapshot(store, "medical", tmp_path)
    store.removals = None
    store.retract("S:1")
    snapshot = await refresh_snapshot(snapshot, store, tmp_path)
    assert store.scans == [0, 0]
    assert len(snapshot) == 0
    assert_is(snapshot, store)


async def test_old_snapshot_stays_valid_after_refresh(tmp_path: Path) -> None:
    store = small_store()
    await load_snapshot(store, "medical", tmp_path)
    old = await load_snapshot(store, "medical", tmp_path)
    for number in range(4):
        store.write(claims=[Claim("OMIM:1", "HAS_PHENOTYPE", f"HP:7{number}", "S:1")])
        await load_snapshot(store, "medical", tmp_path)
    assert old.version == 1
    assert [old.id(i) for i in range(len(old))] == ["HP:1", "OMIM:1"]
    assert old.claims(0)[0].qualifiers == {"frequency_numerator": 3, "onset_term": "HP:9"}


async def test_unknown_names(tmp_path: Path) -> None:
    snapshot = await load_snapshot(small_store(), "medical", tmp_path)
    with pytest.raises(NotFoundError, match="HP:404"):
        snapshot.index("HP:404")
    with pytest.raises(NotFoundError, match="NO_SUCH"):
        snapshot.facts("NO_SUCH")
    with pytest.raises(KeyError):
        snapshot.facts("HAS_PHENOTYPE").claims.qualifier("no_such")
    with pytest.raises(OntologyError, match="kitchen"):
        await load_snapshot(small_store(), "kitchen", tmp_path)
    assert "HP:404" not in snapshot
    assert snapshot.indices(["OMIM:1", "HP:404", "HP:1"]).tolist() == [1, -1, 0]
    assert snapshot.entities("NoSuchLabel").tolist() == []


async def test_arrays_are_read_only(tmp_path: Path) -> None:
    snapshot = await load_snapshot(small_store(), "medical", tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        snapshot.facts("HAS_PHENOTYPE").belief[0] = 0.0
    with pytest.raises(ValueError, match="read-only"):
        snapshot.entities("Disease")[0] = 0


@given(
    st.sets(st.text(st.characters(codec="utf-8")), max_size=40),
    st.sets(st.text(st.characters(codec="utf-8")), max_size=40),
)
def test_positions_in_sorted_strings(table: set[str], wanted: set[str]) -> None:
    strings, queries = Strings.of(sorted(table)), Strings.of(sorted(wanted))
    at, found = strings.positions(queries)
    one_by_one = [strings.position(text) for text in queries]
    assert list(zip(at.tolist(), found.tolist(), strict=True)) == one_by_one
    assert found.tolist() == [text in table for text in queries]
    assert all(sum(t < text for t in table) == i for i, text in zip(at.tolist(), queries, strict=True))
