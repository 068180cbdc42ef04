"""Huawei's video analysis service (VIAS): messages of what its cameras' streams show, with boxes in pixels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingestion.readers.base import Document
from ingestion.readers.checked import Box, instant, mapping, number, sequence, text
from ingestion.readers.detection import (
    Detection,
    Medium,
    Said,
    curie,
    detection_records,
    found_documents,
    guarded,
    read_messages,
)
from kg.model import Record, Rejected, Source

_NO_ATTRIBUTE = frozenset({"bounding_box", "license_plate_id"})


class ViasReader:
    """Reads a message, an array of them, or JSON lines.

    An object's class is the list's that it stands in (`vehicles`); the vendor's numbers for types stay attributes.
    """

    name = "vias"
    version = "1"
    extensions: tuple[str, ...] = (".json", ".jsonl", ".ndjson")
    example = "evigraph ingest vias messages.jsonl"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each file; see `Reader.documents`."""
        return found_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """Each message's detections."""
        return read_messages(document, records_of)


def records_of(message: object, document: str, place: str, said: Said | None = None) -> Iterator[Record]:
    """The records of one message; `Rejected` for a message, or one of its objects, that makes no sense.

    Args:
        message: parsed JSON.
        document: id of the file or stream.
        place: of the message there.
        said: what the document has said; None says everything again.
    """
    said = said or Said()
    try:
        stated = mapping(message, "message")
        stream = text(stated.get("stream_id"), "stream_id")
        task = text(stated.get("task_id"), "task_id")
        id_ = text(stated.get("message_id"), "message_id")
        at = instant(stated.get("timestamp"), "timestamp")
        lists = {name: sequence(found, f"data.{name}") for name, found in mapping(stated.get("data"), "data").items()}
    except ValueError as error:
        yield Rejected(str(error), place, repr(message)[:2000], document)
        return
    source = Source(curie("vias", task), "model", name=f"VIAS, task {task}", model="VIAS", document=document)
    camera = Medium(curie("camera", stream), stream, class_="Camera")
    for name, objects in lists.items():
        for index, object_ in enumerate(objects):
            where = f"{place}.data.{name}[{index}]"
            key = curie("detection", "vias", id_, name, str(index))
            yield from guarded(
                lambda n=name, o=object_, k=key, w=where: detection_records(  # type: ignore[misc]
                    _detection(n, mapping(o, n), k, camera, at), source, w, said
                ),
                document,
                where,
                object_,
            )


def _detection(name: str, object_: dict[str, Any], key: str, camera: Medium, at: str) -> Detection:
    box = mapping(object_.get("bounding_box"), "bounding_box")
    plate = object_.get("license_plate_id")
    return Detection(
        key,
        camera,
        name.removesuffix("s"),
        pixels=Box.of_size(*(number(box.get(side), f"bounding_box.{side}") for side in ("x", "y", "w", "h"))),
        at=at,
        text=text(plate, "license_plate_id") if plate else "",
        attributes=tuple(_attribute(k, v) for k, v in object_.items() if k not in _NO_ATTRIBUTE and _says(v)),
        box_name="bounding_box",
    )


def _says(value: object) -> bool:
    """Whether a field is filled in: -1 is the vendor's word for not known."""
    return isinstance(value, (int, float, str)) and value not in ("", -1)


def _attribute(name: str, value: object) -> str:
    if isinstance(value, bool):
        return f"{name}={str(value).lower()}"
    return f"{name}={text(value, name) if isinstance(value, str) else f'{number(value, name):g}'}"
