"""Which hidden facts of HPO's graph are found again, by which way, over all entities that the ontology allows.

A tenth of a relation's facts is hidden for the test, another tenth for what has to be learned (when to stop
fine-tuning, how to join the ways); nothing sees the first, and the graph is without both. Ranks are filtered.

    python -m benchmarks.missing_links [--relation ^ASSOCIATED_WITH] [--seeds 0,1,2] [--queries N] [--steps N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import structlog
import torch
from torch import Tensor

from benchmarks.stores import database
from encoders.graph.domain_graph import AllowedTails, triples_of
from encoders.graph.joined import JoinedScorer
from encoders.graph.model import LinkPredictor, PreparedGraph, queries_at_once
from encoders.graph.neighbours import Degree, Neighbours, fact_vectors, name_vectors
from encoders.graph.ranking import RankMetrics, Scorer, filtered_ranks
from encoders.graph.training import TrainingProgress, TrainingSettings, train
from encoders.graph.triples import Triples
from encoders.graph.weights import load_predictor
from ingestion.pipeline import ingest
from ingestion.readers.hpo import HpoReader
from kg.ontology import Ontology
from kg.snapshot import Snapshot, load_snapshot

_JUDGED = 150
"""Facts that a validation ranks while fine-tuning."""


@dataclass(frozen=True)
class Split:
    """A graph, and hidden facts as they are asked: heads, the relation or its inverse, tails."""

    graph: Triples
    learn: Triples
    test: Triples
    allowed: Tensor

    @classmethod
    def of(cls, facts: Triples, relation: int, allowed: Tensor, seed: int) -> Split:
        """Hides a tenth and a tenth of a relation's facts; beyond the graph's relations are inverses."""
        rows = torch.nonzero(facts.relation == relation % facts.relations).squeeze(1)
        rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
        tenth = len(rows) // 10
        mask = torch.ones(len(facts), dtype=torch.bool)
        mask[rows[: 2 * tenth]] = False
        parts = [facts.take(rows[:tenth]), facts.take(rows[tenth : 2 * tenth])]
        both = [Triples(p.head, p.relation, p.tail, p.nodes, 2 * p.relations) for p in parts]
        asked = [part.inverted() for part in parts] if relation >= facts.relations else both
        tails = torch.zeros(facts.nodes, dtype=torch.bool)
        tails[allowed] = True
        return cls(facts.take(mask), asked[1], asked[0], tails)

    def known(self) -> list[Triples]:
        """All facts of the graph, in both directions."""
        return [self.graph.with_inverses()]

    def measure(self, score: Scorer, queries: int, batch: int = 64) -> RankMetrics:
        """Figures of a way on the test facts."""
        asked = self.test.take(torch.arange(min(queries, len(self.test))))
        known = [*self.known(), self.learn, self.test]
        ranks = filtered_ranks(score, asked, known, batch=batch, candidates=lambda _: self.allowed, both=False)
        return RankMetrics.of(ranks)


def fine_tuned(model: LinkPredictor, split: Split, steps: int, seed: int) -> LinkPredictor:
    """Fine-tunes on the facts of the relation that are left in the graph."""
    relation = int(split.test.relation[0]) % split.graph.relations
    targets = torch.nonzero(split.graph.relation == relation).squeeze(1)
    tails = torch.nonzero(split.allowed).squeeze(1)
    heads = split.graph.take(targets)
    starts = (heads.tail if int(split.test.relation[0]) >= split.graph.relations else heads.head).unique()
    judged = split.learn.take(torch.arange(min(_JUDGED, len(split.learn))))

    def validate(trained: LinkPredictor) -> float:
        graph = PreparedGraph.of(split.graph)
        score = _of(trained.eval(), graph)
        known = [*split.known(), split.learn]
        ranks = filtered_ranks(
            score, judged, known, batch=queries_at_once(graph), candidates=lambda _: split.allowed, both=False
        )
        return RankMetrics.of(ranks).mrr

    def candidates(asked: int) -> Tensor:
        return tails if asked == int(split.test.relation[0]) else starts

    settings = TrainingSettings(steps=steps, batch=8, negatives=256, every=max(1, steps // 6), patience=3, seed=seed)

    def report(now: TrainingProgress) -> None:
        print(f"  step {now.step}: loss {now.loss:.4f}, MRR {now.mrr:.4f}", flush=True)

    train(model, split.graph, targets, validate, settings, candidates=candidates, report=report)
    return model


def _of(model: LinkPredictor, graph: PreparedGraph) -> Scorer:
    return lambda head, relation: model.scores(head, relation, graph)


def ways(
    split: Split, names: list[str], weights: Path | None, steps: int, seed: int
) -> Iterator[tuple[str, Scorer, int]]:
    """Each way, with how many queries are asked of it at once."""
    degree = Degree(split.graph)
    facts = fact_vectors(split.graph, int(split.test.relation[0]))
    text = name_vectors(names)
    by_facts = {k: Neighbours(facts, split.graph, k) for k in (3, 10, 50)}
    by_names = {k: Neighbours(text, split.graph, k) for k in (3, 10)}
    yield "degree", degree, 64
    yield "TF-IDF neighbours by facts", by_facts[10], 64
    yield "TF-IDF neighbours by names", by_names[10], 64
    yield "sum of both", lambda h, r: by_facts[10](h, r) + by_names[10](h, r) / 2, 64
    graph = PreparedGraph.of(split.graph)
    at_once = queries_at_once(graph)
    model = load_predictor(weights)
    yield "ULTRA zero-shot", _of(model, graph), at_once
    if steps:
        model = fine_tuned(model, split, steps, seed)
        yield "ULTRA fine-tuned", _of(model, graph), at_once
    parts = {f"facts {k}": by_facts[k] for k in by_facts} | {f"names {k}": by_names[k] for k in by_names}
    for name, more in (("without ULTRA", {}), ("all", {"ULTRA": _of(model, graph)})):
        joined = JoinedScorer(parts | {"degree": degree} | more, split.allowed, seed=seed)
        joined.fit(split.learn, [*split.known(), split.learn, split.test], batch=at_once)
        yield f"joined, {name}", joined, at_once


async def hpo_graph() -> tuple[Snapshot, Ontology]:
    """A snapshot of a graph in which HPO is loaded."""
    with database("embedded") as base, tempfile.TemporaryDirectory() as cache:
        store = await base.open()
        try:
            await ingest(store, HpoReader(), None, dead_letters=Path(cache) / "dead-letters.jsonl")
            return await load_snapshot(store, "medical", Path(cache) / "snapshots"), store.ontology
        finally:
            await store.close()


def main() -> None:
    """Prints a line for each way and seed, then means and spreads over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--relation", default="^ASSOCIATED_WITH", help="with ^ its subjects are asked for")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--queries", type=int, default=400, help="test facts asked for, at most")
    parser.add_argument("--steps", type=int, default=0, help="of fine-tuning; 0: none")
    parser.add_argument("--weights", type=Path, help="safetensors; default: the shipped ones")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    snapshot, ontology = asyncio.run(hpo_graph())
    facts = triples_of(snapshot)
    inverse, name = options.relation.startswith("^"), options.relation.removeprefix("^")
    relation = snapshot.relations.index(name) + (facts.relations if inverse else 0)
    allowed = AllowedTails(snapshot, ontology)(relation)
    names = [snapshot.name(at) for at in range(len(snapshot))]
    print(f"{facts.nodes:,} entities, {len(facts):,} facts; {len(allowed):,} may answer {options.relation}")
    found: dict[str, list[RankMetrics]] = {}
    for seed in map(int, options.seeds.split(",")):
        split = Split.of(facts, relation, allowed, seed)
        for way, score, batch in ways(split, names, options.weights, options.steps, seed):
            start = time.perf_counter()
            figures = split.measure(score, options.queries, batch)
            found.setdefault(way, []).append(figures)
            seconds = (time.perf_counter() - start) / figures.n
            print(f"seed {seed} {way:28} {_text(figures)} {seconds:7.3f} s a query", flush=True)
            if options.json:
                options.json.write_text(json.dumps({w: [asdict(f) for f in fs] for w, fs in found.items()}, indent=1))
    for way, all_ in found.items():
        spread = " ".join(_spread([getattr(one, key) for one in all_]) for key in ("mrr", "hits1", "hits10"))
        print(f"{way:28} {spread}")


def _text(found: RankMetrics) -> str:
    return f"n {found.n}, MRR {found.mrr:.3f}, H@1 {found.hits1:.3f}, H@10 {found.hits10:.3f}"


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) if len(values) > 1 else 0:.3f}"


if __name__ == "__main__":
    main()
