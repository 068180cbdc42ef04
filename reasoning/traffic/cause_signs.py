"""The signs by which the segment that causes a jam is told from those that suffer from it.

Where an incident is, vehicles slow down and stand, and fewer leave than usual; the jam grows against the traffic, so
that segments upstream fill up too; downstream it is emptier and freer than usual. Signals and rush hours look alike,
but are usual: all signs compare with what is usual there at that time of day.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reasoning.traffic.edge_series import EdgeSeries, Floats, Usual, smoothed
from reasoning.traffic.road_network import RoadNetwork

_MOST = 10.0
SIGNS = {
    "slower": "slower than usual, in spreads",
    "slower share": "part of the usual speed that is lost",
    "fuller": "more vehicles than usual, in spreads",
    "fuller ratio": "vehicles against the usual, log",
    "standing": "longer standing than usual, in spreads",
    "leaving": "vehicles that leave against the usual, in spreads",
    "leaving ratio": "vehicles that leave against the usual, log",
    "entering ratio": "vehicles that enter against the usual, log",
    "filling": "entered more than left, in roots of the usual number",
    "used": "how many vehicles are usual, log",
    "free usually": "usual speed against the limit",
    "downstream slower share": "the same of the segments that it leads to",
    "downstream fuller ratio": "the same of the segments that it leads to",
    "downstream leaving ratio": "the same of the segments that it leads to",
    "downstream standing": "the same of the segments that it leads to",
    "downstream standing most": "the same of the worst of the segments that it leads to",
    "upstream slower share": "the same of the segments that lead to it",
    "upstream fuller ratio": "the same of the segments that lead to it",
    "upstream leaving ratio": "the same of the segments that lead to it",
    "upstream standing": "the same of the segments that lead to it",
}
"""What each sign says."""
_NEAR = ("slower share", "fuller ratio", "leaving ratio", "standing")


def signs_of(series: EdgeSeries, usual: Usual, network: RoadNetwork) -> Mapping[str, Floats]:
    """Each sign for each interval and segment, (K, E).

    Raises:
        InputError: the series is of other segments than what is usual.
        NotFoundError: a segment is not in the network.
    """
    now = smoothed(series)
    mean, spread = usual.at(series)
    at = np.array([network.index(id_, "edges") for id_ in series.segments], np.int64)
    limit = network.speed_limit[at]
    normal = np.where(np.isnan(mean["speed"]), limit, mean["speed"])
    speed = np.where(np.isnan(now["speed"]), normal, now["speed"])

    def apart(name: str, least: float) -> Floats:
        return np.clip((now[name] - mean[name]) / (spread[name] + least), -_MOST, _MOST)

    def ratio(name: str, least: float) -> Floats:
        return np.asarray(np.log((now[name] + least) / (mean[name] + least)))

    signs = {
        "slower": np.clip((normal - speed) / (spread["speed"] + 0.5), -_MOST, _MOST),
        "slower share": (normal - speed) / np.maximum(normal, 1.0),
        "fuller": apart("density", 3.0),
        "fuller ratio": ratio("density", 3.0),
        "standing": apart("waiting", 10.0),
        "leaving": apart("left", 1.0),
        "leaving ratio": ratio("left", 1.0),
        "entering ratio": ratio("entered", 1.0),
        "filling": np.clip((now["entered"] - now["left"]) / np.sqrt(mean["entered"] + 1.0), -_MOST, _MOST),
        "used": np.log(mean["entered"] + 1.0),
        "free usually": normal / limit,
    }
    leads = _turns(network, at)
    onward = leads / np.maximum(leads.sum(1, keepdims=True), 1)
    back = leads.T / np.maximum(leads.T.sum(1, keepdims=True), 1)
    for name in _NEAR:
        signs[f"downstream {name}"] = signs[name] @ onward.T
        signs[f"upstream {name}"] = signs[name] @ back.T
    worst = [np.where(leads > 0, row[None, :], -_MOST).max(1) for row in signs["standing"]]
    signs["downstream standing most"] = np.array(worst).reshape(signs["standing"].shape)
    return {name: signs[name] for name in SIGNS}


def _turns(network: RoadNetwork, at: np.ndarray) -> Floats:
    """1 where one of these segments leads to another of them, (E, E)."""
    place = {int(segment): number for number, segment in enumerate(at)}
    table = np.zeros((len(at), len(at)))
    for one, other in zip(network.turn_from.tolist(), network.turn_to.tolist(), strict=True):
        if one in place and other in place:
            table[place[one], place[other]] = 1.0
    return table
