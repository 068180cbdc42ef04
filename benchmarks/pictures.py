"""Pictures a second of the detector and of OCR, by how many are read at once, and the description of each picture."""

from __future__ import annotations

import argparse
import json
import time
from itertools import cycle, islice
from pathlib import Path

from encoders.vision.description import describe
from encoders.vision.detector import load_detector
from encoders.vision.ocr import TextReader
from encoders.vision.pictures import read_picture
from encoders.vision.reading import PictureReader

_SHARED = Path(__file__).parents[2] / "shared"


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, default=_SHARED / "data" / "images")
    parser.add_argument("--detector", default=str(_SHARED / "models" / "nanodet.onnx"))
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--json", type=Path, help="write the results here, too")
    given = parser.parse_args()
    pictures = {path.name: read_picture(path) for path in sorted(given.pictures.iterdir())}
    detector, text_reader = load_detector(given.detector), TextReader()
    results: dict[str, object] = {}
    for batch in given.batches:
        some = list(islice(cycle(pictures.values()), batch))
        detector.encode(some)
        started = time.perf_counter()
        rounds = max(1, 16 // batch)
        for _ in range(rounds):
            detector.encode(some)
        results[f"detector, {batch} at once"] = rounds * batch / (time.perf_counter() - started)
    started = time.perf_counter()
    for picture in pictures.values():
        text_reader.encode(picture)
    results["OCR"] = len(pictures) / (time.perf_counter() - started)
    for name, rate in results.items():
        print(f"{name:24} {rate:.2f} pictures/s")
    reader = PictureReader(detector, text_reader)
    for name, picture in pictures.items():
        facts = describe(reader.encode([picture])[0])
        results[name] = [fact.text for fact in facts]
        print(f"\n{name}")
        for fact in facts:
            print(f"  {fact.belief:.2f} {'+'.join(fact.evidence):10} {fact.text}")
    if given.json:
        given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
