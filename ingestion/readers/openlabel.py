"""ASAM OpenLABEL 1.0: objects through frames, actions and events, relations between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ingestion.readers.base import Document
from ingestion.readers.checked import (
    MAX_PIXELS,
    Box,
    instant,
    integer,
    mapping,
    number,
    numbers,
    parsed_number,
    score,
    sequence,
    text,
)
from ingestion.readers.detection import (
    Detection,
    Medium,
    Said,
    Track,
    curie,
    detection_records,
    found_documents,
    guarded,
    key_of,
    medium_records,
    source_records,
    stem_of,
    track_records,
)
from ingestion.readers.json_values import Item, values
from ingestion.readers.object_classes import object_class
from kg.model import Claim, Entity, Record, Rejected, Source, Value

_HAPPENINGS = ("actions", "events")
_TEXTS = frozenset({"ocr", "text", "plate", "license_plate", "licence_plate", "licenseplate"})
"""Names under which annotators keep what is written on a thing."""
_UNREAD = ("cuboid", "poly3d", "point3d", "mesh", "mat", "binary", "image", "point2d")
"""Shapes that a detection has no property for."""
_SCORES = frozenset({"confidence", "score"})
_EPOCH_SECONDS = 1e8
"""From here on a number is a time since 1970, below it one since the recording's beginning."""


class OpenLabelReader:
    """Reads files of any size: objects become tracks, their boxes in frames detections, actions and events events.

    Boxes are by their centre, in pixels; of rotated boxes and polygons the box around them is read, of cuboids and
    other shapes nothing. The claims cite the document.
    """

    name = "openlabel"
    version = "1"
    extensions: tuple[str, ...] = (".json",)
    example = "evigraph ingest openlabel scene.json"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each file; see `Reader.documents`."""
        return found_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """Objects, actions and events; then frames; then relations. A file has them in any order: it is read anew."""
        scene = _Scene(document)
        yield from scene.describe()
        yield from scene.frames()
        yield from scene.relations()


@dataclass(slots=True)
class _Frame:
    """When a box was seen."""

    number: int | None = None
    at: str = ""
    time: float | None = None


@dataclass(slots=True)
class _Data:
    """What stands beside a box, or in an object as a whole."""

    text: str = ""
    attributes: list[str] = field(default_factory=list)
    confidence: float = 1.0


class _Scene:
    """Records of one file."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._key = document.id
        self._said = Said()
        self._source = Source(document.id, "document", name=document.path.name, document=document.id)
        name = stem_of(key_of(document.id))
        self._medium = Medium(curie("video", name), name)
        self._labels: dict[str, str] = {}
        self._things: set[str] = set()
        self._sizes: set[tuple[int, int]] = set()

    def describe(self) -> Iterator[Record]:
        """The medium, then what the file says of things as a whole."""
        wanted = ("objects", *_HAPPENINGS)
        found = False
        for item in self._items("streams"):
            if isinstance(item, Rejected):
                found = True
                yield item
            else:
                yield from self._guarded(self._stream, item)
        if len(self._sizes) == 1:  # boxes do not tell which of several cameras they are of
            self._medium = Medium(self._medium.id, self._medium.name, *self._sizes.pop())
        for item in self._items(*wanted):
            found = True
            if isinstance(item, Rejected):
                yield item
                continue
            make = self._object if item.path[1] == "objects" else self._happening
            yield from self._guarded(make, item)
        if not found:
            yield Rejected("no openlabel.objects, actions or events inside", "", "", self._key)

    def frames(self) -> Iterator[Record]:
        """Each box of each frame."""
        for item in self._items("frames"):
            if isinstance(item, Rejected):
                yield item
            else:
                yield from self._frame(item)

    def relations(self) -> Iterator[Record]:
        """Who takes part in which action, and all other relations by their own names."""
        for item in self._items("relations"):
            if isinstance(item, Rejected):
                yield item
            else:
                yield from self._guarded(self._relation, item)

    def _items(self, *names: str) -> Iterator[Item | Rejected]:
        """The members of these parts; what is wrong with the file as a whole is told once, not in each pass."""
        for item in values(self._document, *(("openlabel", name) for name in names)):
            if isinstance(item, Item) or self._said.first(_cause(item)):
                yield item

    def _guarded(self, make: Callable[[Item], Iterator[Record]], item: Item) -> Iterator[Record]:
        return guarded(lambda: make(item), self._key, item.place, item.value)

    # ---- things as a whole -----------------------------------------------------------------------------------------

    def _stream(self, item: Item) -> Iterator[Record]:
        """Learns the picture's size, if a stream states it."""
        properties = mapping(mapping(item.value, "stream").get("stream_properties") or {}, "stream_properties")
        for key in ("intrinsics_pinhole", "intrinsics_fisheye", "intrinsics_custom"):
            stated = mapping(properties.get(key) or {}, key)
            if "width_px" in stated and "height_px" in stated:
                width, height = (integer(stated[side], side, 1, MAX_PIXELS) for side in ("width_px", "height_px"))
                self._sizes.add((width, height))
        return iter(())

    def _object(self, item: Item) -> Iterator[Record]:
        stated = mapping(item.value, "object")
        label = text(stated.get("type"), "type")
        track = self._track(item.key, label, stated)
        yield from track_records(track, self._source, item.place, self._said)
        self._labels[item.key] = label
        self._things.add(track.id)
        data = mapping(stated.get("object_data") or {}, "object_data")
        yield from self._boxes(item.key, data, _Frame(), item.place)

    def _track(self, uid: str, label: str, stated: dict[str, Any]) -> Track:
        data = _data(mapping(stated.get("object_data") or {}, "object_data"))
        name = stated.get("name")
        properties: list[tuple[str, Value]] = [("name", text(name, "name"))] if name else []
        return Track(
            self._thing("object", uid),
            uid,
            self._medium,
            label,
            text=data.text,
            attributes=tuple(data.attributes),
            properties=(*properties, *_interval(stated)),
        )

    def _happening(self, item: Item) -> Iterator[Record]:
        """An action or event, an instance of its type."""
        stated = mapping(item.value, item.path[1])
        class_ = object_class(text(stated.get("type"), "type"))
        kind = item.path[1].removesuffix("s")
        concept = f"{kind}:{class_.id.partition(':')[2]}"
        id_ = self._thing(kind, item.key)
        name = stated.get("name")
        properties: dict[str, Value] = {"name": text(name, "name")} if name else {}
        properties |= dict(_interval(stated))
        yield from source_records(self._source, self._said)
        yield from medium_records(self._medium, self._source, item.place, self._said)
        self._things.add(id_)
        yield Entity(id_, ("Event",), self._source.id, properties, self._key, item.place)
        yield self._claim(id_, "DETECTED_IN", self._medium.id, item.place)
        yield Entity(concept, ("Concept",), self._source.id, {"name": class_.name}, self._key, item.place)
        yield self._claim(id_, "INSTANCE_OF", concept, item.place)

    def _relation(self, item: Item) -> Iterator[Record]:
        stated = mapping(item.value, "relation")
        predicate = text(stated.get("type"), "type")
        ends = [
            [
                self._known(text(mapping(end, name).get("type"), f"{name}.type"), text(end.get("uid"), f"{name}.uid"))
                for end in sequence(stated.get(name), name)
            ]
            for name in ("rdf_subjects", "rdf_objects")
        ]
        if not all(ends):
            raise ValueError("rdf_subjects or rdf_objects: none")
        for subject in ends[0]:
            for object_ in ends[1]:
                takes_part = object_.startswith("event:") and not subject.startswith("event:")
                relation = "PARTICIPATES_IN" if takes_part else "RELATED_TO"
                yield self._claim(subject, relation, object_, item.place, predicate)

    # ---- frames ----------------------------------------------------------------------------------------------------

    def _frame(self, item: Item) -> Iterator[Record]:
        try:
            stated = mapping(item.value, "frame")
            frame = _Frame(integer(parsed_number(item.key, "frame"), "frame"))
            properties = mapping(stated.get("frame_properties") or {}, "frame_properties")
            objects = mapping(stated.get("objects") or {}, "objects")
        except ValueError as error:
            yield Rejected(str(error), item.place, repr(item.value), self._key)
            return
        try:
            _set_time(frame, properties.get("timestamp"))
        except ValueError as error:
            yield Rejected(str(error), f"{item.place}.frame_properties", repr(properties), self._key)
        for uid, object_ in objects.items():
            place = f"{item.place}.objects.{uid}"
            yield from guarded(
                lambda u=uid, o=object_, p=place: self._boxes(  # type: ignore[misc]
                    u, mapping(mapping(o, "object").get("object_data") or {}, "object_data"), frame, p
                ),
                self._key,
                place,
                object_,
            )

    def _boxes(self, uid: str, data: dict[str, Any], frame: _Frame, place: str) -> Iterator[Record]:
        """The boxes of one object in one frame."""
        if uid not in self._labels:
            raise ValueError(f"object {uid!r} is not among openlabel.objects")
        around = _data(data)
        label = self._labels[uid]
        when = () if frame.number is None else (str(frame.number),)
        for index, (name, stated, box) in enumerate(_shapes(data)):
            own = _data(mapping(stated.get("attributes") or {}, "attributes"))
            detection = Detection(
                curie("detection", self._key, *when, uid, str(index)),
                self._medium,
                label,
                min(own.confidence, around.confidence),
                pixels=box,
                frame=frame.number,
                frame_time=frame.time,
                at=frame.at,
                track=Track(self._thing("object", uid), uid, self._medium, known=True),
                text=own.text or around.text,
                attributes=(*around.attributes, *own.attributes),
                box_name=name,
            )
            yield from detection_records(detection, self._source, place, self._said)

    def _thing(self, kind: str, uid: str) -> str:
        return curie("track" if kind == "object" else "event", self._key, kind, uid)

    def _known(self, kind: str, uid: str) -> str:
        if (id_ := self._thing(kind, uid)) not in self._things:
            raise ValueError(f"there is no {kind} {uid!r}")
        return id_

    def _claim(self, subject: str, relation: str, object_: str, place: str, predicate: str = "") -> Claim:
        qualifiers = {"predicate": predicate} if predicate else {}
        return Claim(subject, relation, object_, self._source.id, 1.0, qualifiers, self._key, place)


def _shapes(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Box]]:
    """Field, shape, and the upright box around it: of boxes, rotated boxes and polygons.

    Raises:
        ValueError: a shape makes no sense, or there are such only as are not read.
    """
    found = False
    for kind in ("bbox", "rbbox", "poly2d"):
        for index, entry in enumerate(sequence(data.get(kind), kind)):
            found = True
            shape, name = mapping(entry, kind), f"{kind}[{index}].val"
            if kind == "poly2d":
                if shape.get("mode", "MODE_POLY2D_ABSOLUTE") != "MODE_POLY2D_ABSOLUTE":
                    raise ValueError(f"poly2d[{index}].mode: only MODE_POLY2D_ABSOLUTE is read")
                points = sequence(shape.get("val"), name)
                xy = numbers(points, name, len(points))
                if len(xy) < 6 or len(xy) % 2:
                    raise ValueError(f"{name}: {len(xy)} numbers are no polygon")
                yield name, shape, Box(min(xy[::2]), min(xy[1::2]), max(xy[::2]), max(xy[1::2]))
                continue
            values_ = numbers(shape.get("val"), name, 4 if kind == "bbox" else 5)
            x, y, width, height = values_[:4]
            if kind == "rbbox":
                cos, sin = abs(math.cos(values_[4])), abs(math.sin(values_[4]))
                width, height = width * cos + height * sin, width * sin + height * cos
            yield name, shape, Box.around(x, y, width, height)
    unread = [kind for kind in _UNREAD if data.get(kind)]
    if unread and not found:
        raise ValueError(f"{', '.join(unread)}: only boxes and polygons in the picture are read")


def _cause(rejected: Rejected) -> tuple[str, str]:
    """By which two passes find the same thing wrong."""
    ends = rejected.reason.startswith("the file ends")
    return ("", "the file ends") if ends else (rejected.place, rejected.reason)


def _interval(stated: dict[str, Any]) -> tuple[tuple[str, Value], ...]:
    """First and last frame."""
    intervals = [mapping(i, "frame_intervals") for i in sequence(stated.get("frame_intervals"), "frame_intervals")]
    if not intervals:
        return ()
    first = min(integer(i.get("frame_start"), "frame_start") for i in intervals)
    last = max(integer(i.get("frame_end"), "frame_end") for i in intervals)
    return ("first_frame", first), ("last_frame", last)


def _data(stated: dict[str, Any]) -> _Data:
    """Texts, numbers and flags by their names."""
    found = _Data()
    for kind in ("text", "num", "boolean"):
        for entry in sequence(stated.get(kind), kind):
            name, value = text(mapping(entry, kind).get("name"), f"{kind}.name"), entry.get("val")
            if kind == "text" and name.lower() in _TEXTS:
                found.text = text(value, name)
            elif kind == "num" and name.lower() in _SCORES:
                found.confidence = score(value, name)
            elif kind == "text":
                found.attributes.append(f"{name}={text(value, name)}")
            elif kind == "num":
                found.attributes.append(f"{name}={number(value, name):g}")
            elif isinstance(value, bool):
                found.attributes.append(f"{name}={str(value).lower()}")
            else:
                raise ValueError(f"{name}: {value!r} is neither true nor false")
    return found


def _set_time(frame: _Frame, stated: object) -> None:
    if stated is None:
        return
    if isinstance(stated, (int, float)) and number(stated, "timestamp") < _EPOCH_SECONDS:
        frame.time = number(stated, "timestamp", 0.0)
    else:
        frame.at = instant(stated, "timestamp")
