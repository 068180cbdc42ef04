import numpy as np
import pytest

from benchmarks.diagnosis_links import LinkFeatures, interval
from reasoning.diagnosis.features import FEATURES
from reasoning.diagnosis.scan import Findings, Index, Parameters, Scan
from tests.reasoning.annotation_set import many_diseases


@pytest.fixture(scope="module")
def index():
    return Index(many_diseases(), Parameters())


def test_a_disease_is_likest_to_who_has_its_findings(index):
    links = LinkFeatures(index)
    candidates = np.flatnonzero(index.has_finding)
    for disease in candidates[::8]:
        view = index.profiles.view()
        own, _ = view.exact_of_diseases(np.array([disease]))
        present = np.sort(own.term)
        table = links(Scan(index, view, Findings(present, present[:0])), candidates)
        assert table.shape == (len(candidates), len(FEATURES) + len(links.names))
        assert np.isfinite(table[:, len(FEATURES) :]).all()
        embedding = table[:, len(FEATURES)]
        assert candidates[embedding.argmax()] == disease
        assert embedding.max() == pytest.approx(1, abs=0.15)


def test_without_a_publication_what_another_one_says_counts_as_before(index):
    links = LinkFeatures(index)
    disease = int(np.flatnonzero(index.has_finding)[0])
    rows = index.annotations.rows_of(disease)
    source = int(rows.source[0])
    view = index.profiles.view(source)
    assert disease in view.touched
    present = np.sort(np.unique(rows.term))
    scan = Scan(index, view, Findings(present, present[:0]))
    own, _ = view.exact_of_diseases(np.array([disease]))
    [before, without] = [
        links(Scan(index, of, scan.findings), np.array([disease]))[0, len(FEATURES)]
        for of in (index.profiles.view(), view)
    ]
    assert len(own.term) == len(present)  # the other publication says them, too
    assert without == pytest.approx(before, abs=1e-5)


def test_the_interval_is_by_disease():
    mean, low, high = interval(np.array([1.0, 1.0, 0.0, 0.0]), np.array([1, 1, 2, 2]))
    assert (mean, low, high) == (0.5, 0.0, 1.0)
