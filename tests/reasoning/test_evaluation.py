import numpy as np
import pytest

from reasoning.diagnosis.cases import Case
from reasoning.diagnosis.evaluation import cross_validate, evaluate, rank_of
from reasoning.diagnosis.ranking import DiagnosisModel, Ranking
from reasoning.diagnosis.training import Settings
from tests.reasoning.annotation_set import annotation_set, many_diseases
from tests.reasoning.test_ranking import FirstStage

KEYS = {"n", "n_unknown", "top1", "top3", "top10", "mrr", "ece", "ms_p50", "ms_p99"}


@pytest.fixture(scope="module")
def model():
    return DiagnosisModel(annotation_set(), FirstStage())


def test_keys_and_unknown_diseases(model):
    cases = [
        Case("a", ("OMIM:2",), ("HP:1000002", "HP:3000001"), (), publication="PMID:3"),
        Case("b", ("OMIM:6",), ("HP:1000002",), ()),  # no finding annotated
        Case("c", ("OMIM:404",), ("HP:1000002",), ()),
        Case("d", ("ORPHA:1",), ("HP:1000002",), ()),
    ]
    found = evaluate(model, cases)
    assert found.keys() == KEYS
    assert (found["n"], found["n_unknown"]) == (1, 3)
    assert (found["top1"], found["mrr"]) == (100, 1)
    assert evaluate(model, cases[1:])["n"] == 0


def test_the_own_publication_is_left_out(model):
    # OMIM:2 is known by its own publication alone.
    case = Case("a", ("OMIM:2",), ("HP:1000002", "HP:3000001"), (), publication="PMID:3")
    assert evaluate(model, [case])["top1"] == 100
    assert evaluate(model, [case], without_own_publication=True)["top1"] == 0
    other = Case("a", ("OMIM:2",), ("HP:1000002", "HP:3000001"), (), publication="PMID:1")
    assert evaluate(model, [other], without_own_publication=True)["top1"] == 100


def test_genes_of_the_case_are_not_used(model):
    case = Case("a", ("OMIM:2",), ("HP:1000003",), (), genes=("GENE:2",))
    assert evaluate(model, [case])["mrr"] == evaluate(model, [Case("a", ("OMIM:2",), ("HP:1000003",), ())])["mrr"]


def test_rank_is_the_middle_one_of_equals():
    ranking = Ranking(np.array([4, 2, 7]), np.array([1.0, 0.0, 0.0]), np.zeros(3), None)
    assert [rank_of(ranking, disease) for disease in (4, 2, 7, 9)] == [1, 2.5, 2.5, 4]


def test_cross_validation_judges_both_ways():
    annotations = many_diseases()
    rows = [annotations.rows_of(annotations.disease_index[f"OMIM:{disease}"]) for disease in range(100, 120)]
    cases = [
        Case(
            f"case:{at}",
            (f"OMIM:{100 + at}",),
            tuple(annotations.term_ids[term] for term in np.unique(of.term)),
            (),
            publication=f"PMID:{200 + 2 * at}",
        )
        for at, of in enumerate(rows)
    ]
    unknown = Case("unknown", ("OMIM:404",), (annotations.term_ids[0],), ())
    found = cross_validate(annotations, [*cases, unknown], settings=Settings(rounds=3, simulated=30, folds=3))
    for way in ("with_own_publication", "without_own_publication"):
        assert (found[way]["n"], found[way]["n_unknown"]) == (20, 1)
        assert found[way]["top1"] > 90
