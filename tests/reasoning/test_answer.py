from __future__ import annotations

from dataclasses import replace

import pytest

from reasoning.diagnosis.answer import Answer
from reasoning.diagnosis.diagnose import Reasoner
from reasoning.diagnosis.evidence import ClaimCited, reported
from reasoning.diagnosis.likelihood import LikelihoodParameters
from reasoning.diagnosis.query import Query
from reasoning.diagnosis.ranking import DiagnosisModel
from reasoning.diagnosis.scan import Parameters
from reasoning.diagnosis.write import citation_problems, percent
from tests.api.samples import write_sample
from tests.reasoning.graph import reasoner_of, snapshot_of, store_of


@pytest.fixture(scope="module")
def reasoner(tmp_path_factory: pytest.TempPathFactory) -> Reasoner:
    folder = tmp_path_factory.mktemp("graph")
    return reasoner_of(snapshot_of(store_of(write_sample(folder / "hpo")), folder / "cache"))


QUERIES = [
    Query(present=("HP:0020219", "HP:0001251")),
    Query(present=("HP:0001250", "HP:0001166"), excluded=("HP:0001263",), genes=("AARS1",)),
    Query(present=("HP:0001627",), inheritance=("HP:0000006",)),
    Query(excluded=("HP:0001250",)),
    Query(genes=("AARS1",)),
]


@pytest.mark.parametrize("query", QUERIES)
def test_citations_hold(reasoner: Reasoner, query: Query) -> None:
    answer = reasoner.diagnose(query)
    assert citation_problems(answer) == []
    snapshot = reasoner.snapshot
    for evidence in answer.evidence:
        subject, object_ = snapshot.index(evidence.subject), snapshot.index(evidence.object)
        [fact] = [f for f in snapshot.out(subject, evidence.relation).tolist() if snapshot.object(f) == object_]
        assert evidence.belief == pytest.approx(snapshot.belief(fact), abs=1e-4)
        assert [(c.source, c.confidence) for c in evidence.claims] == [
            (c.source, c.confidence) for c in snapshot.claims(fact)
        ]


def test_the_text_says_what_fits_and_what_does_not(reasoner: Reasoner) -> None:
    query = Query(present=("HP:0001250", "HP:0001251", "HP:0001263"))
    loosely = "it explains Seizure (HP:0001250) only loosely, by Motor seizure (HP:0020219) (9 of 10 patients)"
    assert loosely in reasoner.diagnose(query).text
    trusting = Parameters(likelihood=LikelihoodParameters(below=0.9))
    model = DiagnosisModel(reasoner.annotations, reasoner.model.ranker, trusting)
    fits = "Motor seizure (HP:0020219), a kind of Seizure (HP:0001250), is a finding of OMIM:100001 (9 of 10 patients)"
    assert fits in Reasoner(reasoner.snapshot, model).diagnose(query).text
    top = reasoner.diagnose(Query(present=("HP:0020219", "HP:0001631"), excluded=("HP:0001251",)))
    assert top.results[0].id == "OMIM:100001"
    assert "Against OMIM:100001: Ataxia (HP:0001251) was excluded, and is one of its findings (4 of 10 patients)" in (
        top.text
    )
    assert "No annotation of OMIM:100001 explains Atrial septal defect (HP:0001631)." in top.text


def _break(answer: Answer, kind: str) -> Answer:
    first, *rest = answer.evidence
    if kind == "unlisted":
        return replace(answer, evidence=rest)
    if kind == "no claims":
        return replace(answer, evidence=[replace(first, claims=[]), *rest])
    if kind == "about another":
        return replace(answer, evidence=[replace(first, subject="OMIM:1", object="HP:0000001"), *rest])
    if kind == "no citation":
        return replace(answer, text=answer.text.replace("[1]", ""))
    if kind == "other count":
        return replace(answer, text=answer.text.replace("9 of 10 patients", "10 of 10 patients"))
    return replace(answer, results=[replace(answer.results[0], id="OMIM:1"), *answer.results[1:]])


@pytest.mark.parametrize(
    "kind", ["unlisted", "no claims", "about another", "no citation", "other count", "another disease"]
)
def test_a_citation_that_does_not_hold_is_found(reasoner: Reasoner, kind: str) -> None:
    answer = reasoner.diagnose(Query(present=("HP:0020219",)))
    assert citation_problems(answer) == []
    assert citation_problems(_break(answer, kind))


def _claim(source: str, place: str, **qualifiers: object) -> ClaimCited:
    return ClaimCited(source, "hpo:x", 0.9, qualifiers, place)


def test_counts_add_up_but_none_counts_twice() -> None:
    claims = [
        _claim("PMID:1", "L1", frequency_numerator=3, frequency_denominator=4),
        _claim("PMID:2", "L1", frequency_numerator=3, frequency_denominator=4),  # the same row, another reference
        _claim("PMID:3", "L2", frequency_numerator=1, frequency_denominator=6),
        _claim("ORPHA:1", "L3", frequency_term="HP:0040281"),
        _claim("OMIM:1", "L4", frequency_percent=12.5),
        _claim("OMIM:2", "L5"),
    ]
    assert reported(claims, {"HP:0040281": "Very frequent"}.__getitem__) == "4 of 10 patients, very frequent, 12.5 %"
    assert reported([_claim("OMIM:2", "L5")], str) == ""


def test_percent() -> None:
    assert [percent(share) for share in (0.0, 0.004, 0.5, 0.999)] == ["below 1 %", "below 1 %", "50 %", "above 99 %"]
