"""Fusion runs on the graph: reliabilities of sources, learned from their disagreements; boxes of several detectors.

A run is a document of its own (`fusion:HAS_BRAND`, `fusion:boxes`): running it again replaces what it said, and
retracting it takes it back.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from ingestion.fuse_boxes import Box, Edges, Fused, fuse_boxes
from kg.belief import Vote, dawid_skene
from kg.bolt import SCAN_TIMEOUT_S
from kg.derived import DerivedDocument
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

Question = dict[str, list[tuple[str, float]]]
"""Option → (source, confidence) of those who say so."""

Moment = tuple[int | None, float | None, str | None]
"""Frame, frame_time, at: what tells the images of one medium apart."""


# ---- reliabilities ------------------------------------------------------------------------------------------------


async def fuse_reliability(store: GraphStore, relation: str) -> dict[str, dict[str, float]]:
    """Learns how reliable sources are on a relation from their disagreements, and stores it with the sources.

    Beliefs of all that they say follow. A reliability that a source states of itself stays where it is lower; sources
    in quarantine have no vote.

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
    counted = "MATCH (s:Source) WHERE s.reliability > 0 RETURN s.id AS id, s.kind AS kind"  # none in quarantine
    kinds: dict[str, str] = {row["id"]: row["kind"] async for row in store.read(counted)}
    questions: dict[tuple[str, ...], Question] = defaultdict(lambda: defaultdict(list))
    async for rows in store.scan_facts(sorted({relation, *known.contradicts})):
        for subject, name, object_, _, sources, confidences, *_ in rows:
            question = (subject,) if known.functional else (subject, object_)
            option = object_ if known.functional else name
            said = [(source, c) for source, c in zip(sources, confidences, strict=True) if source in kinds]
            if said and (not known.functional or name == relation):
                questions[question][option] += said
    asked = [q for q in questions.values() if len({s for said in q.values() for s, _ in said}) > 1]
    if not asked:
        raise InputError(f"no two sources speak of the same {relation}")
    prior = {id_: store.ontology.source_kinds[kind] for id_, kind in kinds.items()}
    learned = learn_reliability(asked, prior)
    document = f"fusion:{relation}"
    learned_sources = [
        Source(s, kinds[s], reliability=found["reliability"], document=document) for s, found in learned.items()
    ]
    run = DerivedDocument(store, document, READER, learned_sources)
    await run.end()
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
    Memory holds the fused boxes of one medium.

    Args:
        store: the graph.
        medium: only this one; else all.

    Returns:
        How many `images` had boxes of several sources, how many `boxes` these were, how many `fused` ones came out, and
        how many boxes were `left_out`: without edges, with edges that the others' can't be compared with, or of a
        camera and without a time or frame.

    Raises:
        InputError: there is no such medium, or `ensemble-boxes` is not installed.
    """
    document = f"{BOXES}/{medium}" if medium else BOXES
    counts = {"images": 0, "boxes": 0, "fused": 0, "left_out": 0}
    media = "MATCH (m:Medium) WHERE $id IS NULL OR m.id = $id RETURN m.id AS id ORDER BY id"
    ids = [row["id"] async for row in store.read(media, {"id": medium}, SCAN_TIMEOUT_S)]
    if medium is not None and not ids:
        raise InputError(f"no medium {medium!r}")
    run = DerivedDocument(
        store, document, READER, [Source(BOX_SOURCE, "model", name="weighted boxes fusion", document=document)]
    )
    for id_ in ids:
        records: list[Record] = []
        async for moment, rows in _images(store, id_, counts):
            records += _fused(id_, moment, rows, document, counts)
        await run.write(records)
    await run.end()
    return counts


async def _images(
    store: GraphStore, medium: str, counts: dict[str, int]
) -> AsyncIterator[tuple[Moment, list[dict[str, Any]]]]:
    """The detections of each picture or frame of a medium."""
    moment: Moment = (None, None, None)
    rows: list[dict[str, Any]] = []
    async for row in store.read(_DETECTIONS, {"id": medium, "own": BOX_SOURCE}, SCAN_TIMEOUT_S):
        now: Moment = (row["frame"], row["frame_time"], row["at"])
        if row["camera"] and now == (None, None, None):  # of any time since there is the camera
            counts["left_out"] += 1
            continue
        if rows and not _is_same(moment, now, camera=row["camera"]):
            yield moment, rows
            rows = []
        if not rows:
            moment = now
        rows.append(row)
    if rows:
        yield moment, rows


def _is_same(one: Moment, other: Moment, *, camera: bool) -> bool:
    """Whether two detections are of one frame; a video's is known by its number, whoever knows its time, too."""
    return one == other if camera or one[0] is None else one[0] == other[0]


def _fused(
    medium: str, moment: Moment, rows: Sequence[dict[str, Any]], document: str, counts: dict[str, int]
) -> list[Record]:
    """The records of what comes of the boxes on one image."""
    kept, size = _comparable(rows)
    counts["left_out"] += len(rows) - len(kept)
    detectors: dict[str, list[Box]] = defaultdict(list)
    weights: dict[str, float] = {}
    for row, edges in kept:
        detectors[row["source"]].append(Box(edges, row["label"], row["score"], row["id"]))
        weights.setdefault(row["source"], row["reliability"] or 1e-6)
    if len(detectors) < 2:
        return []
    fused = fuse_boxes(detectors, weights)
    counts["images"] += 1
    counts["boxes"] += len(kept)
    counts["fused"] += len(fused)
    return [record for one in fused for record in _records(medium, moment, one, size, document)]


def _comparable(
    rows: Sequence[dict[str, Any]],
) -> tuple[list[tuple[dict[str, Any], Edges]], tuple[float, float] | None]:
    """Boxes with edges of one measure.

    Returns:
        The boxes, and what their pixels were divided by; None if their edges are shares as they are.
    """
    shares, pixels = [], []
    for row in rows:
        left, top, right, bottom = row["shares"]
        if None in row["shares"] and None not in row["pixels"] and row["width"] and row["height"]:
            left, top, right, bottom = _scaled(row["pixels"], row["width"], row["height"])
        if None not in (left, top, right, bottom):
            shares.append((row, (left, top, right, bottom)))
        if None not in row["pixels"]:
            pixels.append(row)
    if not pixels or (_sources(row for row, _ in shares), len(shares)) >= (_sources(pixels), len(pixels)):
        return shares, None
    size = max(row["pixels"][2] for row in pixels) or 1.0, max(row["pixels"][3] for row in pixels) or 1.0
    return [(row, _scaled(row["pixels"], *size)) for row in pixels], size


def _sources(rows: Iterable[dict[str, Any]]) -> int:
    return len({row["source"] for row in rows})


def _scaled(pixels: Sequence[float], width: float, height: float) -> Edges:
    left, top, right, bottom = pixels
    return left / width, top / height, right / width, bottom / height


def _records(
    medium: str, moment: Moment, fused: Fused, size: tuple[float, float] | None, document: str
) -> list[Record]:
    box = fused.box
    text = repr((medium, *moment, box.label, *box.edges))
    id_ = f"fused:{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"
    scale = (1.0, 1.0) if size is None else size
    kind = "box" if size is None else "pixel"
    edges = [round(edge * scale[at % 2], 6 if size is None else 3) for at, edge in enumerate(box.edges)]
    names = (f"{kind}_left", f"{kind}_top", f"{kind}_right", f"{kind}_bottom")
    properties: dict[str, Any] = dict(zip(names, edges, strict=True))
    when = zip(("frame", "frame_time", "at"), moment, strict=True)
    properties |= {name: value for name, value in when if value is not None}
    entity = Entity(id_, ("Detection",), BOX_SOURCE, properties, document)
    said: list[tuple[str, str, dict[str, Scalar]]] = [(medium, "DETECTED_IN", {}), (box.label, "INSTANCE_OF", {})]
    said += [(part, "RELATED_TO", {"predicate": "fused from"}) for part in fused.parts]
    return [entity, *(Claim(id_, relation, to, BOX_SOURCE, box.score, more, document) for to, relation, more in said)]


_DETECTIONS = """
MATCH (d:Detection)-[f:DETECTED_IN]->(m:Medium {id: $id}) WHERE NOT $own IN f.sources AND f.belief > 0
MATCH (s:Source {id: f.sources[0]})
MATCH (d)-[i:INSTANCE_OF]->(c:Entity)
WITH d, f, m, s, i, c ORDER BY d.id, i.belief DESC, c.id
WITH d, f, m, s, collect(c.id)[0] AS label
RETURN d.id AS id, d.frame AS frame, d.frame_time AS frame_time, d.at AS at, s.id AS source,
       s.reliability AS reliability, f.confidences[0] AS score, label, m.width AS width, m.height AS height,
       'Camera' IN labels(m) AS camera, [d.box_left, d.box_top, d.box_right, d.box_bottom] AS shares,
       [d.pixel_left, d.pixel_top, d.pixel_right, d.pixel_bottom] AS pixels
ORDER BY frame, frame_time, at, id
"""
