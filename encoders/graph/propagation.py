"""The sum over neighbours that all layers share, as two sparse products.

A node's message is m[h] = Σ over facts (h, r, t) of x[t] ⊙ w[r]: messages run from the tail to the head, the way the
published weights of ULTRA were trained. Facts that share head and relation share the factor w[r], so that
the sum is S ((G x) ⊙ w): G sums the tails of each such group, S sums the groups of each head. No message of a
single fact is ever stored, which takes a few times less time and memory than gathering and scattering edges.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from torch import Tensor
from torch_geometric.index import index2ptr
from torch_geometric.utils import index_sort

from encoders.graph.triples import Triples


class Propagation:
    """The facts of a graph, made ready for `Propagation.__call__`; on the device of the facts."""

    def __init__(self, facts: Triples) -> None:
        groups, group = torch.unique(facts.head * facts.relations + facts.relation, return_inverse=True)
        head, self.relation = groups // facts.relations, groups % facts.relations
        order = torch.arange(len(groups), device=groups.device)
        self._gather = _Sparse.of(group, facts.tail, len(groups), facts.nodes)
        self._scatter = _Sparse.of(head, order, facts.nodes, len(groups))
        self._gather_back = _Sparse.of(facts.tail, group, facts.nodes, len(groups))
        self._scatter_back = _Sparse.of(order, head, len(groups), facts.nodes)
        self._by_relation = _Sparse.of(self.relation, order, facts.relations, len(groups))

    @property
    def groups(self) -> int:
        """How many pairs of head and relation there are."""
        return len(self.relation)

    def without(self, facts: Tensor) -> Propagation:
        """The same, but that these facts send no messages; shares all but two vectors with it.

        Args:
            facts: int64 positions.
        """
        other = copy.copy(self)
        other._gather = self._gather.without(facts)
        other._gather_back = self._gather_back.without(facts)
        return other

    def __call__(self, states: Tensor, weights: Tensor) -> Tensor:
        """Σ over facts (h, r, t) of states[t] ⊙ weights[r], for each h.

        Args:
            states: (nodes, queries, width).
            weights: (relations, queries, width), or (relations, 1, width) where all queries share them.
        """
        product: Tensor = _Product.apply(states, weights, self)
        return product

    def sums(self, states: Tensor, weights: Tensor) -> Tensor:
        """What a call returns, without a way back."""
        return self._scatter.times(self._gather.times(states).mul_(weights[self.relation]))

    def gradients(self, gradient: Tensor, states: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients by states and by weights, of a gradient by the sums."""
        by_group = self._scatter_back.times(gradient)
        by_states = self._gather_back.times(by_group * weights[self.relation])
        by_weights = self._by_relation.times(by_group.mul_(self._gather.times(states)))
        return by_states, by_weights.sum_to_size(weights.shape)


class _Product(torch.autograd.Function):
    """Keeps states and weights only; sums of groups are computed again on the way back."""

    @staticmethod
    def forward(context: Any, states: Tensor, weights: Tensor, propagation: Propagation) -> Tensor:  # noqa: ANN401
        context.save_for_backward(states, weights)
        context.propagation = propagation
        return propagation.sums(states, weights)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:  # noqa: ANN401
        states, weights = context.saved_tensors
        return *context.propagation.gradients(gradients[0].contiguous(), states, weights), None


@dataclass(frozen=True, slots=True, eq=False)
class _Sparse:
    """A matrix of (rows, columns) in compressed rows, made of places that each are 1; places named twice are 2.

    Attributes:
        position: where the value of each place lies among the values.
    """

    start: Tensor
    column: Tensor
    values: Tensor
    position: Tensor
    columns: int

    @classmethod
    def of(cls, row: Tensor, column: Tensor, rows: int, columns: int) -> Self:
        _, order = index_sort(row * columns + column)
        position = torch.empty_like(order)
        position[order] = torch.arange(len(order), device=order.device)
        start = index2ptr(row[order], rows)
        return cls(start, column[order], torch.ones(len(row), device=row.device), position, columns)

    def without(self, places: Tensor) -> Self:
        values = self.values.clone()
        values[self.position[places]] = 0.0
        return replace(self, values=values)

    def times(self, states: Tensor) -> Tensor:
        """(rows, …) product with (columns, …) states."""
        shape = (len(self.start) - 1, self.columns)
        matrix = torch.sparse_csr_tensor(self.start, self.column, self.values, shape, check_invariants=False)
        return (matrix @ states.flatten(1)).reshape(shape[0], *states.shape[1:])
