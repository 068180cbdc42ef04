"""What the benchmarks of the link predictor measure is what they say."""

import pytest
import torch

from benchmarks.link_explanations import measure as faithfulness
from benchmarks.link_ranks import Scored
from benchmarks.link_speed import peak_bytes, plainly
from encoders.graph.model import PreparedGraph
from encoders.graph.predictor import load_predictor
from tests.encoders.graphs import random_triples, triples


@pytest.fixture(scope="module")
def shipped():
    return load_predictor().cpu()


def test_the_plain_propagation_gives_the_same_scores(shipped):
    graph = PreparedGraph.of(random_triples(facts=60))
    head, relation = torch.tensor([0, 7, 29]), torch.tensor([0, 2, 5])
    expected = shipped.scores(head, relation, graph)
    torch.testing.assert_close(shipped.scores(head, relation, plainly(graph)), expected, rtol=1e-3, atol=1e-3)


def test_peak_memory_is_that_of_what_is_held_at_once():
    assert peak_bytes(lambda: [torch.ones(1000), torch.ones(1000)]) >= 8000
    assert peak_bytes(lambda: [len(torch.ones(1000)) for _ in range(50)]) < 8000


def test_facts_of_the_path_are_taken_out_and_as_many_others(shipped):
    # 0 -r0-> 2 has a path by 1 alone; around it are facts that lead nowhere, and far away others
    near = [(0, 0, 1), (1, 0, 2), (0, 0, 3), (3, 0, 4), (5, 0, 2), (8, 1, 9)]
    far = [(10 + at, 0, 11 + at) for at in range(30)]
    facts = triples(near + far, 60, 2)
    hidden = triples([(0, 1, 9), (0, 0, 50), (0, 0, 2)], 60, 2)
    (found,) = faithfulness(shipped, facts, hidden, most=9, draws=5, hops=2, seed=0)
    assert found.facts == 2
    assert found.around == 5
    assert found.drop > max(found.drop_around, found.drop_any)
    assert found.beats_around > 0.5
    assert found.beats_any > found.beats_around
    again = list(faithfulness(shipped, facts, hidden, most=9, draws=5, hops=2, seed=0))
    assert again == [found]


def test_heads_are_asked_of_the_inverse():
    hidden = triples([(0, 0, 2), (1, 1, 0)], 3, 2)

    def score(head, relation):
        return (head * 10 + relation)[:, None] * 10 + torch.arange(3)

    scored = Scored(score, hidden, batch=2)
    batch = torch.stack((hidden.head, hidden.relation, hidden.tail), 1)
    assert scored.predict(batch, "tail").tolist() == [[0, 1, 2], [110, 111, 112]]
    assert scored.predict(batch, "head").tolist() == [[220, 221, 222], [30, 31, 32]]
