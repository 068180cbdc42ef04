"""Record linkage finds the records that were doubled, with slips in them, and leaves the others alone."""

from __future__ import annotations

import random
import string
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from ingestion.linkage import linked, propose
from kg.errors import InputError, OntologyError
from kg.model import Entity, Source
from kg.same import possibly_same
from kg.store import Batch, GraphStore
from tests.support.backends import ONTOLOGY, Backend

pytest.importorskip("splink")


def people(many: int, doubled: int, seed: int = 1) -> list[dict[str, Any]]:
    """Patients, of whom the first ones are there twice, the second time with a slip in the name."""
    rng = random.Random(seed)
    syllables = ["an", "ber", "cor", "da", "el", "fin", "ga", "hol", "is", "ka", "lin", "mo", "nor", "ot", "ra", "sel"]

    def name() -> str:
        return " ".join("".join(rng.choices(syllables, k=rng.randint(2, 3))) for _ in range(2))

    records = [
        {
            "id": f"patient:{i}",
            "name": name(),
            "sex": rng.choice(["MALE", "FEMALE"]),
            "age": f"P{rng.randint(0, 90)}Y{rng.randint(0, 11)}M",
        }
        for i in range(many)
    ]
    for record in records[:doubled]:
        at = rng.randrange(1, len(record["name"]) - 1)
        slip = record["name"][:at] + rng.choice(string.ascii_lowercase) + record["name"][at + 1 :]
        records.append(record | {"id": record["id"].replace("patient:", "again:"), "name": slip})
    return records


def test_doubles_are_found() -> None:
    pairs = linked(people(300, 30), ONTOLOGY)
    right = [(a, b) for a, b, _ in pairs if a.partition(":")[2] == b.partition(":")[2]]
    assert len(right) >= 27
    assert len(pairs) - len(right) <= 3
    assert all(0.5 <= p <= 1.0 for _, _, p in pairs)
    assert linked(people(300, 30), ONTOLOGY) == pairs  # again the same


def test_without_doubles_hardly_anything_is_found() -> None:
    assert len(linked(people(300, 0, seed=2), ONTOLOGY)) <= 2


@pytest.mark.parametrize("records", [[], [{"id": "a:1", "name": "x"}], [{"id": "a:1"}, {"id": "a:2"}]])
def test_nothing_to_compare(records: list[dict[str, Any]]) -> None:
    with pytest.raises(InputError):
        linked(records, ONTOLOGY)


def test_two_records_will_do() -> None:
    records = [{"id": f"a:{i}", "name": "Dravet syndrome", "sex": "MALE"} for i in (1, 2)]
    assert [(a, b) for a, b, _ in linked(records, ONTOLOGY, 0.0)] == [("a:1", "a:2")]


@pytest_asyncio.fixture
async def store(embedded_backend: Backend) -> AsyncIterator[GraphStore]:
    embedded_backend.empty()
    opened = await embedded_backend.open()
    yield opened
    await opened.close()


async def test_what_is_found_is_proposed_once(store: GraphStore) -> None:
    source = Source("clinic:1", "database", document="doc:a")
    entities = [
        Entity(r["id"], ("Patient",), source.id, {n: v for n, v in r.items() if n != "id"}, "doc:a")
        for r in people(120, 12)
    ]
    await store.write(Batch(sources=[source], entities=entities))
    many = await propose(store, "Patient")
    assert 10 <= many <= 14
    proposed = await possibly_same(store)
    assert len(proposed) == many
    assert proposed[0]["sources"] == ["splink:Patient"]
    digest = await store.digest()
    assert await propose(store, "Patient") == many
    assert await store.digest() == digest
    with pytest.raises(OntologyError):
        await propose(store, "Unicorn")
    with pytest.raises(InputError, match="no two records"):
        await propose(store, "Gene")
