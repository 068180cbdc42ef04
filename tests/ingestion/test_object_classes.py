"""Labels of detectors as classes."""

from __future__ import annotations

import pytest

from ingestion.readers.object_classes import COCO, object_class


@pytest.mark.parametrize(
    ("label", "id_"),
    [
        ("Pedestrian", "object:person"),
        ("PERSON", "object:person"),
        ("TrafficLight", "object:traffic-light"),
        ("traffic_light", "object:traffic-light"),
        ("motorbike", "object:motorcycle"),
        ("红绿灯", "object:traffic-light"),
        ("ｃａｒ", "object:car"),
        ("https://a.org/ontologies#Car", "object:car"),
        ("滑板", "object:滑板"),
        ("VehicleCar", "object:car"),
        ("forklift", "object:forklift"),
        ("cell phone", "object:cell-phone"),
    ],
)
def test_labels_of_one_thing_are_one_class(label: str, id_: str) -> None:
    assert object_class(label).id == id_


def test_coco_has_80_classes_with_its_own_ids() -> None:
    assert len(COCO) == len({object_class(name).id for name in COCO.values()}) == 80
    assert [COCO[i] for i in (1, 13, 44, 90)] == ["person", "stop sign", "bottle", "toothbrush"]


def test_a_label_without_a_letter_is_no_class() -> None:
    with pytest.raises(ValueError, match="no class name"):
        object_class(" -- ")
