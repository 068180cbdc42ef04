"""ONVIF: the metadata stream of a camera's analytics, as XML."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element, ParseError, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import iterparse

from ingestion.readers.base import Document
from ingestion.readers.checked import Box, instant, parsed_number, text
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
    stem_of,
)
from ingestion.readers.limited_xml import events
from kg.model import Record, Rejected, Source

MAX_ELEMENTS = 1_000_000
"""Of one frame."""

_CHUNK = 1 << 16
_TAG = 64
"""Bytes of a closing tag, at most."""
_ROOT = b"MetadataStream"
_KINDS = {"VehicleInfo": "Type", "HumanFace": "", "HumanBody": "", "BarcodeInfo": "Type"}
Affine = tuple[float, float, float, float]
"""Translation and scale in x, then in y."""
_IDENTITY: Affine = (0.0, 1.0, 0.0, 1.0)


class OnvifReader:
    """Reads recorded metadata streams, also many documents one after the other.

    Boxes lie in -1…1, upwards, unless a transformation says otherwise. The file's name is the camera's.
    """

    name = "onvif"
    version = "2"
    extensions: tuple[str, ...] = (".xml",)
    example = "evigraph ingest onvif gate-camera.xml"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each file; see `Reader.documents`."""
        return found_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """Each object of each frame."""
        said = Said()
        camera = stem_of(key_of(document.id).rsplit("/", 1)[-1])
        count, broken = 0, False
        for frame in _frames(document):
            if isinstance(frame, Rejected):
                broken = True
                yield frame
            else:
                yield from records_of(frame, document.id, f"Frame[{count}]", camera, said)
                count += 1
        if not count and not broken:
            yield Rejected("no frames (tt:Frame) inside", "", "", document.id)


def records_of(frame: Element, document: str, place: str, camera: str, said: Said | None = None) -> Iterator[Record]:
    """The records of one `tt:Frame`; `Rejected` for a frame, or one of its objects, that makes no sense.

    Args:
        frame: as parsed; see `frames_of` for a message's text.
        document: id of the file or stream.
        place: of the frame there.
        camera: which the stream itself does not tell.
        said: what the document has said; None says everything again.
    """
    said = said or Said()
    source = Source(curie("onvif", camera), "sensor", name=f"{camera}, analytics", document=document)
    medium = Medium(curie("camera", camera), camera, class_="Camera")
    try:
        at = instant(frame.get("UtcTime"), "UtcTime")
        outer = _transformation(_child(frame, "Transformation"))
    except ValueError as error:
        yield Rejected(str(error), place, tostring(frame, "unicode"), document)
        return
    for index, object_ in enumerate(child for child in frame if _name(child) == "Object"):
        where = f"{place}.Object[{index}]"
        yield from guarded(
            lambda o=object_, w=where: detection_records(  # type: ignore[misc]
                _detection(o, medium, at, outer), source, w, said
            ),
            document,
            where,
            tostring(object_, "unicode"),
        )


def frames_of(message: bytes) -> list[Element]:
    """The frames of one message's text.

    Raises:
        ValueError: it is not XML, or holds what may not be read.
    """
    try:
        return [frame for _, frame in iterparse(io.BytesIO(message)) if _name(frame) == "Frame"]
    except (ParseError, DefusedXmlException) as error:
        raise ValueError(_reason(error)) from error


# ---- one object ----------------------------------------------------------------------------------------------------


def _detection(object_: Element, camera: Medium, at: str, outer: Affine) -> Detection:
    id_ = text(object_.get("ObjectId"), "ObjectId")
    appearance = _child(object_, "Appearance")
    label, confidence, narrower = _classes(appearance)
    plate = _child(appearance, "LicensePlateInfo", "PlateNumber")
    attributes = []
    if plate is not None and plate.get("Likelihood"):
        attributes.append(f"plate_score={_likelihood(plate):g}")
    for name in ("Speed", "Direction"):
        behaviour = _child(object_, "Behaviour", name)
        if behaviour is not None and behaviour.text and behaviour.text.strip():
            attributes.append(f"{name.lower()}={parsed_number(behaviour.text, name):g}")
    return Detection(
        curie("detection", camera.id.replace("camera:", "onvif/", 1), at, id_),
        camera,
        label,
        confidence,
        shares=_box(appearance, outer),
        at=at,
        track=Track(curie("track", camera.id.replace("camera:", "onvif/", 1), id_), id_, camera),
        text=text(plate.text, "PlateNumber") if plate is not None and plate.text else "",
        attributes=tuple(attributes),
        narrower=narrower,
        box_name="BoundingBox",
    )


def _classes(appearance: Element | None) -> tuple[str, float, tuple[tuple[str, float], ...]]:
    """The likeliest class, and further ones.

    Raises:
        ValueError: a likelihood is none.
    """
    found: list[tuple[str, float]] = []
    class_ = _child(appearance, "Class")
    for child in class_ if class_ is not None else ():
        if _name(child) == "Type" and child.text:
            found.append((child.text.strip(), _likelihood(child)))
        elif _name(child) == "ClassCandidate":  # the older form
            kind, likelihood = _child(child, "Type"), _child(child, "Likelihood")
            if kind is not None and kind.text:
                value = parsed_number(likelihood.text or "", "Likelihood", 0, 1) if likelihood is not None else 1.0
                found.append((kind.text.strip(), value))
    found.sort(key=lambda pair: -pair[1])
    for info, kind_name in _KINDS.items():
        part = _child(appearance, info)
        kind = _child(part, kind_name) if kind_name else None
        if kind is not None and kind.text:
            found.append((kind.text.strip(), _likelihood(kind)))
        elif part is not None and not kind_name and not found:
            found.append((info, 1.0))
    if not found:
        found = [("LicensePlate", 1.0)] if _child(appearance, "LicensePlateInfo") is not None else [("object", 1.0)]
    (label, confidence), *others = found
    return label, confidence, tuple(others)


def _likelihood(element: Element) -> float:
    stated = element.get("Likelihood")
    return parsed_number(stated, "Likelihood", 0.0, 1.0) if stated is not None else 1.0


def _box(appearance: Element | None, outer: Affine) -> Box | None:
    """The box in shares of the picture, from its top left."""
    box = _child(appearance, "Shape", "BoundingBox")
    if box is None:
        return None
    inner = _transformation(_child(appearance, "Transformation"))
    sides = {name: parsed_number(box.get(name, ""), f"BoundingBox.{name}") for name in Box._fields}
    x = sorted(_apply(outer, _apply(inner, sides[name], 0), 0) for name in ("left", "right"))
    y = sorted(_apply(outer, _apply(inner, sides[name], 1), 1) for name in ("top", "bottom"))
    return Box((x[0] + 1) / 2, (1 - y[1]) / 2, (x[1] + 1) / 2, (1 - y[0]) / 2)


def _apply(affine: Affine, value: float, axis: int) -> float:
    translation, scale = affine[2 * axis : 2 * axis + 2]
    return value * scale + translation


def _transformation(element: Element | None) -> Affine:
    if element is None:
        return _IDENTITY
    values = list(_IDENTITY)
    for offset, name in enumerate(("Translate", "Scale")):
        part = _child(element, name)
        if part is not None:
            values[offset] = parsed_number(part.get("x", ""), f"{name}.x")
            values[offset + 2] = parsed_number(part.get("y", ""), f"{name}.y")
    return values[0], values[1], values[2], values[3]


def _name(element: Element) -> str:
    """Its name without the namespace: cameras differ in its version."""
    return element.tag.rpartition("}")[2]


def _child(element: Element | None, *names: str) -> Element | None:
    for name in names:
        if element is None:
            return None
        element = next((child for child in element if _name(child) == name), None)
    return element


# ---- files ---------------------------------------------------------------------------------------------------------


def _frames(document: Document) -> Iterator[Element | Rejected]:
    """The frames of all documents in a file; one that is broken costs the rest of itself only."""
    with document.open() as file:
        part = _Part(file)
        number = 0
        while part.go_on():
            place = f"MetadataStream[{number}]"
            number += 1
            try:
                yield from _complete(part)
            except (ParseError, DefusedXmlException, LookupError, ValueError) as error:
                yield Rejected(_reason(error), place, "", document.id)
                part.drain()


def _complete(part: _Part) -> Iterator[Element]:
    """The frames of one XML document as they end; all else is let go of.

    Raises:
        ParseError, DefusedXmlException, ValueError: it is not XML, or may not be read.
    """
    around: list[Element] = []
    frame: Element | None = None
    held = 0
    for event, element in events(part):
        if event == "start":
            around.append(element)
            held += 1
            if held > MAX_ELEMENTS:
                raise ValueError(f"a frame of more than {MAX_ELEMENTS:,} elements")
            if frame is None and _name(element) == "Frame":
                frame = element
            continue
        around.pop()
        if frame is not None and element is frame:
            yield element
            frame = None
        if frame is None and around:
            around[-1].clear()
            held = 0


class _Part:
    """One XML document of several in a file: ends behind the root's closing tag."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._next = file.read(_CHUNK)
        self._held = b""
        self._ended = False

    def go_on(self) -> bool:
        """Whether another document follows."""
        self._ended = False
        while not self._held.strip():
            self._held = self._more()
            if not self._held:
                return False
        self._held = self._held.lstrip()
        return True

    def read(self, _size: int = -1) -> bytes:
        """The next bytes of this document; none behind its end."""
        if self._ended:
            return b""
        if len(self._held) < _CHUNK:
            self._held += self._more()
        end = _closing(self._held)
        if end:
            self._ended = True
        elif self._next and len(self._held) > _TAG:  # the tag may be cut in two
            end = len(self._held) - _TAG
        else:
            end, self._ended = len(self._held), True
        part, self._held = self._held[:end], self._held[end:]
        return part

    def _more(self) -> bytes:
        """The next bytes of the file; one chunk is held back, so that its end is known in time."""
        chunk, self._next = self._next, self._file.read(_CHUNK)
        return chunk

    def drain(self) -> None:
        """Goes behind the end of this document."""
        while self.read():
            pass


def _closing(content: bytes) -> int:
    """Where the root's closing tag ends; 0 if it is not there."""
    at = content.find(_ROOT)
    while at >= 0:
        tag = content.rfind(b"<", 0, at)
        end = content.find(b">", at)
        if tag >= 0 and end >= 0 and content[tag + 1 : tag + 2] == b"/" and b">" not in content[tag:at]:
            return end + 1
        at = content.find(_ROOT, at + 1)
    return 0


def _reason(error: Exception) -> str:
    return f"not XML: {error}" if isinstance(error, ParseError) else f"not XML that may be read: {error}"
