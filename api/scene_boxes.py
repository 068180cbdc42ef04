"""Boxes that detectors saw, from files of their formats and from the graph, for the reading of scenes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

from api.schemas_scene import DetectedBoxBody
from ingestion.guess import guess_reader
from ingestion.readers.base import get_reader
from kg.errors import InputError, NotFoundError
from kg.model import Claim, Entity, Record, Rejected
from kg.store import GraphStore
from reasoning.traffic.detections import DetectedBox

_EDGES = ("box_left", "box_top", "box_right", "box_bottom")
_OF_MEDIUM = """
MATCH (d:Detection)-[:DETECTED_IN]->(m:Entity {id: $medium})
MATCH (d)-[kind:INSTANCE_OF]->(c)
RETURN d.box_left AS box_left, d.box_top AS box_top, d.box_right AS box_right, d.box_bottom AS box_bottom,
       d.text AS text, c.name AS label, kind.belief AS confidence, d.id AS id
ORDER BY confidence DESC, id LIMIT 1000
"""


def boxes_of_file(path: Path) -> list[DetectedBox]:
    """The boxes of a file: a plain list of `label`, `confidence`, `box`, or any detector's format that has a reader.

    Raises:
        InputError: it can't be read, or holds no detections; names file, and field or line.
    """
    if not path.is_file():
        raise InputError("no such file", str(path))
    try:
        content = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError:
        content = None
    if isinstance(content, list) and all(isinstance(item, dict) and "label" in item for item in content):
        return [_plain(item, f"{path}[{number}]") for number, item in enumerate(content)]
    reader = get_reader(guess_reader(path))
    records = [record for document in reader.documents(path) for record in reader.read(document)]
    return boxes_of_records(records, str(path))


def boxes_of_records(records: Iterable[Record], place: str) -> list[DetectedBox]:
    """The boxes that a detector's reader yields.

    Raises:
        InputError: there is none, or a record was refused.
    """
    seen: dict[str, Entity] = {}
    classes: dict[str, Claim] = {}
    names: dict[str, str] = {}
    for record in records:
        if isinstance(record, Rejected):
            raise InputError(record.reason, f"{place}:{record.place}")
        if isinstance(record, Entity):
            if "Detection" in record.classes:
                seen[record.id] = record
            elif "name" in record.properties:
                names[record.id] = str(record.properties["name"])
        elif isinstance(record, Claim) and record.relation == "INSTANCE_OF":
            classes.setdefault(record.subject, record)
    boxes = []
    for id_, entity in seen.items():
        kind = classes.get(id_)
        if kind is not None:
            label = names.get(kind.object, kind.object)
            boxes.append(_box(dict(entity.properties), label, kind.confidence, kind.source))
    if not boxes:
        raise InputError("holds no detections", place)
    return boxes


async def boxes_of_medium(store: GraphStore, medium: str) -> list[DetectedBox]:
    """What the graph has as seen in a picture, frame or stream; none where nothing was.

    Raises:
        NotFoundError: the graph has no such medium.
    """
    boxes = [
        _box(row, row["label"], row["confidence"], row["id"])
        async for row in store.read(_OF_MEDIUM, {"medium": medium})
    ]
    if not boxes and await store.entity(medium) is None:
        raise NotFoundError(f"no medium {medium}")
    return boxes


def _plain(item: dict[str, Any], place: str) -> DetectedBox:
    from pydantic import ValidationError

    try:
        return DetectedBoxBody.model_validate(item).detected()
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(first["msg"], ".".join(map(str, (place, *first["loc"])))) from error


def _box(properties: dict[str, Any], label: str, confidence: float, source: str) -> DetectedBox:
    edges = [float(properties[edge]) for edge in _EDGES if properties.get(edge) is not None]
    box = None
    if len(edges) == len(_EDGES):
        left, top, right, bottom = (min(1.0, max(0.0, edge)) for edge in edges)
        box = (left, top, right, bottom) if left < right and top < bottom else None
    return DetectedBox(label, confidence, box, str(properties.get("text") or ""), source)
