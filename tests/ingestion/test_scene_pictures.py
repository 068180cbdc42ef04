"""Real pictures with a real detector: one scene of what the boxes, the letters and the words beside them say."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from api.extraction import configure
from api.settings import Settings
from ingestion.pipeline import IngestionReport, ingest
from ingestion.readers.base import get_reader
from kg.store import GraphStore
from tests.ingestion.samples import SHARED
from tests.support.backends import Backend

pytest.importorskip("rapidocr", reason="needs the extra `vision`")
DETECTOR = SHARED.parent / "models" / "nanodet.onnx"
BUS = SHARED / "images" / "london_bus.jpg"
pytestmark = pytest.mark.skipif(not (DETECTOR.exists() and BUS.exists()), reason="needs the detector and a picture")


@pytest_asyncio.fixture
async def store(backend: Backend) -> AsyncIterator[GraphStore]:
    opened = await backend.open()
    yield opened
    await opened.close()


async def load(store: GraphStore, folder: Path) -> IngestionReport:
    reader = await configure(get_reader("image"), Settings(detector=str(DETECTOR)), store)
    return await ingest(store, reader, folder, dead_letters=folder.parent / "letters.jsonl")


async def rows(store: GraphStore, query: str) -> list[dict[str, Any]]:
    return [row async for row in store.read(query)]


async def depicted(store: GraphStore) -> dict[str, tuple[float, set[str]]]:
    found = await rows(
        store, "MATCH (m:Medium)-[r:DEPICTS]->(c) RETURN c.name AS name, r.belief AS belief, r.sources AS sources"
    )
    return {row["name"]: (row["belief"], set(row["sources"])) for row in found}


async def test_boxes_letters_and_words_make_one_scene(store: GraphStore, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    shutil.copy(BUS, folder)
    await load(store, folder)
    alone = await depicted(store)
    assert {"bus", "car"} <= set(alone)

    (folder / "london_bus.txt").write_text("A red bus passes a dog in London. No bicycles.", encoding="utf-8")
    await load(store, folder)
    both = await depicted(store)
    words = "model:words-beside-pictures@1"
    assert words in both["bus"][1]
    assert len(both["bus"][1]) == 2
    assert both["bus"][0] > alone["bus"][0]
    assert both["dog"][1] == {words}
    assert "bicycle" not in both
    assert both["car"] == alone["car"]

    (written,) = await rows(
        store, "MATCH (m:Medium)-[:MENTIONED_IN]->(d:Document {name: 'london_bus.txt'}) RETURN d.id"
    )
    assert written
    on = await rows(
        store,
        "MATCH (t:Detection)-[r:SEEN_ON]->(d:Detection)-[:INSTANCE_OF]->(c {name: 'bus'}) "
        "WHERE t.text IS NOT NULL RETURN t.text AS text, r.belief AS belief",
    )
    assert on
    assert all(0 < row["belief"] < 1 for row in on)

    for words in ("0 0.51 0.4 0.2 0.3\n2 0.1 0.4 0.2 0.3\n", None):  # boxes as YOLO writes them; nothing
        if words is None:
            (folder / "london_bus.txt").unlink()
        else:
            (folder / "london_bus.txt").write_text(words, encoding="utf-8")
        await load(store, folder)
        assert await depicted(store) == alone
        assert not await rows(store, "MATCH (d:Document {name: 'london_bus.txt'}) RETURN d.id")


async def test_words_that_are_no_text_are_told_and_the_picture_stays(store: GraphStore, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    shutil.copy(BUS, folder)
    (folder / "london_bus.txt").write_bytes(b"\xff\xfe\x00")
    report = await load(store, folder)
    assert report.rejected == 1
    assert "bus" in await depicted(store)
