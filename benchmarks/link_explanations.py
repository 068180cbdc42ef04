"""Whether explanations of links are faithful: a score falls when the facts of its best path are taken out of the graph.

Asked are hidden facts (the valid ones of a set) whose tail ends some fact of the relation in the graph and which a path
explains. The facts of the best path are removed, then as many random facts: of the surroundings (those among the nodes
within `--hops` of head or tail, where all facts of a path of twice as many lie; the path's own may be drawn), and of
the whole graph. A fact counts by the share of the draws that lower its score less than the path does; a tie is a half.

    python -m benchmarks.link_explanations [--data FOLDER] [--sets A,B] [--facts N] [--draws N] [--weights FILE]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch_geometric.utils import k_hop_subgraph

from benchmarks.link_prediction import DATA, sets_folder
from encoders.graph.explanation import explain
from encoders.graph.model import LinkPredictor, PreparedGraph
from encoders.graph.predictor import SHIPPED, load_predictor
from encoders.graph.triple_files import read_triples
from encoders.graph.triples import Triples


@dataclass(frozen=True)
class Faithfulness:
    """What was found of one fact; drops are of the score (a logit), those of random facts in the mean of the draws.

    Attributes:
        facts: in the best path.
        around: in the surroundings.
        beats_around: share of the draws from the surroundings that lower the score less; ties are halves.
        beats_any: the same of draws from the whole graph.
        ties: share of the draws from the surroundings that lower it alike.
    """

    facts: int
    around: int
    drop: float
    drop_around: float
    drop_any: float
    beats_around: float
    beats_any: float
    ties: float


class _Asked:
    """One fact's score on the graph without some facts."""

    def __init__(self, model: LinkPredictor, graph: PreparedGraph, head: int, relation: int, tail: int) -> None:
        self._model, self._graph = model, graph
        device = graph.facts.head.device
        self._query = tuple(torch.tensor([number], device=device) for number in (head, relation, tail))
        self._score = self._of(graph)

    def _of(self, graph: PreparedGraph) -> float:
        head, relation, tail = self._query
        return float(self._model.scores(head, relation, graph, tail))

    def drop(self, facts: Tensor) -> float:
        """By how much the score falls without these facts and their inverses."""
        return self._score - self._of(self._graph.without(facts.to(self._graph.facts.head.device)))


def measure(
    model: LinkPredictor, facts: Triples, hidden: Triples, *, most: int, draws: int, hops: int, seed: int
) -> Iterator[Faithfulness]:
    """What is found of hidden facts, drawn by the seed, until there are so many."""
    graph = PreparedGraph.of(facts.to(next(model.parameters()).device))
    draw = torch.Generator().manual_seed(seed)
    ends = torch.zeros(facts.relations, facts.nodes, dtype=torch.bool)
    ends[facts.relation, facts.tail] = True
    edges = torch.stack((facts.head, facts.tail))
    edges = torch.cat((edges, edges.flip(0)), 1)
    found = 0
    for row in torch.randperm(len(hidden), generator=draw).tolist():
        head, relation, tail = (int(numbers[row]) for numbers in (hidden.head, hidden.relation, hidden.tail))
        paths = explain(model, graph, head, relation, tail, paths=1, longest=2 * hops) if ends[relation, tail] else []
        if not paths:
            continue
        best = (torch.tensor(paths[0].facts) % len(facts)).unique()
        *_, near = k_hop_subgraph([head, tail], hops, edges, num_nodes=facts.nodes)
        around = torch.nonzero(near[: len(facts)]).squeeze(1)
        asked = _Asked(model, graph, head, relation, tail)
        drop = asked.drop(best)
        by_draw = {
            name: np.array([asked.drop(_draw(among, len(best), draw)) for _ in range(draws)])
            for name, among in (("around", around), ("any", torch.arange(len(facts))))
        }
        less = {name: ((drops < drop) + (drops == drop) / 2).mean() for name, drops in by_draw.items()}
        yield Faithfulness(
            len(best), len(around), drop, float(by_draw["around"].mean()), float(by_draw["any"].mean()),
            float(less["around"]), float(less["any"]), float((by_draw["around"] == drop).mean()),
        )  # fmt: skip
        found += 1
        if found == most:
            return


def _draw(among: Tensor, count: int, draw: torch.Generator) -> Tensor:
    return among[torch.randperm(len(among), generator=draw)[:count]]


def main() -> None:
    """Prints a line for each set, and one of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of sets, or a .tar.xz of it")
    parser.add_argument("--sets", default="WN18RR_v1_ind,fb237_v1_ind")
    parser.add_argument("--facts", type=int, default=110, help="explained in each set, at most")
    parser.add_argument("--draws", type=int, default=10, help="of random facts, for each fact and way")
    parser.add_argument("--hops", type=int, default=2, help="of the surroundings; paths are at most twice as long")
    parser.add_argument("--weights", type=Path, default=SHIPPED, help="safetensors")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write what was found of each fact to this file")
    options = parser.parse_args()
    if not options.data.exists():
        print(f"skipped: no sets at {options.data}; name some with --data")
        return
    model = load_predictor(options.weights)
    settings = {"most": options.facts, "draws": options.draws, "hops": options.hops, "seed": options.seed}
    found: dict[str, list[Faithfulness]] = {}
    print(f"{'':14} {'n':>4}  beats: around   any    ties  drop: path  around     any  facts  sparsity")
    with sets_folder(options.data) as folder:
        for name in options.sets.split(","):
            facts, hidden = read_triples([folder / name / "train.txt", folder / name / "valid.txt"])
            found[name] = list(measure(model, facts, hidden, **settings))
            _print(name, found[name])
    _print("all", [one for many in found.values() for one in many])
    if options.json:
        options.json.write_text(json.dumps({name: [asdict(one) for one in many] for name, many in found.items()}))


def _print(name: str, found: list[Faithfulness]) -> None:
    if not found:
        print(f"{name:14} no fact is in reach")
        return
    mean = {key: float(np.mean([getattr(one, key) for one in found])) for key in asdict(found[0])}
    sparsity = np.mean([one.facts / one.around for one in found])
    shares = f"{mean['beats_around']:13.3f} {mean['beats_any']:5.3f} {mean['ties']:7.3f}"
    drops = f"{mean['drop']:11.3f} {mean['drop_around']:7.3f} {mean['drop_any']:7.3f}"
    print(f"{name:14} {len(found):4} {shares} {drops} {mean['facts']:6.2f} {sparsity:9.3f}", flush=True)


if __name__ == "__main__":
    main()
