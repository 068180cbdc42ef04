"""Belief of a fact from the claims behind it and, where sources disagree, from those behind its competitors.

Every strategy is a function of claims alone, so that neither their order nor what was asked before shows. The ontology
names one for each relation: `eg:fusion "latest-wins"`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

_NEVER = (-math.inf, -math.inf)
ALWAYS = (-math.inf, math.inf)


class Vote(NamedTuple):
    """One claim as strategies see it.

    Attributes:
        reliability: of its source, 0…1.
        confidence: 0…1.
        when: (since when, until when) it holds, as timestamps; see `latest_wins`.
    """

    source: str
    reliability: float
    confidence: float
    when: tuple[float, float] = ALWAYS


Votes = Sequence[Vote]
Strategy = Callable[[Votes, Sequence[Votes]], float]
"""(claims of the fact, claims of each of its competitors) → belief in 0…1, rounded to 12 digits."""


def noisy_or(votes: Sequence[tuple[str, float, float]]) -> float:
    """Noisy-or of independent sources: 1 − Π over sources of (1 − reliability · confidence).

    Pearl, *Probabilistic Reasoning in Intelligent Systems* (1988), section 4.3.2: the fact is false only if every
    source that says it is mistaken. One source that says the same twice counts once, by its surest claim.

    Args:
        votes: (source id, reliability in 0…1, confidence in 0…1) a claim.

    Returns:
        Belief in 0…1, rounded to 12 digits so that the order of the claims does not show; 0 without votes.
    """
    if len(votes) == 1:  # most facts
        return round(1.0 - (1.0 - votes[0][1] * votes[0][2]), 12)
    surest: dict[str, float] = {}
    for source, reliability, confidence in votes:
        vote = reliability * confidence
        if vote > surest.get(source, -1.0):
            surest[source] = vote
    doubt = 1.0
    for source in sorted(surest):
        doubt *= 1.0 - surest[source]
    return round(1.0 - doubt, 12)


def _noisy_or(own: Votes, _others: Sequence[Votes]) -> float:
    return noisy_or([vote[:3] for vote in own])


def weighted_average(own: Votes, others: Sequence[Votes]) -> float:
    """The sources' confidences, averaged by reliability: a linear opinion pool (Stone, 1961).

    Who speaks for a competitor alone has a confidence of 0 in this fact.
    """
    weight = {vote.source: vote.reliability for option in (own, *others) for vote in option}
    total = sum(weight[source] for source in sorted(weight))
    if total == 0.0:
        return 0.0
    surest: dict[str, float] = {}
    for vote in own:
        surest[vote.source] = max(vote.confidence, surest.get(vote.source, 0.0))
    return round(sum(weight[source] * surest[source] for source in sorted(surest)) / total, 12)


def majority_vote(own: Votes, others: Sequence[Votes]) -> float:
    """The share of the sources that speak for this fact, times its noisy-or.

    A source has one vote, for what it is surest of; where it is as sure of several, they share it. One that does not
    count (reliability or confidence 0) has none.
    """
    options = [_surest(option) for option in (own, *others)]
    shares = []
    for source in sorted(set().union(*options)):
        most = max(option.get(source, 0.0) for option in options)
        winners = [option.get(source, 0.0) == most for option in options]
        shares.append(winners[0] / sum(winners))
    return round(sum(shares) / len(shares) * _noisy_or(own, ()), 12) if shares else 0.0


def dawid_skene(own: Votes, others: Sequence[Votes]) -> float:
    """The chance that this fact is the true one of its group, or none: Dawid–Skene with one number a source.

    A source says the truth with its reliability · confidence, else any other of the possibilities alike, which are the
    facts of the group and "none of them"; all are as likely beforehand. Without competitors and with one source it is
    reliability · confidence. `evigraph fuse reliability` learns reliabilities.
    """
    options = [_surest(own), *filter(None, map(_surest, others))]
    many = len(options)
    log = [0.0] * (many + 1)
    for source in sorted(set().union(*options)):
        surest = min(max(option.get(source, 0.0) for option in options), 1.0 - 1e-9)
        wrong = math.log((1.0 - surest) / many)
        for at in range(many + 1):
            said = options[at].get(source, 0.0) if at < many else 0.0
            log[at] += math.log(min(said, 1.0 - 1e-9)) if said else wrong
    if not options[0]:
        return 0.0
    return round(1.0 / sum(math.exp(min(other - log[0], 700.0)) for other in log), 12)


def latest_wins(own: Votes, others: Sequence[Votes]) -> float:
    """For states that change: the noisy-or of what was said since a competitor was last said, 0 if nothing was.

    The later of two claims is the one that begins later (`valid_from`, else `said_at`; without, from ever), even if it
    is over by now: it has put an end to the earlier one, though nobody said so. Of such as begin together it is the one
    that holds longer (`valid_to`; without, for good). Of claims of one time, all stay.
    """
    latest = max((vote.when for option in others for vote in option if _weight(vote)), default=_NEVER)
    return _noisy_or([vote for vote in own if vote.when >= latest], ())


def _weight(vote: Vote) -> float:
    return vote.reliability * vote.confidence


def _surest(votes: Votes) -> dict[str, float]:
    """Source → reliability · confidence of its surest claim, of those that count."""
    surest: dict[str, float] = {}
    for vote in votes:
        if (weight := _weight(vote)) > surest.get(vote.source, 0.0):
            surest[vote.source] = weight
    return surest


STRATEGIES: dict[str, Strategy] = {
    "noisy-or": _noisy_or,
    "weighted-average": weighted_average,
    "majority-vote": majority_vote,
    "dawid-skene": dawid_skene,
    "latest-wins": latest_wins,
}
COMPARING = frozenset({"majority-vote", "dawid-skene", "latest-wins"})
"""Strategies that make no sense where a fact has no competitors."""
