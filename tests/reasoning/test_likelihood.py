import numpy as np
import pytest

from reasoning.diagnosis.likelihood import LikelihoodParameters, closure, likelihood_ratios
from reasoning.diagnosis.profiles import Profiles, Smoothing
from tests.reasoning.annotation_set import annotation_set

PARAMETERS = LikelihoodParameters(noise=0.1, below=0.3, above=0.1, common=0.3)


@pytest.fixture(scope="module")
def annotations():
    return annotation_set()


@pytest.fixture(scope="module")
def profiles(annotations):
    return Profiles(annotations, Smoothing())


def ratio(annotations, profiles, finding, disease):
    term = np.array([annotations.term_index[finding]])
    view = profiles.view()
    logs = likelihood_ratios(view, term, closure(view, term, 0.3), PARAMETERS)
    return float(np.exp(logs[0, annotations.disease_index[disease]]))


def test_exact_match(annotations, profiles):
    term = annotations.term_index["HP:1000003"]
    cells, _ = profiles.view().exact_of_terms(np.array([term]))
    frequency = cells.frequency[cells.doc == annotations.disease_index["OMIM:1"]][0]
    expected = 0.1 + 0.9 * frequency / profiles.background[term]
    assert ratio(annotations, profiles, "HP:1000003", "OMIM:1") == pytest.approx(expected, rel=1e-5)


def test_a_more_specific_annotation_is_discounted(annotations, profiles):
    term = annotations.term_index["HP:1000001"]  # OMIM:1 has HP:1000003 below it
    diseases, frequency = profiles.view().carried_of_term(term)
    own = frequency[diseases == annotations.disease_index["OMIM:1"]][0]
    expected = 0.1 + 0.9 * 0.3 * own / profiles.background[term]
    assert ratio(annotations, profiles, "HP:1000001", "OMIM:1") == pytest.approx(expected, rel=1e-5)


def test_what_both_have_in_common_is_discounted_more(annotations, profiles):
    above = annotations.term_index["HP:1000000"]  # above HP:1000003 and OMIM:5's HP:1000002
    diseases, frequency = profiles.view().carried_of_term(above)
    own = frequency[diseases == annotations.disease_index["OMIM:5"]][0]
    expected = 0.1 + 0.9 * 0.1 * own / profiles.background[above]
    assert ratio(annotations, profiles, "HP:1000003", "OMIM:5") == pytest.approx(expected, rel=1e-5)


def test_nothing_in_common_is_noise(annotations, profiles):
    assert ratio(annotations, profiles, "HP:1000003", "OMIM:4") == pytest.approx(0.1, rel=1e-5)
    assert ratio(annotations, profiles, "HP:1000003", "OMIM:6") == pytest.approx(0.1, rel=1e-5)
