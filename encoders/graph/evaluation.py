"""How well a link predictor finds hidden facts of a graph."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from encoders.graph.model import LinkPredictor, PreparedGraph, queries_at_once
from encoders.graph.ranking import RankMetrics, filtered_ranks
from encoders.graph.triples import Triples


def evaluate_links(
    model: LinkPredictor,
    facts: Triples,
    hidden: Triples,
    known: list[Triples],
    progress: Callable[[int], None] = lambda _: None,
) -> RankMetrics:
    """Filtered figures of both directions, among all nodes.

    Args:
        model: on any device.
        facts: the graph that the model sees.
        hidden: facts to find; nodes that the graph does not have are without neighbours.
        known: further facts that don't count as wrong.
        progress: told how many queries are done.
    """
    graph = PreparedGraph.of(facts.to(next(model.parameters()).device))
    done = 0

    def score(head: Tensor, relation: Tensor) -> Tensor:
        nonlocal done
        scores = model.scores(head, relation, graph)
        done += len(head)
        progress(done)
        return scores

    return RankMetrics.of(filtered_ranks(score, hidden, [facts, *known], batch=queries_at_once(graph)))
