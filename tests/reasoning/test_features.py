import numpy as np
import pytest

from reasoning.diagnosis.cases import Case
from reasoning.diagnosis.features import FEATURES, PARTS, features
from reasoning.diagnosis.scan import Findings, Index, Parameters, Scan, findings_of
from tests.reasoning.annotation_set import annotation_set, many_diseases


@pytest.fixture(scope="module")
def index():
    return Index(annotation_set(), Parameters())


def matrix(index, present=(), excluded=(), without=None, **known):
    annotations = index.annotations
    positions = [np.array(sorted(annotations.term_index[id_] for id_ in ids), np.int64) for ids in (present, excluded)]
    view = index.profiles.view(None if without is None else annotations.source_index[without])
    scan = Scan(index, view, Findings(*positions, **known))
    candidates = np.flatnonzero(index.has_finding)
    table = features(scan, candidates)
    return lambda disease, feature: float(
        table[np.searchsorted(candidates, annotations.disease_index[disease]), FEATURES.index(feature)]
    )


def test_every_feature_belongs_to_one_part():
    assert len(set(FEATURES)) == len(FEATURES) == sum(map(len, PARTS.values()))


def test_nothing_known_of_the_patient_gives_finite_features(index):
    scan = Scan(index, index.profiles.view(), Findings(np.zeros(0, np.int64), np.zeros(0, np.int64)))
    table = features(scan, np.flatnonzero(index.has_finding))
    unknown = {"onset_gap", "age_before_onset"}
    assert all(np.isfinite(table[:, at]).all() for at, name in enumerate(FEATURES) if name not in unknown)


def test_a_finding_that_was_looked_for_and_is_annotated(index):
    of = matrix(index, present=["HP:1000003"], excluded=["HP:3000001"])
    assert of("OMIM:2", "absent_hits") == 1
    assert of("OMIM:2", "absent_loss") < 0
    assert of("OMIM:1", "absent_hits") == 0  # it only excludes it...
    assert of("OMIM:1", "cohort_absent") == 1  # ...which its publication says, and the patient agrees


def test_present_findings_that_the_publication_excludes(index):
    of = matrix(index, present=["HP:1000003", "HP:3000001"])
    assert of("OMIM:1", "cohort_barred") == 1
    assert of("OMIM:2", "cohort_barred") == 0


def test_an_entry_of_another_catalogue_speaks_for_the_disease(index):
    of = matrix(index, present=["HP:3000001"])
    assert of("OMIM:1", "merged") > of("OMIM:1", "likelihood")
    assert of("OMIM:4", "merged") == pytest.approx(of("OMIM:4", "likelihood"), rel=1e-5)


def test_onset_against_the_rows(index):
    of = matrix(index, present=["HP:1000003"], onset_years=30.0, age_years=31.0)
    assert of("OMIM:1", "onset_gap") > 1  # congenital
    assert of("OMIM:2", "onset_gap") == pytest.approx(0, abs=0.1)  # adult
    assert np.isnan(of("OMIM:3", "onset_gap"))


def test_the_rows_of_a_source_left_out_are_not_seen(index):
    of = matrix(index, present=["HP:2000001"], onset_years=1.0, without="PMID:1")
    assert of("OMIM:3", "unmatched_share") == 1
    assert of("OMIM:3", "cohort_found") == 0
    assert np.isnan(of("OMIM:1", "onset_gap"))
    assert matrix(index, present=["HP:2000001"])("OMIM:3", "unmatched_share") == 0


def test_features_do_not_depend_on_the_order_of_diseases():
    annotations = many_diseases()
    index = Index(annotations, Parameters(candidates=5))
    rows = annotations.rows_of(annotations.disease_index["OMIM:105"])
    scan = Scan(index, index.profiles.view(), Findings(np.unique(rows.term)[:5], np.zeros(0, np.int64)))
    candidates = scan.candidates(index.has_finding)
    assert len(candidates) == 5
    assert annotations.disease_index["OMIM:105"] in candidates
    forward, backward = features(scan, candidates), features(scan, candidates[::-1])
    assert np.allclose(forward, backward[::-1], equal_nan=True)


def test_findings_of_a_case(index):
    annotations = index.annotations
    case = Case(
        "case",
        (),
        present=("HP:9999999", "HP:1000002", "HP:0003577", "HP:7777777"),
        excluded=("HP:1000003", "HP:2000001"),
    )
    found = findings_of(case, annotations)
    assert [annotations.term_ids[term] for term in found.present] == ["HP:1000002", "HP:1000003"]
    assert [annotations.term_ids[term] for term in found.excluded] == ["HP:2000001"]
