import numpy as np
import pytest

from reasoning.diagnosis.profiles import Profiles, Smoothing
from tests.reasoning.annotation_set import ROWS, annotation_set

SMOOTHING = Smoothing(weight=2.0, prior=0.5, share_weight=10.0)


@pytest.fixture(scope="module")
def annotations():
    return annotation_set()


@pytest.fixture(scope="module")
def profiles(annotations):
    return Profiles(annotations, SMOOTHING)


def frequencies(annotations, cells):
    return {annotations.term_ids[term]: f for term, f in zip(cells.term, cells.frequency, strict=True)}


def exact(annotations, view, disease):
    cells, _ = view.exact_of_diseases(np.array([annotations.disease_index[disease]]))
    return frequencies(annotations, cells)


def test_frequency_is_pooled_over_sources_and_smoothed(annotations, profiles):
    found = exact(annotations, profiles.view(), "OMIM:1")
    assert found["HP:1000003"] == pytest.approx((9 + 1 + 2 * 0.5) / (10 + 2 + 2))
    assert found["HP:2000002"] == pytest.approx(0.5)
    assert "HP:3000001" not in found  # only excluded


def test_a_share_counts_as_ten_patients(annotations, profiles):
    assert exact(annotations, profiles.view(), "OMIM:4")["HP:3000001"] == pytest.approx((5 + 1) / (10 + 2))


def test_a_term_is_carried_up_with_the_most_frequent_one_below(annotations, profiles):
    cells, _ = profiles.view().carried_of_diseases(np.array([annotations.disease_index["OMIM:1"]]))
    carried = frequencies(annotations, cells)
    assert carried["HP:2000000"] == pytest.approx(max(carried["HP:2000001"], carried["HP:2000002"]))
    assert carried["HP:0000118"] == max(carried.values())


def test_cohorts_keep_what_was_looked_for_in_vain(annotations, profiles):
    cells, _ = profiles.view().cohorts_of_terms(np.array([annotations.term_index["HP:3000001"]]))
    diseases = profiles.cohort_disease[cells.doc]
    own = cells.select(diseases == annotations.disease_index["OMIM:1"])
    assert own.sources.tolist() == [0]
    assert own.patients.tolist() == [10]


@pytest.mark.parametrize("source", ["PMID:1", "PMID:2", "OMIM:1"])
def test_a_view_without_a_source_equals_annotations_that_never_had_it(annotations, profiles, source):
    view = profiles.view(annotations.source_index[source])
    rest = "\n".join(line for line in ROWS.strip().splitlines() if line.split()[2] != source)
    other = annotation_set(rest)
    expected = Profiles(other, SMOOTHING).view()
    for disease in annotations.disease_ids:
        assert exact(annotations, view, disease) == pytest.approx(exact(other, expected, disease))
    for id_, term in annotations.term_index.items():
        diseases, frequency = view.carried_of_term(term)
        found = {annotations.disease_ids[d]: f for d, f in zip(diseases, frequency, strict=True)}
        diseases, frequency = expected.carried_of_term(other.term_index[id_])
        assert found == pytest.approx({other.disease_ids[d]: f for d, f in zip(diseases, frequency, strict=True)})
