"""Facts of a graph as three tensors: what the models of this folder read."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Triples:
    """m facts (head, relation, tail) among numbered nodes and relations.

    Attributes:
        head: int64 (m,), 0…nodes.
        relation: int64 (m,), 0…relations.
        tail: int64 (m,), 0…nodes.
        nodes: how many nodes there are, those without facts included.
        relations: how many relations there are.
    """

    head: Tensor
    relation: Tensor
    tail: Tensor
    nodes: int
    relations: int

    def __post_init__(self) -> None:
        """Refuses what would be read beyond the ends of a tensor.

        Raises:
            ValueError: lengths differ, or a number is out of range.
        """
        if not len(self.head) == len(self.relation) == len(self.tail):
            raise ValueError("heads, relations and tails must be as many")
        for name, values, size in (
            ("head", self.head, self.nodes),
            ("relation", self.relation, self.relations),
            ("tail", self.tail, self.nodes),
        ):
            if len(values) and not (int(values.min()) >= 0 and int(values.max()) < size):
                raise ValueError(f"a {name} is not in 0…{size - 1}")

    def __len__(self) -> int:
        return len(self.head)

    def take(self, rows: Tensor) -> Triples:
        """The facts at these positions, or where this mask is true."""
        return Triples(self.head[rows], self.relation[rows], self.tail[rows], self.nodes, self.relations)

    def inverted(self) -> Triples:
        """(t, r + relations, h) of each (h, r, t): asking for heads becomes asking for tails of the inverse."""
        return Triples(self.tail, self.relation + self.relations, self.head, self.nodes, 2 * self.relations)

    def with_inverses(self) -> Triples:
        """These facts, then their inverses; twice as many relations."""
        inverse = self.inverted()
        return Triples(
            torch.cat((self.head, inverse.head)),
            torch.cat((self.relation, inverse.relation)),
            torch.cat((self.tail, inverse.tail)),
            self.nodes,
            2 * self.relations,
        )

    def keys(self) -> Tensor:
        """int64 (m,), one number a fact, the same for the same fact.

        Raises:
            ValueError: the graph is too large for such numbers.
        """
        if self.nodes * self.nodes * self.relations >= 2**63:
            raise ValueError("too many nodes and relations to number all their facts")
        return (self.head * self.relations + self.relation) * self.nodes + self.tail

    def to(self, device: torch.device) -> Triples:
        """The same facts on another device."""
        head, relation, tail = (values.to(device) for values in (self.head, self.relation, self.tail))
        return Triples(head, relation, tail, self.nodes, self.relations)


def join(parts: list[Triples]) -> Triples:
    """All facts of graphs that share their nodes and relations, one graph after the other.

    Raises:
        ValueError: no graphs, or their sizes differ.
    """
    if len({(part.nodes, part.relations) for part in parts}) != 1:
        raise ValueError("facts of different graphs can't be joined")
    return Triples(
        torch.cat([part.head for part in parts]),
        torch.cat([part.relation for part in parts]),
        torch.cat([part.tail for part in parts]),
        parts[0].nodes,
        parts[0].relations,
    )
