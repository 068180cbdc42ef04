"""Which hidden facts of HPO's graph are found again, by which way, over all entities that the ontology allows.

A tenth of a relation's facts is hidden for the test, another tenth for what has to be learned (when to stop
fine-tuning, how to join the ways); nothing sees the first, and the graph is without both. Ranks are filtered.
Then, on the whole graph, how well each way is calibrated, and how much it would write, as `evigraph enhance` does it.

    python -m benchmarks.missing_links [--relation ^ASSOCIATED_WITH] [--seeds 0,1,2] [--queries N]
                                       [--ultra N [--steps N]]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
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
from encoders.graph.enhancement import Enhancement
from encoders.graph.enhancement_settings import EnhancementSettings
from encoders.graph.joined import JoinedScorer
from encoders.graph.model import LinkPredictor, PreparedGraph, queries_at_once
from encoders.graph.neighbours import Degree, FactVectors, Neighbours, name_vectors
from encoders.graph.predictor import load_predictor
from encoders.graph.ranking import RankMetrics, Scorer, filtered_ranks
from encoders.graph.training import TrainingProgress, TrainingSettings, train
from encoders.graph.triples import Triples, join
from encoders.graph.ways import ByNeighbours, Joined, Question, Way, parts
from ingestion.pipeline import ingest
from ingestion.readers.hpo import HpoReader
from kg.ontology import Ontology
from kg.snapshot import Snapshot, load_snapshot
from kg.store import open_store

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


def scorers_of(
    split: Split, names: list[str], model: LinkPredictor, ultra: int, steps: int, seed: int
) -> Iterator[tuple[str, Scorer, int, int]]:
    """Baselines and ways, with how many queries are asked of each (0: as many as of all), and how many at once."""
    yield "degree", Degree(split.graph), 0, 64
    yield "TF-IDF neighbours by facts", Neighbours(FactVectors.of(split.graph).vectors, split.graph), 0, 64
    yield "TF-IDF neighbours by names", Neighbours(name_vectors(names), split.graph), 0, 64
    question = Question(int(split.test.relation[0]), torch.nonzero(split.allowed).squeeze(1), names, model)
    neighbours, joined = ByNeighbours(split.graph, question), Joined(split.graph, question)
    yield "neighbours", neighbours, 0, 64
    known = [*split.known(), split.learn, split.test]
    joined.learn(split.learn, join(known), seed)
    yield "joined", _scored(joined), 0, 64
    if not ultra:
        return
    graph = PreparedGraph.of(split.graph)
    at_once = queries_at_once(graph)
    yield "ULTRA zero-shot", _of(model, graph), ultra, at_once
    if steps:
        model = fine_tuned(model, split, steps, seed)
        yield "ULTRA fine-tuned", _of(model, graph), ultra, at_once
    more = JoinedScorer(parts(split.graph, question, neighbours) | {"ULTRA": _of(model, graph)}, split.allowed)
    more.fit(split.learn.take(torch.arange(min(ultra, len(split.learn)))), known, batch=at_once, seed=seed)
    yield "joined and ULTRA", more, ultra, at_once


def _scored(way: Way) -> Scorer:
    """A way as a scorer of all nodes."""

    def score(head: Tensor, _relation: Tensor) -> Tensor:
        scores = torch.full((len(head), way.facts.nodes), -torch.inf)
        scores[:, way.question.tails] = way.scores(head)
        return scores

    return score


async def hpo_graph(url: str | None = None) -> tuple[Snapshot, Ontology]:
    """A snapshot of the graph at a URL, else of a new one in which HPO is loaded."""
    fresh = database("embedded") if url is None else contextlib.nullcontext(None)
    with fresh as base, tempfile.TemporaryDirectory() as cache:
        store = await (open_store(str(url), Ontology.load()) if base is None else base.open())
        try:
            if base is not None:
                await ingest(store, HpoReader(), None, dead_letters=Path(cache) / "dead-letters.jsonl")
            return await load_snapshot(store, "medical", Path(cache) / "snapshots"), store.ontology
        finally:
            await store.close()


def main() -> None:
    """Prints a line for each way and seed, then means and spreads over the seeds, then how ways are calibrated."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--relation", default="^ASSOCIATED_WITH", help="with ^ its subjects are asked for")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--queries", type=int, default=2000, help="test facts asked for, at most")
    parser.add_argument("--ultra", type=int, default=0, help="the same of ULTRA, and facts that teach to join it")
    parser.add_argument("--calibrate", default="neighbours,joined", help="ways whose calibration is judged")
    parser.add_argument("--steps", type=int, default=0, help="of fine-tuning; 0: none")
    parser.add_argument("--graph", help="URL of a graph in which HPO is loaded; default: loads it into a new one")
    parser.add_argument("--weights", type=Path, help="safetensors; default: the shipped ones")
    parser.add_argument("--json", type=Path, help="write the ranks' figures to this file")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    snapshot, ontology = asyncio.run(hpo_graph(options.graph))
    facts, allowed, asked = triples_of(snapshot), AllowedTails(snapshot, ontology), options.relation
    relation = snapshot.relations.index(asked.removeprefix("^")) + (facts.relations if asked.startswith("^") else 0)
    names = [snapshot.name(at) for at in range(len(snapshot))]
    print(f"{facts.nodes:,} entities, {len(facts):,} facts; {len(allowed(relation)):,} may answer {asked}")
    found: dict[str, list[RankMetrics]] = {}
    seeds = [int(seed) for seed in options.seeds.split(",")]
    for seed in seeds:
        split = Split.of(facts, relation, allowed(relation), seed)
        scorers = scorers_of(split, names, load_predictor(options.weights), options.ultra, options.steps, seed)
        for way, score, queries, batch in scorers:
            start = time.perf_counter()
            figures = split.measure(score, queries or options.queries, batch)
            found.setdefault(way, []).append(figures)
            seconds = (time.perf_counter() - start) / figures.n
            print(f"seed {seed} {way:28} {_text(figures)} {seconds:7.3f} s a query", flush=True)
            if options.json:
                options.json.write_text(json.dumps({w: [asdict(f) for f in fs] for w, fs in found.items()}, indent=1))
    for way, all_ in found.items():
        spread = " ".join(_spread([getattr(one, key) for one in all_]) for key in ("mrr", "hits1", "hits10"))
        print(f"{way:28} {spread}", flush=True)
    for by in filter(None, options.calibrate.split(",")):
        for seed in seeds:
            settings = EnhancementSettings((asked,), by=by, paths=0, seed=seed)
            model = load_predictor(options.weights)
            print(f"seed {seed} {by:12} {_calibrated(Enhancement(snapshot, facts, allowed, model, asked, settings))}")


def _calibrated(enhancement: Enhancement) -> str:
    start = time.perf_counter()
    found = enhancement.calibrate()
    written = sum(map(len, enhancement.predict(enhancement.heads, found)))
    precision = "none" if found.precision is None else f"{found.precision:.3f}"
    return (
        f"found {found.found:.3f} of {found.hidden:,}, ECE {found.ece:.4f}, precision {precision}; would write "
        f"{written:,} for {len(enhancement.heads):,} entities, in {time.perf_counter() - start:.0f} s"
    )


def _text(found: RankMetrics) -> str:
    return f"n {found.n}, MRR {found.mrr:.3f}, H@1 {found.hits1:.3f}, H@10 {found.hits10:.3f}"


def _spread(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) if len(values) > 1 else 0:.3f}"


if __name__ == "__main__":
    main()
