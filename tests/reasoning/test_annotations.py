import math

import numpy as np
import pytest

from kg.errors import InputError
from reasoning.diagnosis.annotations import slices, stated_frequency
from reasoning.diagnosis.cases import years
from tests.reasoning.annotation_set import IS_A, annotation_set


@pytest.fixture(scope="module")
def annotations():
    return annotation_set()


def names(annotations, terms):
    return {annotations.term_ids[term] for term in terms}


def test_ancestors_hold_the_term_itself_and_all_above(annotations):
    of = annotations.ancestors_of(annotations.term_index["HP:1000003"])
    assert names(annotations, of) == {"HP:1000003", "HP:1000001", "HP:1000000", "HP:0000118", "HP:0000001"}


def test_findings_are_what_lies_below_phenotypic_abnormality(annotations):
    found = names(annotations, np.flatnonzero(annotations.is_finding))
    assert "HP:1000003" in found
    assert found.isdisjoint({"HP:0000001", "HP:0001417", "HP:0003577"})


def test_an_obsolete_id_stands_for_its_replacement(annotations):
    assert annotations.term_index["HP:9999999"] == annotations.term_index["HP:1000003"]


def test_information_is_of_diseases_that_show_the_term_or_one_below_it(annotations):
    information = annotations.information
    # Six diseases have findings. HP:3000001 is shown by OMIM:2, OMIM:4 and ORPHA:1, and excluded by OMIM:1.
    assert information[annotations.term_index["HP:3000001"]] == pytest.approx(math.log(6 / 3))
    # HP:1000000 by OMIM:1, OMIM:2, OMIM:5 and ORPHA:1, through terms below it.
    assert information[annotations.term_index["HP:1000000"]] == pytest.approx(math.log(6 / 4))
    assert information[annotations.term_index["HP:0000118"]] == pytest.approx(0)


def test_rows_of_a_disease(annotations):
    rows = annotations.rows_of(annotations.disease_index["OMIM:2"])
    assert names(annotations, rows.term) == {"HP:1000002", "HP:3000001", "HP:0003581"}
    assert len(annotations.rows_of(annotations.disease_index["OMIM:6"])) == 0


def test_a_cycle_and_an_unknown_term_are_refused():
    with pytest.raises(InputError, match="cycle"):
        annotation_set(is_a=IS_A + "HP:1000000 HP:1000003\n")


def test_slices_of_csr_rows():
    at, owner = slices(np.array([0, 2, 2, 5]), np.array([2, 1, 0]))
    assert at.tolist() == [2, 3, 4, 0, 1]
    assert owner.tolist() == [0, 0, 0, 2, 2]


@pytest.mark.parametrize(
    ("qualifiers", "expected"),
    [
        ({"frequency_numerator": 3, "frequency_denominator": 7}, (3, 7, None, False)),
        ({"frequency_percent": 45.0}, (0, 0, 0.45, False)),
        ({"frequency_term": "HP:0040283"}, (0, 0, 0.17, False)),
        ({"frequency_term": "HP:0040285"}, (0, 0, 0.0, True)),
        ({}, (0, 0, None, False)),
    ],
)
def test_frequency_in_its_three_notations(qualifiers, expected):
    numerator, denominator, share, excluded = stated_frequency(qualifiers, excluded=False)
    assert (numerator, denominator, None if math.isnan(share) else share, excluded) == expected


@pytest.mark.parametrize(("text", "expected"), [("P2Y6M", 2.5), ("P14D", 14 / 365.25), ("P1Y", 1.0), ("PT12H", 0.0)])
def test_years_of_a_duration(text, expected):
    assert years(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "P", "two years", "2Y"])
def test_what_is_no_duration_is_unknown(text):
    assert math.isnan(years(text))
