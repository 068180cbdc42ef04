"""Single messages of a broker make the records that a file of them makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.readers import deepstream, frigate, onvif
from ingestion.readers.detection import Said
from kg.model import Rejected, Source
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


def test_said_forgets_in_time() -> None:
    said = Said()
    assert said.first("a")
    assert not said.first("a")
    for number in range(60_000):
        said.first(number)
    assert said.first("a")
