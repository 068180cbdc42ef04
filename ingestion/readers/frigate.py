"""Frigate: events of its cameras, as it publishes them over MQTT (`frigate/events`) or returns them over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingestion.readers.base import Document
from ingestion.readers.checked import Box, instant, mapping, number, numbers, score, sequence, text
from ingestion.readers.detection import (
    Detection,
    Medium,
    Said,
    Track,
    curie,
    detection_records,
    found_documents,
    guarded,
    read_messages,
)
from kg.model import Record, Source, Value


class FrigateReader:
    """Reads a message, an array of them, or JSON lines.

    An event is a track at its camera, with the zones that it entered; each box sent of it is a detection. Sent again,
    both stay the same: their ids are made of the event's id and the time of the frame.
    """

    name = "frigate"
    version = "1"
    extensions: tuple[str, ...] = (".json", ".jsonl", ".ndjson")
    example = "evigraph ingest frigate events.jsonl"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each file; see `Reader.documents`."""
        return found_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """Each message's track and detection."""
        return read_messages(document, records_of)


def records_of(message: object, document: str, place: str, said: Said | None = None) -> Iterator[Record]:
    """The records of one message, or one `Rejected`.

    Args:
        message: parsed JSON.
        document: id of the file or stream.
        place: of the message there.
        said: what the document has said; None says everything again.
    """
    return guarded(lambda: _records(message, document, place, said or Said()), document, place, message)


def _records(message: object, document: str, place: str, said: Said) -> Iterator[Record]:
    stated = mapping(message, "message")
    event = mapping(stated["after"], "after") if "after" in stated else stated
    data = mapping(event.get("data") or {}, "data")  # where the HTTP API has box and scores
    name = text(event.get("camera"), "camera")
    id_ = text(event.get("id"), "id")
    label = text(event.get("label"), "label")
    best, current = (_first(event.get(name), data.get(name)) for name in ("top_score", "score"))
    confidence = score(_first(current, best), "score")
    source = Source(curie("frigate", name), "model", name=f"Frigate, {name}", model="frigate", document=document)
    camera = Medium(curie("camera", name), name, class_="Camera")
    plate, attributes = _scored(event.get("recognized_license_plate"), "recognized_license_plate", "plate_score")
    if plate and event.get("recognized_license_plate_score") is not None:
        attributes = (
            f"plate_score={score(event['recognized_license_plate_score'], 'recognized_license_plate_score'):g}",
        )
    started = instant(event["start_time"], "start_time") if event.get("start_time") is not None else ""
    ended = instant(event["end_time"], "end_time") if event.get("end_time") is not None else ""
    times: list[tuple[str, Value]] = [("started_at", started), ("ended_at", ended)]
    track = Track(
        curie("track", "frigate", id_),
        id_,
        camera,
        label,
        score(_first(best, current), "top_score"),
        plate,
        attributes,
        tuple((key, value) for key, value in times if value),
        _sub_label(event.get("sub_label")),
        _zones(name, event.get("entered_zones", event.get("zones")), "entered_zones"),
    )
    seen = event.get("frame_time")
    pixels, shares = _box(event.get("box")), _share_box(data.get("box"))
    detection = Detection(
        curie("detection", "frigate", id_, f"{number(seen, 'frame_time'):.6f}" if seen is not None else "best"),
        camera,
        label,
        confidence,
        pixels=pixels,
        shares=None if pixels else shares,
        at=instant(seen, "frame_time") if seen is not None else started,
        track=track,
        attributes=_flags(event),
        zones=_zones(name, event.get("current_zones"), "current_zones"),
        box_name="box",
    )
    yield from detection_records(detection, source, place, said)


def _first(*values: object) -> object:
    """The first that is there."""
    return next((value for value in values if value is not None), None)


def _zones(camera: str, value: object, name: str) -> tuple[tuple[str, str], ...]:
    zones = [text(zone, name) for zone in sequence(value, name)]
    return tuple((curie("zone", camera, zone), zone) for zone in zones)


def _box(value: object) -> Box | None:
    return Box(*numbers(value, "box", 4)) if value is not None else None


def _share_box(value: object) -> Box | None:
    return Box.of_size(*numbers(value, "data.box", 4)) if value is not None else None


def _scored(value: object, name: str, score_name: str) -> tuple[str, tuple[str, ...]]:
    """A text, or a text with its score."""
    if not value:
        return "", ()
    if isinstance(value, list):
        if len(value) != 2:
            raise ValueError(f"{name}: {value!r} is neither a text nor a text with its score")
        return text(value[0], name), (f"{score_name}={score(value[1], name):g}",)
    return text(value, name), ()


def _sub_label(value: object) -> tuple[tuple[str, float], ...]:
    if not value:
        return ()
    if isinstance(value, list):
        if len(value) != 2:
            raise ValueError(f"sub_label: {value!r} is neither a text nor a text with its score")
        return ((text(value[0], "sub_label"), score(value[1], "sub_label")),)
    return ((text(value, "sub_label"), 1.0),)


def _flags(event: dict[str, Any]) -> tuple[str, ...]:
    """What Frigate says of this frame."""
    flags = [f"{name}=true" for name in ("false_positive", "stationary") if event.get(name) is True]
    attributes = sequence(event.get("current_attributes"), "current_attributes")
    labels = [text(mapping(attribute, "current_attributes").get("label"), "label") for attribute in attributes]
    return (*flags, *(f"attribute={label}" for label in labels))
