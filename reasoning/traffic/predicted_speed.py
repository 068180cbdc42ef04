"""Speeds that forecasts of the graph expect on road segments: those of the sensors that are located there."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime

import orjson

from encoders.forecast.measurements import METRES_A_SECOND
from kg.snapshot import Snapshot
from reasoning.traffic.road_network import RoadNetwork
from reasoning.traffic.route_answer import KnownSpeed

_MEASURE = "speed"


def predicted_speeds(snapshot: Snapshot, network: RoadNetwork) -> list[KnownSpeed]:
    """What is forecast on each segment, step by step; where several sensors are on one, their harmonic mean.

    A forecast counts whose measure is `speed`, whose unit is known, and whose sensor is `LOCATED_ON` a segment of the
    network, or on a lane of one. The belief is that of the forecast's interval.
    """
    segments = _segments_of_sensors(snapshot, network)
    facts = snapshot.facts("FORECASTS")
    found: dict[tuple[str, float, float], list[tuple[float, float, str]]] = defaultdict(list)
    for number, (forecast, sensor) in enumerate(zip(facts.subject.tolist(), facts.object.tolist(), strict=True)):
        if not (on := segments.get(sensor)):
            continue
        source, belief = snapshot.id(forecast), float(facts.belief[number])
        for since, until, speed in _steps(snapshot.properties(forecast)):
            for segment in on:
                found[segment, since, until].append((speed, belief, source))
    return [
        KnownSpeed(
            segment,
            len(said) / sum(1 / speed for speed, _, _ in said) if all(speed for speed, _, _ in said) else 0.0,
            since,
            until,
            "predicted",
            ", ".join(sorted({source for _, _, source in said})),
            min(belief for _, belief, _ in said),
        )
        for (segment, since, until), said in sorted(found.items())
    ]


def _segments_of_sensors(snapshot: Snapshot, network: RoadNetwork) -> dict[int, list[str]]:
    lanes = snapshot.facts("HAS_LANE")
    of_lane = dict(zip(lanes.object.tolist(), lanes.subject.tolist(), strict=True))
    located = snapshot.facts("LOCATED_ON")
    found: dict[int, list[str]] = defaultdict(list)
    for thing, road in zip(located.subject.tolist(), located.object.tolist(), strict=True):
        segment = snapshot.id(of_lane.get(road, road))
        if segment in network.places:
            found[thing].append(segment)
    return found


def _steps(properties: Mapping[str, object]) -> list[tuple[float, float, float]]:
    """Begin and end in seconds since 1970, and m/s, of each step."""
    factor = METRES_A_SECOND.get(str(properties.get("measure_unit", "")))
    if properties.get("measure") != _MEASURE or factor is None:
        return []
    start = datetime.fromisoformat(str(properties["started_at"]))
    begin = (start if start.tzinfo else start.replace(tzinfo=UTC)).timestamp()
    step = float(str(properties["step_seconds"]))
    values = orjson.loads(str(properties["values"]))
    return [
        (begin + at * step, begin + (at + 1) * step, max(0.0, float(value)) * factor)
        for at, value in enumerate(values)
        if value is not None and math.isfinite(value)
    ]
