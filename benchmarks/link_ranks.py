"""Whether `filtered_ranks` agrees with PyKEEN's evaluator: the same scores and filters, the figures of both.

Scores are the link predictor's, and degrees, most of which tie. Without PyKEEN it is skipped; it is installed into an
environment beside Evigraph's packages by `pip install pykeen`.

    python -m benchmarks.link_ranks [--data FOLDER] [--sets A,B] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.link_prediction import DATA, sets_folder
from encoders.graph.model import PreparedGraph, queries_at_once
from encoders.graph.neighbours import Degree
from encoders.graph.predictor import load_predictor
from encoders.graph.ranking import RankMetrics, Scorer, filtered_ranks
from encoders.graph.triple_files import read_triples
from encoders.graph.triples import Triples

_FIGURES = {"mrr": "inverse_harmonic_mean_rank", "hits1": "hits_at_1", "hits3": "hits_at_3", "hits10": "hits_at_10"}


class Scored:
    """Scores made once, so that both read the same; to PyKEEN's evaluator it is a model."""

    device = torch.device("cpu")

    def __init__(self, score: Scorer, hidden: Triples, batch: int) -> None:
        asked = [torch.stack((facts.head, facts.relation), 1) for facts in (hidden, hidden.inverted())]
        queries = torch.cat(asked).unique(dim=0)
        self._scores = torch.cat([score(*some.T) for some in queries.split(batch)])
        self._row = {(head, relation): row for row, (head, relation) in enumerate(queries.tolist())}
        self._relations, self.num_entities = hidden.relations, hidden.nodes

    def __call__(self, head: Tensor, relation: Tensor) -> Tensor:
        """A copy of the (queries, nodes) scores."""
        return self._scores[[self._row[query] for query in zip(head.tolist(), relation.tolist(), strict=True)]]

    def eval(self) -> Scored:
        """It is."""
        return self

    def to(self, _device: torch.device) -> Scored:
        """It stays on the CPU."""
        return self

    def predict(self, hrt_batch: Tensor, target: str, **_options: object) -> Tensor:
        """Scores of all tails, or of all heads by the inverse."""
        head, relation, tail = hrt_batch.T
        return self(head, relation) if target == "tail" else self(tail, relation + self._relations)


def compare(scored: Scored, hidden: Triples, known: Triples) -> dict[str, tuple[float, float]]:
    """Each figure by `filtered_ranks` and by PyKEEN."""
    from pykeen.evaluation import RankBasedEvaluator  # type: ignore[import-not-found,unused-ignore]

    ours = RankMetrics.of(filtered_ranks(scored, hidden, [known], batch=64))
    rows = [torch.stack((facts.head, facts.relation, facts.tail), 1) for facts in (hidden, known)]
    theirs = RankBasedEvaluator(filtered=True).evaluate(
        scored, rows[0], batch_size=64, slice_size=hidden.nodes, use_tqdm=False, additional_filter_triples=rows[1]
    )
    return {
        ours_: (getattr(ours, ours_), float(theirs.get_metric(f"both.realistic.{name}")))
        for ours_, name in _FIGURES.items()
    }


def main() -> None:
    """Prints a line for each set and way of scoring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of sets, or a .tar.xz of it")
    parser.add_argument("--sets", default="WN18RR_v1_ind,fb237_v1_ind")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if not options.data.exists():
        print(f"skipped: no sets at {options.data}; name some with --data")
        return
    if find_spec("pykeen") is None:
        print("skipped: PyKEEN is not installed")
        return
    model = load_predictor().cpu()
    table: list[dict[str, Any]] = []
    print(f"PyKEEN {version('pykeen')}; each figure by Evigraph and by PyKEEN")
    with sets_folder(options.data) as folder:
        for name in options.sets.split(","):
            graph, hidden = read_triples([folder / name / "train.txt", folder / name / "valid.txt"])
            prepared = PreparedGraph.of(graph)
            ways: dict[str, Scorer] = {"ULTRA": partial(model.scores, graph=prepared), "degree": Degree(graph)}
            for way, score in ways.items():
                found = compare(Scored(score, hidden, queries_at_once(prepared)), hidden, graph)
                apart = max(abs(ours - theirs) for ours, theirs in found.values())
                table.append({"set": name, "way": way, "apart": apart, **found})
                figures = ", ".join(f"{key} {ours:.6f} {theirs:.6f}" for key, (ours, theirs) in found.items())
                print(f"{name:14} {way:7} {figures}; at most {apart:.1e} apart", flush=True)
                assert apart < 1e-6
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
