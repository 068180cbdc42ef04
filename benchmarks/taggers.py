"""Taggers trained in full, by LoRA and the head alone, each in a process of its own: quality, numbers, time, memory.

All learn from the same first sentences of a CoNLL file, and are judged on the whole validation file, by which their
epoch is chosen, too: the table compares ways of training, it is no result on that corpus.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

from encoders.tokens.training import METHODS

_DATA = Path(__file__).parents[2] / "shared" / "data" / "ner" / "conll2003_train_valid.tar.xz"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=_DATA, help="archive with train.txt and valid.txt")
    parser.add_argument("--sentences", type=int, default=3000, help="of train that each learns from")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the results here, too")
    given = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(given.data) as archive:
            archive.extractall(folder, filter="data")
        train, valid = (next(Path(folder).rglob(f"{name}.txt")) for name in ("train", "valid"))
        parts = train.read_text(encoding="utf-8").split("\n\n")[: given.sentences]
        train.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
        for method in given.methods:
            results[method] = _trained(method, train, valid, Path(folder) / method, given)
            shown = {
                name: round(value, 4) if isinstance(value, float) else value for name, value in results[method].items()
            }
            print(method, shown, flush=True)
    if given.json:
        given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


def _trained(method: str, train: Path, valid: Path, out: Path, given: argparse.Namespace) -> dict[str, Any]:
    files = ["--train", str(train), "--valid", str(valid), "--out", str(out)]
    ways = ["--method", method, "--epochs", str(given.epochs), "--seed", str(given.seed), "--json"]
    command = [str(Path(sys.executable).with_name("evigraph")), "train", "tokens", *files, *ways]
    if method == "lora":
        command += ["--rate", "0.002"]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{method}: training ended with {process.returncode}")
    card = json.loads(printed)
    best = card["history"][card["best_epoch"] - 1]
    return {
        "span_f1": round(best["span_f1"], 4), "micro_f1": round(best["micro"], 4),
        "macro_f1": round(best["macro"], 4), "trained": card["trained"],
        "parameters": card["parameters"], "seconds": round(time.perf_counter() - started),
        "gigabytes": round(used.ru_maxrss / 1e6, 2),
    }  # fmt: skip


if __name__ == "__main__":
    main()
