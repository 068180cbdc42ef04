"""How fast the link predictor is, and how much memory it takes: by queries at once, by propagation, by size of graph.

Compared on one graph, with the same weights: the sparse products of `encoders.graph.propagation`, and the sums written
plainly over torch-geometric's `MessagePassing` (a message an edge), whose scores are asserted to be the same. PyKEEN
has no model of this kind (no NBFNet, no ULTRA) to compare with. Then bfloat16 and `torch.compile` are tried on what a
layer does beside the sums (sparse products have no bfloat16 on the CPU), and the graph grows: random facts, ten a node,
of fifty relations. Memory is what tensors hold at the peak, beside the graph; what would take more than `--memory` is
left out, and said so. Nothing is sampled: a query reads the whole graph.

    python -m benchmarks.link_speed [--graph FILE] [--batches 1,8,32] [--edges 100000,1000000,10000000] [--memory GIB]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import structlog
import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from benchmarks.missing_links import hpo_graph
from encoders.graph.domain_graph import triples_of
from encoders.graph.layer import ConditionalLayer
from encoders.graph.model import WIDTH, LinkPredictor, PreparedGraph, bytes_a_query, queries_at_once
from encoders.graph.predictor import load_predictor
from encoders.graph.relation_graph import relation_graph
from encoders.graph.triple_files import read_triples
from encoders.graph.triples import Triples

_RUNS = 2
_GIB = 1 << 30
_RELATIONS, _DEGREE = 50, 10
_PREPARED = 400
"""Bytes that a fact takes in a prepared graph, and while it is made."""


Update = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Measured:
    """The best of a few runs.

    Attributes:
        seconds: a query, by the clock.
        processor: a query, of the processor's time, which other work on the machine hardly lengthens.
        peak: bytes that tensors held at the peak.
        formula: bytes that `bytes_a_query` expects.
    """

    what: str
    facts: int
    batch: int
    seconds: float
    processor: float
    peak: int
    formula: int


class PlainPropagation(MessagePassing):  # type: ignore[misc]
    """Σ over facts (h, r, t) of x[t] ⊙ w[r], for each h, by a message an edge."""

    def __init__(self, facts: Triples) -> None:
        super().__init__(aggr="add", node_dim=0)
        self._edges, self._relation = torch.stack((facts.tail, facts.head)), facts.relation

    def forward(self, states: Tensor, weights: Tensor) -> Tensor:
        """As `Propagation`."""
        sums: Tensor = self.propagate(self._edges, x=states, w=weights[self._relation])
        return sums

    def message(self, x_j: Tensor, w: Tensor) -> Tensor:
        """Of each edge."""
        return x_j * w


def plainly(graph: PreparedGraph) -> PreparedGraph:
    """The same graph, without sparse products."""
    parts = {"entities": PlainPropagation(graph.facts), "meetings": PlainPropagation(relation_graph(graph.facts))}
    return replace(graph, **parts)


def measure(what: str, graph: PreparedGraph, batch: int, run: Callable[[Tensor, Tensor], object]) -> Measured:
    """Time of queries about nodes that have facts, and peak memory of one run."""
    rows = torch.randint(len(graph.facts), (batch,), generator=torch.Generator().manual_seed(0))
    head, relation = graph.facts.head[rows], graph.facts.relation[rows]
    peak = peak_bytes(lambda: run(head, relation))
    seconds, processor = [], []
    for _ in range(_RUNS):
        start = time.perf_counter(), time.process_time()
        run(head, relation)
        seconds.append((time.perf_counter() - start[0]) / batch)
        processor.append((time.process_time() - start[1]) / batch)
    expected = batch * bytes_a_query(graph)
    return Measured(what, len(graph.facts) // 2, batch, min(seconds), min(processor), peak, expected)


def peak_bytes(run: Callable[[], object]) -> int:
    """Bytes that tensors on the CPU hold at the peak of a run, without those from before."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run()
    held = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


def compare(model: LinkPredictor, graph: PreparedGraph, batches: list[int], memory: int) -> list[Measured]:
    """Both ways to propagate, at each number of queries at once."""
    plain = plainly(graph)
    head, relation = graph.facts.head[:1], graph.facts.relation[:1]
    torch.testing.assert_close(
        model.scores(head, relation, plain), model.scores(head, relation, graph), rtol=1e-3, atol=1e-3
    )
    found = []
    for batch in batches:
        needs = {"sparse": batch * bytes_a_query(graph), "plain": batch * _plain_bytes(graph)}
        for what, on in (("sparse", graph), ("plain", plain)):
            if needs[what] > memory:
                print(f"{what:14} {batch:3} at once: left out, takes {needs[what] / _GIB:.1f} GiB")
                continue
            found.append(_print(measure(what, graph, batch, partial(model.scores, graph=on))))
    return found


def _plain_bytes(graph: PreparedGraph) -> int:
    """What each edge reads of states and of weights, and their product; and six tensors of all nodes."""
    return 4 * WIDTH * (3 * len(graph.facts) + 6 * graph.facts.nodes)


def tricks(model: LinkPredictor, graph: PreparedGraph, batch: int) -> list[Measured]:
    """Whether bfloat16 and compiling help, and how far scores are from what they were."""
    head, relation = (numbers[:batch] for numbers in (graph.facts.head, graph.facts.relation))
    run = partial(model.scores, graph=graph)
    before = run(head, relation)
    found = [_print(measure("float32", graph, batch, run))]
    for what, wrap in (("bfloat16", _in_bfloat16), ("compiled", torch.compile)):
        with _updates(model, wrap):
            start = time.process_time()
            apart = float((run(head, relation) - before).abs().max())
            first = time.process_time() - start
            found.append(_print(measure(what, graph, batch, run)))
        print(f"  first run {first:.1f} s; scores up to {apart:.4f} apart, which spread by {float(before.std()):.3f}")
    return found


def _in_bfloat16(update: Update) -> Update:
    def in_bfloat16(states: Tensor, messages: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return update(states, messages).float()

    return in_bfloat16


@contextmanager
def _updates(model: LinkPredictor, wrap: Callable[[Update], Update]) -> Iterator[None]:
    """All layers with their updates wrapped."""
    layers = cast("list[ConditionalLayer]", [*model.relation_model.layers, *model.entity_model.layers])
    for layer in layers:
        vars(layer)["update"] = wrap(layer.update)
    try:
        yield
    finally:
        for layer in layers:
            del vars(layer)["update"]


def grow(model: LinkPredictor, sizes: list[int], memory: int) -> list[Measured]:
    """One query on random graphs."""
    found = []
    for size in sizes:
        nodes, draw = size // _DEGREE, torch.Generator().manual_seed(0)
        needs = 4 * WIDTH * (6 * nodes + 2 * 2 * size) + _PREPARED * size
        if needs > memory:
            print(f"random {size:,} facts: left out, graph and one query take {needs / _GIB:.1f} GiB")
            continue
        head, tail = torch.randint(nodes, (2, size), generator=draw)
        facts = Triples(head, torch.randint(_RELATIONS, (size,), generator=draw), tail, nodes, _RELATIONS)
        start = time.process_time()
        graph = PreparedGraph.of(facts)
        took = time.process_time() - start
        found.append(_print(measure("random", graph, 1, partial(model.scores, graph=graph))))
        print(f"  prepared in {took:.1f} s; the process has taken {_resident() / _GIB:.1f} GiB at most")
    return found


def _resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Prints a line for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", type=Path, help="facts, head, relation and tail between tabs; default: HPO's graph")
    parser.add_argument("--batches", default="1,8,32")
    parser.add_argument("--edges", default="100000,1000000,10000000", help="sizes of random graphs")
    parser.add_argument("--memory", type=float, default=8.0, metavar="GIB", help="what may be taken")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    facts = read_triples([options.graph])[0] if options.graph else triples_of(asyncio.run(hpo_graph())[0])
    memory = int(options.memory * _GIB)
    model = load_predictor().cpu()
    graph = PreparedGraph.of(facts)
    print(
        f"{facts.nodes:,} nodes, {len(facts):,} facts, {facts.relations} relations, {graph.entities.groups:,} groups; "
        f"{torch.get_num_threads()} threads"
    )
    print(f"{'':10} {'facts':>10} at once  s/query  CPU s/query  peak MiB  formula")
    found = compare(model, graph, [int(batch) for batch in options.batches.split(",")], memory)
    found += tricks(model, graph, queries_at_once(graph))
    del graph
    found += grow(model, [int(size) for size in options.edges.split(",")], memory)
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")


def _print(one: Measured) -> Measured:
    memory = f"{one.peak / 2**20:9,.0f} {one.formula / 2**20:8,.0f}"
    print(f"{one.what:10} {one.facts:10,} {one.batch:7} {one.seconds:8.3f} {one.processor:12.3f} {memory}", flush=True)
    return one


if __name__ == "__main__":
    main()
