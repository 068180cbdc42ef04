"""Broken detections: a clear dead letter that names place and field, the rest loaded, no crash."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from ingestion.pipeline import ingest
from ingestion.readers.base import get_reader
from ingestion.resolve import VocabularyResolver
from kg.model import Claim, Entity, Record, Rejected
from kg.ontology import Ontology
from kg.store import GraphStore
from tests.ingestion import detection_samples as samples
from tests.ingestion.detection_samples import GOOD, write
from tests.ingestion.test_reader_contract import read_all
from tests.support.backends import Backend

RESULT = '{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}'
FRIGATE = json.dumps(samples.frigate(50.0, id="kept"))
DEEPSTREAM = json.dumps(samples.deepstream("kept"))
VIAS = json.dumps(samples.vias())
FRAME = samples.onvif_frame(samples.onvif_object())
TWO_FRAMES = samples.openlabel(frames={n: samples.openlabel()["openlabel"]["frames"]["3"] for n in ("3", "4")})
_PARTS = TWO_FRAMES["openlabel"]
TORN_SCENE = json.dumps(
    {"openlabel": {name: _PARTS[name] for name in (*sorted(_PARTS.keys() - {"frames"}), "frames")}}
)[:-150]


def result(**changes: Any) -> str:
    return json.dumps(json.loads(RESULT) | changes)


def scene(old: str, new: str) -> str:
    text = json.dumps(samples.openlabel())
    assert old in text
    return text.replace(old, new, 1)


def instances(old: str, new: str) -> str:
    text = json.dumps(samples.INSTANCES)
    assert old in text
    return text.replace(old, new, 1)


def changed(message: dict[str, Any], old: str, new: str) -> str:
    text = json.dumps(message)
    assert old in text
    return text.replace(old, new, 1)


Case = tuple[str, str, str | bytes, int, list[tuple[str, str]]]
"""Reader, file, content, detections that remain, places and parts of the reasons."""

CASES: dict[str, Case] = {
    "coco truncated": (
        "coco",
        "r.json",
        f'[{RESULT}, {{"image_id": 1, "categ',
        1,
        [("[1]", "the file ends inside it")],
    ),
    "coco truncated between": ("coco", "r.json", f"[{RESULT},", 1, [("", "ends before the closing bracket")]),
    "coco latin-1": (
        "coco",
        "r.json",
        f'[{{"image_id": "caf\xe9"}}, {RESULT}]'.encode("latin-1"),
        1,
        [("[0]", "not UTF-8: byte 0xe9")],
    ),
    "coco utf-16": ("coco", "r.json", f"[{RESULT}]".encode("utf-16"), 0, [("L1", "not UTF-8: byte 0xff")]),
    "coco half a character": (
        "coco",
        "r.json",
        f'[{{"image_id": "\\ud800"}}, {RESULT}]',
        1,
        [("[0]", "half a character")],
    ),
    "coco huge number": (
        "coco",
        "r.json",
        f"[{result(score=1).replace('1}', '1e999}')}, {RESULT}]",
        1,
        [("[0]", "score: inf")],
    ),
    "coco huge box": (
        "coco",
        "r.json",
        f"[{result(bbox=[1, 2, 3, 10**400])}, {RESULT}]",
        1,
        [("[0]", "bbox[3]: 1000")],
    ),
    "coco 5,000 digits": (
        "coco",
        "r.json",
        f"[{RESULT.replace('0.5', '9' * 5000)}, {RESULT}]",
        1,
        [("[0]", "too many digits")],
    ),
    "coco NaN": (
        "coco",
        "r.json",
        f"[{result(score=float('nan'))}, {RESULT}]",
        1,
        [("[0]", "score: nan is not a finite")],
    ),
    "coco Infinity": (
        "coco",
        "r.json",
        f"[{result(bbox=[1, 2, float('inf'), 4])}, {RESULT}]",
        1,
        [("[0]", "bbox[2]: inf")],
    ),
    "coco wrong type": (
        "coco",
        "r.json",
        f"[{result(bbox='1,2,3,4')}, 7, {RESULT}]",
        1,
        [("[0]", "bbox: "), ("[1]", "record: 7")],
    ),
    "coco duplicate keys": (
        "coco",
        "r.json",
        f"[{RESULT.replace('{', chr(123) + chr(34) + 'score' + chr(34) + ': 1, ', 1)}, {RESULT}]",
        1,
        [("[0]", "key 'score' is there twice")],
    ),
    "coco unbalanced": ("coco", "r.json", f'[{{"bbox": [1, 2, 3}}, {RESULT}]', 1, [("[0]", "not JSON")]),
    "coco unknown category": (
        "coco",
        "r.json",
        f"[{result(category_id=4711)}, {RESULT}]",
        1,
        [("[0]", "category_id: 4711")],
    ),
    "coco no area": (
        "coco",
        "r.json",
        f"[{result(bbox=[1, 2, 0, 4])}, {RESULT}]",
        1,
        [("[0]", "bbox: it has no area")],
    ),
    "coco negative size": ("coco", "r.json", f"[{result(bbox=[9, 9, -5, 4])}, {RESULT}]", 1, [("[0]", "width -5")]),
    "coco deep": ("coco", "r.json", f"[{'[' * 200_000}{']' * 200_000}, {RESULT}]", 1, [("[0]", "nested too deeply")]),
    "coco empty": ("coco", "r.json", b"", 0, [("", "empty file")]),
    "coco another format": ("coco", "r.json", '{"a": 1}', 0, [("", "no images, annotations or categories")]),
    "coco twice the same part": (
        "coco",
        "i.json",
        instances('"images"', '"annotations"'),
        2,
        [("annotations", "is there twice")],
    ),
    "coco outside": (
        "coco",
        "i.json",
        instances("[-10, 20,", "[500, 20,"),
        1,
        [("annotations[0]", "outside the picture")],
    ),
    "coco torn annotations": (
        "coco",
        "i.json",
        instances('"iscrowd": 0', '"iscrowd": 0, oops'),
        1,
        [("annotations[0]", "not JSON")],
    ),
    "yolo truncated": ("yolo", "a.txt", "0 .5 .5 .1 .1\n0 .5 .5", 1, [("L2", "3 columns")]),
    "yolo latin-1": ("yolo", "a.txt", b"0 .5 .5 .1 .1\n\xe9\n", 1, [("L2", "not UTF-8")]),
    "yolo NaN": (
        "yolo",
        "a.txt",
        "0 .5 .5 .1 nan\n0 .5 .5 .1 .1\n",
        1,
        [("L1", "column 5: nan is not a finite number")],
    ),
    "yolo huge": ("yolo", "a.txt", "0 .5 .5 1e999 .1\n0 .5 .5 .1 .1\n", 1, [("L1", "column 4: inf")]),
    "yolo pixels": ("yolo", "a.txt", "0 320 240 64 48\n0 .5 .5 .1 .1\n", 1, [("L1", "x: 320 is no share")]),
    "yolo words": ("yolo", "a.txt", "car .5 .5 .1 .1\n0 .5 .5 .1 .1\n", 1, [("L1", "column 1: 'car' is not a number")]),
    "yolo half a class": (
        "yolo",
        "a.txt",
        "0.5 .5 .5 .1 .1\n0 .5 .5 .1 .1\n",
        1,
        [("L1", "class: 0.5 is not a whole")],
    ),
    "yolo confidence": (
        "yolo",
        "a.txt",
        "0 .5 .5 .1 .1 7.5\n0 .5 .5 .1 .1\n",
        1,
        [("L1", "confidence: 7.5 is outside 0…1")],
    ),
    "yolo long line": ("yolo", "a.txt", "0 " * 50_000 + "\n0 .5 .5 .1 .1\n", 1, [("L1", "line of 100,001 bytes")]),
    "frigate truncated": ("frigate", "e.jsonl", FRIGATE + "\n" + FRIGATE[:200], 1, [("L2", "not JSON")]),
    "frigate torn line": ("frigate", "e.jsonl", FRIGATE[:200] + "\n" + FRIGATE, 1, [("L1", "not JSON")]),
    "frigate latin-1": (
        "frigate",
        "e.jsonl",
        b'{"camera": "T\xfcr"}\n' + FRIGATE.encode(),
        1,
        [("L1", "not UTF-8: byte 0xfc")],
    ),
    "frigate NaN": (
        "frigate",
        "e.jsonl",
        changed(samples.frigate(), "0.9", "NaN") + "\n" + FRIGATE,
        1,
        [("L1", "top_score: nan")],
    ),
    "frigate huge time": (
        "frigate",
        "e.jsonl",
        changed(samples.frigate(), "100.25", "1e300") + "\n" + FRIGATE,
        1,
        [("L1", "frame_time")],
    ),
    "frigate wrong type": (
        "frigate",
        "e.json",
        f"[{changed(samples.frigate(), '[10, 20, 110, 220]', '{}')}, {FRIGATE}]",
        1,
        [("[0]", "box: {}")],
    ),
    "frigate box upside down": (
        "frigate",
        "e.json",
        f"[{changed(samples.frigate(), '[10, 20, 110, 220]', '[9, 9, 8, 8]')}, {FRIGATE}]",
        1,
        [("[0]", "box: it has no area")],
    ),
    "frigate duplicate keys": (
        "frigate",
        "e.jsonl",
        changed(samples.frigate(), '"score": 0.8', '"score": 0.8, "score": 0.1') + "\n" + FRIGATE,
        1,
        [("L1", "key 'score' is there twice")],
    ),
    "frigate no label": (
        "frigate",
        "e.jsonl",
        changed(samples.frigate(), '"car"', "null") + "\n" + FRIGATE,
        1,
        [("L1", "label: None")],
    ),
    "frigate label without letters": (
        "frigate",
        "e.jsonl",
        changed(samples.frigate(), '"car"', '"--"') + "\n" + FRIGATE,
        1,
        [("L1", "no class name")],
    ),
    "deepstream truncated": (
        "deepstream",
        "m.json",
        f"[{DEEPSTREAM}, {DEEPSTREAM[:300]}",
        1,
        [("[1]", "the file ends inside")],
    ),
    "deepstream latin-1": (
        "deepstream",
        "m.jsonl",
        b'{"object": "\xfc"}\n' + DEEPSTREAM.encode(),
        1,
        [("L1", "not UTF-8")],
    ),
    "deepstream huge": (
        "deepstream",
        "m.jsonl",
        changed(samples.deepstream(), '"topleftx": 5', '"topleftx": 1e999') + "\n" + DEEPSTREAM,
        1,
        [("L1", "bbox.topleftx: inf")],
    ),
    "deepstream NaN": (
        "deepstream",
        "m.jsonl",
        changed(samples.deepstream(), "0.75", "NaN") + "\n" + DEEPSTREAM,
        1,
        [("L1", "confidence: nan")],
    ),
    "deepstream wrong type": (
        "deepstream",
        "m.jsonl",
        changed(samples.deepstream(), '"sensor": {', '"sensor": 7, "s": {') + "\n" + DEEPSTREAM,
        1,
        [("L1", "sensor: 7 is not an object")],
    ),
    "deepstream duplicate keys": (
        "deepstream",
        "m.jsonl",
        changed(samples.deepstream(), '"id": "5"', '"id": "5", "id": "6"') + "\n" + DEEPSTREAM,
        1,
        [("L1", "key 'id' is there twice")],
    ),
    "deepstream no time": (
        "deepstream",
        "m.jsonl",
        json.dumps(samples.deepstream(**{"@timestamp": "yesterday"})) + "\n" + DEEPSTREAM,
        1,
        [("L1", "@timestamp: 'yesterday'")],
    ),
    "deepstream minimal": (
        "deepstream",
        "m.json",
        json.dumps(samples.minimal(objects=["1|2|3", 5, "1|a|2|3|4|Car", "1|1|2|3|4|Car"])),
        1,
        [("L1.objects[0]", "3 parts"), ("L1.objects[1]", "1 parts"), ("L1.objects[2]", "left: 'a'")],
    ),
    "openlabel truncated": ("openlabel", "s.json", TORN_SCENE, 2, [("openlabel", "the file ends before")]),
    "openlabel latin-1": (
        "openlabel",
        "s.json",
        scene('"Pedestrian"', '"Fu\xdfg\xe4nger"').encode("latin-1"),
        1,
        [
            ("openlabel.objects.b", "not UTF-8"),
            ("openlabel.frames.3.objects.b", "not among"),
            ("openlabel.relations.0", ""),
        ],
    ),
    "openlabel NaN": (
        "openlabel",
        "s.json",
        scene("[50, 100, 20, 40]", "[NaN, 100, 20, 40]"),
        1,
        [("openlabel.frames.3.objects.a", "bbox[0].val[0]: nan")],
    ),
    "openlabel huge": (
        "openlabel",
        "s.json",
        scene("[50, 100, 20, 40]", "[1e999, 100, 20, 40]"),
        1,
        [("openlabel.frames.3.objects.a", "bbox[0].val[0]: inf")],
    ),
    "openlabel wrong type": (
        "openlabel",
        "s.json",
        scene('{"name": "p", "type": "Pedestrian"', '{"name": 5.5, "type": "Pedestrian"'),
        1,
        [
            ("openlabel.objects.b", "name: 5.5"),
            ("openlabel.frames.3.objects.b", "not among"),
            ("openlabel.relations.0", ""),
        ],
    ),
    "openlabel duplicate keys": (
        "openlabel",
        "s.json",
        changed(TWO_FRAMES, '"objects": {"a"', '"objects": {"a": {}, "a"'),
        2,
        [("openlabel.frames.3", "key 'a' is there twice")],
    ),
    "openlabel three dimensions": (
        "openlabel",
        "s.json",
        changed(samples.openlabel(), '"bbox"', '"cuboid"'),
        1,
        [("openlabel.frames.3.objects.a", "cuboid: only boxes and polygons")],
    ),
    "openlabel no such thing": ("openlabel", "s.json", '{"a": {"b": 1}}', 0, [("", "no openlabel.objects")]),
    "openlabel time": (
        "openlabel",
        "s.json",
        scene("2024-04-15T12:00:00+02:00", "noon"),
        2,
        [("openlabel.frames.3.frame_properties", "timestamp: 'noon'")],
    ),
    "onvif truncated": ("onvif", "g.xml", samples.onvif(FRAME, FRAME)[:-60], 1, [("MetadataStream[0]", "not XML")]),
    "onvif latin-1": (
        "onvif",
        "g.xml",
        samples.onvif(FRAME).encode() + samples.onvif("<a>\xe9</a>").encode("latin-1"),
        1,
        [("MetadataStream[1]", "not XML")],
    ),
    "onvif endless text, then whole": (
        "onvif",
        "g.xml",
        samples.onvif(f"<tt:Frame><a>{'x' * (5 << 20)}</a></tt:Frame>") + samples.onvif(FRAME),
        1,
        [("MetadataStream[0]", "a tag or text of more than 4,194,304 bytes")],
    ),
    "onvif endless attribute": (
        "onvif",
        "g.xml",
        samples.onvif(FRAME) + samples.onvif(f"<a b='{'x' * (5 << 20)}'/>"),
        1,
        [("MetadataStream[1]", "a tag or text of more than 4,194,304 bytes")],
    ),
    "onvif torn, then whole": (
        "onvif",
        "g.xml",
        samples.onvif("<tt:Frame><a></b>") + samples.onvif(FRAME),
        1,
        [("MetadataStream[0]", "mismatched tag")],
    ),
    "onvif NaN": (
        "onvif",
        "g.xml",
        samples.onvif(FRAME.replace("-0.6", "NaN", 1), FRAME),
        1,
        [("Frame[0].Object[0]", "BoundingBox.left: nan")],
    ),
    "onvif huge": (
        "onvif",
        "g.xml",
        samples.onvif(FRAME.replace("-0.6", "-1e999", 1), FRAME),
        1,
        [("Frame[0].Object[0]", "BoundingBox.left: -inf")],
    ),
    "onvif outside": (
        "onvif",
        "g.xml",
        samples.onvif(FRAME.replace("-0.6", "5").replace("-0.2", "6"), FRAME),
        1,
        [("Frame[0].Object[0]", "outside the picture")],
    ),
    "onvif wrong type": (
        "onvif",
        "g.xml",
        samples.onvif(FRAME.replace("0.9", "much", 1), FRAME),
        1,
        [("Frame[0].Object[0]", "Likelihood: 'much'")],
    ),
    "onvif attribute twice": (
        "onvif",
        "g.xml",
        samples.onvif(FRAME.replace('left="', 'left="1" left="', 1)) + samples.onvif(FRAME),
        1,
        [("MetadataStream[0]", "duplicate attribute")],
    ),
    "onvif no time": (
        "onvif",
        "g.xml",
        samples.onvif(FRAME.replace("2019", "MMXIX", 1), FRAME),
        1,
        [("Frame[0]", "UtcTime")],
    ),
    "onvif bomb": (
        "onvif",
        "g.xml",
        samples.onvif(FRAME, head='<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;">]>') + samples.onvif(FRAME),
        1,
        [("MetadataStream[0]", "not XML that may be read")],
    ),
    "onvif no frames": ("onvif", "g.xml", samples.onvif(), 0, [("", "no frames")]),
    "vias truncated": ("vias", "v.jsonl", VIAS + "\n" + VIAS[:90], 2, [("L2", "not JSON")]),
    "vias latin-1": ("vias", "v.jsonl", b'{"task_id": "\xe9"}\n' + VIAS.encode(), 2, [("L1", "not UTF-8")]),
    "vias NaN": ("vias", "v.jsonl", VIAS.replace("858", "NaN"), 1, [("L1.data.vehicles[0]", "bounding_box.x: nan")]),
    "vias huge": ("vias", "v.jsonl", VIAS.replace("858", "1e999"), 1, [("L1.data.vehicles[0]", "bounding_box.x: inf")]),
    "vias wrong type": ("vias", "v.jsonl", VIAS.replace("[{", '7, "a": [{', 1), 0, [("L1", "data.vehicles: 7")]),
    "vias duplicate keys": ("vias", "v.jsonl", VIAS.replace('"y": 2', '"x": 2') + "\n" + VIAS, 2, [("L1", "twice")]),
    "vias no box": ("vias", "v.json", VIAS.replace('"bounding_box"', '"b"', 1), 1, [("L1.data.vehicles[0]", "None")]),
    "mot truncated": ("mot", "det.txt", samples.MOT_DETECTIONS + "4,-1,11,2", 2, [("L3", "4 columns")]),
    "mot latin-1": ("mot", "det.txt", samples.MOT_DETECTIONS.encode() + b"\xe9\n", 2, [("L3", "not UTF-8")]),
    "mot NaN": ("mot", "det.txt", "1,-1,nan,2,3,4,1\n" + samples.MOT_DETECTIONS, 2, [("L1", "left: nan")]),
    "mot huge": ("mot", "det.txt", "1,-1,1,2,1e999,4,1\n" + samples.MOT_DETECTIONS, 2, [("L1", "width: inf")]),
    "mot raw score": (
        "mot",
        "det.txt",
        "1,-1,1,2,3,4,51.5\n" + samples.MOT_DETECTIONS,
        2,
        [("L1", "confidence: 51.5 is outside")],
    ),
    "mot words": (
        "mot",
        "det.txt",
        "frame,id,l,t,w,h,c\n" + samples.MOT_DETECTIONS,
        2,
        [("L1", "frame: 'frame' is not")],
    ),
    "mot frame zero": ("mot", "det.txt", "0,-1,1,2,3,4,1\n" + samples.MOT_DETECTIONS, 2, [("L1", "frame: 0")]),
    "mot unknown class": ("mot", "gt.txt", samples.MOT_TRUTH + "1,1,1,1,5,5,1,99,1\n", 3, [("L4", "class: 99")]),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_broken(case: Case, tmp_path: Path, ontology: Ontology) -> None:
    name, file, content, remaining, expected = case
    records = checked(read_all(get_reader(name), write(tmp_path / "in", {file: content})), ontology)
    rejected = [record for record in records if isinstance(record, Rejected)]
    assert [record.place for record in rejected] == [place for place, _ in expected]
    for record, (_, reason) in zip(rejected, expected, strict=True):
        assert reason in record.reason
        assert record.reason
        assert len(record.record) <= 2000
    assert len(detections(records)) == remaining


_ALIASES = "a: &a [x, x]\n" + "".join(
    f"{name}: &{name} [{f'*{before}, ' * 9}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
_ALIASES += "names: [*i]"  # a few lines that stand for 86 million names


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ("names: [car", "no names of classes"),
        ("names: 7", "neither a list nor a mapping"),
        ("names: {a: car}", "names: 'a' is not a number"),
        ("names: [car, null]", "names[1]: None is not a text"),
        (_ALIASES, "is not a text"),
        (b"names: [\xff]", "not UTF-8"),
        ("#" * (2 << 20), "larger than"),
    ],
)
def test_names_that_cannot_be_read_are_told_and_none_is_guessed(
    names: str | bytes, reason: str, tmp_path: Path, ontology: Ontology
) -> None:
    folder = write(tmp_path / "in", {"data.yaml": names, "a.txt": "0 .5 .5 .1 .1\n"})
    records = checked(read_all(get_reader("yolo"), folder), ontology)
    (rejected,) = (record for record in records if isinstance(record, Rejected))
    assert rejected.place == "data.yaml"
    assert reason in rejected.reason
    assert {r.object for r in records if isinstance(r, Claim) and r.relation == "INSTANCE_OF"} == {"object:in/class0"}


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        ("name=S-02", "no section headers"),
        ("[Sequence]\nname=S", "imWidth"),
        (samples.SEQINFO.replace("25", "nan"), "frameRate: nan"),
        (samples.SEQINFO.replace("200", "wide"), "imWidth: 'wide'"),
        (samples.SEQINFO.encode() + b"\xff", "not UTF-8"),
    ],
)
def test_a_sequence_that_cannot_be_read_is_told(
    info: str | bytes, reason: str, tmp_path: Path, ontology: Ontology
) -> None:
    folder = write(tmp_path / "in", {"S/gt/gt.txt": samples.MOT_TRUTH, "S/seqinfo.ini": info})
    records = checked(read_all(get_reader("mot"), folder), ontology)
    (rejected,) = (record for record in records if isinstance(record, Rejected))
    assert rejected.place == "seqinfo.ini"
    assert reason in rejected.reason
    assert len(detections(records)) == 3


def test_every_format_has_six_broken_variants() -> None:
    counts = {name: sum(case[0] == name for case in CASES.values()) for name in GOOD}
    assert min(counts.values()) >= 6, counts


def detections(records: list[Record]) -> set[str]:
    return {r.id for r in records if isinstance(r, Entity) and "Detection" in r.classes}


def checked(records: list[Record], ontology: Ontology) -> list[Record]:
    """As the pipeline passes them on; what the reader let through must fit the ontology."""
    resolver = VocabularyResolver(ontology)
    resolved = [resolver.resolve(record) for record in records]
    assert resolved == records
    return resolved


@pytest.mark.parametrize("name", GOOD)
def test_bytes_changed_at_random_never_crash(name: str, tmp_path: Path, ontology: Ontology) -> None:
    """A reader may refuse, never raise, and what it lets through fits the ontology and can be written."""
    rng = random.Random(4)
    folder = write(tmp_path / "in", GOOD[name])
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for _ in range(60):
        path = rng.choice(files)
        before = path.read_bytes()
        data = bytearray(before)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data) or 1)
            match rng.randrange(4):
                case 0:
                    data[at : at + 1] = bytes([rng.randrange(256)])
                case 1:
                    del data[at : at + rng.randint(1, 30)]
                case 2:
                    data[at:at] = rng.choice([b"NaN", b"1e999", b'"', b"{", b"]", b"\\", b"\xff", b"\x00", b"-", b"\n"])
                case _:
                    data = data[: max(at, 1)]
        path.write_bytes(data)
        for record in read_all(get_reader(name), folder):
            match record:
                case Entity():
                    assert ontology.check_entity(record) is None or len(record.id) > 512
                    orjson.dumps(dict(record.properties))
                case Claim():
                    assert ontology.check_claim(record) is None
                    orjson.dumps([record.subject, record.object, dict(record.qualifiers)])
                case Rejected():
                    orjson.dumps([record.reason, record.place, record.record])
        path.write_bytes(before)


# ---- the whole way -------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def store(embedded_backend: Backend) -> AsyncIterator[GraphStore]:
    embedded_backend.empty()
    opened = await embedded_backend.open()
    yield opened
    await opened.close()


async def test_all_formats_into_one_graph(store: GraphStore, tmp_path: Path) -> None:
    """Each format's good files with one broken file beside them; a second time nothing is written."""
    letters = tmp_path / "letters.jsonl"
    expected = 0
    for name in GOOD:
        broken = next(case for case in CASES.values() if case[0] == name)
        folder = write(tmp_path / name, GOOD[name] | {f"broken-{broken[1]}": broken[2]})
        records = read_all(get_reader(name), folder)
        expected += len(detections(records))
        report = await ingest(store, get_reader(name), folder, dead_letters=letters)
        assert report.rejected == sum(isinstance(record, Rejected) for record in records) > 0, name
        again = await ingest(store, get_reader(name), folder, dead_letters=letters)
        assert (again.loaded, again.records) == (0, 0)
    counts = await store.counts()
    assert counts["entities"]["Detection"] == expected
    query = (
        "MATCH (d:Detection)-[:INSTANCE_OF]->(c:ObjectClass)-[:IS_A*0..3]->(:ObjectClass {name: 'vehicle'}), "
        "(d)-[:DETECTED_IN]->(m:Medium) RETURN count(DISTINCT d) AS vehicles, count(DISTINCT m) AS media"
    )
    (row,) = [row async for row in store.read(query)]
    assert row["vehicles"] >= 10
    assert row["media"] >= 5
    for line in letters.read_bytes().splitlines():
        letter = orjson.loads(line)
        assert letter["reason"]
        assert letter["document"].partition(":")[0] in GOOD
