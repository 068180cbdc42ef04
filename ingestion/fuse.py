"""Fusing votes: several workers answer the same questions, and disagree; what is the answer, and how sure is it?

Every strategy is a function of the votes alone: it never sees a truth, and the same votes give the same belief.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, logsumexp

from kg.extras import needs_extra

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_ROUNDS = 200
_STILL = 1e-6
"""Fixed points count as found when nothing moves by more."""


@dataclass(frozen=True, slots=True)
class Votes:
    """Who answered what; one element a vote in `question`, `worker` and `answer`, which are positions in the names.

    Attributes:
        answers: names of the answers, sorted.
    """

    questions: tuple[str, ...]
    workers: tuple[str, ...]
    answers: tuple[str, ...]
    question: Ints
    worker: Ints
    answer: Ints

    @classmethod
    def of(cls, rows: Sequence[tuple[str, str, str]]) -> Votes:
        """Votes out of (question, worker, answer); of two by one worker on one question the later counts."""
        last = {(question, worker): answer for question, worker, answer in rows}
        columns = [np.array(c, dtype=object) for c in ([q for q, _ in last], [w for _, w in last], list(last.values()))]
        (questions, question), (workers, worker), (answers, answer) = (
            np.unique(c, return_inverse=True) for c in columns
        )
        return cls(tuple(questions), tuple(workers), tuple(answers), question, worker, answer)

    @property
    def numbers(self) -> Floats:
        """The answer of each vote as a number.

        Raises:
            ValueError: one is none.
        """
        return np.array([float(answer) for answer in self.answers])[self.answer]

    def tally(self, weight: Floats | None = None) -> Floats:
        """Votes, or the weight of their workers, for each answer: an array of questions × answers."""
        cells = self.question * len(self.answers) + self.answer
        each = np.ones(len(cells)) if weight is None else weight[self.worker]
        shape = len(self.questions), len(self.answers)
        return np.bincount(cells, each, shape[0] * shape[1]).reshape(shape).astype(np.float64)

    def per_question(self, value: Floats) -> Floats:
        """The sum of a value of each vote by question."""
        return np.bincount(self.question, value, len(self.questions)).astype(np.float64)

    def per_worker(self, value: Floats) -> Floats:
        """The sum of a value of each vote by worker."""
        return np.bincount(self.worker, value, len(self.workers)).astype(np.float64)


def _shares(table: Floats) -> Floats:
    shares: Floats = table / table.sum(axis=1, keepdims=True)
    return shares


# ---- answers of a kind: belief in each, questions × answers -------------------------------------------------------


def majority_vote(votes: Votes) -> Floats:
    """Each answer's share of the votes; of equals, the first by name is taken."""
    return _shares(votes.tally())


def agreement(votes: Votes) -> Floats:
    """Reliability of each worker: the share of the others' votes that say what it says, smoothed by one of each kind.

    "Worker agreement with aggregate" (Appen), without the worker's own vote in the aggregate.
    """
    tally = votes.tally()
    same = tally[votes.question, votes.answer] - 1.0
    others = tally.sum(axis=1)[votes.question] - 1.0
    return (votes.per_worker(same) + 1.0) / (votes.per_worker(others) + 2.0)


def weighted_average(votes: Votes) -> Floats:
    """The average of the votes, weighted by `agreement`: a linear opinion pool (Stone, 1961)."""
    return _shares(votes.tally(agreement(votes)) + 1e-9)


def noisy_or(votes: Votes) -> Floats:
    """Noisy-or of the workers behind each answer, with `agreement` as reliability, scaled to sum to 1."""
    doubt = votes.tally(np.log1p(-np.minimum(agreement(votes), 1.0 - 1e-9)))
    return _shares(-np.expm1(doubt) + 1e-9)


def dawid_skene(votes: Votes) -> Floats:
    """Each worker has a confusion matrix, learned with the answers by expectation-maximisation.

    Dawid and Skene, Maximum likelihood estimation of observer error-rates using the EM algorithm, Applied Statistics
    28 (1979); as `crowd-kit` has it.

    Raises:
        ConfigurationError: `crowd-kit` is not installed.
    """
    with needs_extra("fusion", "Dawid–Skene"):  # which the other strategies do without
        import pandas as pd
        from crowdkit.aggregation import DawidSkene

    frame = pd.DataFrame({"task": votes.question, "worker": votes.worker, "label": votes.answer})
    belief = pd.DataFrame(DawidSkene(n_iter=100).fit(frame).probas_)
    wanted = belief.reindex(index=range(len(votes.questions)), columns=range(len(votes.answers)), fill_value=0.0)
    return _shares(wanted.to_numpy(dtype=float) + 1e-12)


def hierarchical_dawid_skene(votes: Votes, strength: float = 2.0) -> Floats:
    """Dawid–Skene whose workers resemble each other: who answered little is taken for the average worker.

    The rows of a worker's confusion matrix have a Dirichlet prior, `strength` pseudo-counts of the confusion of all
    workers together; variational Bayes. Kim and Ghahramani, Bayesian classifier combination (AISTATS 2012); pooling as
    in Paun et al., Comparing Bayesian models of annotation (TACL 2018).
    """
    belief = majority_vote(votes)
    many = len(votes.answers)
    shape = len(votes.workers), many, many  # worker, answer given, truth
    cell = votes.worker * many + votes.answer
    for _ in range(_ROUNDS):
        counts = np.stack([np.bincount(cell, belief[votes.question, k], shape[0] * many) for k in range(many)], axis=-1)
        confusion = counts.reshape(shape)
        pooled = confusion.sum(axis=0) + 1.0
        confusion += strength * pooled / pooled.sum(axis=0)
        said = digamma(confusion) - digamma(confusion.sum(axis=1, keepdims=True))
        frequency = belief.sum(axis=0) + 1.0
        log = np.tile(digamma(frequency) - digamma(frequency.sum()), (len(votes.questions), 1))
        np.add.at(log, votes.question, said[votes.worker, votes.answer])
        before, belief = belief, np.exp(log - logsumexp(log, axis=1, keepdims=True))
        if np.abs(before - belief).max() < _STILL:
            break
    return belief


def best(votes: Votes) -> Floats:
    """The mean of Dawid–Skene's belief and the hierarchical one's.

    A linear opinion pool of the two: the one does better where every worker answered a lot, the other where many
    answered little. One rule for all sets, so that it needs no truth to choose by.
    """
    return (dawid_skene(votes) + hierarchical_dawid_skene(votes)) / 2.0


# ---- numbers: one for each question --------------------------------------------------------------------------------


def mean(votes: Votes) -> Floats:
    """The plain mean."""
    return votes.per_question(votes.numbers) / np.bincount(votes.question)


def median(votes: Votes) -> Floats:
    """The median."""
    order = np.lexsort((votes.numbers, votes.question))
    parts = np.split(votes.numbers[order], np.cumsum(np.bincount(votes.question))[:-1])
    return np.array([np.median(part) for part in parts])


def conflict_resolution(votes: Votes) -> Floats:
    """The mean weighted by how near a worker is to it: weight −log of the worker's share of all squared errors.

    CRH: Li et al., Resolving conflicts in heterogeneous data by truth discovery and source reliability estimation
    (SIGMOD 2014). Errors are the mean of a worker's, since some answer more than others.
    """
    found = mean(votes)
    for _ in range(_ROUNDS):
        error = votes.per_worker((votes.numbers - found[votes.question]) ** 2) / np.bincount(votes.worker)
        if not error.any():
            break
        share = np.clip(error / error.sum(), 1e-9, 1.0 - 1e-9)
        weight = -np.log(share)[votes.worker]
        before, found = found, votes.per_question(weight * votes.numbers) / votes.per_question(weight)
        if np.abs(before - found).max() < _STILL:
            break
    return found


def gaussian_truth(votes: Votes, prior: float = 10.0) -> Floats:
    """The mean weighted by each worker's learned precision.

    GTM: Zhao and Han, A probabilistic model for estimating real-valued truth from conflicting sources (QDB 2012), with
    its settings: answers are standardised by question, a truth is N(0, 1), a worker's variance inverse-gamma with
    `prior` as shape and scale.
    """
    centre = mean(votes)
    spread = np.sqrt(votes.per_question((votes.numbers - centre[votes.question]) ** 2) / np.bincount(votes.question))
    spread[spread == 0.0] = 1.0
    standard = (votes.numbers - centre[votes.question]) / spread[votes.question]
    found = np.zeros(len(votes.questions))
    answered = np.bincount(votes.worker)
    for _ in range(_ROUNDS):
        error = votes.per_worker((standard - found[votes.question]) ** 2)
        precision = ((2.0 * (prior + 1.0) + answered) / (2.0 * prior + error))[votes.worker]
        before, found = found, votes.per_question(precision * standard) / (1.0 + votes.per_question(precision))
        if np.abs(before - found).max() < _STILL:
            break
    return centre + spread * found


Strategy = Callable[[Votes], Floats]

CATEGORICAL: dict[str, Strategy] = {
    "majority-vote": majority_vote,
    "weighted-average": weighted_average,
    "noisy-or": noisy_or,
    "dawid-skene": dawid_skene,
    "hierarchical-dawid-skene": hierarchical_dawid_skene,
    "best": best,
}
"""Name → belief in each answer of each question."""

NUMERIC: dict[str, Strategy] = {
    "mean": mean,
    "median": median,
    "conflict-resolution": conflict_resolution,
    "gaussian-truth": gaussian_truth,
    "best": gaussian_truth,
}
"""Name → a number for each question."""

BEST = frozenset({"dawid-skene", "hierarchical-dawid-skene", "gaussian-truth"})
"""The strategies that `best` is made of."""
