"""Which speed limit is in force, as the signs in a scene show it."""

from __future__ import annotations

from collections.abc import Sequence

from reasoning.traffic.rules import DefaultLimits, SceneConcept
from reasoning.traffic.scene import SURE, SpeedLimit

_GENERAL = 0.8
"""Belief in a country's default: signs that nobody saw may say something else."""


def limit_in_force(
    shown: Sequence[tuple[SceneConcept, float, float, int]], default: DefaultLimits | None = None, road: str = ""
) -> SpeedLimit | None:
    """The lowest maximum that is believed; where none is sure, the likeliest; an end of limits where nothing else is.

    Args:
        shown: sign, km/h, belief, and number of the evidence, of each sign with a number.
        default: limits of the country, for where no sign is sure.
        road: urban, rural or motorway.
    """
    beliefs: dict[float, float] = {}
    of: dict[float, list[tuple[SceneConcept, int]]] = {}
    for sign, kmh, belief, number in shown:
        if sign.limits_speed == "maximum":
            beliefs[kmh] = 1.0 - (1.0 - beliefs.get(kmh, 0.0)) * (1.0 - belief)
            of.setdefault(kmh, []).append((sign, number))
    general = default.kmh.get(road) if default else None
    if default is not None and general is not None and not any(belief >= SURE for belief in beliefs.values()):
        return SpeedLimit(general, _GENERAL, default.id, default.articles, [], sorted(beliefs))
    if beliefs:
        sure = [kmh for kmh, belief in beliefs.items() if belief >= SURE]
        kmh = min(sure) if sure else max(beliefs, key=lambda one: beliefs[one])
        sign = of[kmh][0][0]
        numbers = [number for _, number in of[kmh]]
        return SpeedLimit(kmh, beliefs[kmh], sign.id, sign.articles, numbers, sorted({*beliefs} - {kmh}))
    ends = [(sign, belief, number) for sign, _, belief, number in shown if sign.limits_speed == "end"]
    if ends:
        sign, belief, number = max(ends, key=lambda one: one[1])
        return SpeedLimit(None, belief, sign.id, sign.articles, [number], [])
    return None
