import numpy as np
import pytest
import torch

from encoders.graph.ranking import RankMetrics, filtered_ranks
from tests.encoders.graphs import triples


def scorer(table):
    return lambda head, relation: torch.tensor(
        [table[h, r] for h, r in zip(head.tolist(), relation.tolist(), strict=True)]
    )


TABLE = {(0, 0): [9.0, 5.0, 7.0, 7.0, 1.0], (1, 1): [2.0, 3.0, 2.0, 2.0, 2.0]}
HIDDEN = [(0, 0, 1)]


@pytest.mark.parametrize(
    ("known", "tail", "head"),
    [
        ([(0, 0, 4)], 4.0, 3.5),
        ([(0, 0, 4), (0, 0, 2)], 3.0, 3.5),
        ([(0, 0, 4), (0, 0, 0), (0, 0, 2), (0, 0, 3)], 1.0, 3.5),
        ([(0, 0, 4), (2, 0, 1)], 4.0, 3.0),
    ],
)
def test_known_facts_are_filtered_and_ties_share_their_places(known, tail, head):
    ranks = filtered_ranks(scorer(TABLE), triples(HIDDEN, 5, 1), [triples(known, 5, 1)], batch=1)
    assert ranks.tolist() == [tail, head]


def test_only_candidates_are_ranked():
    allowed = torch.tensor([False, True, True, False, True])
    ranks = filtered_ranks(
        scorer(TABLE),
        triples(HIDDEN, 5, 1),
        [triples([(4, 0, 4)], 5, 1)],
        batch=4,
        candidates=lambda _: allowed,
        both=False,
    )
    assert ranks.tolist() == [2.0]


def test_figures_of_ranks():
    found = RankMetrics.of(np.array([1.0, 2.0, 4.0, 20.0]))
    assert found == RankMetrics(4, (1 + 0.5 + 0.25 + 0.05) / 4, 0.25, 0.5, 0.75)
    with pytest.raises(ValueError, match="no facts"):
        RankMetrics.of(np.empty(0))
