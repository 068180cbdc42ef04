"""Noisy-or, by its definition."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from kg.belief import noisy_or

SHARES = st.floats(0.0, 1.0)
VOTES = st.lists(st.tuples(st.sampled_from("abc"), SHARES, SHARES), max_size=6)


def test_no_votes() -> None:
    assert noisy_or([]) == 0.0


def test_two_sources() -> None:
    assert noisy_or([("a", 0.9, 0.5), ("b", 0.8, 1.0)]) == round(1 - (1 - 0.45) * (1 - 0.8), 12)


def test_a_source_counts_once_by_its_surest_claim() -> None:
    assert noisy_or([("a", 0.9, 0.5), ("a", 0.9, 0.7)]) == noisy_or([("a", 0.9, 0.7)]) == 0.63


@given(VOTES, st.randoms())
def test_is_what_all_being_wrong_leaves(votes: list[tuple[str, float, float]], dice: object) -> None:
    surest: dict[str, float] = {}
    for source, reliability, confidence in votes:
        surest[source] = max(surest.get(source, 0.0), reliability * confidence)
    expected = 1.0 - math.prod(1.0 - vote for vote in surest.values())
    found = noisy_or(votes)
    assert abs(found - expected) < 1e-11
    shuffled = list(votes)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert noisy_or(shuffled) == found


@given(SHARES, SHARES)
def test_one_vote_is_as_one_of_many(reliability: float, confidence: float) -> None:
    vote = ("a", reliability, confidence)
    assert noisy_or([vote]) == noisy_or([vote, ("b", 0.0, 1.0)])
