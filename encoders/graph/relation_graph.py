"""The graph of relations: what lets a model read relations that it has never seen.

Relations are its nodes; two of them are tied where they meet in an entity of the graph, in one of four ways (ULTRA,
Galkin et al. 2024, §4.1).
"""

from __future__ import annotations

import torch
from torch import Tensor

from encoders.graph.triples import Triples

KINDS = 4
"""head–head, tail–tail, head–tail, tail–head."""


def relation_graph(facts: Triples) -> Triples:
    """Which relations meet, and how; each meeting once, however often it occurs.

    Args:
        facts: with inverses, whose relations become the nodes.
    """
    heads = _incidence(facts.relation, facts.head, facts)
    tails = _incidence(facts.relation, facts.tail, facts)
    ends = ((heads, heads), (tails, tails), (heads, tails), (tails, heads))
    meetings = [(left @ right.T).coalesce().indices() for left, right in ends]
    kinds = [torch.full((pairs.shape[1],), kind, device=pairs.device) for kind, pairs in enumerate(meetings)]
    first, second = torch.cat(meetings, 1)
    return Triples(first, torch.cat(kinds), second, facts.relations, KINDS)


def _incidence(relation: Tensor, node: Tensor, facts: Triples) -> Tensor:
    """Sparse (relations, nodes), above 0 where a relation has a fact that has this node at one end."""
    values = torch.ones(len(relation), device=node.device)
    shape = (facts.relations, facts.nodes)
    return torch.sparse_coo_tensor(torch.stack((relation, node)), values, shape, check_invariants=False).coalesce()
