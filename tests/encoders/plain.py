"""The link predictor written anew over torch-geometric's `message` and `aggregate`, without any of its short cuts."""

import torch
from torch import nn
from torch_geometric.nn import MessagePassing

from encoders.graph.triples import Triples


class PlainConv(MessagePassing):
    """Sums x[tail] ⊙ w[relation] at the head, edge by edge."""

    def __init__(self):
        super().__init__(aggr="add", node_dim=0)

    def forward(self, states, weights, facts: Triples):
        edges = torch.stack((facts.tail, facts.head))
        return self.propagate(edges, x=states, w=weights[facts.relation], size=(facts.nodes, facts.nodes))

    def message(self, x_j, w):
        return x_j * w


def plain_relation_graph(facts: Triples) -> Triples:
    rows = list(zip(facts.head.tolist(), facts.relation.tolist(), facts.tail.tolist(), strict=True))
    found = set()
    for h, r, t in rows:
        for h2, r2, t2 in rows:
            met = ((h == h2, 0), (t == t2, 1), (h == t2, 2), (t == h2, 3))
            found |= {(r, kind, r2) for meets, kind in met if meets}
    first, kind, second = torch.tensor(sorted(found)).T
    return Triples(first, kind, second, facts.relations, 4)


def plain_scores(model, head: int, relation: int, facts: Triples):
    """(nodes,) scores of one query, by the model's weights; facts without inverses."""
    conv, both = PlainConv(), facts.with_inverses()
    meetings = plain_relation_graph(both)

    def layer(module, states, weights, boundary, edges):
        message = conv(states, weights, edges) + boundary
        update = module.layer_norm(module.linear(torch.cat((states, message), -1)))
        return states + nn.functional.relu(update)

    boundary = torch.zeros(both.relations, 64)
    boundary[relation] = 1
    relations = boundary
    for module in model.relation_model.layers:
        relations = layer(module, relations, module.relation.weight, boundary, meetings)
    query = relations[relation]
    boundary = torch.zeros(both.nodes, 64)
    boundary[head] = query
    states = boundary
    for module in model.entity_model.layers:
        states = layer(module, states, module.relation_projection(relations), boundary, both)
    return model.entity_model.mlp(torch.cat((states, query.expand(both.nodes, -1)), -1)).squeeze(-1)
