import pytest
import torch
from scipy.sparse import csr_matrix

from encoders.graph.neighbours import FactVectors, Neighbours, most_alike
from encoders.graph.predictor import load_predictor
from encoders.graph.triples import join
from encoders.graph.ways import WAYS, Question
from kg.errors import InputError
from tests.encoders.graphs import triples

HAS, CAUSES = 0, 1
# diseases 0–3, findings 4–7, genes 8–9; relations: disease has finding, gene causes disease
HAVE = [(0, HAS, 4), (0, HAS, 5), (1, HAS, 4), (1, HAS, 5), (2, HAS, 4), (2, HAS, 6), (3, HAS, 7)]
FACTS = triples([*HAVE, (8, CAUSES, 1), (9, CAUSES, 2)])
CAUSED_BY = CAUSES + 2
NAMES = ["palsy 1", "drop foot", "ataxia", "palsy 2", "a", "b", "c", "d", "G1", "G2"]


@pytest.fixture
def question():
    return Question(CAUSED_BY, torch.tensor([8, 9]), NAMES, None)


def test_neighbours_vote_by_their_likeness_and_a_path_is_a_voter_and_what_it_shares(question):
    way = WAYS["neighbours"](FACTS, question)
    [scores] = way.scores(torch.tensor([0])).tolist()
    assert scores[0] > scores[1] > 0
    assert sum(scores) == pytest.approx(1.0)
    assert way.paths(0, 8, 3) == [((HAS, 5), (HAS + 2, 1), (CAUSED_BY, 8))]
    assert way.paths(0, 9, 3) == [((HAS, 4), (HAS + 2, 2), (CAUSED_BY, 9))]
    assert way.paths(0, 9, 0) == []


def test_where_nobody_is_alike_nothing_is_predicted(question):
    scores = WAYS["neighbours"](FACTS, question).scores(torch.tensor([3]))
    assert scores.tolist() == [[-torch.inf, -torch.inf]]


def test_voters_by_names_have_no_paths(question):
    facts = triples([(0, HAS, 4), (3, HAS, 7), (8, CAUSES, 3)], 10, 2)
    way = WAYS["neighbours"](facts, question)
    assert way.scores(torch.tensor([0])).tolist() == [[1.0, -torch.inf]]
    assert way.paths(0, 8, 3) == []


def test_a_graph_may_have_one_relation_and_nodes_without_facts():
    facts = triples([(0, 0, 4), (1, 0, 4), (1, 0, 5), (2, 0, 6)], 8, 1)
    asked = Question(0, torch.tensor([4, 5, 6, 7]), [f"n{at}" for at in range(8)], load_predictor().cpu())
    for by in ("neighbours", "ultra"):
        scores = WAYS[by](facts, asked).scores(torch.tensor([0, 3]))
        assert not scores.isnan().any()
        assert scores[0, 1] > scores[0, 2]


def test_voters_are_those_who_have_the_tail():
    vectors = FactVectors.of(FACTS)
    by_facts = Neighbours(vectors.vectors, FACTS, k=2)
    [(voter, vote)] = by_facts.voters(0, CAUSED_BY, 8)
    assert voter == 1
    assert vote == pytest.approx(float(by_facts(torch.tensor([0]), torch.tensor([CAUSED_BY]))[0, 8]))
    assert Neighbours(vectors.vectors, FACTS, k=1).voters(0, CAUSED_BY, 9) == []


def test_the_most_alike_are_others_and_as_many_as_asked():
    vectors = csr_matrix([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [0.6, 0.8]])
    assert most_alike(vectors, 1).toarray().round(2).tolist() == [
        [0.0, 0.8, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.96],
        [0.0, 0.0, 0.0, 0.8],
        [0.0, 0.96, 0.0, 0.0],
    ]
    assert most_alike(vectors, 9).toarray().round(2)[0].tolist() == [0.0, 0.8, 0.0, 0.6]


def test_what_is_joined_is_the_same_after_it_is_recalled(question):
    draw = torch.Generator().manual_seed(0)
    # the gene of a disease is that of the first of its two findings
    findings = torch.stack([torch.randperm(4, generator=draw)[:2] for _ in range(40)]) + 40
    rows = [(at, HAS, int(f)) for at, pair in enumerate(findings) for f in pair]
    links = [(int(44 + pair[0] % 4), CAUSES, at) for at, pair in enumerate(findings)]
    seen, hidden = triples(rows + links[:20], 48, 2), triples(links[20:], 48, 2).inverted()
    asked = Question(CAUSED_BY, torch.arange(44, 48), [f"n{at}" for at in range(48)], None)
    taught = WAYS["joined"](seen, asked)
    known = join([seen.with_inverses(), hidden])
    learned = taught.learn(hidden, known, 0)
    other = WAYS["joined"](seen, asked)
    other.recall(learned)
    heads = torch.arange(20, 40)
    assert torch.equal(taught.scores(heads), other.scores(heads))
    assert taught.learn(hidden, known, 0) == learned
    with pytest.raises(InputError, match="by: 5 are fewer than 20 hidden facts to learn from; predict by neighbours"):
        taught.learn(hidden.take(torch.arange(5)), known, 0)
