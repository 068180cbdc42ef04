"""The answer to a question for a diagnosis, as users get it."""

from __future__ import annotations

from dataclasses import dataclass

from reasoning.diagnosis.evidence import Evidence
from reasoning.diagnosis.explain import FindingExplained, GeneExplained, PatientExplained, TermExplained
from reasoning.diagnosis.query import Understood
from reasoning.diagnosis.questions import Question


@dataclass(frozen=True, slots=True)
class Parts:
    """What the score is the sum of, nats.

    Attributes:
        findings: what the ranker makes of the findings, onset, age and sex.
        genes: log-likelihood ratio of the candidate genes; 0 without.
        inheritance: the same of the modes of inheritance.
    """

    findings: float
    genes: float
    inheritance: float


@dataclass(frozen=True, slots=True)
class Result:
    """A ranked disease.

    Attributes:
        probability: calibrated posterior.
        score: sum of its parts; only differences between diseases count.
        likelihood: sum of the contributions of the present findings, nats: the part that can be checked by hand.
        findings: what each finding contributes.
        against: ids of the findings that speak against the disease, the weightiest first.
        genes: genes of the disease.
        inheritance: its modes of inheritance.
        onset: when it begins.
        alike: solved patients of the graph who have it, the likest first.
    """

    rank: int
    id: str
    name: str
    probability: float
    score: float
    parts: Parts
    likelihood: float
    findings: list[FindingExplained]
    against: list[str]
    genes: list[GeneExplained]
    inheritance: list[TermExplained]
    onset: list[TermExplained]
    alike: list[PatientExplained]


@dataclass(frozen=True, slots=True)
class Answer:
    """Ranked diseases with their evidence.

    Attributes:
        graph_version: of the graph that the answer is from.
        model_version: hash of the ranker's card.
        query: the question as it was understood.
        sufficient: whether the evidence suffices for a leading diagnosis.
        reason: why it does not; empty if it does.
        none_of_these: probability that the disease is none of those that were ranked.
        ranked: how many diseases were ranked.
        results: the first of them.
        next_questions: findings to look for next, the most telling first.
        text: the answer in words, a sentence a line; `[1]` cites the evidence of that number.
        evidence: facts of the graph that text and results cite.
    """

    graph_version: int
    model_version: str
    query: Understood
    sufficient: bool
    reason: str
    none_of_these: float
    ranked: int
    results: list[Result]
    next_questions: list[Question]
    text: str
    evidence: list[Evidence]
