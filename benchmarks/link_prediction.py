"""Link prediction on the field's inductive sets: zero-shot, and fine-tuned on each set's training graph.

Each set is a pair of folders: `NAME` (a graph to train on) and `NAME_ind` (another graph, of the same relations), with
`train.txt` and `valid.txt`. Fine-tuning sees the first only; figures are of the valid facts of the second, ranked among
all its entities, filtered, both directions.

    python -m benchmarks.link_prediction [--data FOLDER] [--sets A,B] [--weights FILE …] [--fine-tune STEPS] [--json F]
"""

from __future__ import annotations

import argparse
import json
import tarfile
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from encoders.graph.evaluation import evaluate_links
from encoders.graph.model import LinkPredictor
from encoders.graph.training import TrainingSettings, train
from encoders.graph.triple_files import read_triples
from encoders.graph.weights import SHIPPED, load_predictor

SHARED = Path(__file__).parents[2] / "shared"
DATA = SHARED / "data" / "kg" / "link_prediction.tar.xz"
SETS = [f"{name}_v{version}" for name in ("WN18RR", "fb237") for version in (1, 2, 3, 4)]
_RANKED = 200
"""Facts that a validation ranks while fine-tuning."""


def fine_tune(model: LinkPredictor, folder: Path, steps: int, seed: int) -> None:
    """Trains on the training graph of a set."""
    graph, valid = read_triples([folder / "train.txt", folder / "valid.txt"])
    judged = valid.take(torch.randperm(len(valid), generator=torch.Generator().manual_seed(seed))[:_RANKED])
    settings = TrainingSettings(steps=steps, batch=16, every=max(1, steps // 8), patience=4, seed=seed)
    train(
        model, graph, torch.arange(len(graph)), lambda m: evaluate_links(m.eval(), graph, judged, [valid]).mrr, settings
    )


def measure(folder: Path, model: LinkPredictor) -> dict[str, Any]:
    """Figures on the graph of new entities, and seconds a query."""
    graph, valid = read_triples([folder / "train.txt", folder / "valid.txt"])
    start = time.perf_counter()
    found = evaluate_links(model.eval(), graph, valid, [])
    seconds = time.perf_counter() - start
    return {"entities": graph.nodes, "facts": len(graph), **asdict(found), "s_a_query": seconds / (2 * len(valid))}


def main() -> None:
    """Prints a line for each set, weights and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of sets, or a .tar.xz of it")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--weights", type=Path, nargs="*", default=[SHIPPED], help="safetensors")
    parser.add_argument("--fine-tune", type=int, default=0, metavar="STEPS", help="fine-tune for so many steps, too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if not options.data.exists():
        print(f"skipped: no sets at {options.data}; name some with --data")
        return
    table: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as unpacked:
        data = options.data
        if data.is_file():
            with tarfile.open(data) as archive:
                archive.extractall(unpacked, filter="data")
            data = Path(unpacked)
        print(f"{'set':12} {'weights':10} {'way':10} {'facts':>7} {'n':>6}   MRR   H@1   H@10  s/query")
        for name in options.sets.split(","):
            for weights in options.weights:
                model = load_predictor(weights)
                table.append(_line(name, weights, "zero-shot", measure(data / f"{name}_ind", model)))
                if options.fine_tune:
                    fine_tune(model, data / name, options.fine_tune, options.seed)
                    table.append(_line(name, weights, "fine-tuned", measure(data / f"{name}_ind", model)))
                if options.json:
                    options.json.write_text(json.dumps(table, indent=1) + "\n")
    for way in ("zero-shot", "fine-tuned"):
        for weights in options.weights:
            rows = [row for row in table if row["way"] == way and row["weights"] == weights.stem]
            if rows:
                means = [sum(row[key] for row in rows) / len(rows) for key in ("mrr", "hits1", "hits10")]
                print(f"{'mean':12} {weights.stem:10} {way:10} {'':15} " + " ".join(f"{value:.3f}" for value in means))


def _line(name: str, weights: Path, way: str, found: dict[str, Any]) -> dict[str, Any]:
    figures = f"{found['mrr']:.3f} {found['hits1']:.3f} {found['hits10']:.3f}  {found['s_a_query']:.4f}"
    print(f"{name:12} {weights.stem:10} {way:10} {found['facts']:7,} {found['n']:6,} {figures}", flush=True)
    return {"set": name, "weights": weights.stem, "way": way, **found}


if __name__ == "__main__":
    main()
