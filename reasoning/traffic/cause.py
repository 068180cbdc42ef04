"""What causes a jam: where it began, how it spread, and which known event fits in time and place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from kg.errors import InputError
from reasoning.traffic.cause_signs import SIGNS, signs_of
from reasoning.traffic.edge_series import EdgeSeries, Floats, Usual
from reasoning.traffic.road_network import RoadNetwork

SHIPPED = Path(__file__).with_name("cause_weights.json")
_GATHERS = 10
_SETTLING = 3
_SEEN_AFTER = 2
_LEAST = 1e-4
_TOP_SIGNS = 4
_JAMMED = 0.4
"""Part of the usual speed that is lost on a segment that a jam has reached."""
_UNKNOWN_PRIOR = 0.3
"""Weight of a cause that nobody told of, beside the events that are known."""
_REACH_M = 300.0
_EARLY_S = 900.0


@dataclass(frozen=True, slots=True)
class SignWeights:
    """A logistic model of the signs: the log-odds that a segment is where the incident is.

    Attributes:
        bias: log-odds.
        mean, scale, weight: of each sign.
        threshold: probability that two intervals in a row must reach for a jam to be told.
        card: where the weights are from.
    """

    bias: float
    mean: Mapping[str, float]
    scale: Mapping[str, float]
    weight: Mapping[str, float]
    threshold: float
    card: Mapping[str, object]

    @classmethod
    def load(cls, path: Path = SHIPPED) -> SignWeights:
        """Reads weights.

        Raises:
            InputError: the file holds none.
        """
        try:
            read = orjson.loads(path.read_bytes())
            parts = {name: {sign: float(read[name][sign]) for sign in SIGNS} for name in ("mean", "scale", "weight")}
            return cls(float(read["bias"]), **parts, threshold=float(read["threshold"]), card=read["card"])
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"holds no weights of signs: {error}", str(path)) from error

    def save(self, path: Path) -> None:
        """Writes them as JSON."""
        names = ("card", "threshold", "bias", "mean", "scale", "weight")
        path.write_bytes(
            orjson.dumps({name: getattr(self, name) for name in names}, option=orjson.OPT_INDENT_2) + b"\n"
        )

    def parts(self, signs: Mapping[str, Floats]) -> dict[str, Floats]:
        """What each sign adds to the log-odds, (K, E) each."""
        return {name: self.weight[name] * (signs[name] - self.mean[name]) / self.scale[name] for name in SIGNS}

    def probability(self, signs: Mapping[str, Floats]) -> Floats:
        """Probability for each interval and segment, (K, E)."""
        total = np.clip(self.bias + sum(self.parts(signs).values()), -50.0, 50.0)
        return np.asarray(1.0 / (1.0 + np.exp(-total)))


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """An event that the graph or the question tells of.

    Attributes:
        kind: incident, works, weather, event.
        segment: id; empty where it is everywhere, as weather is.
        begin, end: s; None where unknown.
        belief: 0…1.
        source: who says so.
    """

    id: str
    kind: str
    segment: str = ""
    begin: float | None = None
    end: float | None = None
    belief: float = 1.0
    source: str = ""


@dataclass(frozen=True, slots=True)
class Sign:
    """A sign on a segment, as it adds to the log-odds; means `SIGNS` in words."""

    name: str
    means: str
    value: float
    adds: float


@dataclass(frozen=True, slots=True)
class BlamedSegment:
    """A segment that may be where the cause is.

    Attributes:
        probability: that it is this one, given that it is one of all.
        signs: those that speak most for it.
    """

    rank: int
    segment: str
    name: str
    probability: float
    signs: list[Sign]


@dataclass(frozen=True, slots=True)
class Reached:
    """When a jam reached a segment: `hops` turns upstream of the first one; s after the jam was told."""

    segment: str
    hops: int
    time: float


@dataclass(frozen=True, slots=True)
class Cause:
    """An event that may be the cause.

    Attributes:
        probability: of all events and of none that is known.
        fit: belief × nearness × timeliness.
    """

    event: KnownEvent | None
    probability: float
    fit: float
    metres: float | None


@dataclass(frozen=True, slots=True)
class CauseAnswer:
    """Whether there is a jam, where it comes from, and why.

    Attributes:
        abstains: why nothing is blamed; empty where something is.
        told_at: s, when the jam could be told; None if there is none.
        blamed: the likeliest segments.
        spread: the segments that the jam reached, in order.
        causes: known events, and the unknown one, the likeliest first.
    """

    abstains: str
    told_at: float | None
    blamed: list[BlamedSegment]
    spread: list[Reached]
    causes: list[Cause]


def explain(
    series: EdgeSeries,
    usual: Usual,
    network: RoadNetwork,
    events: Sequence[KnownEvent] = (),
    weights: SignWeights | None = None,
    limit: int = 3,
    since: float | None = None,
) -> CauseAnswer:
    """Tells a jam in a series that was not there usually, and explains it.

    Args:
        series: what was measured, up to now.
        usual: what is usual there.
        network: its segments.
        events: what is known to have happened.
        weights: of the signs; the shipped ones by default.
        limit: how many segments to name.
        since: s, when the jam began, where that is known: then it is explained, whether it could be told or not.

    Raises:
        InputError: series and usual are of different segments, or `since` is not in the series.
        NotFoundError: a segment is not in the network.
    """
    weights = weights or SignWeights.load()
    signs = signs_of(series, usual, network)
    probability = weights.probability(signs)
    told = first_told(probability, weights.threshold) if since is None else seen_by(series, since)
    if told is None:
        return CauseAnswer("nothing is out of the ordinary for two intervals in a row", None, [], [], [])
    blamed = blame(probability, told)
    parts = weights.parts(signs)
    order = np.argsort(-blamed)[:limit]
    named = []
    for rank, at in enumerate(order.tolist(), 1):
        adds = sorted(((float(part[told, at]), name) for name, part in parts.items()), reverse=True)[:_TOP_SIGNS]
        found = [Sign(name, SIGNS[name], float(signs[name][told, at]), add) for add, name in adds if add > 0]
        id_ = series.segments[at]
        named.append(BlamedSegment(rank, id_, network.names[network.index(id_)], float(blamed[at]), found))
    time = series.begin + (told + 1) * series.step
    spread = _spread(series, signs["slower share"], network, int(order[0]), told)
    return CauseAnswer("", time, named, spread, _causes(events, named, network, time))


def first_told(probability: Floats, threshold: float) -> int | None:
    """The first interval at which a segment has reached the threshold twice in a row; the first three only settle."""
    both = np.minimum(probability[1:], probability[:-1])
    reached = np.flatnonzero(both.max(1) >= threshold) + 1
    reached = reached[reached >= _SETTLING]
    return int(reached[0]) if len(reached) else None


def seen_by(series: EdgeSeries, since: float) -> int:
    """The interval by which a jam that began then is to be seen: two later, or the last.

    Raises:
        InputError: it is not in the series.
    """
    began = (since - series.begin) / series.step
    if not 0 <= began < len(series) or len(series) <= _SEEN_AFTER:
        raise InputError(f"must be in the time of the series, with {_SEEN_AFTER + 1} intervals at least", "since")
    return min(int(began) + _SEEN_AFTER, len(series) - 1)


def blame(probability: Floats, told: int) -> Floats:
    """How likely each segment is the one, (E,): log-odds over the intervals since, ten at most, made to sum to 1."""
    rows = probability[told - 1 : told + _GATHERS]
    score = np.log(rows + _LEAST).mean(0)
    weight = np.exp(score - score.max())
    return np.asarray(weight / weight.sum())


def _spread(series: EdgeSeries, slower: Floats, network: RoadNetwork, start: int, told: int) -> list[Reached]:
    """Upstream from the blamed segment, over segments that lost their speed, no earlier than the one downstream."""
    place = {network.index(id_): at for at, id_ in enumerate(series.segments)}
    before: dict[int, list[int]] = {}
    for one, other in zip(network.turn_from.tolist(), network.turn_to.tolist(), strict=True):
        if one in place and other in place:
            before.setdefault(place[other], []).append(place[one])
    seen = {start: max(told - 1, 0)}
    todo, found = [(start, 0)], []
    while todo:
        at, hops = todo.pop(0)
        found.append(Reached(series.segments[at], hops, series.begin + seen[at] * series.step))
        for upstream in before.get(at, ()):
            later = np.flatnonzero(slower[seen[at] :, upstream] >= _JAMMED)
            if upstream not in seen and len(later):
                seen[upstream] = seen[at] + int(later[0])
                todo.append((upstream, hops + 1))
    return sorted(found, key=lambda one: (one.time, one.hops))


def _causes(
    events: Sequence[KnownEvent], blamed: Sequence[BlamedSegment], network: RoadNetwork, told: float
) -> list[Cause]:
    """Known events by belief × nearness × timeliness, beside the unknown one.

    Nearness is Σ over the blamed segments of probability · exp(−metres / 300); timeliness is exp(−delay / 900 s) from
    the event's beginning to the alarm, 0 for an event that began after it or had ended before.
    """
    best: dict[str, tuple[KnownEvent, float, float | None]] = {}
    for number, event in enumerate(events):
        near, metres = 1.0, None
        if event.segment:
            at = network.index(event.segment, f"events[{number}].segment")
            apart = [_metres(network, at, network.index(one.segment)) for one in blamed]
            metres = min(apart)
            near = sum(one.probability * math.exp(-far / _REACH_M) for one, far in zip(blamed, apart, strict=True))
        late = event.begin is not None and event.begin > told
        over = event.end is not None and event.end < told - _EARLY_S
        since = 0.0 if event.begin is None else max(0.0, told - event.begin)
        fit = 0.0 if late or over else event.belief * near * math.exp(-since / _EARLY_S)
        if event.id not in best or fit > best[event.id][1]:  # one event may be on many segments
            best[event.id] = event, fit, metres
    total = _UNKNOWN_PRIOR + sum(fit for _, fit, _ in best.values())
    ranked = [Cause(event, fit / total, fit, metres) for event, fit, metres in best.values()]
    ranked.append(Cause(None, _UNKNOWN_PRIOR / total, _UNKNOWN_PRIOR, None))
    return sorted(ranked, key=lambda one: -one.probability)


def _metres(network: RoadNetwork, one: int, other: int) -> float:
    """Between the middles of two segments; 0 if they are one, far if nobody knows where they are."""
    if one == other:
        return 0.0
    a, b = network.points[one], network.points[other]
    if not len(a) or not len(b):
        return math.inf
    return float(np.hypot(*(a.mean(0) - b.mean(0))))
