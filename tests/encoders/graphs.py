"""Small graphs for the encoders' tests."""

import torch

from encoders.graph.triples import Triples


def triples(rows, nodes=None, relations=None) -> Triples:
    head, relation, tail = torch.tensor(rows, dtype=torch.int64).reshape(-1, 3).T.contiguous()
    return Triples(
        head,
        relation,
        tail,
        nodes or int(torch.stack((head, tail)).max()) + 1,
        relations or int(relation.max()) + 1,
    )


def random_triples(nodes=30, relations=3, facts=80, seed=0) -> Triples:
    draw = torch.Generator().manual_seed(seed)
    head, tail = torch.randint(nodes, (2, facts), generator=draw)
    rows = torch.stack((head, torch.randint(relations, (facts,), generator=draw), tail), 1).unique(dim=0)
    return triples(rows.tolist(), nodes, relations)
