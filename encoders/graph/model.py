"""The link predictor ULTRA (Galkin et al. 2024): ranks tails for (head, relation, ?) on graphs it has never seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from encoders.graph.layer import EntityLayer, RelationLayer
from encoders.graph.propagation import Propagation
from encoders.graph.relation_graph import KINDS, relation_graph
from encoders.graph.triples import Triples
from kg.snapshot_arrays import csr

WIDTH = 64
LAYERS = 6


@dataclass(frozen=True, eq=False)
class PreparedGraph:
    """The facts of a graph in the forms that the model reads; made once, used for all queries.

    Attributes:
        facts: with their inverses.
        entities: along these facts.
        meetings: along the graph of their relations.
    """

    facts: Triples
    entities: Propagation
    meetings: Propagation

    @classmethod
    def of(cls, facts: Triples) -> Self:
        """From facts without their inverses."""
        both = facts.with_inverses()
        return cls(both, Propagation(both), Propagation(relation_graph(both)))

    def without(self, facts: Tensor) -> Self:
        """The same graph without these facts and their inverses; relations still meet where these made them meet.

        Args:
            facts: int64 positions among the facts that the graph was made of.
        """
        both = torch.cat((facts, facts + len(self.facts) // 2))
        return replace(self, entities=self.entities.without(both))

    @cached_property
    def by_tail(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the facts of each tail start, and the facts by tail: the steps that a walk can take from a node."""
        return csr(self.facts.tail.cpu().numpy(), self.facts.nodes)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What a layer of the entity model read and made; all (nodes, queries, width) but `weights` (relations, …)."""

    before: Tensor
    weights: Tensor
    messages: Tensor
    states: Tensor


class RelationModel(nn.Module):
    """Vectors of all relations, as seen from the query's relation."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.ModuleList(RelationLayer(width, KINDS) for _ in range(layers))

    def forward(self, relation: Tensor, graph: PreparedGraph) -> Tensor:
        """(relations, queries, width) for the (queries,) relations asked."""
        boundary = torch.zeros(graph.facts.relations, len(relation), self.width, device=relation.device)
        boundary[relation, torch.arange(len(relation), device=relation.device)] = 1.0
        states = boundary
        for layer in self.layers:
            states = layer(states, boundary, graph.meetings)
        return states


class EntityModel(nn.Module):
    """States of all nodes, as seen from the query's head, and their scores."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EntityLayer(width) for _ in range(layers))
        self.mlp = nn.Sequential(nn.Linear(2 * width, 2 * width), nn.ReLU(), nn.Linear(2 * width, 1))

    def forward(self, head: Tensor, query: Tensor, relations: Tensor, graph: PreparedGraph) -> Tensor:
        """(nodes, queries, width) states.

        Args:
            head: (queries,).
            query: (queries, width), vectors of the queries' relations.
            relations: (relations, queries, width).
            graph: on the device of all.
        """
        for step in self.trace(head, query, relations, graph):
            states = step.states
        return states

    def trace(self, head: Tensor, query: Tensor, relations: Tensor, graph: PreparedGraph) -> Iterator[Step]:
        """Layer by layer, what `forward` computes."""
        boundary = torch.zeros(graph.facts.nodes, *query.shape, device=query.device)
        boundary = boundary.index_put((head, torch.arange(len(head), device=head.device)), query)
        states = boundary
        for layer in cast("list[EntityLayer]", self.layers):
            weights = layer.relation_projection(relations)
            messages = graph.entities(states, weights) + boundary
            before, states = states, layer.update(states, messages)
            yield Step(before, weights, messages, states)

    def score(self, states: Tensor, query: Tensor) -> Tensor:
        """(…, queries) scores of (…, queries, width) states."""
        first, rectify, last = cast("tuple[nn.Linear, nn.ReLU, nn.Linear]", tuple(self.mlp))
        width = query.shape[-1]
        # the query's half of [x ‖ query] is the same for all nodes
        hidden = nn.functional.linear(states, first.weight[:, :width])
        hidden = hidden + nn.functional.linear(query, first.weight[:, width:], first.bias)
        scores: Tensor = last(rectify(hidden))
        return scores.squeeze(-1)


class LinkPredictor(nn.Module):
    """Scores of tails for queries (head, relation, ?); inverse relations ask for heads."""

    def __init__(self, width: int = WIDTH, layers: int = LAYERS) -> None:
        super().__init__()
        self.relation_model = RelationModel(width, layers)
        self.entity_model = EntityModel(width, layers)

    def forward(self, head: Tensor, relation: Tensor, graph: PreparedGraph, tails: Tensor | None = None) -> Tensor:
        """(queries, nodes) logits, the higher the likelier; or (queries, tails) of these tails alone.

        Args:
            head: int64 (queries,).
            relation: int64 (queries,), 0…2 × relations of the graph's facts; beyond its relations are their inverses.
            graph: on the model's device.
            tails: int64 (tails,) for all queries, or (queries, tails).
        """
        relations = self.relation_model(relation, graph)
        query = relations[relation, torch.arange(len(relation), device=relation.device)]
        states = self.entity_model(head, query, relations, graph)
        if tails is None:
            return self.entity_model.score(states, query).T
        if tails.dim() == 1:
            return self.entity_model.score(states[tails], query).T
        chosen = states[tails, torch.arange(len(tails), device=tails.device)[:, None]]
        return self.entity_model.score(chosen.transpose(0, 1), query).T

    @torch.no_grad()
    def scores(self, head: Tensor, relation: Tensor, graph: PreparedGraph, tails: Tensor | None = None) -> Tensor:
        """`forward` without gradients, on the model's device; the result is on the CPU."""
        device = graph.facts.head.device
        chosen = None if tails is None else tails.to(device)
        scores: Tensor = self(head.to(device), relation.to(device), graph, chosen)
        return scores.cpu()


def queries_at_once(graph: PreparedGraph, width: int = WIDTH, budget: int | None = None) -> int:
    """How many queries keep a forward pass within a budget of bytes, by `bytes_a_query`; at least one.

    The default is less on a CPU: beyond some 32 MB a tensor, the C library maps fresh pages for each, which doubles a
    query's time (`benchmarks.link_speed`).
    """
    if budget is None:
        budget = 1 << (27 if graph.facts.head.device.type == "cpu" else 29)
    return max(1, min(64, budget // bytes_a_query(graph, width)))


def bytes_a_query(graph: PreparedGraph, width: int = WIDTH) -> int:
    """Memory that one query of a forward pass takes at its peak, in float32, beside the graph itself.

    Six tensors of all nodes (boundary, states before and after, messages, two on the way to the next states), and
    two of all (head, relation) groups.
    """
    return 4 * width * (6 * graph.facts.nodes + 2 * graph.entities.groups)
