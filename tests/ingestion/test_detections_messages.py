"""Single messages of a broker make the records that a file of them makes."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from ingestion.readers import deepstream, frigate, onvif
from ingestion.readers.detection import Said
from ingestion.stream_messages import message_function
from kg.model import Claim, Entity, Record, Rejected, Source
from tests.ingestion import detection_samples as samples
from tests.ingestion.test_detections import read


@pytest.mark.parametrize("name", ["frigate", "deepstream", "onvif"])
def test_a_message_by_itself_says_what_the_file_says(name: str, tmp_path: Path) -> None:
    """A subscriber has one message at a time; what it repeats (cameras, classes) is the same each time."""
    if name == "frigate":
        content, messages = [samples.frigate(), samples.frigate(101.0)], [samples.frigate(), samples.frigate(101.0)]
        parts = [frigate.records_of(m, "frigate:in/a.json", f"[{i}]") for i, m in enumerate(messages)]
    elif name == "deepstream":
        content, messages = [samples.deepstream(), samples.minimal()], [samples.deepstream(), samples.minimal()]
        parts = [deepstream.records_of(m, "deepstream:in/a.json", f"[{i}]") for i, m in enumerate(messages)]
    else:
        content = samples.onvif(
            *(samples.onvif_frame(samples.onvif_object(), time=f"2019-05-15T12:00:0{i}Z") for i in range(2))
        )
        frames = onvif.frames_of(content.encode())
        parts = [onvif.records_of(f, "onvif:in/a.xml", f"Frame[{i}]", "a") for i, f in enumerate(frames)]
    file = "a.xml" if name == "onvif" else "a.json"
    of_file = read(name, tmp_path, {file: content})
    first, second = (list(part) for part in parts)
    assert first == of_file[: len(first)]
    without_place = {repr(r).partition(", place=")[0] for r in of_file}
    assert {repr(r).partition(", place=")[0] for r in (*first, *second)} == without_place
    assert any(isinstance(r, Source) for r in second)


@pytest.mark.parametrize("message", [None, 7, "x", [], {}, {"after": 3}, {"objects": 3}, {"object": []}])
def test_a_message_that_makes_no_sense_is_rejected(message: object) -> None:
    for module in (frigate, deepstream):
        (rejected,) = module.records_of(message, "topic:a", "17")
        assert isinstance(rejected, Rejected)
        assert (rejected.place, rejected.document) == ("17", "topic:a")
        assert rejected.reason


def test_what_is_no_xml_is_no_message() -> None:
    with pytest.raises(ValueError, match="not XML"):
        onvif.frames_of(b"<a><b></a>")
    with pytest.raises(ValueError, match="may be read"):
        onvif.frames_of(b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>')


def messages(reader: str, *bodies: bytes, topic: str = "lab/cam") -> list[list[Record]]:
    """The records of each, of one stream."""
    read_message = message_function(reader)
    return [list(read_message(body, topic, "stream:lab/cam", Said())) for body in bodies]


def ids(records: list[Record], class_: str) -> set[str]:
    return {r.id for r in records if isinstance(r, Entity) and class_ in r.classes}


@pytest.mark.parametrize(
    ("reader", "class_", "first", "second"),
    [
        (
            "coco",
            "Detection",
            b'[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]',
            b'[{"image_id": 2, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]',
        ),
        ("yolo", "Detection", b"0 0.5 0.5 0.1 0.1", b"0 0.2 0.2 0.1 0.1"),
        ("mot", "Detection", b"1,1,10,10,20,20,0.9,-1,-1,-1", b"2,1,30,10,20,20,0.9,-1,-1,-1"),
        ("rdf", "Entity", b"<#me> a <http://x.org/A> .", b"<#me> a <http://x.org/B> ."),
        (
            "neo4j_json",
            "Entity",
            b'{"type": "node", "id": "0", "labels": []}',
            b'{"type": "node", "id": "0", "labels": [], "properties": {"name": "other"}}',
        ),
        (
            "fhir",
            "Patient",
            b'{"resourceType": "Bundle", "type": "collection", "entry": [{"resource": '
            b'{"resourceType": "Patient", "id": "p1", "gender": "male"}}]}',
            b'{"resourceType": "Bundle", "type": "collection", "entry": [{"resource": '
            b'{"resourceType": "Patient", "id": "p1", "gender": "female"}}]}',
        ),
    ],
)
def test_places_in_messages_are_not_one_place(reader: str, class_: str, first: bytes, second: bytes) -> None:
    one, other, again = messages(reader, first, second, first)
    assert ids(one, class_)
    assert not ids(one, class_) & ids(other, class_)
    assert again == one
    for record in (*one, *other):
        assert record.document == "stream:lab/cam"
        if isinstance(record, (Entity, Claim)):
            assert record.source in ("stream:lab/cam", "evigraph:object-classes")
    described = {r.id for r in (*one, *other) if isinstance(r, Source)}
    assert described <= {"stream:lab/cam", "evigraph:object-classes"}


def test_a_patient_with_an_address_is_one_in_all_messages() -> None:
    def bundle(gender: str) -> bytes:
        patient = {"resourceType": "Patient", "id": "p1", "gender": gender}
        entry = {"fullUrl": "https://host/fhir/Patient/p1", "resource": patient}
        return orjson.dumps({"resourceType": "Bundle", "type": "collection", "entry": [entry]})

    one, other = messages("fhir", bundle("male"), bundle("female"))
    assert ids(one, "Patient") == ids(other, "Patient") == {"fhir:host/fhir/Patient/p1"}


def test_the_sensor_of_a_series_is_named_by_the_topic() -> None:
    one, other = messages("series", *(b"time,value\n2024-01-0%d,1\n2024-01-0%d,2\n" % day for day in ((1, 2), (3, 4))))
    assert ids(one, "TrafficDetector") == ids(other, "TrafficDetector") == {"detector:lab/cam"}


def test_the_camera_is_of_the_messages_own_topic() -> None:
    body = samples.onvif(samples.onvif_frame(samples.onvif_object())).encode()
    for topic, camera in (("cameras/gate", "gate"), ("cameras.door", "door"), ("yard", "yard")):
        ((*records,),) = messages("onvif", body, topic=topic)
        assert ids(records, "Camera") == {f"camera:{camera}"}


def test_said_forgets_in_time() -> None:
    said = Said()
    assert said.first("a")
    assert not said.first("a")
    for number in range(60_000):
        said.first(number)
    assert said.first("a")
