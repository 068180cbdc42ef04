import json

import pytest
import torch
from torch_geometric.nn import kge

from api.cli import main
from encoders.graph.factorisation import (
    MODELS,
    ComplEx,
    FactorisationSettings,
    RotatE,
    fit_factorisation,
    hold_out,
)
from encoders.graph.ranking import RankMetrics, filtered_ranks
from kg.errors import InputError
from tests.encoders.graphs import random_triples, triples


def parts(embedding):
    return embedding.weight.data.unflatten(1, (-1, 2)).unbind(-1)


@pytest.mark.parametrize(("ours", "theirs"), [(ComplEx, kge.ComplEx), (RotatE, kge.RotatE)])
def test_scores_are_those_of_torch_geometric(ours, theirs):
    torch.manual_seed(0)
    model, other = ours(7, 3, 4), theirs(7, 6, 4)
    torch.nn.init.normal_(model.nodes.weight)
    torch.nn.init.normal_(model.relations.weight)
    other.node_emb.weight.data, other.node_emb_im.weight.data = parts(model.nodes)
    if ours is ComplEx:
        other.rel_emb.weight.data, other.rel_emb_im.weight.data = parts(model.relations)
    else:
        other.rel_emb.weight.data, other.margin = model.relations.weight.data, 0
    head, relation = torch.tensor([0, 6, 3]), torch.tensor([2, 5, 0])
    expected = [other(head, relation, torch.full((3,), tail)) for tail in range(7)]
    torch.testing.assert_close(model(head, relation), torch.stack(expected, 1))


def test_n3_is_the_sum_of_cubed_moduli():
    model = ComplEx(2, 1, 1)
    model.nodes.weight.data = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    model.relations.weight.data = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    one, two = torch.tensor([0]), torch.tensor([0, 0])
    assert model.penalty(one, one, one + 1).item() == pytest.approx(125 + 8 + 1)
    assert model.penalty(two, two, torch.tensor([1, 0])).item() == pytest.approx(125 + 8 + (1 + 125) / 2)


def pairs():
    """Relation 1 says backwards what relation 0 says, but for the pairs that are to be found."""
    draw = torch.Generator().manual_seed(0)
    heads, tails = torch.randint(40, (2, 160), generator=draw)
    rows = sorted({(h, t) for h, t in zip(heads.tolist(), tails.tolist(), strict=True) if h != t})
    backwards = [(t, 1, h) for h, t in rows]
    return triples([(h, 0, t) for h, t in rows] + backwards[15:], 40, 2), triples(backwards[:15], 40, 2)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns_the_graph_and_the_same_seed_gives_the_same(name):
    graph, hidden = pairs()
    settings = FactorisationSettings(width=32, epochs=40, batch=32, penalty=0.01, patience=40)
    epochs = []
    score = fit_factorisation(name, graph, settings, report=epochs.append)
    found = RankMetrics.of(filtered_ranks(score, hidden, [graph], batch=8))
    assert found.mrr > 0.5  # by chance 0.1
    assert epochs[-1].loss < epochs[0].loss
    assert epochs[-1].best == max(epoch.mrr for epoch in epochs)
    head, relation = hidden.head, hidden.relation
    again = fit_factorisation(name, graph, settings)
    torch.testing.assert_close(again(head, relation), score(head, relation), rtol=0, atol=0)


def test_the_best_epoch_is_kept_and_training_ends_after_worse_ones():
    graph = random_triples(facts=200)
    seen = []
    settings = FactorisationSettings(width=16, epochs=200, batch=16, patience=2, penalty=0)
    score = fit_factorisation("complex", graph, settings, report=seen.append)
    assert len(seen) < 200
    assert [epoch.mrr < seen[-1].best for epoch in seen[-2:]] == [True, True]
    kept, held_out = hold_out(graph, settings.seed)
    assert RankMetrics.of(filtered_ranks(score, held_out, [kept], batch=64)).mrr == pytest.approx(seen[-1].best)


def test_what_is_held_out_is_a_tenth_and_not_in_the_graph():
    facts = random_triples(nodes=200, facts=300)
    graph, held_out = hold_out(facts, 3)
    assert len(held_out) == len(facts) // 10
    assert len(graph) + len(held_out) == len(facts)
    assert not torch.isin(held_out.keys(), graph.keys()).any()
    with pytest.raises(InputError, match="graph: 4 facts are too few"):
        hold_out(facts.take(torch.arange(4)), 3)


@pytest.mark.parametrize("by", ["complex", "rotate", "degree"])
def test_the_command_ranks_by_it(by, tmp_path, capsys):
    graph, hidden = pairs()
    for name, facts in (("graph", graph), ("test", hidden)):
        rows = zip(facts.head.tolist(), facts.relation.tolist(), facts.tail.tolist(), strict=True)
        (tmp_path / name).write_text("".join(f"n{h}\tr{r}\tn{t}\n" for h, r, t in rows))
    files = ["--graph", str(tmp_path / "graph"), "--test", str(tmp_path / "test")]
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "links", *files, "--by", by, "--json"])
    assert end.value.code == 0
    assert json.loads(capsys.readouterr().out)["n"] == 30
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "links", *files, "--by", by, "--weights", "w.safetensors"])
    assert end.value.code != 0
    assert "weights" in capsys.readouterr().err
