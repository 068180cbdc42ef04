"""What the formats of detections share: media, tracks, ids, and the records of one detection."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from ingestion.readers.base import Document, Reader, find_documents
from ingestion.readers.checked import Box
from ingestion.readers.json_values import values
from ingestion.readers.object_classes import ObjectClass, object_class
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected, Source, Value

CLASSES_SOURCE = "evigraph:object-classes"
"""Who says that a car is a vehicle."""

_REMEMBERED = 50_000
_UNSAFE = re.compile(r"[\s%\x00-\x1f\x7f]")


# ---- what was seen -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Medium:
    """What a detection was made in.

    Attributes:
        class_: `Medium` or `Camera`.
        width: in pixels; 0 if not known, as `height`.
    """

    id: str
    name: str = ""
    width: int = 0
    height: int = 0
    class_: str = "Medium"
    properties: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Track:
    """One thing followed.

    Attributes:
        label: its class, if it has one of its own.
        narrower: further classes with their confidences.
        zones: ids and names of places where it was.
        known: it was described already.
    """

    id: str
    track_id: str
    medium: Medium
    label: str = ""
    confidence: float = 1.0
    text: str = ""
    attributes: tuple[str, ...] = ()
    properties: tuple[tuple[str, Value], ...] = ()
    narrower: tuple[tuple[str, float], ...] = ()
    zones: tuple[tuple[str, str], ...] = ()
    known: bool = False


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing seen once.

    Attributes:
        label: its class.
        narrower: further classes with their confidences.
        mention: the class in the detector's own words, where that is no label, such as a number.
        pixels: the box in pixels, or else
        shares: in shares of the medium's size.
        frame_time: seconds since the medium's beginning.
        at: ISO 8601.
        box_name: field that the box came from, for errors.
    """

    id: str
    medium: Medium
    label: str | ObjectClass
    confidence: float = 1.0
    mention: str = ""
    pixels: Box | None = None
    shares: Box | None = None
    frame: int | None = None
    frame_time: float | None = None
    at: str = ""
    track: Track | None = None
    text: str = ""
    attributes: tuple[str, ...] = ()
    narrower: tuple[tuple[str, float], ...] = ()
    zones: tuple[tuple[str, str], ...] = ()
    url: str = ""
    box_name: str = "bbox"


class Said:
    """Remembers, in bounded memory, what a document has said already, so that it is not said with each detection."""

    def __init__(self) -> None:
        self._keys: set[Hashable] = set()

    def first(self, key: Hashable) -> bool:
        """Whether this is new; now and then what is not new counts as such, too."""
        if key in self._keys:
            return False
        if len(self._keys) >= _REMEMBERED:
            self._keys.clear()
        self._keys.add(key)
        return True


def curie(prefix: str, *parts: str) -> str:
    """An id: `curie("zone", "front door", "yard")` is `zone:front%20door/yard`."""
    return f"{prefix}:{_UNSAFE.sub(lambda m: quote(m[0]), '/'.join(parts))}"


def image_id(folder: str, image: str) -> str:
    """Id of a picture by its exact name in a folder, which is empty for files that are loaded by themselves.

    Results of several detectors and annotations beside each other, in one folder, thus are of the same pictures.
    """
    return curie("image", folder, image) if folder else curie("image", image)


def key_of(document: str) -> str:
    """A document's id without the reader's name."""
    return document.partition(":")[2]


def run_of(document: str) -> str:
    """What made a file, by its folder, `labels` apart: `yolo:runs/exp2/labels/a.txt` is of the run `yolo:runs/exp2`.

    A file without a folder is a run of its own, by its stem.
    """
    reader, _, key = document.partition(":")
    return f"{reader}:{'/'.join(run_folders(document)) or stem_of(key)}"


def run_folders(document: str) -> list[str]:
    """The folders that a file lies in, from the one that is loaded on, `labels` apart."""
    return [part for part in key_of(document).split("/")[:-1] if part != "labels"]


def stem_of(name: str) -> str:
    """A name without its last extension."""
    return name.rpartition(".")[0] or name


def found_documents(reader: Reader, path: Path | None, name: str | None) -> Iterator[Document]:
    """As `find_documents`; there is no data of the reader's own.

    Raises:
        InputError: as `Reader.documents`.
    """
    if path is None:
        raise InputError(f"reader {reader.name} needs a file or folder")
    return find_documents(reader, path, name)


def read_messages(
    document: Document, records_of: Callable[[object, str, str, Said], Iterator[Record]]
) -> Iterator[Record]:
    """The records of each message of a JSON document, through a function (message, document id, place, said before)."""
    said = Said()
    for item in values(document):
        if isinstance(item, Rejected):
            yield item
        else:
            yield from records_of(item.value, document.id, item.place, said)


# ---- records -------------------------------------------------------------------------------------------------------


def detection_records(detection: Detection, source: Source, place: str, said: Said | None = None) -> Iterator[Record]:
    """A detection, with its source, medium, class, track and zones as far as they have not been said.

    Args:
        detection: what was seen.
        source: who saw it; `source.document` is the document (or stream) that says so.
        place: where in the document.
        said: of this document; None says everything again, as for single messages.

    Raises:
        ValueError: the box or the label makes no sense; nothing was yielded then.
    """
    said = said or Said()
    document = source.document
    properties = _box_properties(detection)
    label = detection.label
    class_ = label if isinstance(label, ObjectClass) else object_class(label)
    narrower = [(object_class(name), confidence) for name, confidence in detection.narrower]
    mention = detection.mention or (label if isinstance(label, str) and class_.synonym else "")
    track = detection.track
    optional: dict[str, Value | None] = {
        "frame": detection.frame,
        "frame_time": detection.frame_time,
        "at": detection.at or None,
        "track_id": track.track_id if track else None,
        "text": detection.text or None,
        "attributes": detection.attributes or None,
        "url": detection.url or None,
    }
    properties |= {name: value for name, value in optional.items() if value is not None}
    yield from source_records(source, said)
    yield from medium_records(detection.medium, source, place, said)
    if track is not None and not track.known:
        yield from track_records(track, source, place, said)
    yield Entity(detection.id, ("Detection",), source.id, properties, document, place)

    def claim(relation: str, object_: str, confidence: float, mention: str = "") -> Claim:
        qualifiers = {"mention": mention} if mention else {}
        return Claim(detection.id, relation, object_, source.id, confidence, qualifiers, document, place)

    yield claim("DETECTED_IN", detection.medium.id, detection.confidence)
    yield from class_records(class_, source, place, said)
    yield claim("INSTANCE_OF", class_.id, detection.confidence, mention)
    for kind, confidence in narrower:
        yield from class_records(kind, source, place, said)
        yield claim("INSTANCE_OF", kind.id, confidence)
    if track is not None:
        yield claim("PART_OF_TRACK", track.id, 1.0)  # a tracker does not say how sure it is of that
    for id_, name in detection.zones:
        yield from place_records(id_, name, source, place, said)
        yield claim("LOCATED_IN", id_, detection.confidence)


def source_records(source: Source, said: Said) -> Iterator[Record]:
    """The source, once."""
    if said.first(source):
        yield source


def medium_records(medium: Medium, source: Source, place: str, said: Said) -> Iterator[Record]:
    """The medium, once."""
    if said.first((source.id, medium.id)):
        properties: dict[str, Value] = {"name": medium.name} if medium.name else {}
        if medium.width and medium.height:
            properties |= {"width": medium.width, "height": medium.height}
        properties |= medium.properties
        yield Entity(medium.id, (medium.class_,), source.id, properties, source.document, place)


def place_records(id_: str, name: str, source: Source, place: str, said: Said) -> Iterator[Record]:
    """A zone or site, once."""
    if said.first((source.id, id_)):
        yield Entity(id_, ("Place",), source.id, {"name": name}, source.document, place)


def class_records(class_: ObjectClass, source: Source, place: str, said: Said) -> Iterator[Record]:
    """A class and those above it, once; a class that Evigraph does not list is as the source names it."""
    document = source.document
    own = source
    if class_.known:
        own = Source(CLASSES_SOURCE, "document", name="Object classes of Evigraph", document=document)
    if not said.first((own.id, class_.id)):
        return
    yield from source_records(own, said)
    yield Entity(class_.id, ("ObjectClass",), own.id, {"name": class_.name}, document, place)
    if class_.broader is not None:
        yield from class_records(class_.broader, source, place, said)
        yield Claim(class_.id, "IS_A", class_.broader.id, own.id, 1.0, {}, document, place)


def track_records(track: Track, source: Source, place: str, said: Said) -> Iterator[Record]:
    """A track, once for each thing that is said of it.

    Raises:
        ValueError: its label makes no sense; nothing was yielded then.
    """
    classes = [(track.label, track.confidence)] if track.label else []
    kinds = [(label, object_class(label), confidence) for label, confidence in (*classes, *track.narrower)]
    stated = (track.confidence, track.text, track.attributes, track.narrower, track.zones)
    if not said.first((source.id, track.id, *stated, *track.properties)):
        return
    document = source.document
    properties: dict[str, Value] = {"track_id": track.track_id, **dict(track.properties)}
    if track.text:
        properties["text"] = track.text
    if track.attributes:
        properties["attributes"] = track.attributes
    yield from source_records(source, said)
    yield from medium_records(track.medium, source, place, said)
    yield Entity(track.id, ("Track",), source.id, properties, document, place)
    yield Claim(track.id, "DETECTED_IN", track.medium.id, source.id, track.confidence, {}, document, place)
    for label, class_, confidence in kinds:
        qualifiers = {"mention": label} if class_.synonym else {}
        yield from class_records(class_, source, place, said)
        yield Claim(track.id, "INSTANCE_OF", class_.id, source.id, confidence, qualifiers, document, place)
    for id_, name in track.zones:
        yield from place_records(id_, name, source, place, said)
        yield Claim(track.id, "LOCATED_IN", id_, source.id, 1.0, {}, document, place)


def guarded(make: Callable[[], Iterator[Record]], document: str, place: str, record: object) -> Iterator[Record]:
    """The records of one statement, or why there are none: all of them or `Rejected`, never a part."""
    try:
        records = list(make())
    except ValueError as error:
        shown = record if isinstance(record, str) else repr(record)
        yield Rejected(str(error), place, shown[:2000], document)
    else:
        yield from records


def _box_properties(detection: Detection) -> dict[str, Value]:
    """Both forms of the box, as far as they are known."""
    pixels, shares = detection.pixels, detection.shares
    width, height = detection.medium.width, detection.medium.height
    try:
        if pixels is not None:
            pixels = pixels.clipped(width or math.inf, height or math.inf)
            shares = pixels.scaled(1 / width, 1 / height, 6) if width and height else None
        elif shares is not None:
            shares = shares.clipped(1.0, 1.0)
            pixels = shares.scaled(width, height, 3) if width and height else None
            shares = shares.scaled(1, 1, 6)
    except ValueError as error:
        box = pixels or shares
        raise ValueError(f"{detection.box_name}: {error}: {', '.join(f'{edge:g}' for edge in box or ())}") from None
    found: dict[str, Value] = {}
    for prefix, box in (("box", shares), ("pixel", pixels)):
        if box is not None:
            found |= {f"{prefix}_{edge}": value for edge, value in zip(Box._fields, box, strict=True)}
    return found
