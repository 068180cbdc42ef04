"""What speed to reckon with on a segment: what is usual there, and in part what was measured last."""

from __future__ import annotations

from collections.abc import Iterable

PERSISTENCE = 0.25
"""Part of the last deviation that is taken to last. Of what deviates on ordinary days nothing lasts a quarter of an
hour (in simulated towns), of a closed road all: with a quarter, a jam that stands is driven round, and noise is not."""
_LEAST_SPEED = 0.1


def mean_speed(measured: Iterable[tuple[float, float]]) -> float | None:
    """Mean over vehicles on the way: total distance over total time.

    Args:
        measured: speed in m/s and for how many vehicle seconds; None comes back where these are 0.
    """
    distance, time = 0.0, 0.0
    for speed, seconds in measured:
        distance, time = distance + speed * seconds, time + seconds
    return distance / time if time > 0 else None


def expected_speed(usual: float, last: float, persistence: float = PERSISTENCE) -> float:
    """Speed in m/s whose pace, s/m, lies between the usual one and the last one."""
    usual, last = max(usual, _LEAST_SPEED), max(last, _LEAST_SPEED)
    return 1.0 / ((1.0 - persistence) / usual + persistence / last)
