"""Random sequences of writes, edits, retractions and quarantines, on real stores, against dictionaries and new graphs.

EVIGRAPH_SEQUENCES says how many on the embedded store, e.g. 500; there are a quarter as many on Neo4j.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from kg.changes import Unsaid
from kg.errors import NotFoundError
from kg.model import Claim, Entity, Source
from kg.snapshot import load_snapshot, refresh_snapshot
from kg.store import Batch, GraphStore, LedgerEntry
from tests.kg.graphs import content, ledger
from tests.kg.memory_store import MemoryStore
from tests.kg.test_snapshot import assert_same
from tests.support.backends import ONTOLOGY, Backend

T = TypeVar("T")

SOURCE_IDS = st.sampled_from(("S:1", "S:2", "S:3"))
DOCUMENTS = ("doc:a", "doc:b", "doc:c")
ENTITY_IDS = st.sampled_from(("E:1", "E:2", "E:3", "E:4"))
CONFIDENCES = st.sampled_from((0.0, 0.3, 1.0))
NAMES = st.sampled_from(("one", "two"))


@dataclass(frozen=True)
class Write:
    batch: Batch


@dataclass(frozen=True)
class Edit:
    """The document of the batch says this from now on, and nothing else."""

    batch: Batch


@dataclass(frozen=True)
class Retract:
    id: str


@dataclass(frozen=True)
class Quarantine:
    id: str
    quarantined: bool


Step = Write | Edit | Retract | Quarantine


@st.composite
def writes(draw: st.DrawFn) -> Write:
    """A batch of one document, which describes every source that it cites."""
    document = draw(st.sampled_from(DOCUMENTS))
    claims = draw(
        st.lists(
            st.builds(
                Claim,
                subject=ENTITY_IDS,
                relation=st.sampled_from(("HAS_PHENOTYPE", "ASSOCIATED_WITH")),
                object=ENTITY_IDS,
                source=SOURCE_IDS,
                confidence=CONFIDENCES,
                qualifiers=st.sampled_from(({}, {"onset_age": "P1Y"})),
                document=st.just(document),
                place=st.sampled_from(("L1", "L2")),
            ),
            max_size=6,
        )
    )
    entities = draw(
        st.lists(
            st.builds(
                Entity,
                id=ENTITY_IDS,
                classes=st.sampled_from((("Disease",), ("Gene",), ("Phenotype",))),
                source=SOURCE_IDS,
                properties=st.one_of(
                    st.builds(lambda name: {"name": name}, NAMES),
                    st.builds(lambda name: {"synonyms": (name,)}, NAMES),
                ),
                document=st.just(document),
            ),
            max_size=4,
        )
    )
    cited = sorted({r.source for r in (*claims, *entities)} | draw(st.sets(SOURCE_IDS, max_size=1)))
    sources = [
        Source(
            id_,
            draw(st.sampled_from(("model", "person"))),
            draw(NAMES),
            reliability=draw(RELIABILITIES),
            document=document,
        )
        for id_ in cited
    ]
    return Write(Batch(sources, entities, claims, [ledger(document, len(claims) + len(entities) + len(sources))]))


RELIABILITIES = st.sampled_from((None, 0.5))
STEPS = st.lists(
    st.one_of(
        writes(),
        writes(),
        st.builds(lambda write: Edit(write.batch), writes()),
        st.builds(Retract, st.one_of(SOURCE_IDS, st.sampled_from(DOCUMENTS))),
        st.builds(Quarantine, SOURCE_IDS, st.booleans()),
    ),
    min_size=1,
    max_size=7,
)


class Model:
    """Dictionaries that are told the same, with a ledger."""

    def __init__(self) -> None:
        self.graph = MemoryStore(ONTOLOGY)
        self.ledger: dict[str, LedgerEntry] = {}
        self.said: list[Batch] = []

    def write(self, batch: Batch) -> None:
        self.graph.write(batch.sources, batch.entities, batch.claims)
        self.ledger |= {entry.document: entry for entry in batch.ledger}
        self.said.append(batch)

    def edit(self, batch: Batch) -> None:
        [entry] = batch.ledger
        self.graph.retract(entry.document)
        self.graph.forget(entry.document)
        self.said = [said for said in self.said if said.ledger[0].document != entry.document]
        self.write(batch)
        self.graph.quarantined &= self.graph.sources_.keys()

    def quarantine(self, step: Quarantine) -> bool:
        if step.id not in self.graph.sources_:
            return False
        self.graph.quarantine(step.id, quarantined=step.quarantined)
        return True

    def retract(self, id_: str) -> bool:
        if id_ not in self.graph.sources_ and id_ not in self.ledger:
            return False
        told_in = {
            r.document
            for batch in self.said
            for r in (*batch.sources, *batch.entities, *batch.claims)
            if id_ == (r.id if isinstance(r, Source) else r.source)
        }
        self.graph.retract(id_)
        self.graph.forget(id_)
        self.graph.quarantined &= self.graph.sources_.keys()
        self.ledger.pop(id_, None)
        self.ledger |= {d: ledger(d, 0, complete=False) for d in told_in & self.ledger.keys()}
        self.said = [without(batch, id_) for batch in self.said]
        return True


def without(batch: Batch, id_: str) -> Batch:
    """What remains of a batch if this source, or document, had never been."""
    return Batch(
        [s for s in batch.sources if id_ not in (s.id, s.document)],
        [e for e in batch.entities if id_ not in (e.source, e.document)],
        [c for c in batch.claims if id_ not in (c.source, c.document)],
        batch.ledger,
    )


class Client:
    """A store, and the loop that it lives in."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._runner = asyncio.Runner()
        self.store: GraphStore = self.run(backend.open)

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return self._runner.run(work())

    def empty(self) -> None:
        async def delete() -> None:
            async def work(transaction: Any) -> None:
                await (await transaction.run("MATCH (n) DETACH DELETE n")).consume()

            await self.store._bolt.write(work)

        self.run(delete)
        self.store._identity = ""

    def close(self) -> None:
        self.run(self.store.close)
        self._runner.close()


@pytest.fixture(scope="module")
def client(database: Backend) -> Iterator[Client]:
    opened = Client(database)
    yield opened
    opened.close()


def examples(client: Client) -> Any:
    many = int(os.environ.get("EVIGRAPH_SEQUENCES", "25"))
    if client.backend.name != "embedded":
        many = max(many // 4, 1)
    return settings(
        max_examples=many,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


async def edit(store: GraphStore, batch: Batch) -> None:
    """As the pipeline loads a document that has changed."""
    [entry] = batch.ledger
    unsaid = Unsaid(entry.document)
    for record in (*batch.sources, *batch.entities, *batch.claims):
        unsaid.say(record)
    await store.write(replace(batch, ledger=[replace(entry, complete=False, stale=True)]))
    await store.finish(entry, unsaid)


async def take(store: GraphStore, model: Model, step: Step) -> None:
    if isinstance(step, Write):
        await store.write(step.batch)
        model.write(step.batch)
    elif isinstance(step, Edit):
        await edit(store, step.batch)
        model.edit(step.batch)
    elif isinstance(step, Quarantine):
        if model.quarantine(step):
            await store.trust(step.id, quarantined=step.quarantined)
    elif model.retract(step.id):
        await store.retract(step.id)
    else:
        with pytest.raises(NotFoundError):
            await store.retract(step.id)


def test_a_store_is_as_the_dictionaries_and_as_a_graph_that_never_had_what_was_retracted(client: Client) -> None:
    @examples(client)
    @given(STEPS)
    def check(steps: list[Step]) -> None:
        client.empty()

        async def run() -> None:
            model = Model()
            for step in steps:
                await take(client.store, model, step)
            found = await content(client.store)
            assert found == model.graph.rows()
            entries = await client.store.ledger()
            assert {d: (e.records, e.complete) for d, e in entries.items()} == {
                d: (e.records, e.complete) for d, e in model.ledger.items()
            }
            digest = await client.store.digest()
            for batch in model.said:  # again, and then on an empty graph: it never heard what was retracted
                await client.store.write(batch)
            assert await client.store.digest() == digest
            await asyncio.to_thread(client.backend.empty)
            await client.store.write(Batch([s for b in model.said for s in b.sources]))
            quarantined = sorted(model.graph.quarantined)
            for id_ in quarantined:
                await client.store.trust(id_, quarantined=True)
            for batch in reversed(model.said):
                await client.store.write(batch)
            assert await content(client.store) == found
            for id_ in quarantined:  # and once released, as if they had always counted
                await client.store.trust(id_)
                model.graph.quarantine(id_, quarantined=False)
            assert await content(client.store) == model.graph.rows()

        client.run(run)

    check()


def test_a_refreshed_snapshot_is_a_new_one(client: Client, tmp_path: Path) -> None:
    @examples(client)
    @given(STEPS, STEPS)
    def check(before: list[Step], after: list[Step]) -> None:
        client.empty()
        (tmp_path / "new").mkdir(exist_ok=True)

        async def run() -> None:
            model = Model()
            for step in before:
                await take(client.store, model, step)
            snapshot = await load_snapshot(client.store, "medical", tmp_path)
            for step in after:
                await take(client.store, model, step)
            refreshed = await refresh_snapshot(snapshot, client.store, tmp_path)
            assert_same(refreshed, await load_snapshot(client.store, "medical", tmp_path / "new"))

        client.run(run)

    check()
