"""Weighted boxes fusion against each of its detectors: average precision at an overlap of 0.5.

With `--truth` and `--detections` on real ones (COCO annotations, and COCO results of each detector). Without, on scenes
and detectors that are drawn at random: that shows what fusion makes of independent errors, not how good it is on the
errors of real detectors, which resemble each other.

    python -m benchmarks.fusion_boxes [--truth FILE --detections FILE FILE …] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

from ingestion.fuse_boxes import Box, Edges, average_precision, fuse_boxes

Boxes = list[tuple[str, Box]]
LABELS = ("car", "person", "bus")
DRAWN = {"sharp": (0.02, 0.35, 0.5), "thorough": (0.08, 0.1, 1.5), "even": (0.05, 0.2, 1.0)}
"""Detector → spread of its edges as share of the box, share of things it misses, false alarms an image."""


def drawn_scenes(dice: random.Random, images: int = 300) -> Boxes:
    """Things of several sizes, some beside each other."""
    found = []
    for image in range(images):
        for _ in range(dice.randint(2, 10)):
            width, height = dice.uniform(0.05, 0.35), dice.uniform(0.05, 0.35)
            left, top = dice.uniform(0, 1 - width), dice.uniform(0, 1 - height)
            found.append((str(image), Box((left, top, left + width, top + height), dice.choice(LABELS), 1.0)))
    return found


def drawn_detector(dice: random.Random, truth: Boxes, spread: float, missed: float, alarms: float) -> Boxes:
    """What a detector with such errors sees; it is the surer the nearer it is, and less sure of what is not there."""
    found: Boxes = []
    for image, box in truth:
        if dice.random() < missed:
            continue
        left, top, right, bottom = box.edges
        size = (right - left, bottom - top) * 2
        off = [dice.gauss(0, spread) for _ in range(4)]
        moved = [min(max(e + o * s, 0.0), 1.0) for e, o, s in zip(box.edges, off, size, strict=True)]
        edges: Edges = (moved[0], moved[1], max(moved[2], moved[0] + 1e-3), max(moved[3], moved[1] + 1e-3))
        score = min(max(dice.gauss(0.75, 0.15) - sum(map(abs, off)), 0.05), 1.0)
        found.append((image, Box(edges, box.label, score)))
    images = sorted({image for image, _ in truth})
    for _ in range(int(alarms * len(images))):
        left, top = dice.uniform(0, 0.7), dice.uniform(0, 0.7)
        edges = (left, top, left + dice.uniform(0.05, 0.3), top + dice.uniform(0.05, 0.3))
        found.append((dice.choice(images), Box(edges, dice.choice(LABELS), dice.betavariate(2, 4))))
    return found


def read_coco(file: Path) -> Boxes:
    """Annotations or results, with edges in pixels."""
    data: Any = json.loads(file.read_text())
    rows = data["annotations"] if isinstance(data, dict) else data
    return [
        (str(r["image_id"]), Box((x, y, x + w, y + h), str(r["category_id"]), float(r.get("score", 1.0))))
        for r in rows
        for x, y, w, h in [r["bbox"]]
    ]


def scaled(boxes: Boxes, size: float) -> Boxes:
    """With edges as shares of a size."""
    return [(i, Box(tuple(e / size for e in b.edges), b.label, b.score)) for i, b in boxes]  # type: ignore[arg-type]


def fused(detectors: dict[str, Boxes]) -> Boxes:
    """All images of all detectors, fused."""
    images: dict[str, dict[str, list[Box]]] = defaultdict(lambda: {name: [] for name in detectors})
    for name, boxes in detectors.items():
        for image, box in boxes:
            images[image][name].append(box)
    return [(image, one.box) for image, found in sorted(images.items()) for one in fuse_boxes(found)]


def main() -> None:
    """Prints the average precision of each detector and of the fused boxes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--detections", type=Path, nargs="+", default=[])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if options.truth:
        what = "real detectors"
        truth = read_coco(options.truth)
        detectors = {file.stem: read_coco(file) for file in options.detections}
        size = max(max(box.edges) for boxes in (truth, *detectors.values()) for _, box in boxes)
        truth, detectors = scaled(truth, size), {name: scaled(boxes, size) for name, boxes in detectors.items()}
    else:
        what = "drawn detectors on drawn scenes"
        dice = random.Random(options.seed)
        truth = drawn_scenes(dice)
        detectors = {name: drawn_detector(dice, truth, *errors) for name, errors in DRAWN.items()}
    figures = {name: average_precision(truth, boxes) for name, boxes in detectors.items()}
    figures["fused"] = average_precision(truth, fused(detectors))
    print(f"{what}: average precision of {len(truth):,} boxes at an overlap of 0.5")
    for name, value in figures.items():
        print(f"{name:24}{value:.4f}")
    if options.json:
        options.json.write_text(json.dumps({"what": what, "boxes": len(truth), "ap50": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
