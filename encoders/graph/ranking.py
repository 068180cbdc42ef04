"""Filtered ranks of hidden facts, and the figures made of them, as the field reports them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoders.graph.triples import Triples, join

Scorer = Callable[[Tensor, Tensor], Tensor]
"""(heads, relations), both (queries,), to (queries, nodes) scores; relations beyond the graph's are their inverses."""


@dataclass(frozen=True, slots=True)
class RankMetrics:
    """What the ranks of n queries come to."""

    n: int
    mrr: float
    hits1: float
    hits3: float
    hits10: float

    @classmethod
    def of(cls, ranks: NDArray[np.float64]) -> RankMetrics:
        """Figures of (n,) ranks, 1 the best."""
        if not len(ranks):
            raise ValueError("no facts to rank")
        shares = (float((ranks <= k).mean()) for k in (1, 3, 10))
        return cls(len(ranks), float((1 / ranks).mean()), *shares)


def filtered_ranks(
    score: Scorer,
    hidden: Triples,
    known: list[Triples],
    *,
    batch: int,
    candidates: Callable[[int], Tensor] | None = None,
    both: bool = True,
) -> NDArray[np.float64]:
    """The rank of each hidden fact's tail among all nodes, then that of its head (Bordes et al. 2013, filtered).

    Other tails that are known, or hidden too, are left out of the ranking. A tie counts as the mean of its places
    (the *realistic* rank of PyKEEN), so that a constant score gains nothing.

    Args:
        score: the model.
        hidden: n facts to rank.
        known: further facts whose tails are not to be counted as wrong.
        batch: queries scored at once.
        candidates: nodes that may be the tail of a relation, a bool (nodes,) mask; default: all nodes.
        both: heads too; False asks for tails only.

    Returns:
        float64 (2 n,), or (n,).
    """
    filters = join([hidden, *known]).with_inverses()
    asked = [hidden, hidden.inverted()] if both else [hidden]
    answers = Answers(filters)
    return np.concatenate([ranks for facts in asked for ranks in _ranks(score, facts, answers, batch, candidates)])


def _ranks(
    score: Scorer, facts: Triples, answers: Answers, batch: int, candidates: Callable[[int], Tensor] | None
) -> Iterator[NDArray[np.float64]]:
    for rows in torch.arange(len(facts)).split(batch):
        head, relation, tail = facts.head[rows], facts.relation[rows], facts.tail[rows]
        scores = score(head, relation).cpu()
        own = scores.gather(1, tail[:, None])
        query, others = answers.of(head, relation)
        scores[query, others] = -torch.inf
        if candidates is not None:
            allowed = torch.stack([candidates(int(asked)) for asked in relation])
            scores.masked_fill_(~allowed, -torch.inf)
        better = (scores > own).sum(1)
        scores.scatter_(1, tail[:, None], own)
        ties = (scores == own).sum(1)
        yield (better + (ties + 1) / 2).double().numpy()


class Answers:
    """All tails of each (head, relation)."""

    def __init__(self, facts: Triples) -> None:
        self._relations = facts.relations
        keys = facts.head * facts.relations + facts.relation
        order = torch.argsort(keys, stable=True)
        self._keys, self._tail = keys[order], facts.tail[order]

    def of(self, head: Tensor, relation: Tensor) -> tuple[Tensor, Tensor]:
        """Positions of the queries, and a known tail of each, in two tensors of equal length."""
        keys = head * self._relations + relation
        first = torch.searchsorted(self._keys, keys)
        count = torch.searchsorted(self._keys, keys, right=True) - first
        query = torch.repeat_interleave(torch.arange(len(keys)), count)
        start = first - (torch.cumsum(count, 0) - count)
        return query, self._tail[start[query] + torch.arange(len(query))]
