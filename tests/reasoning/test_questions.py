from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reasoning.diagnosis.diagnose import Reasoner
from reasoning.diagnosis.query import Query
from reasoning.diagnosis.questions import next_questions
from reasoning.diagnosis.scan import Findings
from tests.api.samples import write_sample
from tests.reasoning.graph import reasoner_of, snapshot_of, store_of


@pytest.fixture
def reasoner(tmp_path: Path) -> Reasoner:
    return reasoner_of(snapshot_of(store_of(write_sample(tmp_path / "hpo")), tmp_path / "cache"))


def _entropy(share: np.ndarray) -> float:
    share = share[share > 0]
    return float(-(share * np.log2(share)).sum())


def test_information_is_the_expected_fall_of_entropy(reasoner: Reasoner) -> None:
    index = reasoner.model.index
    annotations, profiles = reasoner.annotations, index.profiles
    diseases, probability = np.array([0, 2, 3]), np.array([0.5, 0.3, 0.1])
    findings = Findings(np.array([], np.int64), np.array([], np.int64))
    questions = next_questions(index, diseases, probability, findings, 10)
    assert questions
    assert [q.information for q in questions] == sorted((q.information for q in questions), reverse=True)
    noise = index.parameters.likelihood.noise
    prior = np.append(probability, 0.1)
    for question in questions:
        term = annotations.term_index[question.id]
        background = profiles.background[term]
        frequency = np.zeros(len(annotations.disease_ids))
        for disease, share in zip(*profiles.carried.of_term(term), strict=True):
            frequency[disease] = share
        has = np.append(noise * background + (1 - noise) * frequency[diseases], background)
        yes = float((prior * has).sum())
        after_yes, after_no = prior * has / yes, prior * (1 - has) / (1 - yes)
        expected = _entropy(prior) - yes * _entropy(after_yes) - (1 - yes) * _entropy(after_no)
        assert question.information == pytest.approx(expected, abs=1e-3)
        assert question.yes == pytest.approx(yes, abs=1e-3)
        best = int(diseases[np.argmax(after_yes[:-1])])
        assert question.if_yes.id == annotations.disease_ids[best]
        assert question.if_yes.probability == pytest.approx(after_yes[:-1].max(), abs=1e-3)


def test_what_is_known_is_not_asked(reasoner: Reasoner) -> None:
    annotations = reasoner.annotations
    for present, excluded in (("HP:0020219", "HP:0001627"), ("HP:0001251", "HP:0001250")):
        answer = reasoner.diagnose(Query(present=(present,), excluded=(excluded,)))
        asked = [annotations.term_index[q.id] for q in answer.next_questions]
        assert asked
        known = annotations.ancestors_of(annotations.term_index[present])
        assert not set(asked) & set(known.tolist())
        barred = annotations.term_index[excluded]
        assert not [term for term in asked if barred in annotations.ancestors_of(term)]
        for one in asked:
            assert not [other for other in asked if other != one and one in annotations.ancestors_of(other)]


def test_the_answer_that_is_asked_for_settles_it(reasoner: Reasoner) -> None:
    answer = reasoner.diagnose(Query(present=("HP:0001263",)))
    assert {result.id for result in answer.results[:2]} == {"OMIM:100001", "OMIM:100003"}
    best = answer.next_questions[0]
    told = reasoner.diagnose(Query(present=("HP:0001263", best.id)))
    assert told.results[0].id == best.if_yes.id
    assert told.results[0].probability > answer.results[0].probability
