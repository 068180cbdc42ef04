import numpy as np
import pytest

from reasoning.diagnosis.relatives import same_disease, same_gene, same_series, series, words
from tests.reasoning.annotation_set import annotation_set


@pytest.fixture(scope="module")
def annotations():
    return annotation_set()


def others(annotations, neighbours, disease):
    at = annotations.disease_index[disease]
    return {annotations.disease_ids[o] for o in neighbours.others[neighbours.start[at] : neighbours.start[at + 1]]}


def test_words_make_roman_numerals_digits():
    assert words("Usher syndrome, type IIa's") == ("usher", "syndrome", "type", "iia")
    assert words("Alport syndrome II") == ("alport", "syndrome", "2")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Developmental and epileptic encephalopathy 96", "developmental and epileptic encephalopathy"),
        ("Bardet-Biedl syndrome 10", "bardet biedl syndrome"),
        ("Usher syndrome, type IIA", "usher syndrome"),
        ("Kabuki syndrome", ""),
    ],
)
def test_series_is_the_name_without_its_number(name, expected):
    assert series(name) == expected


def test_relatives_by_gene_and_series(annotations):
    assert others(annotations, same_gene(annotations), "OMIM:1") == {"OMIM:3", "ORPHA:1"}
    assert "OMIM:2" in others(annotations, same_series(annotations), "OMIM:1")
    assert others(annotations, same_series(annotations), "OMIM:3") == set()


def test_the_entry_in_another_catalogue_is_found_by_name_and_gene(annotations):
    same = same_disease(annotations)
    assert others(annotations, same, "OMIM:1") == {"ORPHA:1"}
    assert others(annotations, same, "ORPHA:1") == {"OMIM:1"}
    assert others(annotations, same, "OMIM:2") == set()


def test_best_of_the_others(annotations):
    gene = same_gene(annotations)
    scores = np.arange(len(annotations.disease_ids), dtype=np.float64)
    best = gene.best(scores, -7.0)
    assert best[annotations.disease_index["OMIM:1"]] == annotations.disease_index["ORPHA:1"]
    assert best[annotations.disease_index["OMIM:4"]] == -7.0
