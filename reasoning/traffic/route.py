"""Fastest routes over speeds that change with time.

Segments are the nodes of a graph and permitted turns its edges, so that a banned turn is no edge. A segment's travel
time depends on when it is entered; entering later never means arriving earlier (FIFO), since the speed of each slice of
time holds for all. Labels are the fixed point of: edge weights at the labels of the round before → shortest paths by
igraph. A round makes at least one more segment exact, in the order of arrival: what lies nearest beyond the exact ones
is reached over exact weights, and any way round over inexact ones leaves the exact ones no earlier. So the fixed point
is the earliest arrival (Cooke & Halsey 1966); in practice it takes about as many rounds as slices are driven through.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import igraph
import numpy as np

from kg.errors import InputError
from reasoning.traffic.road_network import Floats, Longs, RoadNetwork

_ROUNDS = 100
_EXACT_S = 1e-6
_LEAST_SPEED = 0.1
_FASTEST = 150.0
"""m/s; what stands still is passed at a crawl, since nobody knows for how long."""
_PENALTY = 1.4
_TRIES_EACH = 4
_MOST_SHARED = 0.8
_MOST_STRETCH = 1.6
"""An alternative shares at most so much of its length with each route before it, and takes at most so much longer."""


@dataclass(frozen=True, slots=True, eq=False)
class SegmentSpeeds:
    """Speeds by slices of time. K slices, S segments.

    Attributes:
        start: s, of the first slice, on the clock of departures.
        step: s, of each slice; the last one lasts for ever.
        speed: m/s, (K, S); NaN where nothing is known: the limit holds.
    """

    start: float
    step: float
    speed: Floats

    @classmethod
    def unknown(cls, network: RoadNetwork) -> SegmentSpeeds:
        """Limits everywhere, always."""
        return cls(0.0, 3600.0, np.full((1, len(network)), np.nan))


@dataclass(frozen=True, slots=True)
class Path:
    """A way through the network.

    Attributes:
        segments: positions, from the first to the last.
        entered: s, when each is entered.
        arrival: s, when the last is left.
        length: m.
    """

    segments: list[int]
    entered: list[float]
    arrival: float
    length: float


class Router:
    """Finds routes in one network; the graph is built once.

    Args:
        network: where to drive.
    """

    def __init__(self, network: RoadNetwork) -> None:
        self.network = network
        edges = np.column_stack([network.turn_from, network.turn_to])
        self._graph = igraph.Graph(n=len(network), edges=edges, directed=True)

    def fastest(
        self,
        start: int,
        end: int,
        depart: float,
        speeds: SegmentSpeeds,
        vehicle_class: str = "passenger",
        closed: Collection[int] = (),
    ) -> Path | None:
        """The earliest arrival at the end of a segment, from the beginning of another; None if there is no way.

        Args:
            start: position of a segment.
            end: position of a segment.
            depart: s, on the clock of the speeds.
            speeds: of all segments.
            vehicle_class: as in SUMO; where it may not drive is left out.
            closed: segments that are left out.
        """
        usable = self._usable(vehicle_class, closed)
        if not (usable[start] and usable[end]):
            return None
        found = self._search(start, end, depart, speeds, usable, np.ones(len(self.network)))
        return None if found is None else self.drive(found, depart, speeds)

    def alternatives(
        self,
        start: int,
        end: int,
        depart: float,
        speeds: SegmentSpeeds,
        count: int,
        vehicle_class: str = "passenger",
        closed: Collection[int] = (),
    ) -> list[Path]:
        """The fastest route and others that differ from it and from each other, by penalties on what was used.

        The limits on overlap and stretch are those of Abraham et al. 2013, Alternative routes in road networks.
        """
        best = self.fastest(start, end, depart, speeds, vehicle_class, closed)
        if best is None:
            return []
        usable, factor = self._usable(vehicle_class, closed), np.ones(len(self.network))
        paths, used = [best], best
        for _ in range(_TRIES_EACH * (count - 1)):
            if len(paths) == count:
                break
            factor[used.segments] *= _PENALTY
            found = self._search(start, end, depart, speeds, usable, factor)
            if found is None:
                break
            used = self.drive(found, depart, speeds)
            if self.differs(used, paths, depart):
                paths.append(used)
        return sorted(paths, key=lambda path: path.arrival)

    def differs(self, path: Path, others: Sequence[Path], depart: float) -> bool:
        """Whether a route is neither too like others, of which the first is the fastest, nor too slow."""
        slow = path.arrival - depart > _MOST_STRETCH * (others[0].arrival - depart)
        return not slow and all(self._shared(path, other) <= _MOST_SHARED for other in others)

    def drive(self, segments: list[int], depart: float, speeds: SegmentSpeeds) -> Path:
        """When a vehicle that departs now enters each segment of a route."""
        time, entered = depart, []
        for number, segment in enumerate(segments):
            if number:
                time += self._delay(segments[number - 1], segment, speeds)
            entered.append(time)
            time += float(travel_times(self.network, speeds, np.array([segment]), np.array([time]))[0])
        return Path(segments, entered, time, float(self.network.length[segments].sum()))

    def _search(
        self, start: int, end: int, depart: float, speeds: SegmentSpeeds, usable: np.ndarray, factor: Floats
    ) -> list[int] | None:
        network = self.network
        blocked = ~(usable[network.turn_from] & usable[network.turn_to])
        first = depart + float(travel_times(network, speeds, np.array([start]), np.array([depart]))[0])
        left = np.full(len(network), first)
        weights: Floats | None = None
        for _ in range(_ROUNDS):
            new = self._weights(left, speeds, factor)
            new[blocked] = np.inf
            if weights is not None and np.allclose(new, weights, rtol=0, atol=_EXACT_S):
                break
            weights = new
            distance = np.array(self._graph.distances(source=start, weights=weights)[0])
            if not np.isfinite(distance[end]):
                return None
            reached = np.isfinite(distance)
            left = np.where(reached, first + distance, first)
        path: list[int] = self._graph.get_shortest_paths(start, to=end, weights=weights, output="vpath")[0]
        return path

    def _weights(self, left: Floats, speeds: SegmentSpeeds, factor: Floats) -> Floats:
        """Seconds from the end of a segment to the end of the next, for each turn, when the segment is left then."""
        network = self.network
        at = left[network.turn_from]
        delay = np.where(_known(speeds, network.turn_from), 0.0, network.turn_delay)
        times = delay + travel_times(network, speeds, network.turn_to, at + delay)
        return times * factor[network.turn_to]

    def _delay(self, one: int, other: int, speeds: SegmentSpeeds) -> float:
        """Expected wait at the turn; nothing where the speed is measured, since that has the wait in it."""
        if _known(speeds, np.array([one]))[0]:
            return 0.0
        turn = self._graph.get_eid(one, other)
        return float(self.network.turn_delay[turn])

    def _usable(self, vehicle_class: str, closed: Collection[int]) -> np.ndarray:
        usable = self.network.may_use(vehicle_class)
        usable[list(closed)] = False
        return usable

    def _shared(self, one: Path, other: Path) -> float:
        both = list({*one.segments} & {*other.segments})
        return float(self.network.length[both].sum()) / one.length


def travel_times(network: RoadNetwork, speeds: SegmentSpeeds, segments: Longs, entered: Floats) -> Floats:
    """Seconds to drive each segment when it is entered then: slice by slice at the speed of the slice.

    Args:
        network: where.
        speeds: by slice.
        segments: positions, (N,).
        entered: s, (N,).
    """
    left = network.length[segments].astype(np.float64)
    time = np.asarray(entered, np.float64).copy()
    last = len(speeds.speed) - 1
    limit = network.speed_limit[segments]
    todo = np.arange(len(segments))
    slice_ = np.clip((time - speeds.start) // speeds.step, 0, last).astype(np.int64)
    while len(todo):
        given = speeds.speed[slice_, segments[todo]]
        speed = np.where(np.isnan(given), limit[todo], np.maximum(given, _LEAST_SPEED))
        until = np.where(slice_ == last, np.inf, speeds.start + (slice_ + 1) * speeds.step)
        way = (until - time[todo]) * speed
        done = way >= left[todo]
        time[todo] = np.where(done, time[todo] + left[todo] / speed, until)
        left[todo] = np.where(done, 0.0, left[todo] - np.where(done, 0.0, way))
        todo, slice_ = todo[~done], slice_[~done] + 1
    return time - entered


def _known(speeds: SegmentSpeeds, segments: Longs) -> np.ndarray:
    """Whether some speed of these segments is known: for all times, so that no wait ends while one is on the way."""
    return np.asarray(~np.isnan(speeds.speed[:, segments]).all(0))


def check_speeds(values: Floats, field: str) -> None:
    """Refuses speeds that can be none.

    Raises:
        InputError: one is not in 0…150 m/s; names the field.
    """
    wrong = np.flatnonzero(~((values >= 0) & (values <= _FASTEST)))
    if len(wrong):
        raise InputError(f"a speed is in 0…{_FASTEST:g} m/s, not {values[wrong[0]]}", f"{field}[{int(wrong[0])}]")
