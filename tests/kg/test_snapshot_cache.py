"""A cache that is half written, damaged or of another graph is passed over, and the snapshot built anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import orjson
import pytest
from structlog.testing import capture_logs

from kg.model import Entity
from kg.ontology import Ontology
from kg.snapshot import load_snapshot
from kg.snapshot_cache import SnapshotCache, schema_hash
from tests.kg.memory_store import MemoryStore
from tests.kg.test_snapshot import SOURCES, CountingStore, assert_is, assert_same, small_store


def only_folder(cache: Path) -> Path:
    (folder,) = (cache / "medical").iterdir()
    return folder


def truncate(folder: Path) -> None:
    file = folder / "fact_belief.npy"
    file.write_bytes(file.read_bytes()[:-1])


def drop_array(folder: Path) -> None:
    (folder / "claim_start.npy").unlink()


def drop_meta(folder: Path) -> None:
    (folder / "meta.json").unlink()


def cut_meta(folder: Path) -> None:
    meta = folder / "meta.json"
    meta.write_bytes(meta.read_bytes()[:40])


def change_meta(folder: Path) -> None:
    meta = orjson.loads((folder / "meta.json").read_bytes())
    meta["version"] = 2
    (folder / "meta.json").write_bytes(orjson.dumps(meta))


def no_object(folder: Path) -> None:
    (folder / "meta.json").write_bytes(b"[]")


@pytest.mark.parametrize("harm", [truncate, drop_array, drop_meta, cut_meta, change_meta, no_object])
async def test_damaged_cache_is_rebuilt(tmp_path: Path, harm) -> None:
    store = CountingStore(small_store())
    built = await load_snapshot(store, "medical", tmp_path)
    harm(only_folder(tmp_path))
    with capture_logs() as logs:
        again = await load_snapshot(store, "medical", tmp_path)
    assert [entry["event"] for entry in logs] == ["snapshot.rejected", "snapshot.built"]
    assert store.scans == [0, 0]
    assert_same(built, again)
    await load_snapshot(store, "medical", tmp_path)
    assert store.scans == [0, 0], "and the cache is whole again"


async def test_cache_of_another_graph_is_not_taken(tmp_path: Path) -> None:
    await load_snapshot(small_store(), "medical", tmp_path)
    other = MemoryStore(Ontology.load(), name="another")
    other.write()
    snapshot = await load_snapshot(other, "medical", tmp_path)
    assert len(snapshot) == 0
    assert_is(snapshot, other)


async def test_graph_that_went_back_is_read_anew(tmp_path: Path) -> None:
    store = small_store()
    store.write()
    await load_snapshot(store, "medical", tmp_path)
    restored = MemoryStore(store.ontology)
    restored.write(SOURCES, [Entity("OMIM:9", ("Disease",), "S:1")])
    snapshot = await load_snapshot(restored, "medical", tmp_path)
    assert snapshot.version == 1
    assert_is(snapshot, restored)


async def test_another_schema_has_its_own_folder(tmp_path: Path) -> None:
    ontology = Ontology.load()
    before = schema_hash(ontology, "medical")
    ontology.qualifiers.pop("curator")
    assert schema_hash(ontology, "medical") != before
    await load_snapshot(small_store(), "medical", tmp_path)
    assert SnapshotCache(tmp_path, "medical", ontology, "memory").newest() is None


async def test_last_two_versions_stay(tmp_path: Path) -> None:
    store = small_store()
    for _ in range(4):
        await load_snapshot(store, "medical", tmp_path)
        store.write()
    names = sorted(folder.name.split("-")[0] for folder in (tmp_path / "medical").iterdir())
    assert names == ["3", "4"]


async def test_cache_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "medical").write_text("a file where the folder should be")
    store = small_store()
    with capture_logs() as logs:
        snapshot = await load_snapshot(store, "medical", tmp_path)
    assert "snapshot.not_cached" in [entry["event"] for entry in logs]
    assert_is(snapshot, store)


async def test_save_over_a_folder_of_the_same_version(tmp_path: Path) -> None:
    store = small_store()
    built = await load_snapshot(store, "medical", tmp_path)
    folder = only_folder(tmp_path)
    shutil.rmtree(folder)
    folder.mkdir()
    again = await load_snapshot(store, "medical", tmp_path)
    mapped = await load_snapshot(store, "medical", tmp_path)
    assert_same(built, again)
    assert_same(built, mapped)
