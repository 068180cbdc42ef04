"""What the readers of detections make of their formats."""

from __future__ import annotations

import copy
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from ingestion.readers.base import get_reader
from ingestion.resolve import VocabularyResolver
from kg.model import Claim, Entity, Record, Rejected, Source
from kg.ontology import Ontology
from tests.ingestion import detection_samples as samples
from tests.ingestion.detection_samples import GOOD, write
from tests.ingestion.samples import SHARED
from tests.ingestion.test_reader_contract import ReaderContract, read_all

FORMATS = SHARED / "traffic" / "formats"


class _Contract(ReaderContract):
    broken: tuple[str, Any, str]
    """File, its content with one bad record more, and where that is."""

    def write_good(self, folder: Path) -> Path:
        return write(folder, GOOD[self.name])

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        file, content, place = self.broken
        return write(folder, GOOD[self.name] | {file: content}), place


class TestCocoContract(_Contract):
    name = "coco"
    broken = "results.json", [*GOOD["coco"]["results.json"], {"image_id": 1}], "[2]"


class TestYoloContract(_Contract):
    name = "yolo"
    broken = "labels/a.txt", samples.YOLO + "1 0.5 0.5 nan 0.1\n", "L6"


class TestFrigateContract(_Contract):
    name = "frigate"
    broken = "events.jsonl", samples.lines(samples.frigate(), samples.frigate(101.5), samples.frigate(box=[1])), "L3"


class TestDeepStreamContract(_Contract):
    name = "deepstream"
    broken = "b.jsonl", samples.lines(samples.minimal(), samples.deepstream(object=None)), "L2"


class TestOpenLabelContract(_Contract):
    name = "openlabel"
    broken = (
        "scene.json",
        samples.openlabel(relations=samples.openlabel()["openlabel"]["relations"] | {"1": {"type": "near"}}),
        "openlabel.relations.1",
    )


class TestOnvifContract(_Contract):
    name = "onvif"
    broken = "gate.xml", GOOD["onvif"]["gate.xml"] + samples.onvif("<tt:Frame>"), "MetadataStream[1]"


class TestMotContract(_Contract):
    name = "mot"
    broken = "S-02/det/det.txt", samples.MOT_DETECTIONS + "4,-1,11,21,50,100,1e9\n", "L3"


class TestViasContract(_Contract):
    name = "vias"
    broken = "b.jsonl", samples.lines(samples.vias("v-2"), samples.vias("v-3"), samples.vias(timestamp=None)), "L3"


del _Contract  # it is no contract of a reader's


# ---- what is read --------------------------------------------------------------------------------------------------


def read(name: str, folder: Path, files: dict[str, samples.Content]) -> list[Record]:
    return read_all(get_reader(name), write(folder / "in", files))


def entities(records: list[Record], class_: str) -> dict[str, dict[str, Any]]:
    return {r.id: dict(r.properties) for r in records if isinstance(r, Entity) and class_ in r.classes}


def claims(records: list[Record], relation: str) -> set[tuple[str, str, float]]:
    return {(r.subject, r.object, r.confidence) for r in records if isinstance(r, Claim) and r.relation == relation}


def shares(left: float, top: float, right: float, bottom: float, **more: Any) -> dict[str, Any]:
    return {"box_left": left, "box_top": top, "box_right": right, "box_bottom": bottom, **more}


def sources(records: list[Record]) -> dict[str, str]:
    return {r.id: r.kind for r in records if isinstance(r, Source)}


def test_coco_annotations_know_the_size_that_comes_behind_them(tmp_path: Path) -> None:
    records = read("coco", tmp_path, {"instances.json": samples.INSTANCES})
    assert entities(records, "Medium")["image:in/7"] == {
        "name": "street/007.jpg",
        "width": 100,
        "height": 200,
        "url": "http://a.org/7.jpg",
    }
    detections = entities(records, "Detection")
    assert detections["detection:coco:in/instances.json/11"] == {
        "box_left": 0.0,
        "box_top": 0.1,
        "box_right": 0.5,
        "box_bottom": 1.0,
        "pixel_left": 0.0,
        "pixel_top": 20.0,
        "pixel_right": 50.0,
        "pixel_bottom": 200,
    }
    crowd = detections["detection:coco:in/instances.json/12"]
    assert (crowd["pixel_left"], crowd["pixel_bottom"], crowd["attributes"]) == (1, 9, ("iscrowd=true",))
    assert claims(records, "INSTANCE_OF") == {
        ("detection:coco:in/instances.json/11", "object:truck", 1.0),
        ("detection:coco:in/instances.json/12", "object:drone", 1.0),
    }
    assert sources(records) == {"coco:in/instances.json": "document", "evigraph:object-classes": "document"}


def test_coco_results_cite_a_model_and_mean_the_pictures_of_their_folder(tmp_path: Path) -> None:
    records = read("coco", tmp_path, {"results.json": samples.RESULTS, "other/x.json": samples.RESULTS[:1]})
    assert sources(records) == {
        "coco:in/results": "model",
        "coco:in/other/x": "model",
        "evigraph:object-classes": "document",
    }
    assert claims(records, "DETECTED_IN") == {
        ("detection:coco:in/results.json/0", "image:in/7", 0.75),
        ("detection:coco:in/results.json/1", "image:in/b", 0.5),
        ("detection:coco:in/other/x.json/0", "image:in/other/7", 0.75),
    }
    assert "box_left" not in entities(records, "Detection")["detection:coco:in/results.json/0"]
    mentions = {c.qualifiers.get("mention") for c in records if isinstance(c, Claim) and c.relation == "INSTANCE_OF"}
    assert mentions == {"category 3", "category 1"}


def test_coco_results_take_the_categories_beside_them_and_change_with_these(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", GOOD["coco"])
    records = read_all(get_reader("coco"), folder)
    assert ("detection:coco:in/results.json/1", "object:drone", 0.5) in claims(records, "INSTANCE_OF")
    first = entities(records, "Detection")["detection:coco:in/results.json/0"]
    assert (first["box_left"], first["box_bottom"], first["pixel_left"]) == (0.105, 0.3, 10.5)
    before = {d.id: d.content for d in get_reader("coco").documents(folder)}
    changed = copy.deepcopy(samples.INSTANCES)
    changed["categories"][1]["name"] = "kite"
    write(folder, {"instances.json": changed})
    assert all(before[d.id] != d.content for d in get_reader("coco").documents(folder))
    records = read_all(get_reader("coco"), folder)
    assert ("detection:coco:in/results.json/1", "object:kite", 0.5) in claims(records, "INSTANCE_OF")


def test_yolo(tmp_path: Path) -> None:
    records = read("yolo", tmp_path, {"data.yaml": samples.NAMES, "exp/labels/0042.txt": samples.YOLO})
    assert list(entities(records, "Medium")) == ["image:in/0042"]
    assert entities(records, "Detection") == {
        "detection:yolo:in/exp/labels/0042.txt/1": shares(0.4, 0.3, 0.6, 0.7),
        "detection:yolo:in/exp/labels/0042.txt/2": shares(0.0, 0.0, 0.2, 0.2, track_id="17"),
        "detection:yolo:in/exp/labels/0042.txt/5": shares(0.1, 0.1, 0.3, 0.4),
    }
    assert {(o, c) for _, o, c in claims(records, "INSTANCE_OF")} == {
        ("object:person", 0.9),
        ("object:traffic-light", 0.25),
        ("object:traffic-light", 1.0),
    }
    assert sources(records) == {
        "yolo:in/exp": "model",
        "yolo:in/exp/labels/0042.txt": "document",
        "evigraph:object-classes": "document",
    }


_POLYGON = "0.1 0.1 0.3 0.1 0.3 0.4 0.1 0.4"
_KEYPOINTS = " ".join(f"{0.4 + n / 100:g} {0.6 - n / 100:g} 0.9" for n in range(17))


@pytest.mark.parametrize(
    ("line", "confidence", "track"),
    [
        (f"0 {_POLYGON}", 1.0, None),
        (f"0 {_POLYGON} 0.7", 0.7, None),
        (f"0 {_POLYGON} 0.7 12", 0.7, "12"),
        (f"0 {_POLYGON} 12", 1.0, "12"),
        ("0 0.2 0.25 0.2 0.3 12", 1.0, "12"),
        ("0 0.2 0.25 0.2 0.3 0.7 1", 0.7, "1"),
        ("0 0.2 0.25 0.2 0.3 1", 1.0, None),
        ("0 0.2 0.25 0.2 0.3 1 1", 1.0, "1"),
        (f"0 {_POLYGON} 1", 1.0, None),
    ],
)
def test_yolo_results_of_segmentation_and_tracking(
    tmp_path: Path, line: str, confidence: float, track: str | None
) -> None:
    records = read("yolo", tmp_path, {"a.txt": line + "\n"})
    more = {"track_id": track} if track else {}
    assert list(entities(records, "Detection").values()) == [shares(0.1, 0.1, 0.3, 0.4, **more)]
    assert {c for id_, _, c in claims(records, "INSTANCE_OF") if "detection" in id_} == {confidence}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"0 0.5 0.5 0.3 0.3 {_KEYPOINTS}", "keypoints, which need kpt_shape"),
        (f"0 0.5 0.5 0.3 0.3 {_KEYPOINTS} 0.8", "keypoints, which need kpt_shape"),
        (f"0 0.5 0.5 0.3 0.3 {_KEYPOINTS} 0.8 7", "keypoints, which need kpt_shape"),
        ("0 0.1 0.1 0.3 0.1 1.3 0.4", "x: 1.3 is no share of the picture"),
    ],
)
def test_yolo_lines_that_are_no_boxes(tmp_path: Path, line: str, reason: str) -> None:
    (record,) = (r for r in read("yolo", tmp_path, {"a.txt": line + "\n"}) if isinstance(r, Rejected))
    assert reason in record.reason


_LABEL, _RESULT = "0 .5 .5 .1 .1\n", "0 .5 .5 .1 .1 .9\n"
_COCO = [{"image_id": "0001", "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]


@pytest.mark.parametrize(
    ("reader", "files", "pictures"),
    [
        ("coco", {"a.json": _COCO, "b.json": _COCO}, {"in/0001"}),
        ("coco", {"train/a.json": _COCO, "valid/a.json": _COCO}, {"in/train/0001", "in/valid/0001"}),
        ("coco", {"a.json": [_COCO[0], {**_COCO[0], "image_id": 1}]}, {"in/0001", "in/1"}),
        ("yolo", {"exp/labels/0001.txt": _RESULT, "exp2/labels/0001.txt": _RESULT}, {"in/0001"}),
        ("yolo", {"labels/0001.txt": _LABEL, "exp/labels/0001.txt": _RESULT}, {"in/0001"}),
        ("yolo", {"0001.txt": _RESULT, "1.txt": _RESULT}, {"in/0001", "in/1"}),
        ("yolo", {f"{x}/labels/0001.txt": _LABEL for x in ("train", "valid")}, {"in/train/0001", "in/valid/0001"}),
        ("yolo", {f"labels/{x}/0001.txt": _LABEL for x in ("train", "valid")}, {"in/train/0001", "in/valid/0001"}),
    ],
)
def test_pictures_are_the_same_beside_each_other_only(
    tmp_path: Path, reader: str, files: dict[str, samples.Content], pictures: set[str]
) -> None:
    records = read(reader, tmp_path, files)
    assert set(entities(records, "Medium")) == {f"image:{picture}" for picture in pictures}


_POSE = "0 0.2 0.25 0.2 0.3 0.15 0.2 2 0 0 0 0.25 0.3 1"


@pytest.mark.parametrize(
    ("tail", "confidence", "track"), [("", 1.0, None), (" 0.75", 0.75, None), (" 0.75 1", 0.75, "1"), (" 9", 1.0, "9")]
)
@pytest.mark.parametrize("size", [2, 3])
def test_yolo_keypoints(tmp_path: Path, size: int, tail: str, confidence: float, track: str | None) -> None:
    points = {3: _POSE, 2: "0 0.2 0.25 0.2 0.3 0.15 0.2 0 0 0.25 0.3"}[size]
    told = {
        3: ("keypoint0=0.15,0.2,2", "keypoint1=0,0,0", "keypoint2=0.25,0.3,1"),
        2: ("keypoint0=0.15,0.2", "keypoint1=0,0", "keypoint2=0.25,0.3"),
    }[size]
    data = f"names: [person]\nkpt_shape: [3, {size}]\n"
    records = read("yolo", tmp_path, {"data.yaml": data, "a.txt": f"{points}{tail}\n0 0.2 0.25 0.2 0.3\n"})
    more = {"track_id": track} if track else {}
    first, second = entities(records, "Detection").values()
    assert (first, second) == (shares(0.1, 0.1, 0.3, 0.4, attributes=told, **more), shares(0.1, 0.1, 0.3, 0.4))
    assert ("detection:yolo:in/a.txt/1", "object:person", confidence) in claims(records, "INSTANCE_OF")


@pytest.mark.parametrize(
    ("data", "line", "place", "reason"),
    [
        ("kpt_shape: [3, 3]", f"{_POSE} 0.7 1 1", "L1", "17 columns; with kpt_shape [3, 3] wanted are 5 or 14"),
        ("kpt_shape: [3, 3]", f"0 {_POLYGON}", "L1", "9 columns; with kpt_shape"),
        ("kpt_shape: [3, 3]", _POSE.replace("0.15", "1.5"), "L1", "keypoint 0 x: 1.5 is no share"),
        ("kpt_shape: [3, 4]", _POSE, "data.yaml", "kpt_shape[1]: 4"),
        ("kpt_shape: 3", _POSE, "data.yaml", "kpt_shape: 3 is not a list of 2 numbers"),
    ],
)
def test_yolo_keypoints_that_are_none(tmp_path: Path, data: str, line: str, place: str, reason: str) -> None:
    records = read("yolo", tmp_path, {"data.yaml": f"names: [person]\n{data}\n", "a.txt": f"{line}\n"})
    assert (place, True) in {(r.place, reason in r.reason) for r in records if isinstance(r, Rejected)}


@pytest.mark.parametrize("loaded", ["runs", "runs/exp", "runs/exp/labels", "runs/exp/labels/a.txt"])
@pytest.mark.parametrize("place", ["", "runs", "runs/exp", "runs/exp/labels"])
def test_names_above_what_is_loaded_are_not_read(tmp_path: Path, loaded: str, place: str) -> None:
    label = "runs/exp/labels/a.txt"
    write(tmp_path, {str(Path(place, "data.yaml")): "names: [person]", label: "0 .5 .5 .1 .1\n"})
    records = read_all(get_reader("yolo"), tmp_path / loaded)
    named = claims(records, "INSTANCE_OF").pop()[1] == "object:person"
    assert named == ((tmp_path / place).is_relative_to(tmp_path / loaded) or place == "runs/exp/labels")


@pytest.mark.parametrize(("loaded", "known"), [("S", True), ("S/gt", False), ("S/gt/gt.txt", False)])
def test_a_sequence_above_what_is_loaded_is_not_read(tmp_path: Path, loaded: str, known: bool) -> None:
    write(tmp_path, {"S/seqinfo.ini": samples.SEQINFO, "S/gt/gt.txt": "1,3,11,21,30,40,1,1,1\n"})
    (box,) = entities(read_all(get_reader("mot"), tmp_path / loaded), "Detection").values()
    assert ("box_left" in box) == known


@pytest.mark.parametrize(
    ("file", "content"),
    [("coco.names", "person\nsign\n"), ("classes.txt", "person\nsign"), ("data.yaml", "names: [person, sign]")],
)
def test_yolo_names(tmp_path: Path, file: str, content: str) -> None:
    records = read("yolo", tmp_path, {file: content, "labels/val/a.txt": "1 .5 .5 .1 .1 .5\n"})
    assert {o for _, o, _ in claims(records, "INSTANCE_OF")} == {"object:sign"}


def test_yolo_without_names_does_not_guess(tmp_path: Path) -> None:
    records = read("yolo", tmp_path / "deep" / "down" / "here" / "now", {"a.txt": "11 .5 .5 .1 .1 .5\n"})
    assert claims(records, "INSTANCE_OF") == {("detection:yolo:in/a.txt/1", "object:in/class11", 0.5)}


def test_yolo_names_are_part_of_the_content(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", GOOD["yolo"])
    before = [d.content for d in get_reader("yolo").documents(folder)]
    write(folder, {"data.yaml": "names: [cat, dog]"})
    assert not set(before) & {d.content for d in get_reader("yolo").documents(folder)}


def test_frigate_updates_are_one_track_and_the_same_frame_one_detection(tmp_path: Path) -> None:
    messages = [
        samples.frigate(100.25, "new", top_score=0.5, false_positive=True, entered_zones=[]),
        samples.frigate(
            101.5, sub_label=["amazon", 0.7], recognized_license_plate="K 1", recognized_license_plate_score=0.6
        ),
        samples.frigate(101.5, "end", end_time=102.0),
    ]
    records = read("frigate", tmp_path, {"events.jsonl": samples.lines(*messages)})
    track, first, second = (
        "track:frigate/99.5-abc",
        "detection:frigate/99.5-abc/100.250000",
        "detection:frigate/99.5-abc/101.500000",
    )
    assert set(entities(records, "Track")) == {track}
    detections = entities(records, "Detection")
    assert set(detections) == {first, second}
    assert detections[second]["at"] == "1970-01-01T00:01:41.500000Z"
    assert "box_left" not in detections[second]  # the size of Frigate's pictures is not in its messages
    assert {r.properties.get("attributes") for r in records if isinstance(r, Entity) and r.id == first} == {
        ("false_positive=true",)
    }
    described = [dict(r.properties) for r in records if isinstance(r, Entity) and r.id == track]
    assert {d.get("text") for d in described} == {None, "K 1"}
    assert {d.get("ended_at") for d in described} == {None, "1970-01-01T00:01:42Z"}
    assert claims(records, "PART_OF_TRACK") == {(first, track, 1.0), (second, track, 1.0)}
    assert {c for c in claims(records, "INSTANCE_OF") if c[0] == track} == {
        (track, "object:car", 0.5),
        (track, "object:car", 0.9),
        (track, "object:amazon", 0.7),
    }
    assert {(s, o) for s, o, _ in claims(records, "LOCATED_IN")} == {
        (first, "zone:gate/drive"),
        (second, "zone:gate/drive"),
        (track, "zone:gate/drive"),
        (track, "zone:gate/front%20yard"),
    }
    assert ("track:frigate/99.5-abc", "camera:gate", 0.9) in claims(records, "DETECTED_IN")


def test_frigate_over_http_has_shares(tmp_path: Path) -> None:
    event = {
        "id": "1-a",
        "camera": "gate",
        "label": "person",
        "zones": ["drive"],
        "start_time": 5.0,
        "end_time": None,
        "data": {"box": [0.25, 0.5, 0.25, 0.25], "score": 0.5, "top_score": 0.75},
    }
    records = read("frigate", tmp_path, {"events.json": [event]})
    assert entities(records, "Detection") == {
        "detection:frigate/1-a/best": shares(0.25, 0.5, 0.5, 0.75, at="1970-01-01T00:00:05Z", track_id="1-a")
    }


def test_deepstream_full(tmp_path: Path) -> None:
    untracked = samples.deepstream("m-2")
    untracked["object"]["id"] = "-1"
    untracked["object"]["vehicle"]["confidence"] = -0.1
    records = read("deepstream", tmp_path, {"a.json": [samples.deepstream(), untracked]})
    detections = entities(records, "Detection")
    assert detections["detection:deepstream/m-1"] == {
        "pixel_left": 5,
        "pixel_top": 10,
        "pixel_right": 25,
        "pixel_bottom": 40,
        "at": "2024-01-02T03:04:05.500000Z",
        "track_id": "5",
        "text": "XX1",
        "attributes": ("color=blue", "speed=12.5"),
    }
    assert "track_id" not in detections["detection:deepstream/m-2"]
    assert claims(records, "INSTANCE_OF") == {
        ("detection:deepstream/m-1", "object:vehicle", 0.75),
        ("detection:deepstream/m-1", "object:sedan", 0.75),
        ("detection:deepstream/m-2", "object:vehicle", 1.0),
        ("detection:deepstream/m-2", "object:sedan", 1.0),
    }
    assert ("object:sedan", "object:car", 1.0) in claims(records, "IS_A")
    assert entities(records, "Camera")["camera:C%201"] == {
        "name": "C 1",
        "latitude": 45.5,
        "longitude": 8.25,
        "definition": "Entrance",
    }
    assert ("detection:deepstream/m-1", "event:deepstream/e-1", 0.75) in claims(records, "PARTICIPATES_IN")
    assert ("camera:C%201", "place:deepstream/1/garage", 1.0) in claims(records, "LOCATED_IN")
    assert sources(records)["deepstream:OpenALR/1.0"] == "model"


def test_deepstream_minimal(tmp_path: Path) -> None:
    records = read("deepstream", tmp_path, {"a.json": samples.minimal()})
    prefix = "detection:deepstream/C%201/2024-01-02T03:04:05.500000Z"
    detections = entities(records, "Detection")
    assert detections[f"{prefix}/0"]["frame"] == 252
    assert detections[f"{prefix}/0"]["attributes"] == ("make=Bugatti", "model=M", "color=blue", "licenseState=CA")
    assert detections[f"{prefix}/1"]["pixel_right"] == 3
    assert claims(records, "INSTANCE_OF") == {
        (f"{prefix}/0", "object:vehicle", 0.5),
        (f"{prefix}/0", "object:suv", 0.5),
        (f"{prefix}/1", "object:person", 0.25),
    }
    assert claims(records, "PART_OF_TRACK") == {(f"{prefix}/0", "track:deepstream/C%201/7", 1.0)}


def test_deepstream_as_its_protobuf_schema_has_it(tmp_path: Path) -> None:
    object_ = {
        "id": "7",
        "type": "Vehicle",
        "confidence": 0.5,
        "bbox": {"leftX": 5, "topY": 10, "rightX": 25, "bottomY": 40},
        "info": {"type": "suv", "parked": True},
    }
    message = {"version": "4.0", "id": "3", "timestamp": "2024-01-02T03:04:05Z", "sensorId": "C", "objects": [object_]}
    records = read("deepstream", tmp_path, {"a.json": message})
    (id_,) = detections = entities(records, "Detection")
    assert (detections[id_]["pixel_bottom"], detections[id_]["attributes"]) == (40, ("parked=true",))
    assert claims(records, "INSTANCE_OF") == {(id_, "object:vehicle", 0.5), (id_, "object:suv", 0.5)}


@pytest.mark.parametrize(
    ("shape", "edges"),
    [
        ({"rbbox": [{"name": "s", "val": [50, 100, 20, 40, 1.5707963267948966]}]}, [30, 90, 70, 110]),
        ({"poly2d": [{"name": "s", "val": [1, 2, 11, 2, 6, 9], "mode": "MODE_POLY2D_ABSOLUTE"}]}, [1, 2, 11, 9]),
    ],
)
def test_openlabel_shapes(tmp_path: Path, shape: dict[str, Any], edges: list[float]) -> None:
    frames = {"0": {"objects": {"a": {"object_data": shape}}}}
    records = read("openlabel", tmp_path, {"scene.json": samples.openlabel(frames=frames)})
    (found,) = entities(records, "Detection").values()
    assert [found[f"pixel_{edge}"] for edge in ("left", "top", "right", "bottom")] == pytest.approx(edges)


def test_openlabel_of_two_cameras_has_pixels_only(tmp_path: Path) -> None:
    streams = samples.openlabel()["openlabel"]["streams"]
    other = {"stream_properties": {"intrinsics_pinhole": {"width_px": 10, "height_px": 10}}}
    records = read("openlabel", tmp_path, {"scene.json": samples.openlabel(streams=streams | {"other": other})})
    assert all("box_left" not in d and d["pixel_right"] == 60 for d in entities(records, "Detection").values())


def test_openlabel(tmp_path: Path) -> None:
    records = read("openlabel", tmp_path, {"scene.json": samples.openlabel()})
    key = "openlabel:in/scene.json"
    detections = entities(records, "Detection")
    assert detections[f"detection:{key}/3/b/0"] == {
        "box_left": 0.2,
        "box_top": 0.2,
        "box_right": 0.3,
        "box_bottom": 0.3,
        "pixel_left": 40.0,
        "pixel_top": 80.0,
        "pixel_right": 60.0,
        "pixel_bottom": 120.0,
        "frame": 3,
        "at": "2024-04-15T10:00:00Z",
        "track_id": "b",
        "attributes": ("occluded=true",),
    }
    assert entities(records, "Track") == {
        f"track:{key}/object/a": {"track_id": "a", "name": "s", "text": "50"},
        f"track:{key}/object/b": {"track_id": "b", "name": "p", "first_frame": 3, "last_frame": 9},
    }
    assert (f"detection:{key}/3/a/0", "object:traffic-sign", 0.5) in claims(records, "INSTANCE_OF")
    assert (f"event:{key}/action/0", "action:crossing", 1.0) in claims(records, "INSTANCE_OF")
    assert entities(records, "Event")[f"event:{key}/action/0"] == {"name": "c", "first_frame": 2, "last_frame": 4}
    assert claims(records, "PARTICIPATES_IN") == {(f"track:{key}/object/b", f"event:{key}/action/0", 1.0)}


def test_onvif(tmp_path: Path) -> None:
    # A picture of 200 × 100 pixels, downwards.
    pixels = '<tt:Transformation><tt:Translate x="-1" y="1"/><tt:Scale x="0.01" y="-0.02"/></tt:Transformation>'
    more = (
        '<tt:VehicleInfo><tt:Type Likelihood="0.8">Car</tt:Type></tt:VehicleInfo>'
        '<tt:LicensePlateInfo><tt:PlateNumber Likelihood="0.95">WPK1</tt:PlateNumber></tt:LicensePlateInfo>'
    )
    older = (
        '<tt:Object ObjectId="3"><tt:Appearance><tt:Class><tt:ClassCandidate><tt:Type>Animal</tt:Type>'
        "<tt:Likelihood>0.2"
        "</tt:Likelihood></tt:ClassCandidate><tt:ClassCandidate><tt:Type>Human</tt:Type><tt:Likelihood>0.7</tt:Likelihood>"
        "</tt:ClassCandidate></tt:Class></tt:Appearance></tt:Object>"
    )
    text = samples.onvif(
        samples.onvif_frame(samples.onvif_object(more=more), older),
        samples.onvif_frame(
            samples.onvif_object("12", 'left="20" top="10" right="60" bottom="50"'),
            time="2019-05-15T12:24:58Z",
            more=pixels,
        ),
    )
    records = read("onvif", tmp_path, {"gate.xml": text})
    detections = entities(records, "Detection")
    first, second, third = (
        "detection:onvif/gate/2019-05-15T12:24:57.321000Z/12",
        "detection:onvif/gate/2019-05-15T12:24:57.321000Z/3",
        "detection:onvif/gate/2019-05-15T12:24:58Z/12",
    )
    edges = ("box_left", "box_top", "box_right", "box_bottom")
    assert [detections[first][e] for e in edges] == [0.2, 0.2, 0.4, 0.4]
    assert [detections[third][e] for e in edges] == [0.1, 0.1, 0.3, 0.5]
    assert (detections[first]["text"], detections[first]["attributes"]) == ("WPK1", ("plate_score=0.95",))
    assert "box_left" not in detections[second]
    assert claims(records, "INSTANCE_OF") == {
        (first, "object:vehicle", 0.9),
        (first, "object:car", 0.8),
        (third, "object:vehicle", 0.9),
        (second, "object:person", 0.7),
        (second, "object:animal", 0.2),
    }
    assert {(s, o) for s, o, _ in claims(records, "PART_OF_TRACK")} == {
        (first, "track:onvif/gate/12"),
        (third, "track:onvif/gate/12"),
        (second, "track:onvif/gate/3"),
    }


def test_onvif_documents_one_after_the_other(tmp_path: Path) -> None:
    parts = [
        samples.onvif(
            samples.onvif_frame(samples.onvif_object(), time=f"2019-05-15T12:{i // 60:02}:{i % 60:02}Z"),
            head="<?xml version='1.0'?>",
        )
        for i in range(1000)
    ]
    records = read("onvif", tmp_path, {"gate.xml": "".join(parts)})
    assert len(entities(records, "Detection")) == 1000
    assert not [r for r in records if isinstance(r, Rejected)]


def test_onvif_frames_by_themselves(tmp_path: Path) -> None:
    frame = samples.onvif_frame(samples.onvif_object(), samples.onvif_object("13"))
    frame = frame.replace("<tt:Frame", '<tt:Frame xmlns:tt="http://www.onvif.org/ver10/schema"')
    records = read("onvif", tmp_path, {"gate.xml": frame})
    assert [d["box_left"] for d in entities(records, "Detection").values()] == [0.2, 0.2]


def test_onvif_stays_small(tmp_path: Path) -> None:
    """Frames of one long document, with notifications between them, are let go of."""
    count = 20_000
    with (tmp_path / "gate.xml").open("w") as file:
        start, _, end = samples.onvif("\n").partition("\n")
        file.write(start)
        for i in range(count):
            time = f"2019-05-15T{i // 3600 % 24:02}:{i // 60 % 60:02}:{i % 60:02}Z"
            file.write(samples.onvif_frame(samples.onvif_object(str(i)), time=time) + "<tt:Other><a/></tt:Other>")
        file.write(end)
    (document,) = get_reader("onvif").documents(tmp_path / "gate.xml")
    tracemalloc.start()
    tracemalloc.reset_peak()
    found = sum(isinstance(r, Entity) and "Detection" in r.classes for r in get_reader("onvif").read(document))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == count
    assert peak < 24 << 20  # the tracks said are remembered, up to a bound


def test_mot(tmp_path: Path) -> None:
    records = read("mot", tmp_path, GOOD["mot"])
    assert entities(records, "Medium")["video:S-02"] == {
        "name": "S-02",
        "width": 200,
        "height": 400,
        "frame_rate": 25.0,
    }
    detections = entities(records, "Detection")
    assert detections["detection:mot:in/S-02/gt/gt.txt/1"] == {
        "box_left": 0.05,
        "box_top": 0.05,
        "box_right": 0.3,
        "box_bottom": 0.3,
        "pixel_left": 10,
        "pixel_top": 20,
        "pixel_right": 60,
        "pixel_bottom": 120,
        "frame": 1,
        "frame_time": 0.0,
        "track_id": "3",
        "attributes": ("visibility=0.5",),
    }
    assert detections["detection:mot:in/S-02/gt/gt.txt/2"]["pixel_left"] == 0
    assert detections["detection:mot:in/S-02/gt/gt.txt/3"]["attributes"] == ("visibility=0.25", "ignored=true")
    assert detections["detection:mot:in/S-02/det/det.txt/2"]["frame_time"] == 0.08
    assert {c for s, _, c in claims(records, "INSTANCE_OF") if "det.txt/1" in s} == {0.75}
    assert len(entities(records, "Track")) == 2
    assert sources(records) == {
        "mot:in/S-02/gt/gt.txt": "document",
        "mot:in/S-02/det": "model",
        "evigraph:object-classes": "document",
    }


def test_vias(tmp_path: Path) -> None:
    records = read("vias", tmp_path, {"a.json": samples.vias()})
    detections = entities(records, "Detection")
    assert detections["detection:vias/v-1/vehicles/0"] == {
        "pixel_left": 858,
        "pixel_top": 200,
        "pixel_right": 1537,
        "pixel_bottom": 735,
        "at": "2018-08-29T12:43:24Z",
        "text": "XX1",
        "attributes": ("vehicle_type=0", "moving=true"),
    }
    assert claims(records, "INSTANCE_OF") == {
        ("detection:vias/v-1/vehicles/0", "object:vehicle", 1.0),
        ("detection:vias/v-1/persons/0", "object:person", 1.0),
    }
    assert claims(records, "DETECTED_IN") == {(id_, "camera:034#1c", 1.0) for id_ in detections}
    assert sources(records)["vias:t1"] == "model"


# ---- the real messages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "file", "detections", "classes"),
    [
        ("coco", "coco_results.json", 2, {"object:stop-sign", "object:traffic-light"}),
        ("yolo", "yolo.txt", 1, {"object:yolo.txt/class11"}),
        ("frigate", "frigate_event.json", 1, {"object:person"}),
        ("openlabel", "openlabel.json", 2, {"object:person", "object:traffic-sign", "action:crossing"}),
        ("deepstream", "deepstream_msg.json", 2, {"object:vehicle", "object:sedan"}),
        ("onvif", "onvif_frame.xml", 1, {"object:vehicle", "object:car"}),
        ("vias", "huawei_vias_vehicle.json", 1, {"object:vehicle"}),
    ],
)
def test_real_messages(name: str, file: str, detections: int, classes: set[str], ontology: Ontology) -> None:
    if not (FORMATS / file).exists():
        pytest.skip(f"{FORMATS / file} is not here")
    resolver = VocabularyResolver(ontology)
    records = [resolver.resolve(record) for record in read_all(get_reader(name), FORMATS / file)]
    assert not [record for record in records if isinstance(record, Rejected)]
    assert len(entities(records, "Detection")) == detections
    assert {object_ for _, object_, _ in claims(records, "INSTANCE_OF")} == classes
