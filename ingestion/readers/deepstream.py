"""NVIDIA DeepStream: messages of its message converter, full (one object each) and minimal (many, pipe-separated)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ingestion.readers.base import Document
from ingestion.readers.checked import Box, instant, integer, mapping, number, parsed_number, score, text
from ingestion.readers.detection import (
    Detection,
    Medium,
    Said,
    Track,
    curie,
    detection_records,
    found_documents,
    guarded,
    place_records,
    read_messages,
)
from kg.model import Claim, Entity, Record, Source, Value

_NO_CLASS = frozenset(
    {"bbox", "location", "coordinate", "pose", "pose3D", "bbox3d", "embedding", "mask", "gaze", "lipActivity", "info"}
)
"""Parts of an object that do not tell its class."""
_DETAILS = {
    "vehicle": ("type", "make", "model", "color", "license", "licenseState"),
    "person": ("gender", "age", "hair", "cap", "apparel"),
    "face": ("gender", "age", "hair", "cap", "glasses", "facialhair", "name", "eyecolor"),
}
"""What stands behind the `#` of a minimal object, a confidence apart."""
_UNKNOWN = frozenset({"", "unknown", "undefined", "none", "n/a", "-1"})


class DeepStreamReader:
    """Reads a message, an array of them, JSON lines, or an object that holds messages under names.

    A message cites its analytics module, or else its sensor's. Objects without an id of a tracker are of no track.
    """

    name = "deepstream"
    version = "1"
    extensions: tuple[str, ...] = (".json", ".jsonl", ".ndjson")
    example = "evigraph ingest deepstream messages.jsonl"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each file; see `Reader.documents`."""
        return found_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """Each message's detections and event."""
        return read_messages(document, _named_or_alone)


def _named_or_alone(value: object, document: str, place: str, said: Said) -> Iterator[Record]:
    """The records of a message, or of those that an object holds under names."""
    if isinstance(value, dict) and not _is_message(value) and any(map(_is_message, value.values())):
        for key, message in value.items():
            if isinstance(message, dict):
                yield from records_of(message, document, f"{place}.{key}", said)
    else:
        yield from records_of(value, document, place, said)


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and ("object" in value or "objects" in value)


def records_of(message: object, document: str, place: str, said: Said | None = None) -> Iterator[Record]:
    """The records of one message; `Rejected` for a message, or one of its objects, that makes no sense.

    Args:
        message: parsed JSON.
        document: id of the file or stream.
        place: of the message there.
        said: what the document has said; None says everything again.
    """
    said = said or Said()
    if isinstance(message, dict) and isinstance(message.get("objects"), list):
        for index, stated in enumerate(message["objects"]):
            where = f"{place}.objects[{index}]"
            yield from guarded(
                lambda s=stated, i=index, w=where: _minimal(message, s, i, document, w, said),  # type: ignore[misc]
                document,
                where,
                stated,
            )
    else:
        yield from guarded(lambda: _full(message, document, place, said), document, place, message)


def _full(message: object, document: str, place: str, said: Said) -> Iterator[Record]:
    stated = mapping(message, "message")
    object_ = mapping(stated.get("object"), "object")
    sensor = mapping(stated.get("sensor") or {}, "sensor")
    camera = _camera(sensor.get("id", stated.get("sensorId")), sensor)
    source = _source(mapping(stated.get("analyticsModule") or {}, "analyticsModule"), camera, document)
    at = instant(stated.get("@timestamp"), "@timestamp")
    label, details = _class(object_)
    confidence = _confidence(details.get("confidence", object_.get("confidence")), "confidence")
    track = _track(text(object_.get("id", "-1"), "object.id"), camera)
    key = (
        text(stated["messageid"], "messageid") if stated.get("messageid") else f"{camera.name}/{at}/{object_.get('id')}"
    )
    box = object_.get("bbox")
    detection = Detection(
        curie("detection", "deepstream", key),
        camera,
        label,
        confidence,
        pixels=_corners(mapping(box, "object.bbox")) if box is not None else None,
        at=at,
        track=track,
        text=_known(details.get("license")),
        attributes=(*_attributes(details), *_motion(object_)),
        narrower=_type(details, confidence),
        url=_known(stated.get("videoPath")),
        box_name="object.bbox",
    )
    yield from detection_records(detection, source, place, said)
    yield from _site(mapping(stated.get("place") or {}, "place"), camera, source, place, said)
    yield from _event(mapping(stated.get("event") or {}, "event"), detection, source, place)


def _minimal(
    message: dict[str, Any], stated: object, index: int, document: str, place: str, said: Said
) -> Iterator[Record]:
    object_ = _from_fields(stated) if isinstance(stated, dict) else _from_parts(text(stated, "objects"))
    camera = _camera(message.get("sensorId"), {})
    at = instant(message.get("@timestamp", message.get("timestamp")), "@timestamp")
    confidence = _confidence(object_.confidence, "confidence")
    frame = message.get("id")
    detection = Detection(
        curie("detection", "deepstream", camera.name, at, str(index)),
        camera,
        object_.label,
        confidence,
        pixels=object_.box,
        frame=integer(int(frame), "id") if isinstance(frame, str) and frame.isdecimal() else None,
        at=at,
        track=_track(object_.id, camera),
        text=_known(object_.details.get("license")),
        attributes=_attributes(object_.details),
        narrower=_type(object_.details, confidence),
        box_name="box",
    )
    yield from detection_records(detection, _source({}, camera, document), place, said)


class _Object(NamedTuple):
    """One of many in a message."""

    id: str
    box: Box
    label: str
    confidence: float | None
    details: dict[str, Any]


def _from_parts(stated: str) -> _Object:
    """`id|left|top|right|bottom|class`, then maybe `#` and what the class has, then maybe a confidence."""
    head, _, tail = stated.partition("|#|")
    cells = [cell.strip() for cell in head.split("|")]
    if len(cells) < 6:
        raise ValueError(f"{len(cells)} parts; wanted are id|left|top|right|bottom|class")
    edges = [parsed_number(cell, name) for cell, name in zip(cells[1:5], Box._fields, strict=True)]
    extra = [cell.strip() for cell in tail.split("|")] if tail else []
    certainty = extra.pop() if extra else cells[6] if len(cells) > 6 else ""
    confidence = parsed_number(certainty, "confidence") if certainty else None
    details = dict(zip(_DETAILS.get(cells[5].lower(), ()), extra, strict=False))
    return _Object(cells[0], Box(*edges), cells[5], confidence, details)


def _from_fields(stated: dict[str, Any]) -> _Object:
    """As in the JSON of the protobuf schema: `bbox` has `leftX`, `topY`, `rightX` and `bottomY`."""
    box = mapping(stated.get("bbox"), "bbox")
    edges = [number(box.get(name), f"bbox.{name}") for name in ("leftX", "topY", "rightX", "bottomY")]
    details = mapping(stated.get("info") or {}, "info")
    return _Object(
        text(stated.get("id", "-1"), "id"),
        Box(*edges),
        text(stated.get("type"), "type"),
        None if stated.get("confidence") is None else number(stated["confidence"], "confidence"),
        details,
    )


def _camera(id_: object, sensor: dict[str, Any]) -> Medium:
    name = text(id_, "sensor.id")
    properties: dict[str, Value] = _position(sensor)
    if described := _known(sensor.get("description")):
        properties["definition"] = described
    return Medium(curie("camera", name), name, class_="Camera", properties=properties)


def _position(stated: dict[str, Any]) -> dict[str, Value]:
    location = mapping(stated.get("location") or {}, "location")
    if not location.get("lat") and not location.get("lon"):
        return {}  # absent, or the converter's zeros
    return {
        "latitude": number(location.get("lat"), "location.lat", -90, 90),
        "longitude": number(location.get("lon"), "location.lon", -180, 180),
    }


def _source(module: dict[str, Any], camera: Medium, document: str) -> Source:
    name = _known(module.get("source")) or _known(module.get("id")) or camera.name
    version = _known(module.get("version"))
    return Source(
        curie("deepstream", *filter(None, (name, version))),
        "model",
        name=_known(module.get("description")) or name,
        model=name,
        version=version,
        document=document,
    )


def _class(object_: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The class, and what else is known of it."""
    for name, details in object_.items():
        if name not in _NO_CLASS and isinstance(details, dict):
            return name, details
    return text(object_.get("type", object_.get("label")), "object: no class, such as vehicle, and no type"), {}


def _type(details: dict[str, Any], confidence: float) -> tuple[tuple[str, float], ...]:
    kind = _known(details.get("type"))
    return ((kind, confidence),) if kind else ()


def _confidence(value: object, name: str) -> float:
    """What is below zero was not measured."""
    if isinstance(value, (int, float)) and value < 0:
        return 1.0
    return score(value, name)


def _known(value: object) -> str:
    """A text that says something, or nothing."""
    return text(value, "text") if isinstance(value, str) and value.strip().lower() not in _UNKNOWN else ""


def _track(id_: str, camera: Medium) -> Track | None:
    untracked = id_ in ("-1", str(2**64 - 1))  # the tracker's mark as a signed and as an unsigned number
    return None if untracked else Track(curie("track", "deepstream", camera.name, id_), id_, camera)


def _corners(box: dict[str, Any]) -> Box:
    return Box(*(number(box.get(n), f"bbox.{n}") for n in ("topleftx", "toplefty", "bottomrightx", "bottomrighty")))


def _attributes(details: dict[str, Any]) -> tuple[str, ...]:
    known = ((name, value) for name, value in details.items() if name not in ("type", "license", "confidence"))
    return tuple(f"{name}={shown}" for name, value in known if (shown := _shown(value)))


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{number(value, 'attribute'):g}" if isinstance(value, (int, float)) else _known(value)


def _motion(object_: dict[str, Any]) -> tuple[str, ...]:
    found = ((name, object_.get(name)) for name in ("speed", "direction", "orientation"))
    return tuple(f"{name}={number(value, name):g}" for name, value in found if value)


def _site(site: dict[str, Any], camera: Medium, source: Source, place: str, said: Said) -> Iterator[Record]:
    """Where the camera is, once."""
    names = [name for name in (_known(site.get("name")), _known(site.get("id"))) if name]
    if not names or not said.first((source.id, camera.id, *names)):
        return
    id_ = curie("place", "deepstream", *reversed(names))
    yield from place_records(id_, names[0], source, place, said)
    yield Claim(camera.id, "LOCATED_IN", id_, source.id, 1.0, {}, source.document, place)


def _event(event: dict[str, Any], detection: Detection, source: Source, place: str) -> Iterator[Record]:
    id_, kind = _known(event.get("id")), _known(event.get("type"))
    if not id_ or not kind:
        return
    subject = curie("event", "deepstream", id_)
    document = source.document
    yield Entity(subject, ("Event",), source.id, {"name": kind, "at": detection.at}, document, place)
    yield Claim(subject, "DETECTED_IN", detection.medium.id, source.id, detection.confidence, {}, document, place)
    yield Claim(detection.id, "PARTICIPATES_IN", subject, source.id, detection.confidence, {}, document, place)
