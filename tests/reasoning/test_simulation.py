import numpy as np
import pytest

from reasoning.diagnosis.scan import Index, Parameters
from reasoning.diagnosis.simulation import Simulation, simulate
from tests.reasoning.annotation_set import annotation_set, many_diseases

PLAIN = Simulation(overlooked=0.0, reticent=0.0, extra=0.0, imprecise=0.0)


@pytest.fixture(scope="module")
def index():
    return Index(many_diseases(), Parameters())


def rows_of(index, patient):
    rows = index.annotations.rows_of(patient.disease)
    return rows.select(rows.source == patient.source)


def test_the_same_seed_gives_the_same_patients(index):
    one, other = (list(simulate(index, 50, 5)) for _ in range(2))
    assert len(one) > 40
    assert all(np.array_equal(a.findings.present, b.findings.present) for a, b in zip(one, other, strict=True))
    different = list(simulate(index, 50, 6))
    assert [p.disease for p in one] != [p.disease for p in different]


def test_findings_are_those_of_the_publication_and_as_frequent(index):
    told: dict[tuple[int, int], list[bool]] = {}
    for patient in simulate(index, 4000, 1, PLAIN):
        rows = rows_of(index, patient)
        assert set(patient.findings.present) <= set(rows.term)
        assert set(patient.findings.excluded) == set(rows.term) - set(patient.findings.present)
        for term, share in zip(rows.term, rows.numerator / rows.denominator, strict=True):
            told.setdefault((0, round(share * 6)), []).append(term in patient.findings.present)
    for (_, had), found in told.items():
        assert np.mean(found) == pytest.approx(had / 6, abs=0.03)


def test_what_few_were_looked_at_for_is_seldom_told():
    rows = "\n".join(f"OMIM:1 HP:{id_} PMID:1 P {n}/{m}" for id_, n, m in
                     [(1000002, 10, 10), (2000001, 9, 10), (2000002, 10, 10), (3000001, 2, 2)])  # fmt: skip
    index = Index(annotation_set(rows), Parameters())
    rare = index.annotations.term_index["HP:3000001"]
    told = [rare in patient.findings.present for patient in simulate(index, 2000, 1, PLAIN)]
    assert np.mean(told) == pytest.approx(0.2, abs=0.03)


def test_reticent_patients_exclude_nothing(index):
    silent = Simulation(reticent=1.0)
    assert not any(len(patient.findings.excluded) for patient in simulate(index, 100, 1, silent))


def test_extra_findings_are_of_other_diseases(index):
    noisy = Simulation(extra=1.0, imprecise=0.0)
    outside = [
        len(set(patient.findings.present) - set(rows_of(index, patient).term))
        for patient in simulate(index, 300, 1, noisy)
    ]
    assert np.mean(outside) > 2


def test_nothing_is_drawn_without_counts():
    assert list(simulate(Index(annotation_set("OMIM:1 HP:1000003 OMIM:1 P"), Parameters()), 10, 1)) == []
