import pytest
import torch

from encoders.graph.explanation import explain
from encoders.graph.model import LinkPredictor, PreparedGraph, bytes_a_query
from encoders.graph.predictor import load_predictor
from encoders.graph.propagation import Propagation
from encoders.graph.relation_graph import relation_graph
from tests.encoders.graphs import random_triples, triples
from tests.encoders.plain import PlainConv, plain_relation_graph, plain_scores


@pytest.fixture(scope="module")
def shipped() -> LinkPredictor:
    return load_predictor().cpu()


def rows(facts):
    return set(zip(facts.head.tolist(), facts.relation.tolist(), facts.tail.tolist(), strict=True))


@pytest.mark.parametrize("shared", [False, True], ids=["weights-a-query", "weights-of-all"])
def test_propagation_is_the_sum_over_facts_and_so_are_its_gradients(shared):
    facts = random_triples()
    states = torch.randn(30, 4, 8, requires_grad=True)
    weights = torch.randn(3, 1 if shared else 4, 8, requires_grad=True)
    up = torch.randn(30, 4, 8)
    for ours, plain in (
        (Propagation(facts), facts),
        (
            Propagation(facts).without(torch.tensor([3, 5])),
            facts.take(torch.tensor([i not in (3, 5) for i in range(len(facts))])),
        ),
    ):
        result, expected = ours(states, weights), PlainConv()(states, weights, plain)
        torch.testing.assert_close(result, expected)
        for found, wanted in zip(
            torch.autograd.grad(result, (states, weights), up),
            torch.autograd.grad(expected, (states, weights), up),
            strict=True,
        ):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_relations_meet_where_they_share_an_end():
    facts = triples([(0, 0, 1), (1, 1, 2), (3, 1, 2)])
    assert rows(relation_graph(facts)) == {
        (0, 0, 0), (1, 0, 1), (0, 1, 0), (1, 1, 1), (1, 2, 0), (0, 3, 1),
    }  # fmt: skip
    both = random_triples(facts=25).with_inverses()
    assert rows(relation_graph(both)) == rows(plain_relation_graph(both))


def test_scores_are_those_of_the_plain_model(shipped):
    facts = random_triples(facts=60)
    graph = PreparedGraph.of(facts)
    head, relation = torch.tensor([0, 7, 7, 29]), torch.tensor([0, 2, 5, 3])
    scores = shipped.scores(head, relation, graph)
    for query in range(4):
        expected = plain_scores(shipped, int(head[query]), int(relation[query]), facts)
        torch.testing.assert_close(scores[query], expected.detach(), rtol=1e-3, atol=1e-3)
    tails = torch.tensor([[1, 2], [3, 4], [5, 6], [7, 8]])
    with torch.inference_mode():
        torch.testing.assert_close(shipped(head, relation, graph, tails), scores.gather(1, tails))
        torch.testing.assert_close(shipped(head, relation, graph, tails[0]), scores[:, tails[0]])


def test_nodes_without_facts_and_a_single_relation_have_scores(shipped):
    graph = PreparedGraph.of(triples([(0, 0, 1), (1, 0, 2)], nodes=6))
    scores = shipped.scores(torch.tensor([0, 5]), torch.tensor([0, 1]), graph)
    assert torch.isfinite(scores).all()
    assert scores[0, 3] == scores[0, 4]


def test_a_score_is_explained_by_the_paths_to_it(shipped):
    # 0 -r0-> 1 -r1-> 2, and a side branch that leads nowhere
    facts = triples([(0, 0, 1), (1, 1, 2), (0, 0, 3), (3, 0, 4)])
    graph = PreparedGraph.of(facts)
    paths = explain(shipped, graph, 0, 0, 2, longest=3)
    assert [path.facts for path in paths] == [(0, 1)]
    back = explain(shipped, graph, 2, 0, 0, longest=3)
    assert [path.facts for path in back] == [(1 + 4, 0 + 4)]
    assert explain(shipped, PreparedGraph.of(triples([(0, 0, 1)], nodes=3)), 0, 0, 2) == []


def test_paths_are_simple_and_the_weightiest_first(shipped):
    facts = random_triples(nodes=12, facts=60)
    graph = PreparedGraph.of(facts)
    both = facts.with_inverses()
    paths = explain(shipped, graph, 0, 1, 5, paths=50)
    assert len(paths) > 5
    assert [path.weight for path in paths] == sorted((path.weight for path in paths), reverse=True)
    for path in paths:
        nodes = [0]
        for fact in path.facts:
            assert int(both.head[fact]) == nodes[-1]
            nodes.append(int(both.tail[fact]))
        assert nodes[-1] == 5
        assert len(set(nodes)) == len(nodes)


def test_memory_of_a_query_is_as_stated(shipped):
    graph = PreparedGraph.of(random_triples(nodes=20_000, facts=60_000))
    head, relation = torch.arange(4), torch.zeros(4, dtype=torch.int64)
    shipped.scores(head, relation, graph)
    with torch.profiler.profile(profile_memory=True) as profile:
        shipped.scores(head, relation, graph)
    held = peak = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    assert peak <= 4 * bytes_a_query(graph) * 1.1
    assert peak >= 4 * bytes_a_query(graph) * 0.5
