"""Conflicts, on both stores."""

from __future__ import annotations

import pytest

from kg.conflicts import find_conflicts
from kg.errors import OntologyError
from kg.model import Claim, Entity, Source
from kg.store import Batch
from tests.support.backends import Backend

A, B = Source("S:a", "person", document="d"), Source("S:b", "model", document="d")


def sample() -> Batch:
    return Batch(
        [A, B],
        [
            Entity("E:1", ("Item",), A.id, {"name": "Lamp"}),
            Entity("E:2", ("Disease",), A.id),
            Entity("E:2", ("Gene",), B.id),
            Entity("E:4", ("Disease",), A.id),
        ],
        [
            Claim("E:1", "HAS_BRAND", "B:1", B.id),
            Claim("E:1", "HAS_BRAND", "B:2", A.id),
            Claim("E:1", "HAS_BRAND", "B:3", A.id, 0.0),  # nobody believes it
            Claim("E:3", "HAS_BRAND", "B:1", A.id),
            Claim("E:3", "HAS_CATEGORY", "C:1", A.id),
            Claim("E:3", "HAS_CATEGORY", "C:2", A.id),  # several are fine
            Claim("E:2", "HAS_PHENOTYPE", "P:1", A.id),
            Claim("E:2", "EXCLUDES_PHENOTYPE", "P:1", B.id),
            Claim("E:2", "EXCLUDES_PHENOTYPE", "P:2", B.id),
        ],
    )


def sides(conflict: dict) -> list[tuple[str, str, float, list[str]]]:
    return [(f["relation"], f["object"]["id"], round(f["belief"], 6), f["sources"]) for f in conflict["facts"]]


async def test_conflicts(backend: Backend) -> None:
    store = await backend.open()
    try:
        assert await find_conflicts(store) == []
        await store.write(sample())
        brand, phenotype, classes = found = await find_conflicts(store)
        assert brand["kind"] == "functional"
        assert brand["subject"] == {"id": "E:1", "name": "Lamp"}
        assert sides(brand) == [("HAS_BRAND", "B:2", 0.9, ["S:a"]), ("HAS_BRAND", "B:1", 0.8, ["S:b"])]
        assert phenotype["kind"] == "disjoint-relations"
        assert sides(phenotype) == [("HAS_PHENOTYPE", "P:1", 0.9, ["S:a"]), ("EXCLUDES_PHENOTYPE", "P:1", 0.8, ["S:b"])]
        assert classes == {
            "kind": "disjoint-classes",
            "subject": {"id": "E:2", "name": None},
            "classes": [{"class": "Disease", "sources": ["S:a"]}, {"class": "Gene", "sources": ["S:b"]}],
        }
        assert await find_conflicts(store, limit=1) == [brand]
        assert await find_conflicts(store, limit=5, offset=1) == found[1:]
        assert await find_conflicts(store, "HAS_BRAND") == [brand]
        assert await find_conflicts(store, "HAS_PHENOTYPE") == await find_conflicts(store, "EXCLUDES_PHENOTYPE")
        assert await find_conflicts(store, "IS_A") == []
        with pytest.raises(OntologyError, match="unknown relation 'KNOWS'"):
            await find_conflicts(store, "KNOWS")

        await store.trust(B.id, quarantined=True)  # what it says does not count
        assert [c["kind"] for c in await find_conflicts(store)] == []
        await store.retract(B.id)
        assert await find_conflicts(store) == []
    finally:
        await store.close()


async def test_a_kind_and_what_it_is_a_kind_of_are_no_conflict(backend: Backend) -> None:
    store = await backend.open()
    try:
        kinds = [
            Entity(f"object:{name}", ("ObjectClass",), A.id, {"name": name})
            for name in ("sedan", "car", "vehicle", "person")
        ]
        claims = [
            Claim("object:sedan", "IS_A", "object:car", A.id),
            Claim("object:car", "IS_A", "object:vehicle", A.id),
            Claim("D:1", "INSTANCE_OF", "object:sedan", B.id),
            Claim("D:1", "INSTANCE_OF", "object:vehicle", B.id),
            Claim("D:2", "INSTANCE_OF", "object:sedan", B.id),
            Claim("D:2", "INSTANCE_OF", "object:vehicle", B.id),
            Claim("D:2", "INSTANCE_OF", "object:person", A.id),
        ]
        seen = [Entity(id_, ("Detection",), A.id) for id_ in ("D:1", "D:2")]
        await store.write(Batch([A, B], [*kinds, *seen], claims))
        (found,) = await find_conflicts(store)
        assert found["subject"]["id"] == "D:2"
        assert {side[1] for side in sides(found)} == {"object:sedan", "object:person"}
    finally:
        await store.close()
