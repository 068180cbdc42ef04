"""Belief of a fact from the claims behind it."""

from __future__ import annotations

from collections.abc import Sequence


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
