"""Values of the database → values of JSON."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping

from neo4j.graph import Node, Path, Relationship
from neo4j.spatial import Point
from neo4j.time import Date, DateTime, Duration, Time


def to_json(value: object) -> object:
    """A value of a record as JSON: nodes, relationships and paths as objects, times as ISO 8601 texts.

    A relationship names its ends by their `id` property where the database sent them with it. NaN and infinities,
    which JSON does not have, become null; what is unknown becomes its text.
    """
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if -(2**63) <= value < 2**63 else str(value)
        case float():
            return value if math.isfinite(value) else None
        case Node():
            return {"labels": sorted(value.labels), "properties": _properties(value)}
        case Relationship():
            ends = {"start": _id(value.start_node), "end": _id(value.end_node)}
            return {"type": value.type, **ends, "properties": _properties(value)}
        case Path():
            return {
                "nodes": [to_json(n) for n in value.nodes],
                "relationships": [to_json(r) for r in value.relationships],
            }
        case Date() | DateTime() | Time() | Duration():
            return value.iso_format()
        case datetime.date() | datetime.time():
            return value.isoformat()
        case Point():
            return {"srid": value.srid, "coordinates": list(value)}
        case Mapping():
            return {str(key): to_json(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [to_json(item) for item in value]
        case _:
            return str(value)


def _properties(entity: Node | Relationship) -> dict[str, object]:
    return {key: to_json(item) for key, item in sorted(entity.items())}


def _id(node: Node | None) -> object:
    return None if node is None else node.get("id")
