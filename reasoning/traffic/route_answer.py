"""A question for a way through the network, and its answer: routes with times, and why these."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial import cKDTree

from kg.errors import InputError
from reasoning.traffic.road_network import RoadNetwork
from reasoning.traffic.route import Path, Router, SegmentSpeeds, check_speeds

SLICE_S = 300.0
HORIZON_S = 7200.0
"""How finely and how far ahead speeds are told apart."""
_LATEST_S = 1e11
_SLOW = 0.5
"""Below this share of the limit a segment is slow."""
_NAMED = 3


@dataclass(frozen=True, slots=True)
class KnownSpeed:
    """What is known of the speed on a segment.

    Attributes:
        segment: its id.
        speed: m/s.
        since, until: s, on the clock of departures; None: always.
        kind: `given`, `observed` or `predicted`.
        source: who says so.
        belief: 0…1.
    """

    segment: str
    speed: float
    since: float | None = None
    until: float | None = None
    kind: str = "given"
    source: str = ""
    belief: float = 1.0


@dataclass(frozen=True, slots=True)
class RouteQuestion:
    """Where from, where to, when.

    Attributes:
        start, end: id of a segment or a junction, or x, y in metres.
        depart: s.
        vehicle_class: as in SUMO.
        count: how many routes.
        speeds: what is known of speeds; what comes later replaces what came earlier.
        closed: ids of segments.
    """

    start: str | tuple[float, float]
    end: str | tuple[float, float]
    depart: float = 0.0
    vehicle_class: str = "passenger"
    count: int = 1
    speeds: Sequence[KnownSpeed] = ()
    closed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Leg:
    """A segment of a route.

    Attributes:
        segment, name: its id and name.
        entered: s after departure.
        seconds: to its end, with the wait at the turn before it.
        metres: its length.
        speed: m/s that was reckoned with on entering.
        limit: m/s.
        known: what that speed rests on: number of the evidence, from 1; None: the limit.
    """

    segment: str
    name: str
    entered: float
    seconds: float
    metres: float
    speed: float
    limit: float
    known: int | None


@dataclass(frozen=True, slots=True)
class Route:
    """A way, with its reasons.

    Attributes:
        seconds, metres: of all of it.
        course: x, y in metres.
        legs: its segments.
        reasons: why this way, in words.
    """

    rank: int
    seconds: float
    metres: float
    course: list[tuple[float, float]]
    legs: list[Leg]
    reasons: list[str]


@dataclass(frozen=True, slots=True)
class RouteAnswer:
    """Routes, the earliest arrival first.

    Attributes:
        graph_version: of the network; None for that of a file.
        start, end: ids of the segments between which it was asked.
        routes: none where there is no way.
        no_route: why there is none; empty where there is one.
        evidence: the question's speeds and those that legs were reckoned with, numbered from 1.
    """

    graph_version: int | None
    start: list[str]
    end: list[str]
    routes: list[Route]
    no_route: str
    evidence: list[KnownSpeed] = field(default_factory=list)


class RoutePlanner:
    """Answers questions on one network."""

    def __init__(self, network: RoadNetwork) -> None:
        self.network = network
        self._router = Router(network)
        with_points = [at for at, points in enumerate(network.points) if len(points)]
        self._owner = np.array([at for at in with_points for _ in network.points[at]], np.int64)
        self._tree = cKDTree(np.concatenate([network.points[at] for at in with_points])) if with_points else None

    def answer(self, question: RouteQuestion) -> RouteAnswer:
        """The routes, with reasons.

        Raises:
            InputError: the question makes no sense; names the field.
            NotFoundError: a segment is unknown; names the field.
        """
        network = self.network
        if not abs(question.depart) <= _LATEST_S:
            raise InputError(f"must be a time in seconds, not {question.depart}", "depart")
        check_speeds(np.array([known.speed for known in question.speeds], np.float64), "speeds")
        starts = self._segments(question.start, "from", leaving=True)
        ends = self._segments(question.end, "to", leaving=False)
        closed = [network.index(id_, f"closed[{at}]") for at, id_ in enumerate(question.closed)]
        speeds, rests = self._speeds(question)
        found: list[Path] = []
        for start in starts:
            for end in ends:
                found += self._router.alternatives(
                    start, end, question.depart, speeds, question.count, question.vehicle_class, closed
                )
        paths: list[Path] = []
        for path in sorted(found, key=lambda path: path.arrival):
            if len(paths) < question.count and (not paths or self._router.differs(path, paths, question.depart)):
                paths.append(path)
        routes = []
        for rank, path in enumerate(paths, 1):
            legs = self._legs(path, question.depart, speeds, rests)
            reasons = self._reasons(path, paths[0], question, speeds, closed)
            seconds = path.arrival - question.depart
            routes.append(Route(rank, seconds, path.length, self._course(path), legs, reasons))
        evidence = _cite(routes, question.speeds)
        no_route = "" if routes else self._no_route(question, starts, ends)
        ids = network.ids
        return RouteAnswer(
            network.version, [ids[at] for at in starts], [ids[at] for at in ends], routes, no_route, evidence
        )

    def _segments(self, place: str | tuple[float, float], name: str, *, leaving: bool) -> list[int]:
        """The segment, those that leave or reach a junction, or the one nearest to a point."""
        network = self.network
        if not isinstance(place, str):
            if self._tree is None:
                raise InputError("the network has no places: name a segment", name)
            if not all(map(math.isfinite, place)):
                raise InputError("needs two finite numbers, x and y in metres", name)
            return [int(self._owner[self._tree.query(place)[1]])]
        if place not in network.places:
            junctions = network.starts_at if leaving else network.ends_at
            at_junction = [at for at, id_ in enumerate(junctions) if id_ and id_ == place]
            if at_junction:
                return at_junction
        return [network.index(place, name)]

    def _speeds(self, question: RouteQuestion) -> tuple[SegmentSpeeds, np.ndarray]:
        """Speeds by slice, and the number of what each rests on; 0 where it is the limit."""
        slices = int(HORIZON_S / SLICE_S)
        table = np.full((slices, len(self.network)), np.nan)
        rests = np.zeros(table.shape, np.int64)
        known, place = question.speeds, self.network.index
        first = sum(one.kind != "given" for one in known)  # the question's own come last
        since = np.array([-np.inf if one.since is None else one.since for one in known])
        until = np.array([np.inf if one.until is None else one.until for one in known])
        if len(backwards := np.flatnonzero(since > until)):
            raise InputError("begins after it ends", f"speeds[{backwards[0] - first}]")
        at = np.array([place(one.segment, f"speeds[{n - first}].segment") for n, one in enumerate(known)], np.int64)
        speed = np.array([one.speed for one in known], np.float64)
        for row in range(slices):
            middle = question.depart + SLICE_S * (row + 0.5)
            holds = np.flatnonzero((middle >= since) & (middle < until))
            table[row, at[holds]], rests[row, at[holds]] = speed[holds], holds + 1
        return SegmentSpeeds(question.depart, SLICE_S, table), rests

    def _legs(self, path: Path, depart: float, speeds: SegmentSpeeds, rests: np.ndarray) -> list[Leg]:
        network, legs = self.network, []
        left = [*path.entered[1:], path.arrival]
        for segment, entered, end in zip(path.segments, path.entered, left, strict=True):
            row = int(np.clip((entered - speeds.start) // speeds.step, 0, len(speeds.speed) - 1))
            given, limit = float(speeds.speed[row, segment]), float(network.speed_limit[segment])
            legs.append(
                Leg(
                    network.ids[segment],
                    network.names[segment],
                    entered - depart,
                    end - entered,
                    float(network.length[segment]),
                    limit if math.isnan(given) else given,
                    limit,
                    int(rests[row, segment]) or None,
                )
            )
        return legs

    def _reasons(
        self,
        path: Path,
        best: Path,
        question: RouteQuestion,
        speeds: SegmentSpeeds,
        closed: Collection[int],
    ) -> list[str]:
        """Why this way: against the one that is fastest in free traffic, or for an alternative against the best."""
        if path is not best:
            more = _duration(path.arrival - best.arrival)
            avoided = self._named([at for at in best.segments if at not in path.segments])
            return [f"{more} longer than the first; does without {avoided}"]
        usual = self._router.fastest(
            path.segments[0], path.segments[-1], question.depart, SegmentSpeeds.unknown(self.network)
        )
        if usual is None or usual.segments == path.segments:
            return ["the fastest way, in free traffic too"]
        reasons = []
        others = [at for at in usual.segments if at not in path.segments]
        shut = [at for at in others if at in closed]
        banned = [at for at in others if not self.network.may_use(question.vehicle_class)[at]]
        for segments, why in ((shut, "is closed"), (banned, f"is not open to class {question.vehicle_class}")):
            if segments:
                reasons.append(f"{self._named(segments)} {why}")
        driven = self._router.drive(usual.segments, question.depart, speeds)
        slow = self._slow(driven, speeds)
        for at, speed in slow[:_NAMED]:
            limit = 3.6 * float(self.network.speed_limit[at])
            reasons.append(f"avoids {self._named([at])}, where {3.6 * speed:.0f} km/h are known instead of {limit:.0f}")
        if not shut and driven.arrival > path.arrival:
            saved = _duration(driven.arrival - path.arrival)
            reasons.append(f"{saved} faster than the way that is fastest in free traffic")
        return reasons

    def _slow(self, path: Path, speeds: SegmentSpeeds) -> list[tuple[int, float]]:
        """Segments on a way that are slow when they are entered, the costliest first."""
        found = []
        for at, entered in zip(path.segments, path.entered, strict=True):
            row = int(np.clip((entered - speeds.start) // speeds.step, 0, len(speeds.speed) - 1))
            speed, limit = float(speeds.speed[row, at]), float(self.network.speed_limit[at])
            if speed < _SLOW * limit:
                found.append((float(self.network.length[at]) / max(speed, 0.1), at, speed))
        return [(at, speed) for _, at, speed in sorted(found, reverse=True)]

    def _named(self, segments: Sequence[int]) -> str:
        names = list(dict.fromkeys(self.network.names[at] for at in segments))
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return ", ".join(names[:_NAMED]) + more

    def _no_route(self, question: RouteQuestion, starts: Sequence[int], ends: Sequence[int]) -> str:
        free = SegmentSpeeds.unknown(self.network)
        for start in starts:
            for end in ends:
                if self._router.fastest(start, end, 0.0, free, question.vehicle_class) is not None:
                    return "every way leads over a closed segment"
        barred = ~self.network.may_use(question.vehicle_class)
        if barred[[*starts]].all() or barred[[*ends]].all():
            return f"class {question.vehicle_class} may not drive there"
        return "the network has no way from there to there"

    def _course(self, path: Path) -> list[tuple[float, float]]:
        points = [tuple(point) for at in path.segments for point in self.network.points[at].tolist()]
        return [(x, y) for number, (x, y) in enumerate(points) if number == 0 or (x, y) != points[number - 1]]


def _cite(routes: Sequence[Route], speeds: Sequence[KnownSpeed]) -> list[KnownSpeed]:
    """The speeds that are given or cited; the legs then name them by their new numbers."""
    cited = {leg.known for route in routes for leg in route.legs}
    kept = [number for number, one in enumerate(speeds, 1) if one.kind == "given" or number in cited]
    new = {number: at for at, number in enumerate(kept, 1)}
    for route in routes:
        route.legs[:] = [replace(leg, known=new[leg.known]) if leg.known else leg for leg in route.legs]
    return [speeds[number - 1] for number in kept]


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
