"""Fusion runs on the graph: reliabilities of sources, learned from their disagreements; boxes of several detectors.

A run is a document of its own (`fusion:HAS_BRAND`, `fusion:boxes`): running it again replaces what it said, and
retracting it takes it back.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from ingestion.fuse_boxes import Box, Edges, Fused, fuse_boxes
from kg.batch import Batch, LedgerEntry
from kg.belief import Vote, dawid_skene
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Scalar, Source
from kg.store import GraphStore

BOXES = "fusion:boxes"
BOX_SOURCE = "fusion:weighted-boxes"
READER = "fuse@1"
_ROUNDS = 100
_STILL = 1e-6
_PRIOR = 2.0
"""Pseudo-answers by which a source is taken for one of its kind."""
_BATCH = 2_000

Question = dict[str, list[tuple[str, float]]]
"""Option → (source, confidence) of those who say so."""


# ---- reliabilities ------------------------------------------------------------------------------------------------


async def fuse_reliability(store: GraphStore, relation: str) -> dict[str, dict[str, float]]:
    """Learns how reliable sources are on a relation from their disagreements, and stores it with the sources.

    Beliefs of all that they say follow. A reliability that a source states of itself stays where it is lower.

    Args:
        store: the graph.
        relation: functional, or disjoint with another.

    Returns:
        Source → `reliability`, and the number of `questions` that another source has answered, too.

    Raises:
        OntologyError: no such relation.
        InputError: its facts can't contradict each other, or no two sources speak of the same.
    """
    known = store.ontology.relation(relation)
    if not known.functional and not known.contradicts:
        raise InputError(f"facts of {relation} can't contradict each other: it is neither functional nor disjoint")
    questions: dict[tuple[str, ...], Question] = defaultdict(lambda: defaultdict(list))
    async for rows in store.scan_facts(sorted({relation, *known.contradicts})):
        for subject, name, object_, _, sources, confidences, *_ in rows:
            question = (subject,) if known.functional else (subject, object_)
            option = object_ if known.functional else name
            if not known.functional or name == relation:
                questions[question][option] += zip(sources, confidences, strict=True)
    asked = [q for q in questions.values() if len({s for said in q.values() for s, _ in said}) > 1]
    if not asked:
        raise InputError(f"no two sources speak of the same {relation}")
    described = {row["id"]: row async for row in store.read("MATCH (s:Source) RETURN s.id AS id, s.kind AS kind")}
    kinds = {id_: row["kind"] for id_, row in described.items()}
    prior = {id_: store.ontology.source_kinds[kind] for id_, kind in kinds.items()}
    learned = learn_reliability(asked, prior)
    document = f"fusion:{relation}"
    learned_sources = [
        Source(s, kinds[s], reliability=found["reliability"], document=document) for s, found in learned.items()
    ]
    await _replace(store, document, learned_sources)
    return learned


def learn_reliability(questions: Sequence[Question], prior: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Dawid–Skene with one number a source, by expectation-maximisation; see `kg.belief.dawid_skene`.

    Questions may have different answers, so that a source has no confusion matrix, only a chance of being right: its
    expected share of right answers, smoothed by a few as right as `prior` says.
    """
    reliability = {s: prior[s] for question in questions for said in question.values() for s, _ in said}
    answered: dict[str, int] = defaultdict(int)
    for question in questions:
        for source in {s for said in question.values() for s, _ in said}:
            answered[source] += 1
    for _ in range(_ROUNDS):
        right: dict[str, float] = defaultdict(float)
        for question in questions:
            options = [[Vote(s, reliability[s], c) for s, c in said] for _, said in sorted(question.items())]
            chance = [dawid_skene(o, options[:at] + options[at + 1 :]) for at, o in enumerate(options)]
            total = sum(chance) or 1.0
            for source in sorted({vote.source for option in options for vote in option}):
                mine = [c for c, option in zip(chance, options, strict=True) if any(v.source == source for v in option)]
                right[source] += sum(mine) / len(mine) / total
        before = reliability
        reliability = {s: (right[s] + _PRIOR * prior[s]) / (answered[s] + _PRIOR) for s in sorted(reliability)}
        if max(abs(reliability[s] - before[s]) for s in reliability) < _STILL:
            break
    return {s: {"reliability": round(r, 6), "questions": answered[s]} for s, r in sorted(reliability.items())}


# ---- boxes --------------------------------------------------------------------------------------------------------


async def fuse_graph_boxes(store: GraphStore, medium: str | None = None) -> dict[str, int]:
    """Fuses the boxes that several sources have on the same pictures and frames, and writes them as detections.

    A fused detection is tied to its medium, its class, and by RELATED_TO (`predicate` "fused from") to its parts.

    Args:
        store: the graph.
        medium: only this one; else all.

    Returns:
        How many `images` had boxes of several sources, how many `boxes` these were, and how many `fused` ones came out.
    """
    document = f"{BOXES}/{medium}" if medium else BOXES
    counts = {"images": 0, "boxes": 0, "fused": 0}
    records: list[Record] = [Source(BOX_SOURCE, "model", name="weighted boxes fusion", document=document)]
    async for image, detectors in _images(store, medium):
        if len(detectors) < 2:
            continue
        weights = {name: rows[0]["reliability"] or 1e-6 for name, rows in detectors.items()}
        size = _size([row for rows in detectors.values() for row in rows])
        boxes = {name: [_box(row, size) for row in rows] for name, rows in detectors.items()}
        fused = fuse_boxes(boxes, weights)
        counts["images"] += 1
        counts["boxes"] += sum(map(len, boxes.values()))
        counts["fused"] += len(fused)
        for one in fused:
            records += _records(image, one, size, document)
    await _replace(store, document, records)
    return counts


async def _images(
    store: GraphStore, medium: str | None
) -> AsyncIterator[tuple[tuple[str, int | None], dict[str, list[dict[str, Any]]]]]:
    media = "MATCH (m:Medium) WHERE $id IS NULL OR m.id = $id RETURN m.id AS id ORDER BY id"
    ids = [row["id"] async for row in store.read(media, {"id": medium})]
    if medium is not None and not ids:
        raise InputError(f"no medium {medium!r}")
    for id_ in ids:
        frames: dict[int | None, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
        async for row in store.read(_DETECTIONS, {"id": id_, "own": BOX_SOURCE}):
            frames[row["frame"]][row["source"]].append(row)
        for frame, detectors in frames.items():
            yield (id_, frame), detectors


def _size(rows: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    """None where all boxes are known as shares, else what pixels are to be divided by."""
    if all(row["shares"][0] is not None for row in rows):
        return None
    pixels = [row["pixels"] for row in rows if row["pixels"][0] is not None]
    return max(p[2] for p in pixels), max(p[3] for p in pixels)


def _box(row: Mapping[str, Any], size: tuple[float, float] | None) -> Box:
    if size is None:
        left, top, right, bottom = row["shares"]
        edges: Edges = (left, top, right, bottom)
    else:
        left, top, right, bottom = row["pixels"]
        edges = (left / size[0], top / size[1], right / size[0], bottom / size[1])
    return Box(edges, row["label"], row["score"], row["id"])


def _records(
    image: tuple[str, int | None], fused: Fused, size: tuple[float, float] | None, document: str
) -> list[Record]:
    medium, frame = image
    box = fused.box
    text = repr((medium, frame, box.label, *box.edges))
    id_ = f"fused:{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"
    scale = (1.0, 1.0) if size is None else size
    kind = "box" if size is None else "pixel"
    edges = [round(edge * scale[at % 2], 6 if size is None else 3) for at, edge in enumerate(box.edges)]
    names = (f"{kind}_left", f"{kind}_top", f"{kind}_right", f"{kind}_bottom")
    properties: dict[str, Any] = dict(zip(names, edges, strict=True)) | ({} if frame is None else {"frame": frame})
    entity = Entity(id_, ("Detection",), BOX_SOURCE, properties, document)
    said: list[tuple[str, str, dict[str, Scalar]]] = [(medium, "DETECTED_IN", {}), (box.label, "INSTANCE_OF", {})]
    said += [(part, "RELATED_TO", {"predicate": "fused from"}) for part in fused.parts]
    return [entity, *(Claim(id_, relation, to, BOX_SOURCE, box.score, more, document) for to, relation, more in said)]


async def _replace(store: GraphStore, document: str, records: Sequence[Record]) -> None:
    """Writes what a run says, instead of what it said before."""
    if document in await store.ledger():
        await store.retract(document)
    content = hashlib.sha256(repr(records).encode()).hexdigest()
    sources = [r for r in records if isinstance(r, Source)]
    rest = [r for r in records if not isinstance(r, Source)]
    for start in range(0, max(len(rest), 1), _BATCH):
        part = rest[start : start + _BATCH]
        done = start + len(part) + len(sources)
        entry = LedgerEntry(document, "", content, READER, done, complete=done == len(records))
        entities = [r for r in part if isinstance(r, Entity)]
        claims = [r for r in part if isinstance(r, Claim)]
        await store.write(Batch(sources, entities, claims, [entry]))


_DETECTIONS = """
MATCH (d:Detection)-[f:DETECTED_IN]->(m:Medium {id: $id}) WHERE NOT $own IN f.sources AND f.belief > 0
MATCH (s:Source {id: f.sources[0]})
MATCH (d)-[i:INSTANCE_OF]->(c:Entity)
WITH d, f, s, i, c ORDER BY d.id, i.belief DESC, c.id
WITH d, f, s, collect(c.id)[0] AS label
RETURN d.id AS id, d.frame AS frame, s.id AS source, s.reliability AS reliability, f.confidences[0] AS score,
       label, [d.box_left, d.box_top, d.box_right, d.box_bottom] AS shares,
       [d.pixel_left, d.pixel_top, d.pixel_right, d.pixel_bottom] AS pixels
ORDER BY id
"""
