"""Why the link predictor scores a link as it does: the paths whose facts its score depends on most.

As in NBFNet (Zhu et al. 2021, §3.4): the importance of a fact in a layer is the derivative of the score by a factor on
that fact's message, and a path's weight is the mean importance of its steps, step i taken in layer i.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoders.graph.model import LinkPredictor, PreparedGraph
from encoders.graph.triples import Triples
from kg.snapshot_arrays import ragged

_AT_ONCE = 1 << 16
"""Facts whose messages are held at once."""

Longs = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Path:
    """A path from the query's head to a tail.

    Attributes:
        facts: positions among the graph's facts; those beyond the first half are inverses, walked from head to tail.
        weight: mean derivative of the score by its facts' messages.
    """

    facts: tuple[int, ...]
    weight: float


def explain(
    model: LinkPredictor,
    graph: PreparedGraph,
    head: int,
    relation: int,
    tail: int,
    *,
    paths: int = 5,
    longest: int = 4,
    beam: int = 10,
) -> list[Path]:
    """The weightiest simple paths from head to tail, best first; none if the tail is out of reach.

    Args:
        model: that gave the score.
        graph: that it read.
        head: node.
        relation: asked of it, or an inverse.
        tail: node.
        paths: how many at most.
        longest: facts in a path, at most as many as the model has layers.
        beam: partial paths kept at each node.
    """
    importance = _importance(model, graph, head, relation, tail, longest)
    search = _Search(graph, head, tail, beam)
    found = [path for layer in importance for path in search.step(layer)]
    return sorted(found, key=lambda path: (-path.weight, path.facts))[:paths]


def _importance(
    model: LinkPredictor, graph: PreparedGraph, head: int, relation: int, tail: int, layers: int
) -> list[NDArray[np.float32]]:
    """Derivative of the score by a factor on each fact's message, of the first layers: (facts,) each."""
    device = next(model.parameters()).device
    heads, asked = (torch.tensor([number], device=device) for number in (head, relation))
    with torch.enable_grad():
        relations = model.relation_model(asked, graph).detach()
        query = relations[relation]
        steps = list(model.entity_model.trace(heads, query, relations, graph))
        score = model.entity_model.score(steps[-1].states[tail], query).sum()
        derivatives = torch.autograd.grad(score, [step.messages for step in steps[:layers]])
    return [
        _by_fact(graph.facts, derivative, step.before, step.weights)
        for derivative, step in zip(derivatives, steps, strict=False)
    ]


@torch.no_grad()
def _by_fact(facts: Triples, derivative: Tensor, states: Tensor, weights: Tensor) -> NDArray[np.float32]:
    """⟨∂score/∂m[h], x[t] ⊙ w[r]⟩ of each fact."""
    parts = [
        (derivative[h, 0] * states[t, 0] * weights[r, 0]).sum(-1)
        for h, r, t in zip(*(x.split(_AT_ONCE) for x in (facts.head, facts.relation, facts.tail)), strict=True)
    ]
    importance: NDArray[np.float32] = torch.cat(parts).cpu().numpy()
    return importance


class _Search:
    """Walks of equal length from the query's head that have not met the tail, the best few at each node."""

    def __init__(self, graph: PreparedGraph, head: int, tail: int, beam: int) -> None:
        self._half = len(graph.facts) // 2
        self._to = graph.facts.head.cpu().numpy()
        self._start, self._facts = graph.by_tail
        self._tail, self._beam = tail, beam
        self._nodes = np.array([[head]], np.int64)
        self._walked = np.empty((1, 0), np.int64)
        self._weight = np.zeros(1)

    def step(self, importance: NDArray[np.float32]) -> list[Path]:
        """One step further, by facts of these importances; returns the paths that end with it."""
        at = self._nodes[:, -1]
        walk = np.repeat(np.arange(len(at)), self._start[at + 1] - self._start[at])
        fact = self._facts[ragged(self._start, at)]
        to = self._to[fact]
        new = ~(self._nodes[walk] == to[:, None]).any(1)
        walk, fact, to = walk[new], fact[new], to[new]
        weight = self._weight[walk] + importance[fact]
        best = _best(to, weight, self._beam)
        self._nodes = np.column_stack((self._nodes[walk[best]], to[best]))
        self._walked = np.column_stack((self._walked[walk[best]], fact[best]))
        self._weight = weight[best]
        arrived = self._nodes[:, -1] == self._tail
        length = self._walked.shape[1]
        paths = [
            # a message runs from a fact's tail to its head: the step is the inverse fact
            Path(tuple(((facts + self._half) % (2 * self._half)).tolist()), float(total / length))
            for facts, total in zip(self._walked[arrived], self._weight[arrived], strict=True)
        ]
        self._nodes, self._walked = self._nodes[~arrived], self._walked[~arrived]
        self._weight = self._weight[~arrived]
        return paths


def _best(group: Longs, weight: NDArray[np.float64], most: int) -> Longs:
    """Positions of the greatest weights of each group, at most so many."""
    order = np.lexsort((-weight, group))
    grouped = group[order]
    first = np.concatenate(([True], grouped[1:] != grouped[:-1])) if len(grouped) else np.empty(0, np.bool_)
    rank = np.arange(len(grouped)) - np.flatnonzero(first)[np.cumsum(first) - 1] if len(grouped) else grouped
    best: Longs = order[rank < most]
    return best
