import numpy as np
import pytest

from reasoning.diagnosis.features import FEATURES
from reasoning.diagnosis.ranking import Calibration, DiagnosisModel, Ranker
from reasoning.diagnosis.scan import Findings, Parameters
from tests.reasoning.annotation_set import annotation_set, many_diseases


class FirstStage(Ranker):
    """Ranks as the first stage does."""

    def __init__(self):
        self.calibration = Calibration(temperature=2.0, none=0.0)
        self.card = {}

    def score(self, matrix):
        return matrix[:, FEATURES.index("first_stage_gap")].astype(np.float64)


@pytest.fixture(scope="module")
def model():
    return DiagnosisModel(annotation_set(), FirstStage())


def query(model, *present, **known):
    at = model.annotations.term_index
    return Findings(np.array(sorted(at[id_] for id_ in present), np.int64), np.zeros(0, np.int64), **known)


def names(model, ranking):
    return [model.annotations.disease_ids[disease] for disease in ranking.candidates]


def test_all_diseases_with_findings_are_ranked_once(model):
    ranking = model.rank(query(model, "HP:1000003"))
    assert sorted(names(model, ranking)) == ["OMIM:1", "OMIM:2", "OMIM:3", "OMIM:4", "OMIM:5", "ORPHA:1"]
    assert names(model, ranking)[0] in ("OMIM:1", "ORPHA:1")
    assert (np.diff(ranking.score) <= 0).all()
    assert 0 < ranking.probability.sum() < 1


def test_one_catalogue(model):
    ranking = model.rank(query(model, "HP:1000003"), catalogue="OMIM")
    assert names(model, ranking)[0] == "OMIM:1"
    assert all(id_.startswith("OMIM:") for id_ in names(model, ranking))


def test_without_a_source(model):
    source = model.annotations.source_index
    findings = query(model, "HP:2000001", "HP:2000002")
    assert names(model, model.rank(findings))[0] == "OMIM:3"
    assert names(model, model.rank(findings, without=source["OMIM:3"], catalogue="OMIM"))[0] == "OMIM:1"


def test_those_left_behind_follow_by_likelihood():
    model = DiagnosisModel(many_diseases(), FirstStage(), Parameters(candidates=5))
    rows = model.annotations.rows_of(model.annotations.disease_index["OMIM:105"])
    ranking = model.rank(Findings(np.unique(rows.term), np.zeros(0, np.int64)))
    assert names(model, ranking)[0] == "OMIM:105"
    assert len(ranking.candidates) == 40
    assert (ranking.probability > 0).sum() == 5
    assert (np.diff(ranking.score) <= 0).all()
    assert (np.diff(ranking.scan.likelihood[ranking.candidates[5:]]) <= 0).all()


def test_genes_outweigh_a_missing_finding(model):
    findings = query(model, "HP:1000003")
    assert names(model, model.rank(findings, catalogue="OMIM"))[0] == "OMIM:1"
    named = query(model, "HP:1000003", genes=("GENE:2",))
    found = model.rank(named, catalogue="OMIM")
    before = model.rank(findings, catalogue="OMIM")
    at = model.annotations.disease_index["OMIM:2"]
    assert found.probability[found.candidates == at] > before.probability[before.candidates == at]


def test_another_mode_of_inheritance_speaks_against(model):
    dominant = np.array([model.annotations.term_index["HP:0000005"]])
    linked = np.array([model.annotations.term_index["HP:0001417"]])
    for stated in (dominant, linked):  # above it, and itself
        same = model.rank(query(model, "HP:1000003", inheritance=stated))
        assert np.allclose(same.probability, model.rank(query(model, "HP:1000003")).probability)
    other = np.array([model.annotations.term_index["HP:0003577"]])
    differs = model.rank(query(model, "HP:1000003", inheritance=other), catalogue="OMIM")
    plain = model.rank(query(model, "HP:1000003"), catalogue="OMIM")
    at = model.annotations.disease_index["OMIM:1"]
    assert differs.probability[differs.candidates == at] < plain.probability[plain.candidates == at]


def test_a_patient_of_whom_nothing_is_known_is_answered(model):
    ranking = model.rank(query(model))
    assert len(ranking.candidates) == 6
    assert np.isfinite(ranking.score).all()


def test_the_shipped_ranker_loads_and_says_where_it_comes_from():
    ranker = Ranker.load()
    assert 0 < ranker.calibration.threshold < 1
    assert ranker.card["with_own_publication"]["top1"] > 50
    assert ranker.card["without_own_publication"]["top1"] > 35
    assert {"data", "metric", "seed", "versions", "features"} <= ranker.card.keys()
