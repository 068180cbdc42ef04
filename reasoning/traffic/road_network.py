"""The road network as arrays: segments, the turns between them, who may drive where."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from kg.errors import ConflictError, InputError, NotFoundError
from kg.model import Claim, Entity, Record
from kg.snapshot import Snapshot

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

DEFAULT_SPEED = 13.89
"""m/s where nothing tells the limit: 50 km/h, the default in towns of nearly all countries."""
_LEAST_SPEED = 0.1


@dataclass(frozen=True, eq=False)
class RoadNetwork:
    """Segments of road, each in one direction, and the turns from one to the next. S segments, T turns.

    Attributes:
        ids: of the segments, ascending.
        names: of the segments, or their ids.
        length: m, (S,).
        speed_limit: m/s, (S,).
        starts_at, ends_at: ids of junctions, empty where unknown.
        turn_from, turn_to: positions of segments, (T,).
        turn_direction: of each turn: s, l, r, t, L, R as SUMO has it; may be empty.
        turn_delay: s that a turn is expected to wait, (T,): at signals, else 0.
        points: x, y in metres of each segment's course; may be empty.
        barred: vehicle class → segments none of whose lanes it may use.
        version: of the graph, or None for a network of a file.
    """

    ids: Sequence[str]
    names: Sequence[str]
    length: Floats
    speed_limit: Floats
    starts_at: Sequence[str]
    ends_at: Sequence[str]
    turn_from: Longs
    turn_to: Longs
    turn_direction: Sequence[str]
    turn_delay: Floats
    points: Sequence[Floats]
    barred: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    version: int | None = None

    def __len__(self) -> int:
        """How many segments."""
        return len(self.ids)

    @property
    def free_time(self) -> Floats:
        """Seconds to drive each segment at its limit."""
        return self.length / self.speed_limit

    @cached_property
    def places(self) -> dict[str, int]:
        """Id of a segment → its position; the part after the last `/` or `:` too, where it is unique."""
        short: dict[str, list[int]] = defaultdict(list)
        for at, id_ in enumerate(self.ids):
            short[id_.replace(":", "/").rpartition("/")[2]].append(at)
        return {name: at[0] for name, at in short.items() if len(at) == 1} | {
            id_: at for at, id_ in enumerate(self.ids)
        }

    def index(self, id_: str, field_: str = "") -> int:
        """Position of a segment.

        Raises:
            NotFoundError: there is no such segment.
        """
        at = self.places.get(id_)
        if at is None:
            raise NotFoundError(f"{field_ + ': ' if field_ else ''}no road segment {id_!r}")
        return at

    def may_use(self, vehicle_class: str) -> NDArray[np.bool_]:
        """Segments that a class of vehicles may drive on; a class that nothing names may use what is open to all."""
        barred = self.barred.get(vehicle_class, self.barred.get(""))
        return np.ones(len(self), np.bool_) if barred is None else ~barred


def network_of_snapshot(snapshot: Snapshot) -> RoadNetwork:
    """The road network of the traffic domain.

    Raises:
        ConflictError: the graph has no road segments.
    """
    segments = {snapshot.id(at): snapshot.properties(at) for at in snapshot.entities("RoadSegment").tolist()}
    lanes = {snapshot.id(at): snapshot.properties(at) for at in snapshot.entities("Lane").tolist()}
    junctions = {snapshot.id(at): snapshot.properties(at) for at in snapshot.entities("Junction").tolist()}
    signals = {snapshot.id(at): snapshot.properties(at) for at in snapshot.entities("TrafficLight").tolist()}
    pairs = {name: _pairs(snapshot, name) for name in ("STARTS_AT", "ENDS_AT", "HAS_LANE", "CONTROLLED_BY", "LEADS_TO")}
    leads = snapshot.facts("LEADS_TO")
    directions = ["" for _ in range(len(leads))]
    codes = leads.claims.qualifier("direction")
    for fact, code in zip(leads.claims.fact.tolist(), codes.tolist(), strict=True):
        if code >= 0 and not directions[fact]:
            directions[fact] = snapshot.texts[int(code)]
    if not segments:
        raise ConflictError("the graph has no road segments; load a network first: evigraph ingest sumo_net FILE")
    return _network(segments, lanes, junctions, signals, pairs, directions, snapshot.version)


def network_of_records(records: Iterable[Record]) -> RoadNetwork:
    """The road network that a reader yields.

    Raises:
        InputError: there are no road segments.
    """
    things: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    directions: list[str] = []
    for record in records:
        if isinstance(record, Entity):
            things[record.classes[0]][record.id] = dict(record.properties)
        elif isinstance(record, Claim):
            pairs[record.relation].append((record.subject, record.object))
            if record.relation == "LEADS_TO":
                directions.append(str(record.qualifiers.get("direction", "")))
    if not things["RoadSegment"]:
        raise InputError("holds no road segments")
    return _network(
        things["RoadSegment"], things["Lane"], things["Junction"], things["TrafficLight"], pairs, directions, None
    )


def _pairs(snapshot: Snapshot, relation: str) -> list[tuple[str, str]]:
    facts = snapshot.facts(relation)
    return [
        (snapshot.id(one), snapshot.id(other))
        for one, other in zip(facts.subject.tolist(), facts.object.tolist(), strict=True)
    ]


def _network(
    segments: Mapping[str, Mapping[str, Any]],
    lanes: Mapping[str, Mapping[str, Any]],
    junctions: Mapping[str, Mapping[str, Any]],
    signals: Mapping[str, Mapping[str, Any]],
    pairs: Mapping[str, Sequence[tuple[str, str]]],
    directions: Sequence[str],
    version: int | None,
) -> RoadNetwork:
    ids = sorted(segments)
    at = {id_: place for place, id_ in enumerate(ids)}
    starts, ends = (dict(pairs.get(name, ())) for name in ("STARTS_AT", "ENDS_AT"))
    of_road: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for road, lane in pairs.get("HAS_LANE", ()):
        if lane in lanes:
            of_road[road].append(lanes[lane])
    points = [_points(segments[id_], of_road[id_], junctions, starts.get(id_), ends.get(id_)) for id_ in ids]
    lengths = [_number(segments[id_], "length") or _course(points[at[id_]]) for id_ in ids]
    limits = [max(_number(segments[id_], "speed_limit") or DEFAULT_SPEED, _LEAST_SPEED) for id_ in ids]
    turns = {
        (at[one], at[other]): direction
        for (one, other), direction in zip(pairs.get("LEADS_TO", ()), directions, strict=True)
        if one in at and other in at
    }
    waits = {junction: _wait(signals.get(signal, {})) for junction, signal in pairs.get("CONTROLLED_BY", ())}
    from_, to = (np.array([turn[end] for turn in turns], np.int64) for end in (0, 1))
    delay = np.array([waits.get(ends.get(ids[one], ""), 0.0) for one, _ in turns], np.float64)
    return RoadNetwork(
        ids,
        [str(segments[id_].get("name", id_)) for id_ in ids],
        np.array(lengths, np.float64),
        np.array(limits, np.float64),
        [starts.get(id_, "") for id_ in ids],
        [ends.get(id_, "") for id_ in ids],
        from_,
        to,
        list(turns.values()),
        delay,
        points,
        _barred(ids, of_road),
        version,
    )


def _number(properties: Mapping[str, Any], name: str) -> float:
    value = properties.get(name)
    return float(value) if value is not None else 0.0


def _points(
    segment: Mapping[str, Any],
    lanes: Sequence[Mapping[str, Any]],
    junctions: Mapping[str, Mapping[str, Any]],
    start: str | None,
    end: str | None,
) -> Floats:
    """The segment's own course, else that of its middle lane, else a straight line between its junctions."""
    shapes = [str(one["shape"]) for one in (segment, *lanes[len(lanes) // 2 :]) if one.get("shape")]
    if shapes:
        pairs = [point.split(",")[:2] for point in shapes[0].split()]
        return np.array([[float(x), float(y)] for x, y in pairs], np.float64)
    known = [junctions[name] for name in (start, end) if name and "x" in junctions.get(name, ())]
    return np.array([[float(one["x"]), float(one["y"])] for one in known], np.float64).reshape(-1, 2)


def _course(points: Floats) -> float:
    """Length of a course, m; at least 1, so that no road is for nothing."""
    return max(1.0, float(np.hypot(*np.diff(points, axis=0).T).sum())) if len(points) > 1 else 1.0


def _wait(signal: Mapping[str, Any]) -> float:
    """Expected wait at a fixed-time signal, s, over its movements: red² / (2 · cycle), for arrivals at random.

    The uniform delay of Webster (1958) for light traffic.
    """
    programs = signal.get("signal_programs") or ()
    if not programs:
        return 0.0
    phases = orjson.loads(programs[0])["phases"]
    cycle = sum(seconds for seconds, _ in phases)
    count = min((len(state) for _, state in phases), default=0)
    if not cycle or not count:
        return 0.0
    red = [sum(seconds for seconds, state in phases if state[link] not in "gGyY") for link in range(count)]
    return float(np.mean([seconds**2 / (2 * cycle) for seconds in red]))


def _barred(ids: Sequence[str], of_road: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, NDArray[np.bool_]]:
    """For each class that some lane names, and for "" (any other): the segments that it may not use."""
    named: set[str] = {""}
    for lanes in of_road.values():
        for lane in lanes:
            named |= {*(lane.get("allowed_classes") or ()), *(lane.get("disallowed_classes") or ())}
    barred = {}
    for name in named - {"all"}:
        open_ = [any(_open(lane, name) for lane in of_road.get(id_, ())) or not of_road.get(id_) for id_ in ids]
        barred[name] = ~np.array(open_, np.bool_)
    return barred


def _open(lane: Mapping[str, Any], vehicle_class: str) -> bool:
    allowed, disallowed = lane.get("allowed_classes") or (), lane.get("disallowed_classes") or ()
    if "all" in disallowed or vehicle_class in disallowed:
        return False
    return not allowed or "all" in allowed or vehicle_class in allowed
