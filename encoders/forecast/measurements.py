"""What sensors measured, as the graph is told of it: series of a day, and observations of one time, as they come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from kg.ontology import Ontology
from kg.snapshot import Snapshot
from kg.store import GraphStore

METRES_A_SECOND = {"m/s": 1.0, "km/h": 1 / 3.6, "[mi_i]/h": 0.44704, "[mi_us]/h": 1609.347 / 3600}
"""Speeds' units (UCUM): an observation's is in m/s, a series' in its own."""
_CHANGED = """
MATCH (n:Entity) WHERE n.version > $since
MATCH (n)-[:OBSERVES]->(d:Entity)
RETURN n.id AS id, n.version AS version, d.id AS sensor, n.at AS at, n.started_at AS started_at,
       n.measure AS measure, n.step_seconds AS step_seconds, n.values AS values{value}
"""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A value.

    Attributes:
        id: of the entity that holds it.
        time: seconds since 1970, UTC.
        alone: it is the value of a step, of a series.
    """

    id: str
    sensor: str
    time: float
    value: float
    alone: bool = False


class Measurements:
    """Reads measurements of one kind.

    Args:
        ontology: says whether observations have the measure.
        measure: e.g. `speed`.
        unit: UCUM, of the forecaster.
    """

    def __init__(self, ontology: Ontology, measure: str, unit: str) -> None:
        known = ontology.properties.get(measure)
        self._observed = known is not None and "TrafficObservation" in known.domain
        self._measure = measure
        self._factor = 1 / METRES_A_SECOND.get(unit, 1.0) if measure == "speed" else 1.0

    async def since(self, store: GraphStore, version: int) -> AsyncIterator[tuple[int, list[Measurement]]]:
        """(version, measurements) of each entity that came or changed after a version of the graph."""
        query = _CHANGED.format(value=f", n.{self._measure} AS value" if self._observed else "")
        async for row in store.read(query, {"since": version}):
            yield int(row["version"]), list(self._of(row["id"], row["sensor"], row))

    def observations(self, snapshot: Snapshot) -> Iterator[Measurement]:
        """What observations of a graph tell."""
        if not self._observed:
            return
        observes = snapshot.facts("OBSERVES")
        wanted = set(snapshot.entities("TrafficObservation").tolist())
        for subject, object_ in zip(observes.subject.tolist(), observes.object.tolist(), strict=True):
            if subject in wanted:
                told = snapshot.properties(subject)
                told["value"] = told.get(self._measure)
                yield from self._of(snapshot.id(subject), snapshot.id(object_), told)

    def _of(self, id_: str, sensor: str, told: Mapping[str, Any]) -> Iterator[Measurement]:
        if told.get("value") is not None and told.get("at") is not None:
            yield Measurement(id_, sensor, _seconds(told["at"]), float(told["value"]) * self._factor)
        elif told.get("values") is not None and told.get("measure") == self._measure and told.get("step_seconds"):
            start, step = _seconds(told["started_at"]), float(told["step_seconds"])
            for at, value in enumerate(orjson.loads(told["values"])):
                if value is not None:
                    yield Measurement(id_, sensor, start + at * step, float(value), alone=True)


def _seconds(time: object) -> float:
    """Of a time as the database or a snapshot has it."""
    read = datetime.fromisoformat(str(time))
    return (read if read.tzinfo is not None else read.replace(tzinfo=UTC)).timestamp()
