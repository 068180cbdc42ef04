"""Events of the graph that may have changed the traffic."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson

from kg.store import GraphStore
from reasoning.traffic.cause import KnownEvent

_EVENTS = """
MATCH (e:Event)-[f:AFFECTS]->(road)
RETURN e.id AS id, labels(e) AS labels, road.id AS segment, f.belief AS belief, f.sources AS sources,
       f.qualifiers AS qualifiers, e.started_at AS started, e.ended_at AS ended
ORDER BY id, segment LIMIT 10000
"""
_KINDS = {"TrafficIncident": "incident", "RoadWorks": "works", "WeatherEvent": "weather"}


async def known_events(store: GraphStore) -> list[KnownEvent]:
    """The events that affect some road, each with its belief and a source."""
    found = []
    async for row in store.read(_EVENTS):
        kind = next((kind for label, kind in _KINDS.items() if label in row["labels"]), "event")
        said = [orjson.loads(claim) for claim in row["qualifiers"] or () if claim]
        begins = next((claim["valid_from"] for claim in said if claim.get("valid_from")), row["started"])
        ends = next((claim["valid_to"] for claim in said if claim.get("valid_to")), row["ended"])
        source = row["sources"][0] if row["sources"] else ""
        begin, end = _seconds(begins), _seconds(ends)
        found.append(KnownEvent(row["id"], kind, row["segment"], begin, end, row["belief"], source))
    return found


def _seconds(value: object) -> float | None:
    if not value:
        return None
    time = datetime.fromisoformat(str(value))
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
