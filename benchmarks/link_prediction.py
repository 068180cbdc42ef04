"""Link prediction on the field's sets: zero-shot, fine-tuned on a set's training graph, and by models of one graph.

An inductive set is a pair of folders: `NAME` (a graph to train on) and `NAME_ind` (another graph, of the same
relations), with `train.txt` and `valid.txt`. Fine-tuning sees the first only; figures are of the valid facts of the
second, ranked among all its entities, filtered, both directions. A transductive set is the first folder alone
(`WN18RR`): what learns holds out some facts of its graph to tell when to stop, and never sees the valid ones.

    python -m benchmarks.link_prediction [--data FOLDER] [--sets A,B] [--weights FILE …] [--facts N]
        [--fine-tune STEPS] [--baselines degree complex rotate] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from encoders.graph.evaluation import evaluate_links
from encoders.graph.factorisation import MODELS, Epoch, FactorisationSettings, fit_factorisation, hold_out
from encoders.graph.model import LinkPredictor, PreparedGraph, queries_at_once
from encoders.graph.neighbours import Degree
from encoders.graph.predictor import SHIPPED, load_predictor
from encoders.graph.ranking import RankMetrics, Scorer, filtered_ranks
from encoders.graph.training import TrainingSettings, train
from encoders.graph.triple_files import read_triples
from encoders.graph.triples import Triples
from encoders.weights import best_device

SHARED = Path(__file__).parents[2] / "shared"
DATA = SHARED / "data" / "kg" / "link_prediction.tar.xz"
SETS = [f"{name}_v{version}" for name in ("WN18RR", "fb237") for version in (1, 2, 3, 4)]
BASELINES = ["degree", *MODELS]
_DEFAULT = FactorisationSettings()
_RANKED = 200
"""Facts that a validation ranks while fine-tuning."""


@contextmanager
def sets_folder(data: Path) -> Iterator[Path]:
    """The folder of sets; unpacked for a while if it is an archive."""
    if data.is_dir():
        yield data
        return
    with tempfile.TemporaryDirectory() as unpacked:
        with tarfile.open(data) as archive:
            archive.extractall(unpacked, filter="data")
        yield Path(unpacked)


def fine_tune(model: LinkPredictor, graph: Triples, valid: Triples, options: argparse.Namespace) -> None:
    """Trains on a graph; some of the valid facts tell when to stop."""
    judged = _drawn(valid, _RANKED, options.seed)
    steps = options.fine_tune
    settings = TrainingSettings(steps=steps, batch=16, every=max(1, steps // 8), patience=4, seed=options.seed)
    targets = torch.arange(len(graph))
    train(model, graph, targets, lambda m: evaluate_links(m.eval(), graph, judged, [valid]).mrr, settings)


def ways(
    learned: tuple[Triples, Triples], tested: PreparedGraph, options: argparse.Namespace, *, transductive: bool
) -> Iterator[tuple[str, str, Scorer, float]]:
    """Weights, way, how it scores on the tested graph, and the seconds that it took to learn.

    Args:
        learned: what is trained on: a graph and its valid facts.
        tested: without the facts that are asked for.
        options: of the command.
        transductive: whether the tested graph is that which is trained on, and the valid facts are asked for.
    """
    graph, _valid = learned
    for weights in options.weights:
        model = load_predictor(weights)
        score = partial(model.scores, graph=tested)
        yield weights.stem, "zero-shot", score, 0.0
        if options.fine_tune:
            start = time.perf_counter()
            fine_tune(model, *(hold_out(graph, options.seed) if transductive else learned), options)
            yield weights.stem, "fine-tuned", score, time.perf_counter() - start
    names = ("width", "epochs", "penalty", "bfloat16", "seed")
    settings = FactorisationSettings(**{key: getattr(options, key) for key in names})
    for way in options.baselines if transductive else ():
        start = time.perf_counter()
        baseline = Degree(graph) if way == "degree" else fit_factorisation(way, graph, settings, report=_report)
        yield "", way, baseline, time.perf_counter() - start


def _report(now: Epoch) -> None:
    print(f"  epoch {now.number}: loss {now.loss:.3f}, MRR of held-out facts {now.mrr:.4f}", flush=True)


def _read(folder: Path) -> tuple[Triples, Triples]:
    graph, valid = read_triples([folder / "train.txt", folder / "valid.txt"])
    return graph, valid


def _drawn(facts: Triples, most: int | None, seed: int) -> Triples:
    """All facts, or so many drawn by the seed."""
    return facts.take(torch.randperm(len(facts), generator=torch.Generator().manual_seed(seed))[:most])


def main() -> None:
    """Prints a line for each set, weights and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of sets, or a .tar.xz of it")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--weights", type=Path, nargs="*", default=[SHIPPED], help="safetensors")
    parser.add_argument("--fine-tune", type=int, default=0, metavar="STEPS", help="fine-tune for so many steps, too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--facts", type=int, help="valid facts ranked in each set, drawn by the seed; default: all")
    parser.add_argument("--baselines", nargs="*", choices=BASELINES, default=[], help="too, in transductive sets")
    parser.add_argument("--width", type=int, default=_DEFAULT.width, help="of their vectors")
    parser.add_argument("--penalty", type=float, default=_DEFAULT.penalty, help="weight of ComplEx's N3")
    parser.add_argument("--epochs", type=int, default=_DEFAULT.epochs, help="of theirs, at most")
    parser.add_argument("--bfloat16", action="store_true", help="train them in bfloat16")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if not options.data.exists():
        print(f"skipped: no sets at {options.data}; name some with --data")
        return
    table: list[dict[str, Any]] = []
    with sets_folder(options.data) as data:
        names = f"{'set':12} {'weights':10} {'way':10} {'facts':>7}"
        print(f"{names} {'ranked':>14}   MRR   H@1  H@10  s/query  s to learn")
        for name in options.sets.split(","):
            transductive = not (data / f"{name}_ind").is_dir()
            learned = _read(data / name)
            graph, valid = learned if transductive else _read(data / f"{name}_ind")
            asked = _drawn(valid, options.facts, options.seed)
            prepared = PreparedGraph.of(graph.to(best_device()))
            for weights, way, score, learning in ways(learned, prepared, options, transductive=transductive):
                start = time.perf_counter()
                ranks = filtered_ranks(score, asked, [graph, valid], batch=queries_at_once(prepared))
                found = asdict(RankMetrics.of(ranks))
                seconds = (time.perf_counter() - start) / found["n"]
                found |= {"of": 2 * len(valid), "entities": graph.nodes, "facts": len(graph)}
                found |= {"s_a_query": seconds, "s_to_learn": learning}
                table.append({"set": name, "weights": weights, "way": way, **found})
                _print(table[-1])
                if options.json:
                    options.json.write_text(json.dumps(table, indent=1) + "\n")
    for weights, way in dict.fromkeys((row["weights"], row["way"]) for row in table):
        rows = [row for row in table if (row["weights"], row["way"]) == (weights, way)]
        means = [sum(row[key] for row in rows) / len(rows) for key in ("mrr", "hits1", "hits10")]
        print(f"{'mean':12} {weights:10} {way:10} {'':22} " + " ".join(f"{value:.3f}" for value in means))


def _print(row: dict[str, Any]) -> None:
    names = f"{row['set']:12} {row['weights']:10} {row['way']:10} {row['facts']:7,}"
    ranked = f"{row['n']:,} of {row['of']:,}"
    figures = " ".join(f"{row[key]:.3f}" for key in ("mrr", "hits1", "hits10"))
    print(f"{names} {ranked:>14} {figures} {row['s_a_query']:8.4f} {row['s_to_learn']:11.0f}", flush=True)


if __name__ == "__main__":
    main()
