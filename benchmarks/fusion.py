"""Strategies on labelled conflicts: how often each is right, how far off each is.

python -m benchmarks.fusion [--data FOLDER …] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from ingestion.fuse_evaluation import evaluate, read_conflicts, summary

DATA = Path(__file__).parents[2] / "shared" / "data"


def main() -> None:
    """Prints a table for each kind of answers, and the means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", default=[DATA / "fusion", DATA / "fusion_crowd"])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    folders = [folder for folder in options.data if folder.is_dir()]
    if not folders:
        print("skipped: no labelled conflicts; name folders of *_answers.csv and *_truths.csv with --data")
        return

    found: dict[str, dict[str, Any]] = {}
    for folder in folders:
        for conflicts in read_conflicts(folder):
            start = time.perf_counter()
            found[conflicts.name] = evaluate(conflicts) | {"seconds": round(time.perf_counter() - start, 2)}
    whole = summary(found)
    for measure, title in (("accuracy", "share of questions answered right"), ("mae", "mean absolute error")):
        sets = {n: r for n, r in found.items() if measure in next(iter(r["strategies"].values()))}
        if not sets:
            continue
        names = list(next(iter(sets.values()))["strategies"])
        print(f"{title}\n{'':14}{'n':>6}" + "".join(f"{name:>26}" for name in names))
        for name, result in sets.items():
            scores = "".join(f"{result['strategies'][strategy][measure]:26.4f}" for strategy in names)
            print(f"{name:14}{result['n']:6}{scores}")
        means = "".join(f"{whole['strategies'][strategy][measure]:26.4f}" for strategy in names)
        print(f"{'mean':14}{'':6}{means}\n")
    if options.json:
        options.json.write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
