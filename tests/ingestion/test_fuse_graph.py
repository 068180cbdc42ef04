"""Fusion runs on a graph, each on both stores: learned, believed, repeated, taken back."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ingestion.fuse_boxes import Box, average_precision, fuse_boxes, iou
from ingestion.fuse_graph import fuse_graph_boxes, fuse_reliability, learn_reliability
from kg.errors import InputError
from kg.model import Claim, Entity, Source, Value
from kg.store import Batch, GraphStore
from tests.kg.graphs import content, ledger
from tests.support.backends import Backend


@pytest_asyncio.fixture
async def store(backend: Backend) -> AsyncIterator[GraphStore]:
    opened = await backend.open()
    yield opened
    await opened.close()


# ---- reliabilities


def answers(seed: int = 0) -> tuple[dict[str, float], list[tuple[str, str, str]]]:
    """(item, brand, source): how often each source is right, and what they say."""
    dice = random.Random(seed)
    right = {"S:good": 0.95, "S:fair": 0.7, "S:bad": 0.3, "S:fine": 0.9}
    said = []
    for item in range(150):
        for source, share in right.items():
            brand = f"B:{item}" if dice.random() < share else f"B:{item}-{dice.randint(1, 3)}"
            said.append((f"I:{item}", brand, source))
    return right, said


def test_reliability_is_learned_from_disagreement_alone() -> None:
    right, said = answers()
    questions: dict[str, dict[str, list[tuple[str, float]]]] = {}
    for item, brand, source in said:
        questions.setdefault(item, {}).setdefault(brand, []).append((source, 1.0))
    learned = learn_reliability(list(questions.values()), dict.fromkeys(right, 0.8))
    for source, share in right.items():
        assert learned[source]["reliability"] == pytest.approx(share, abs=0.08)
        assert learned[source]["questions"] == 150


async def test_beliefs_follow_and_a_run_can_be_taken_back(store: GraphStore) -> None:
    right, said = answers()
    sources = [Source(s, "model", document="doc:a") for s in right]
    claims = [Claim(item, "HAS_BRAND", brand, source, document="doc:a") for item, brand, source in said]
    await store.write(Batch(sources, [], claims, [ledger("doc:a")]))
    before = await content(store)
    learned = await fuse_reliability(store, "HAS_BRAND")
    assert learned["S:good"]["reliability"] > 0.88 > 0.4 > learned["S:bad"]["reliability"]
    source = await store.source("S:bad")
    assert source is not None
    assert source["reliability"] == learned["S:bad"]["reliability"]
    after = await content(store)
    assert after != before
    assert await fuse_reliability(store, "HAS_BRAND") == learned
    assert await content(store) == after
    await store.retract("fusion:HAS_BRAND")
    assert await content(store) == before


async def test_what_can_not_be_learned_from(store: GraphStore) -> None:
    await store.write(Batch([Source("S:1", "model", document="d")], [], [Claim("I:1", "HAS_BRAND", "B:1", "S:1")]))
    with pytest.raises(InputError, match="no two sources"):
        await fuse_reliability(store, "HAS_BRAND")
    with pytest.raises(InputError, match="can't contradict"):
        await fuse_reliability(store, "IS_A")


async def test_who_is_in_quarantine_has_no_vote(store: GraphStore) -> None:
    right, said = answers()
    sources = [Source(s, "model", document="doc:a") for s in right]
    claims = [Claim(item, "HAS_BRAND", brand, source, document="doc:a") for item, brand, source in said]
    rest = [claim for claim in claims if claim.source != "S:bad"]
    await store.write(Batch(sources, [], rest, [ledger("doc:a")]))
    expected = await fuse_reliability(store, "HAS_BRAND")
    await store.trust("S:bad", quarantined=True)
    await store.write(Batch(sources, [], claims))
    assert await fuse_reliability(store, "HAS_BRAND") == expected


# ---- boxes


def test_weighted_boxes_by_hand() -> None:
    one, other = Box((0.1, 0.1, 0.5, 0.5), "car", 0.9, "D:1"), Box((0.14, 0.1, 0.54, 0.5), "car", 0.3, "D:2")
    apart = Box((0.7, 0.7, 0.9, 0.9), "car", 0.8, "D:3")
    person = Box((0.1, 0.1, 0.5, 0.5), "person", 0.5, "D:4")
    fused = fuse_boxes({"a": [one, apart], "b": [other, person]})
    assert [(f.box.label, f.parts) for f in fused] == [
        ("car", ("D:1", "D:2")),
        ("car", ("D:3",)),
        ("person", ("D:4",)),
    ]
    left = (0.9 * 0.1 + 0.3 * 0.14) / 1.2
    assert fused[0].box.edges == pytest.approx((left, 0.1, left + 0.4, 0.5), abs=1e-6)
    assert fused[0].box.score == pytest.approx(0.6)  # the mean of both
    assert fused[1].box.score == pytest.approx(0.4)  # one of two saw it
    assert fuse_boxes({"a": [one, apart], "b": [other, person]}, {"a": 1.0, "b": 1.0}) == fused
    assert fuse_boxes({"a": [], "b": []}) == []


def test_average_precision_by_hand() -> None:
    car, far = Box((0, 0, 0.5, 0.5), "car", 1.0), Box((0.6, 0.6, 1, 1), "car", 1.0)
    truth = [("i", car), ("i", far)]
    miss = Box((0.3, 0.3, 0.6, 0.6), "car", 0.8)
    assert iou(car.edges, far.edges) == 0.0
    assert average_precision(truth, truth) == 1.0
    assert average_precision(truth, [("i", Box(car.edges, "car", 0.9))]) == 0.5
    assert average_precision(truth, [("j", car)]) == 0.0
    found = [("i", Box(car.edges, "car", 0.9)), ("i", miss), ("i", Box(far.edges, "car", 0.7))]
    assert average_precision(truth, found) == pytest.approx((1 + 2 / 3) / 2)


async def test_boxes_in_the_graph(store: GraphStore) -> None:
    sources = [Source(s, "model", document="doc:a") for s in ("model:a", "model:b")]
    records: list[Entity] = [Entity("image:1", ("Medium",), "model:a", document="doc:a")]
    claims = []
    for number, (source, left) in enumerate((("model:a", 10.0), ("model:b", 12.0), ("model:b", 80.0))):
        id_ = f"det:{number}"
        box = {"pixel_left": left, "pixel_top": 10.0, "pixel_right": left + 20, "pixel_bottom": 50.0, "frame": 3}
        records.append(Entity(id_, ("Detection",), source, box, "doc:a"))
        claims += [
            Claim(id_, "DETECTED_IN", "image:1", source, 0.9, document="doc:a"),
            Claim(id_, "INSTANCE_OF", "object:car", source, 0.9, document="doc:a"),
        ]
    await store.write(Batch(sources, records, claims, [ledger("doc:a")]))
    before = await content(store)
    assert await fuse_graph_boxes(store) == {"images": 1, "boxes": 3, "fused": 2, "left_out": 0}
    after = await content(store)
    fused = {id_: properties for id_, (_, properties) in after.entities.items() if id_.startswith("fused:")}
    assert sorted(round(p["pixel_left"], 3) for p in fused.values()) == [11.0, 80.0]
    assert {p["frame"] for p in fused.values()} == {3}
    parts = sorted(o for s, r, o in after.facts if r == "RELATED_TO")
    assert parts == ["det:0", "det:1", "det:2"]
    assert await fuse_graph_boxes(store) == {"images": 1, "boxes": 3, "fused": 2, "left_out": 0}
    assert await content(store) == after
    await store.retract("fusion:boxes")
    assert await content(store) == before
    with pytest.raises(InputError, match="no medium"):
        await fuse_graph_boxes(store, "image:2")


async def seen(store: GraphStore, class_: str, boxes: list[tuple[str, dict[str, Value]]], **medium: Value) -> None:
    """Writes what sources saw on one medium."""
    sources = [Source(s, "model", document="doc:a") for s in sorted({source for source, _ in boxes})]
    records = [Entity("medium:1", (class_,), "model:a", medium, "doc:a")]
    claims = []
    for number, (source, properties) in enumerate(boxes):
        id_ = f"det:{number}"
        records.append(Entity(id_, ("Detection",), source, properties, "doc:a"))
        claims.append(Claim(id_, "DETECTED_IN", "medium:1", source, 0.9, document="doc:a"))
        claims.append(Claim(id_, "INSTANCE_OF", "object:car", source, 0.9, document="doc:a"))
    await store.write(Batch(sources, records, claims, [ledger("doc:a")]))


def pixels(left: float, **more: Value) -> dict[str, Value]:
    return {"pixel_left": left, "pixel_top": 10.0, "pixel_right": left + 20, "pixel_bottom": 50.0, **more}


def shares(left: float, **more: Value) -> dict[str, Value]:
    return {"box_left": left, "box_top": 0.1, "box_right": left + 0.2, "box_bottom": 0.5, **more}


async def parts(store: GraphStore) -> list[list[str]]:
    query = "MATCH (f:Detection)-[:RELATED_TO]->(d) WITH f, d ORDER BY d.id RETURN f.id AS id, collect(d.id) AS parts"
    return sorted([row["parts"] async for row in store.read(query)])


async def test_boxes_of_two_measures_are_compared_where_the_size_is_known(store: GraphStore) -> None:
    await seen(store, "Medium", [("model:a", shares(0.1)), ("model:b", pixels(10))], width=100, height=100)
    assert await fuse_graph_boxes(store) == {"images": 1, "boxes": 2, "fused": 1, "left_out": 0}
    assert await parts(store) == [["det:0", "det:1"]]


async def test_boxes_that_can_not_be_compared_are_left_out(store: GraphStore) -> None:
    boxes = [("model:a", pixels(10)), ("model:b", pixels(11)), ("model:c", shares(0.1)), ("model:d", {})]
    await seen(store, "Medium", boxes)
    assert await fuse_graph_boxes(store) == {"images": 1, "boxes": 2, "fused": 1, "left_out": 2}
    assert await parts(store) == [["det:0", "det:1"]]


async def test_where_nothing_can_be_compared_nothing_is_fused(store: GraphStore) -> None:
    await seen(store, "Medium", [("model:a", {}), ("model:b", {})])
    assert await fuse_graph_boxes(store) == {"images": 0, "boxes": 0, "fused": 0, "left_out": 2}


async def test_a_cameras_times_are_images_of_their_own(store: GraphStore) -> None:
    one, other = "2026-03-01T12:00:00.000Z", "2026-03-01T12:00:01.000Z"
    boxes = [
        ("model:a", pixels(10, at=one)),
        ("model:b", pixels(11, at=one)),
        ("model:a", pixels(10, at=other)),
        ("model:b", pixels(10, at=other)),
        ("model:b", pixels(10)),
    ]
    await seen(store, "Camera", boxes)
    assert await fuse_graph_boxes(store) == {"images": 2, "boxes": 4, "fused": 2, "left_out": 1}
    assert await parts(store) == [["det:0", "det:1"], ["det:2", "det:3"]]
    query = "MATCH (d:Detection) WHERE d.id STARTS WITH 'fused:' RETURN d.at AS at ORDER BY at"
    assert [row["at"] async for row in store.read(query)] == [one, other]


async def test_a_videos_frame_is_one_whoever_knows_its_time(store: GraphStore) -> None:
    boxes = [("model:a", pixels(10, frame=3, frame_time=0.1)), ("model:b", pixels(11, frame=3))]
    await seen(store, "Medium", boxes)
    assert (await fuse_graph_boxes(store))["fused"] == 1


async def test_what_a_run_said_stays_if_the_next_one_fails(store: GraphStore, monkeypatch: pytest.MonkeyPatch) -> None:
    await seen(store, "Medium", [("model:a", pixels(10)), ("model:b", pixels(11))])
    await fuse_graph_boxes(store)
    before = await content(store)

    def missing(*_: object) -> None:
        raise InputError("not installed")

    monkeypatch.setattr("ingestion.fuse_graph.fuse_boxes", missing)
    with pytest.raises(InputError):
        await fuse_graph_boxes(store)
    assert await content(store) == before
