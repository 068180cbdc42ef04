"""Taking back what one document says, with and without the notes of what it speaks of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from kg.changes import Unsaid
from kg.extents import rows_of
from kg.store import Batch, GraphStore
from tests.kg.graphs import DRAVET, MODEL, has, ledger, sample
from tests.support.backends import Backend


@pytest_asyncio.fixture
async def store(backend: Backend) -> AsyncIterator[GraphStore]:
    """An empty graph."""
    opened = await backend.open()
    yield opened
    await opened.close()


async def extents(store: GraphStore) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    async for row in store.read("MATCH (x:Extent) RETURN x.document AS document, x.ids AS ids ORDER BY document"):
        found.setdefault(row["document"], []).append(row["ids"])
    return found


async def without_notes(store: GraphStore) -> None:
    """As a graph is that was begun before there were any."""

    async def work(transaction: Any) -> None:
        await (await transaction.run("MATCH (x:Extent) DELETE x")).consume()
        await (await transaction.run("MATCH (g:GraphState) SET g.extents = false")).consume()

    await store._bolt.write(work)


async def test_each_document_is_noted_with_what_it_speaks_of(store: GraphStore) -> None:
    batch = sample()
    await store.write(batch)
    subjects = {r.id for r in batch.entities} | {c.subject for c in batch.claims if c.document == "doc:a"}
    assert await extents(store) == {"doc:a": [sorted(subjects)], "doc:b": [[DRAVET.id]]}


async def test_a_document_that_changes_is_noted_anew(store: GraphStore) -> None:
    await store.write(sample())
    claim = has("HP:0002133", source=MODEL, subject="OMIM:1")
    unsaid = Unsaid("doc:b")
    for record in (MODEL, claim):
        unsaid.say(record)
    entry = ledger("doc:b", 2)
    await store.write(Batch([MODEL], claims=[claim], ledger=[replace(entry, complete=False, stale=True)]))
    await store.finish(entry, unsaid)
    assert (await extents(store))["doc:b"] == [["OMIM:1"]]
    assert [
        row
        async for row in store.read(
            "MATCH ({id: $id})-[f]->() WHERE 'doc:b' IN f.documents RETURN f", {"id": DRAVET.id}
        )
    ] == []


@pytest.mark.parametrize("id_", ["doc:a", "doc:b"])
async def test_a_graph_without_notes_is_read_as_a_whole(store: GraphStore, backend: Backend, id_: str) -> None:
    await store.write(sample())
    await store.retract(id_)
    noted = await store.digest()
    assert id_ not in await extents(store)
    other = await backend.open()
    try:
        await other.write(sample())  # what is there stays as it is
        await without_notes(other)
        await other.retract(id_)
        assert await other.digest() == noted
    finally:
        await other.close()


def test_no_node_grows_without_bound() -> None:
    rows = rows_of({"b": {str(n) for n in range(25_000)}, "a": {"x"}})
    assert [(row["document"], len(row["ids"])) for row in rows] == [
        ("a", 1),
        ("b", 10_000),
        ("b", 10_000),
        ("b", 5_000),
    ]
