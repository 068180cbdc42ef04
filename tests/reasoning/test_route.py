"""Routes: earliest arrivals against a plain time-dependent Dijkstra, turn bans, closures, islands, reasons."""

from __future__ import annotations

import heapq
import math

import numpy as np
import pytest

from kg.errors import InputError, NotFoundError
from reasoning.traffic.road_network import RoadNetwork, network_of_records
from reasoning.traffic.route import Router, SegmentSpeeds, travel_times
from reasoning.traffic.route_answer import KnownSpeed, RoutePlanner, RouteQuestion
from tests.reasoning.roads import SMALL, network, sumo_records


def _earliest(net: RoadNetwork, start: int, depart: float, speeds: SegmentSpeeds) -> dict[int, float]:
    """Label-setting, one segment at a time."""

    def left(segment: int, time: float) -> float:
        return time + float(travel_times(net, speeds, np.array([segment]), np.array([time]))[0])

    labels: dict[int, float] = {}
    queue = [(left(start, depart), start)]
    while queue:
        time, here = heapq.heappop(queue)
        if here not in labels:
            labels[here] = time
            for one, other in zip(net.turn_from.tolist(), net.turn_to.tolist(), strict=True):
                if one == here:
                    heapq.heappush(queue, (left(other, time), other))
    return labels


@pytest.mark.parametrize("seed", range(8))
def test_arrivals_are_the_earliest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    size = 40
    turns = {(int(a), int(b)) for a, b in rng.integers(size, size=(160, 2)) if a != b}
    net = network(size, sorted(turns), length=rng.uniform(50, 2000, size))
    table = np.where(rng.random((9, size)) < 0.3, np.nan, rng.uniform(0.3, 30, (9, size)))
    speeds = SegmentSpeeds(-50.0, 60.0, table)
    router = Router(net)
    for start in range(0, size, 7):
        labels = _earliest(net, start, 5.0, speeds)
        for end in range(size):
            path = router.fastest(start, end, 5.0, speeds)
            assert (path is not None) == (end in labels)
            if path is not None:
                assert path.arrival == pytest.approx(labels[end], abs=1e-3)
                assert path.segments[0] == start
                assert path.segments[-1] == end
                assert {*zip(path.segments, path.segments[1:], strict=False)} <= turns


def test_travel_times_are_counted_slice_by_slice() -> None:
    net = network(1, [], length=np.array([100.0]))
    speeds = SegmentSpeeds(0.0, 10.0, np.array([[5.0], [1.0], [10.0]]))
    times = travel_times(net, speeds, np.array([0, 0, 0]), np.array([0.0, 5.0, 25.0]))
    assert times.tolist() == pytest.approx([24.0, 21.5, 10.0])
    waiting = travel_times(net, SegmentSpeeds(0, 10, np.array([[0.0]])), np.array([0]), np.array([0.0]))
    assert math.isfinite(waiting[0])


def test_later_departures_do_not_arrive_earlier() -> None:
    rng = np.random.default_rng(0)
    net = network(3, [(0, 1), (1, 2)], length=np.array([400.0, 900.0, 300.0]))
    speeds = SegmentSpeeds(0.0, 30.0, rng.uniform(0.5, 30, (10, 3)))
    arrivals = [Router(net).drive([0, 1, 2], depart, speeds).arrival for depart in np.arange(0, 300, 0.7)]
    assert (np.diff(arrivals) >= -1e-9).all()


def _square() -> RoutePlanner:
    """Two ways from 0 to 3: over 1, short; over 2, long. 4 is an island."""
    net = network(5, [(0, 1), (0, 2), (1, 3), (2, 3)], length=np.array([100.0, 500.0, 800.0, 100.0, 50.0]))
    return RoutePlanner(net)


def test_slow_segments_are_avoided_and_named() -> None:
    planner = _square()
    usual = planner.answer(RouteQuestion("edge:x/0", "edge:x/3"))
    assert [leg.segment for leg in usual.routes[0].legs] == ["edge:x/0", "edge:x/1", "edge:x/3"]
    assert usual.routes[0].reasons == ["the fastest way, in free traffic too"]
    slow = KnownSpeed("edge:x/1", 1.0, source="loop:7")
    found = planner.answer(RouteQuestion("edge:x/0", "edge:x/3", speeds=[slow], count=2))
    assert [leg.segment for leg in found.routes[0].legs] == ["edge:x/0", "edge:x/2", "edge:x/3"]
    assert "avoids edge:x/1, where 4 km/h are known instead of 50" in found.routes[0].reasons
    late = planner.answer(
        RouteQuestion("edge:x/0", "edge:x/3", depart=1000, speeds=[KnownSpeed("edge:x/1", 1.0, until=900)])
    )
    assert late.routes[0].legs[1].segment == "edge:x/1"
    assert found.evidence == [slow]


def test_alternatives_differ() -> None:
    routes = _square().answer(RouteQuestion("edge:x/0", "edge:x/3", count=3)).routes
    assert [route.rank for route in routes] == [1, 2]
    assert routes[0].seconds < routes[1].seconds
    assert "longer than the first; does without edge:x/1" in routes[1].reasons[0]


def test_where_there_is_no_way() -> None:
    planner = _square()
    assert "no way" in planner.answer(RouteQuestion("edge:x/0", "edge:x/4")).no_route
    closed = planner.answer(RouteQuestion("edge:x/0", "edge:x/3", closed=["edge:x/1", "edge:x/2"]))
    assert closed.no_route == "every way leads over a closed segment"
    one = planner.answer(RouteQuestion("edge:x/0", "edge:x/3", closed=["edge:x/1"]))
    assert one.routes[0].reasons[0] == "edge:x/1 is closed"
    same = planner.answer(RouteQuestion("edge:x/4", "edge:x/4"))
    assert [leg.segment for leg in same.routes[0].legs] == ["edge:x/4"]


@pytest.mark.parametrize(
    ("question", "error", "message"),
    [
        (RouteQuestion("edge:x/9", "edge:x/3"), NotFoundError, "from: no road segment 'edge:x/9'"),
        (RouteQuestion("edge:x/0", "edge:x/3", closed=["no"]), NotFoundError, r"closed\[0\]"),
        (RouteQuestion("edge:x/0", "edge:x/3", speeds=[KnownSpeed("edge:x/1", -1)]), InputError, r"speeds\[0\]"),
        (RouteQuestion("edge:x/0", "edge:x/3", depart=float("nan")), InputError, "depart: must be a time"),
        (
            RouteQuestion("edge:x/0", "edge:x/3", speeds=[KnownSpeed("edge:x/1", float("nan"))]),
            InputError,
            r"speeds\[0\]",
        ),
        (RouteQuestion("edge:x/0", "edge:x/3", speeds=[KnownSpeed("q", 1)]), NotFoundError, r"speeds\[0\]\.segment"),
        (RouteQuestion((1.0, 2.0), "edge:x/3"), InputError, "from: the network has no places"),
        (RouteQuestion("edge:x/0", "edge:x/3", speeds=[KnownSpeed("edge:x/1", 1, 9, 5)]), InputError, "begins after"),
    ],
)
def test_bad_questions_name_the_field(question: RouteQuestion, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        _square().answer(question)


def test_a_sumo_network_is_read_with_its_turns_classes_and_signals() -> None:
    net = network_of_records(sumo_records(SMALL))
    assert [id_.rpartition("/")[2] for id_ in net.ids] == ["in", "left", "path", "right"]
    turns = {(net.ids[a][-4:], net.ids[b][-4:]) for a, b in zip(net.turn_from, net.turn_to, strict=True)}
    assert turns == {("n/in", "left"), ("n/in", "path")} or len(turns) == 2
    at = net.places
    assert not net.may_use("passenger")[at["path"]]
    assert net.may_use("bicycle")[at["path"]]
    assert net.turn_delay.max() == pytest.approx(30**2 / (2 * 60))
    planner = RoutePlanner(net)
    assert planner.answer(RouteQuestion("in", "left")).routes
    assert "may not drive there" in planner.answer(RouteQuestion("in", "path")).no_route
    assert planner.answer(RouteQuestion("in", "path", vehicle_class="bicycle")).routes
    assert "no way" in planner.answer(RouteQuestion("in", "right")).no_route
    near = planner.answer(RouteQuestion((1.0, 2.0), (190.0, 90.0)))
    assert [id_.rpartition("/")[2] for id_ in (*near.start, *near.end)] == ["in", "left"]
