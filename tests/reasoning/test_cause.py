"""Causes of jams: a blocked segment in a street of five, told against usual days."""

from __future__ import annotations

import numpy as np
import pytest

from kg.errors import InputError, NotFoundError
from reasoning.traffic.cause import KnownEvent, SignWeights, explain, first_told
from reasoning.traffic.cause_signs import SIGNS, signs_of
from reasoning.traffic.edge_series import EdgeSeries, Usual, smoothed
from reasoning.traffic.road_network import RoadNetwork
from tests.reasoning.roads import network

_IDS = tuple(f"edge:x/{number}" for number in range(5))
_BLOCKED = 2
_AT = 15


@pytest.fixture(scope="module")
def street() -> RoadNetwork:
    """0 → 1 → 2 → 3, and 4 an island."""
    made = network(5, [(0, 1), (1, 2), (2, 3)], np.full(5, 300.0))
    for number, points in enumerate(made.points):
        assert len(points) == 0, number
    return made


def _day(seed: int, *, blocked: bool = False, begin: float = 28800.0) -> EdgeSeries:
    """Thirty minutes; blocked: nothing leaves segment 2 from minute 15 on, and the queue reaches 1, then 0."""
    rng = np.random.default_rng(seed)
    shape = (30, len(_IDS))
    flow = rng.poisson(10, shape).astype(float)
    speed, density = rng.normal(12, 0.7, shape), rng.normal(15, 2, shape)
    waiting, left = rng.uniform(0, 10, shape), flow.copy()
    if blocked:
        for segment, delay in ((_BLOCKED, 0), (1, 4), (0, 8)):
            rows = slice(_AT + delay, None)
            speed[rows, segment], density[rows, segment] = 0.3, 120
            waiting[rows, segment], left[rows, segment] = 1500, 0
        density[_AT:, 3], left[_AT:, 3], flow[_AT:, 3] = 1, 0, 0
        speed[_AT + 1 :, 3] = np.nan
    sampled = np.where(np.isnan(speed), 0.0, density * 0.3 * 60)
    return EdgeSeries(_IDS, begin, 60.0, speed, np.abs(density), flow, left, waiting, sampled)


@pytest.fixture(scope="module")
def usual() -> Usual:
    return Usual.of([_day(seed) for seed in range(6)])


def test_the_blocked_segment_is_blamed_and_the_queue_is_followed(street: RoadNetwork, usual: Usual) -> None:
    answer = explain(_day(9, blocked=True), usual, street)
    assert answer.abstains == ""
    assert answer.blamed[0].segment == _IDS[_BLOCKED]
    assert answer.blamed[0].probability > 0.5
    assert answer.blamed[0].signs
    assert 28800 + 60 * _AT < (answer.told_at or 0) <= 28800 + 60 * (_AT + 5)
    assert [reached.segment for reached in answer.spread] == [_IDS[2], _IDS[1], _IDS[0]]
    times = [reached.time for reached in answer.spread]
    assert times == sorted(times)
    assert [cause.event for cause in answer.causes] == [None]


def test_an_ordinary_day_has_no_cause(street: RoadNetwork, usual: Usual) -> None:
    for seed in range(20, 24):
        answer = explain(_day(seed), usual, street)
        assert answer.abstains
        assert answer.blamed == []
        assert answer.told_at is None


def test_events_are_ranked_by_place_and_time(street: RoadNetwork, usual: Usual) -> None:
    began = 28800 + 60 * _AT
    events = [
        KnownEvent("accident:there", "incident", _IDS[_BLOCKED], began, belief=0.9, source="camera:7"),
        KnownEvent("accident:island", "incident", _IDS[4], began),
        KnownEvent("works:later", "works", _IDS[_BLOCKED], began + 7200),
        KnownEvent("works:over", "works", _IDS[_BLOCKED], began - 90000, began - 80000),
        KnownEvent("weather:rain", "weather", "", began - 3600, belief=0.8),
    ]
    causes = explain(_day(9, blocked=True), usual, street, events).causes
    first = causes[0]
    assert first.event is not None
    assert first.event.id == "accident:there"
    assert first.probability > 0.5
    by_id = {cause.event.id if cause.event else "": cause for cause in causes}
    assert by_id["works:later"].fit == by_id["works:over"].fit == 0
    assert by_id["accident:island"].fit < 0.01
    assert 0 < by_id["weather:rain"].fit < first.fit
    assert by_id[""].probability > 0
    assert sum(cause.probability for cause in causes) == pytest.approx(1)
    with pytest.raises(NotFoundError, match=r"events\[0\]\.segment"):
        explain(_day(9, blocked=True), usual, street, [KnownEvent("x", "incident", "edge:nowhere")])


def test_a_known_beginning_is_explained_in_any_case(street: RoadNetwork, usual: Usual) -> None:
    answer = explain(_day(20), usual, street, since=28800.0 + 600)
    assert answer.blamed
    with pytest.raises(InputError, match="since"):
        explain(_day(20), usual, street, since=0.0)


def test_one_event_on_many_segments_counts_once(street: RoadNetwork, usual: Usual) -> None:
    events = [KnownEvent("works:1", "works", segment) for segment in _IDS]
    causes = explain(_day(9, blocked=True), usual, street, events).causes
    assert [cause.event.id if cause.event else "" for cause in causes] == ["works:1", ""]


def test_times_of_day_that_nobody_knows_are_compared_with_the_nearest(street: RoadNetwork) -> None:
    usual = Usual.of([_day(seed, begin=begin) for seed in range(4) for begin in (28800.0, 61200.0)])
    noon = explain(_day(9, blocked=True, begin=43200.0), usual, street)
    assert noon.blamed[0].segment == _IDS[_BLOCKED]


def test_all_signs_are_finite_and_named(street: RoadNetwork, usual: Usual) -> None:
    signs = signs_of(_day(9, blocked=True), usual, street)
    assert list(signs) == list(SIGNS)
    for table in signs.values():
        assert table.shape == (30, 5)
        assert np.isfinite(table).all()


def test_shipped_weights_say_where_they_are_from() -> None:
    weights = SignWeights.load()
    assert {*weights.weight} == {*SIGNS}
    assert 0 < weights.threshold < 1
    assert "SUMO" in str(weights.card["data"])


def test_two_intervals_in_a_row_are_needed() -> None:
    probability = np.zeros((8, 2))
    probability[4, 0] = probability[6, 1] = 1.0
    assert first_told(probability, 0.5) is None
    probability[5, 0] = 0.6
    assert first_told(probability, 0.5) == 5


def test_measures_are_smoothed_by_vehicle_seconds() -> None:
    one = np.ones((3, 1))
    series = EdgeSeries(
        ("a",), 0, 60, np.array([[10.0], [np.nan], [4.0]]), one, one, one, one, np.array([[1.0], [0], [3]])
    )
    table = smoothed(series)
    assert table["speed"][:, 0].tolist() == [10.0, 10.0, (10 + 12) / 4]
    assert table["left"][:, 0].tolist() == [1, 2, 3]


def test_what_makes_no_sense_is_named(street: RoadNetwork, usual: Usual) -> None:
    ones = np.ones((3, 1))
    with pytest.raises(InputError, match=r"a\.speed\[1\]: must be from 0 up, not -2"):
        EdgeSeries(("a",), 0, 60, np.array([[1.0], [-2], [1]]), ones, ones, ones, ones, ones)
    with pytest.raises(InputError, match="left: has shape"):
        EdgeSeries(("a",), 0, 60, ones, ones, ones, np.ones((2, 1)), ones, ones)
    with pytest.raises(InputError, match="usual"):
        Usual.of([])
    other = EdgeSeries(("edge:x/0",), 28800, 60, ones, ones, ones, ones, ones, ones)
    with pytest.raises(InputError, match="same segments"):
        explain(other, usual, street)
    unknown = EdgeSeries(("edge:y/0",), 28800, 60, ones, ones, ones, ones, ones, ones)
    with pytest.raises(NotFoundError, match="edges: no road segment"):
        explain(unknown, Usual.of([unknown]), street)
