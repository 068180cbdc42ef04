"""What to ask next: the findings whose answer is expected to reduce the uncertainty most.

Hypotheses are the likeliest diseases, each with its posterior, and "all else" with what is left. The chance that a
patient with disease d has finding t is P(t | d) = ν·b(t) + (1 − ν)·f↑(t, d), as in `likelihood`; for all else, b(t).
The value of a question is the mutual information of its answer and the disease, in bits (Lindley, On a measure of the
information provided by an experiment, Ann. Math. Stat. 27:986 (1956)):

    I(t) = H(p) − P(yes)·H(p | yes) − P(no)·H(p | no)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasoning.diagnosis.annotations import Floats, Ints, PhenotypeAnnotations, slices
from reasoning.diagnosis.scan import Findings, Index

_HYPOTHESES = 30


@dataclass(frozen=True, slots=True)
class Outlook:
    """The likeliest disease after an answer, and its probability then."""

    id: str
    name: str
    probability: float


@dataclass(frozen=True, slots=True)
class Question:
    """A finding to look for.

    Attributes:
        information: expected reduction of uncertainty, bits.
        yes: chance that the patient has it.
        if_yes: what would lead if he has.
        if_no: what would lead if he has not.
    """

    id: str
    name: str
    information: float
    yes: float
    if_yes: Outlook
    if_no: Outlook


def next_questions(index: Index, diseases: Ints, probability: Floats, findings: Findings, count: int) -> list[Question]:
    """The best questions, best first; none of them is a kind of another one, or implied by what is known.

    Args:
        index: of the annotations.
        diseases: ranked, best first.
        probability: of each.
        findings: what is known.
        count: how many questions.
    """
    annotations, profiles = index.annotations, index.profiles
    diseases, probability = diseases[:_HYPOTHESES], probability[:_HYPOTHESES]
    likely = probability > 1e-4
    diseases, probability = diseases[likely], probability[likely]
    own, _ = slices(profiles.exact.doc_start, diseases)
    terms = np.unique(profiles.exact.entries.term[own])
    terms = terms[~_known(annotations, findings, terms)]
    if len(terms) == 0 or len(diseases) == 0:
        return []
    prior = np.append(probability, max(1 - probability.sum(), 1e-9))
    prior /= prior.sum()
    has = _chances(index, diseases, terms)
    information, yes = _information(prior, has)
    questions: list[Question] = []
    asked: list[int] = []
    for at in np.argsort(-information, kind="stable").tolist():
        term = int(terms[at])
        if len(questions) == count or information[at] < 1e-3:
            break
        if any(_implies(annotations, term, other) for other in asked):
            continue
        asked.append(term)
        questions.append(
            Question(
                id=annotations.term_ids[term],
                name=annotations.term_names[term],
                information=round(float(information[at]), 4),
                yes=round(float(yes[at]), 4),
                if_yes=_lead(annotations, diseases, prior * has[at]),
                if_no=_lead(annotations, diseases, prior * (1 - has[at])),
            )
        )
    return questions


def _known(annotations: PhenotypeAnnotations, findings: Findings, terms: Ints) -> npt.NDArray[np.bool_]:
    """Of which terms the answer is known: ancestors of present findings, descendants of excluded ones."""
    known = np.zeros(len(annotations.term_ids), np.bool_)
    for term in findings.present.tolist():
        known[annotations.ancestors_of(term)] = True
    excluded = np.zeros(len(known), np.bool_)
    excluded[findings.excluded] = True
    above, owner = slices(annotations.ancestor_start, terms)
    barred: npt.NDArray[np.bool_] = np.bincount(owner, excluded[annotations.ancestors[above]], len(terms)) > 0
    return known[terms] | barred


def _chances(index: Index, diseases: Ints, terms: Ints) -> Floats:
    """P(t | d), (terms, diseases + 1); the last column is all else."""
    profiles = index.profiles
    column = np.full(profiles.terms, -1)
    column[terms] = np.arange(len(terms))
    table = profiles.carried
    cells, owner = slices(table.doc_start, diseases)
    at = column[table.entries.term[cells]]
    hit = at >= 0
    frequency = np.zeros((len(terms), len(diseases) + 1))
    frequency[at[hit], owner[hit]] = table.entries.frequency[cells[hit]]
    background = profiles.background[terms]
    frequency[:, -1] = background
    noise = index.parameters.likelihood.noise
    chances: Floats = np.clip(noise * background[:, None] + (1 - noise) * frequency, 1e-4, 1 - 1e-4)
    return chances


def _information(prior: Floats, has: Floats) -> tuple[Floats, Floats]:
    """Mutual information of each answer and the disease, bits; and the chance of yes."""
    yes = has @ prior

    def entropy(share: Floats) -> Floats:
        bits: Floats = -(share * np.log2(share) + (1 - share) * np.log2(1 - share))
        return bits

    # I(answer; disease) = H(answer) − H(answer | disease): the same number, and cheaper.
    return entropy(yes) - entropy(has) @ prior, yes


def _implies(annotations: PhenotypeAnnotations, one: int, other: int) -> bool:
    return one in annotations.ancestors_of(other) or other in annotations.ancestors_of(one)


def _lead(annotations: PhenotypeAnnotations, diseases: Ints, joint: Floats) -> Outlook:
    best = int(np.argmax(joint[:-1]))
    disease = int(diseases[best])
    share = float(joint[best] / joint.sum())
    return Outlook(annotations.disease_ids[disease], annotations.disease_names[disease], round(share, 4))
