"""Small files of every format of detections, in the shape of the real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Content = str | bytes | dict[str, Any] | list[Any]


def write(folder: Path, files: dict[str, Content]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


RESULTS: list[Any] = [
    {"image_id": 7, "category_id": 3, "bbox": [10.5, 20.0, 30.0, 40.0], "score": 0.75},
    {"image_id": "b", "category_id": 1, "bbox": [0, 0, 5, 5], "score": 0.5},
]
INSTANCES: dict[str, Any] = {
    "info": {"description": "two pictures"},
    "annotations": [
        {"id": 11, "image_id": 7, "category_id": 2, "bbox": [-10, 20, 60, 240], "iscrowd": 0, "area": 1},
        {"id": 12, "image_id": 7, "category_id": 5, "segmentation": [[1, 2, 11, 2, 6, 9]], "iscrowd": 1},
    ],
    "images": [{"id": 7, "width": 100, "height": 200, "file_name": "street/007.jpg", "coco_url": "http://a.org/7.jpg"}],
    "categories": [{"id": 2, "name": "lorry", "supercategory": "vehicle"}, {"id": 5, "name": "drone"}],
}


def lines(*messages: Any) -> str:
    return "".join(json.dumps(message) + "\n" for message in messages)


YOLO = "0 0.5 0.5 0.2 0.4 0.9\n1 0.1 0.1 0.2 0.2 0.25 17\n\n# done\n1 0.1 0.1 0.3 0.1 0.3 0.4\n"
NAMES = "path: ../set\nnc: 2\nnames:\n  0: Pedestrian\n  1: traffic_light\n"


def frigate(time: float = 100.25, kind: str = "update", **changes: Any) -> dict[str, Any]:
    event = {
        "id": "99.5-abc",
        "camera": "gate",
        "frame_time": time,
        "label": "car",
        "sub_label": None,
        "top_score": 0.9,
        "false_positive": False,
        "start_time": 99.5,
        "end_time": None,
        "score": 0.8,
        "box": [10, 20, 110, 220],
        "current_zones": ["drive"],
        "entered_zones": ["drive", "front yard"],
        "stationary": False,
    } | changes
    return {"type": kind, "before": {"id": "99.5-abc", "score": 0.1}, "after": event}


def deepstream(id_: str = "m-1", **changes: Any) -> dict[str, Any]:
    object_ = {
        "id": "5",
        "speed": 12.5,
        "direction": 0.0,
        "vehicle": {"type": "sedan", "color": "blue", "license": "XX1", "licenseState": "", "confidence": 0.75},
        "bbox": {"topleftx": 5, "toplefty": 10, "bottomrightx": 25, "bottomrighty": 40},
    }
    return {
        "messageid": id_,
        "mdsversion": "1.0",
        "@timestamp": "2024-01-02T03:04:05.500Z",
        "place": {"id": "1", "name": "garage", "type": "garage"},
        "sensor": {"id": "C 1", "type": "Camera", "description": "Entrance", "location": {"lat": 45.5, "lon": 8.25}},
        "analyticsModule": {"id": "X", "description": "Plates", "source": "OpenALR", "version": "1.0"},
        "object": object_,
        "event": {"id": "e-1", "type": "entry"},
        "videoPath": "",
    } | changes


def minimal(**changes: Any) -> dict[str, Any]:
    return {
        "version": "4.0",
        "id": "252",
        "@timestamp": "2024-01-02T03:04:05.500Z",
        "sensorId": "C 1",
        "objects": [
            "7|5|10|25|40|Vehicle|#|suv|Bugatti|M|blue|XX1|CA|0.5",
            "18446744073709551615|1|2|3|4|Person|0.25",
        ],
    } | changes


def openlabel(**changes: Any) -> dict[str, Any]:
    box = {"name": "shape", "val": [50, 100, 20, 40]}
    return {
        "openlabel": {
            "metadata": {"schema_version": "1.0.0"},
            "frames": {
                "3": {
                    "frame_properties": {"timestamp": "2024-04-15T12:00:00+02:00"},
                    "objects": {
                        "a": {"object_data": {"bbox": [box], "num": [{"name": "confidence", "val": 0.5}]}},
                        "b": {
                            "object_data": {
                                "bbox": [box | {"attributes": {"boolean": [{"name": "occluded", "val": True}]}}]
                            }
                        },
                    },
                }
            },
            "relations": {
                "0": {
                    "name": "r",
                    "type": "isSubjectOfAction",
                    "rdf_subjects": [{"type": "object", "uid": "b"}],
                    "rdf_objects": [{"type": "action", "uid": "0"}],
                }
            },
            "streams": {
                "cam": {
                    "type": "camera",
                    "stream_properties": {"intrinsics_pinhole": {"width_px": 200, "height_px": 400}},
                }
            },
            "objects": {
                "a": {"name": "s", "type": "TrafficSign", "object_data": {"text": [{"name": "ocr", "val": "50"}]}},
                "b": {"name": "p", "type": "Pedestrian", "frame_intervals": [{"frame_start": 3, "frame_end": 9}]},
            },
            "actions": {
                "0": {"name": "c", "type": "Crossing", "frame_intervals": [{"frame_start": 2, "frame_end": 4}]}
            },
        }
        | changes
    }


def onvif_object(id_: str = "12", box: str = 'left="-0.6" top="0.6" right="-0.2" bottom="0.2"', more: str = "") -> str:
    return (
        f'<tt:Object ObjectId="{id_}"><tt:Appearance><tt:Shape><tt:BoundingBox {box}/></tt:Shape>'
        f'<tt:Class><tt:Type Likelihood="0.9">Vehicle</tt:Type></tt:Class>{more}</tt:Appearance></tt:Object>'
    )


def onvif_frame(*objects: str, time: str = "2019-05-15T12:24:57.321Z", more: str = "") -> str:
    return f'<tt:Frame UtcTime="{time}">{more}{"".join(objects)}</tt:Frame>'


def onvif(*frames: str, head: str = "") -> str:
    return (
        f'{head}<tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema"><tt:VideoAnalytics>{"".join(frames)}'
        "</tt:VideoAnalytics></tt:MetadataStream>\n"
    )


def vias(id_: str = "v-1", **changes: Any) -> dict[str, Any]:
    vehicle = {
        "bounding_box": {"x": 858, "y": 200, "w": 679, "h": 535},
        "vehicle_type": 0,
        "tarpaulin_type": -1,
        "license_plate_id": "XX1",
        "moving": True,
    }
    return {
        "event_type": 75008,
        "task_id": "t1",
        "stream_id": "034#1c",
        "timestamp": 1535546604,
        "message_id": id_,
        "data": {"vehicles": [vehicle], "persons": [{"bounding_box": {"x": 1, "y": 2, "w": 3, "h": 4}}]},
    } | changes


MOT_TRUTH = "1,3,11,21,50,100,1,1,0.5\n2,3,-9,21,50,100,1,1,1\n2,4,91,101,10,10,0,7,0.25\n"
MOT_DETECTIONS = "1,-1,11,21,50,100,0.75\n3,-1,11,21,50,100,-1,-1,-1,-1\n"
SEQINFO = "[Sequence]\nname=S-02\nimDir=img1\nframeRate=25\nseqLength=3\nimWidth=200\nimHeight=400\nimExt=.jpg\n"

GOOD: dict[str, dict[str, Content]] = {
    "coco": {"instances.json": INSTANCES, "results.json": RESULTS},
    "yolo": {"data.yaml": NAMES, "labels/a.txt": YOLO, "labels/b.txt": "1 0.5 0.5 0.1 0.1\n"},
    "frigate": {"events.jsonl": lines(frigate(), frigate(101.5)), "one.json": frigate(103.0, id="7-x", camera="yard")},
    "deepstream": {"a.json": [deepstream(), deepstream("m-2")], "b.jsonl": lines(minimal())},
    "openlabel": {"scene.json": openlabel()},
    "onvif": {
        "gate.xml": onvif(onvif_frame(onvif_object()), onvif_frame(onvif_object("13"), time="2019-05-15T12:24:58Z"))
    },
    "vias": {"a.json": vias(), "b.jsonl": lines(vias("v-2"), vias("v-3"))},
    "mot": {"S-02/gt/gt.txt": MOT_TRUTH, "S-02/det/det.txt": MOT_DETECTIONS, "S-02/seqinfo.ini": SEQINFO},
}
"""Files without an error, by reader; COCO's results use the categories of the file beside them."""
GOOD["coco"]["results.json"] = [r | {"category_id": c} for r, c in zip(RESULTS, (2, 5), strict=True)]

Change = Callable[[str], str | bytes]
