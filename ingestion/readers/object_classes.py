"""What detectors tell apart: the many labels of one kind of thing as one id, such as `object:car`."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

_SYNONYMS: dict[str, str] = {
    label: name
    for name, labels in {
        "person": "pedestrian|people|human|persons|walker|static person|person on vehicle",
        "face": "human face",
        "rider": "cyclist|bicyclist|motorcyclist",
        "vehicle": "vehicles|motor vehicle",
        "car": "automobile|passenger car|vehicle car|cars|汽车|小汽车",
        "bus": "coach|vehicle bus|公交车",
        "truck": "lorry|heavy truck|vehicle truck|卡车|货车",
        "van": "minivan|vehicle van",
        "trailer": "vehicle trailer",
        "motorcycle": "motorbike|motor cycle|vehicle motorcycle|摩托车",
        "bicycle": "bike|cycle|vehicle cycle|自行车",
        "train": "railway vehicle",
        "non-motorized vehicle": "non motorized vehicle|non motor vehicle|nonmotor vehicle",
        "license plate": "licence plate|number plate|license plates|plate|车牌",
        "traffic light": "traffic signal|traffic lights|traffic light bulb|红绿灯|交通信号灯",
        "traffic sign": "road sign|roadsign|traffic signs|交通标志",
        "airplane": "aeroplane|plane|aircraft",
        "couch": "sofa",
        "tv": "tvmonitor|tv monitor|television",
        "potted plant": "pottedplant",
        "dining table": "diningtable",
        "cell phone": "mobile phone|cellphone",
        "boat": "ship|vessel",
        "person group": "crowd",
    }.items()
    for label in labels.split("|")
}
_SYNONYMS |= {"行人": "person", "人": "person", "车辆": "vehicle"}

_BROADER: dict[str, str] = {
    name: broader
    for broader, names in {
        "vehicle": "car|bus|truck|van|trailer|motorcycle|bicycle|train|tram|airplane|boat|non-motorized vehicle",
        "car": "sedan|suv|hatchback|coupe|convertible|wagon|taxi|police car|sports car",
        "truck": "pickup|pickup truck|dump truck|fire truck",
        "bus": "minibus|school bus",
        "person": "rider|child|adult|police officer|construction worker",
        "traffic sign": "stop sign|speed limit sign|yield sign",
        "animal": "bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe|deer",
        "furniture": "chair|couch|potted plant|bed|dining table|toilet|bench",
        "food": "banana|apple|sandwich|orange|broccoli|carrot|hot dog|pizza|donut|cake",
        "bag": "backpack|handbag|suitcase",
    }.items()
    for name in names.split("|")
}

_COCO_NAMES = """
person|bicycle|car|motorcycle|airplane|bus|train|truck|boat|traffic light|fire hydrant||stop sign|parking meter|
bench|bird|cat|dog|horse|sheep|cow|elephant|bear|zebra|giraffe||backpack|umbrella|||handbag|tie|suitcase|frisbee|
skis|snowboard|sports ball|kite|baseball bat|baseball glove|skateboard|surfboard|tennis racket|bottle||wine glass|
cup|fork|knife|spoon|bowl|banana|apple|sandwich|orange|broccoli|carrot|hot dog|pizza|donut|cake|chair|couch|
potted plant|bed||dining table|||toilet||tv|laptop|mouse|remote|keyboard|cell phone|microwave|oven|toaster|sink|
refrigerator||book|clock|vase|scissors|teddy bear|hair drier|toothbrush"""

COCO: dict[int, str] = {id_: name for id_, name in enumerate(_COCO_NAMES.replace("\n", "").split("|"), start=1) if name}
"""COCO's category ids (1…90, with gaps) → its 80 names."""

MOT: dict[int, str] = dict(
    enumerate(
        (
            "pedestrian", "person on vehicle", "car", "bicycle", "motorbike", "non motorized vehicle", "static person",
            "distractor", "occluder", "occluder on the ground", "occluder full", "reflection", "crowd",
        ),
        start=1,
    )
)  # fmt: skip
"""Class ids of the MOT challenge's ground truth."""

_KNOWN = frozenset({*COCO.values(), *_SYNONYMS.values(), *_BROADER, *_BROADER.values()})
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_BREAKS = re.compile(r"[\s_\-./]+")
_NO_WORD = re.compile(r"[^\w]+")


@dataclass(frozen=True, slots=True)
class ObjectClass:
    """One kind of thing.

    Attributes:
        broader: the kind that it is a kind of, or None.
        synonym: whether the label was another word than the name.
        known: it is one of those listed here, not just what a detector says.
    """

    id: str
    name: str
    broader: ObjectClass | None = None
    synonym: bool = False
    known: bool = False


@lru_cache(maxsize=4096)
def object_class(label: str) -> ObjectClass:
    """The kind of thing that a label means: `Pedestrian`, `people` and `person` are one, `TrafficLight` has two words.

    Raises:
        ValueError: the label holds no letter or digit.
    """
    text = label.rsplit("#", 1)[-1].rsplit("/", 1)[-1] if "://" in label else label
    words = _BREAKS.sub(" ", _CAMEL.sub(" ", unicodedata.normalize("NFKC", text))).strip().casefold()
    name = _SYNONYMS.get(words, words)
    slug = _NO_WORD.sub("-", name).strip("-_")
    if not slug:
        raise ValueError(f"no class name: {label[:100]!r}")
    broader = _BROADER.get(name)
    return ObjectClass(
        f"object:{slug}",
        name,
        object_class(broader) if broader else None,
        words != name,
        name in _KNOWN,
    )
