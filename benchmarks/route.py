"""Routes driven in SUMO past incidents, latency in a real network, and growth on grids.

In each trial an incident happens at a random place, weighted by use; ten minutes later a vehicle departs whose way in
free traffic leads over that place. It drives Evigraph's route, that of free traffic, or duarouter's at the same speeds,
in otherwise equal runs. Both know the mean speeds of the five minutes before departure; Evigraph also those
of four other days (runs of other seeds, without incident), and neither what comes.
Needs SUMO: `uv sync --group sumo`.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from defusedxml.ElementTree import iterparse

from benchmarks.sumo_runs import DATA, STEP_S, Incident, Probe, Run, Town, can_run, simulate, towns
from ingestion.readers.base import get_reader
from reasoning.traffic.expected_speed import expected_speed, mean_speed
from reasoning.traffic.road_network import RoadNetwork, network_of_records
from reasoning.traffic.route import Router, SegmentSpeeds
from reasoning.traffic.route_answer import KnownSpeed, RoutePlanner, RouteQuestion

_INCIDENT_AT = 900
_DEPARTS_AT = 1500
_SEEN = 5
_LAST_S = 3600


def main() -> None:
    """Prints travel times, latencies and growth."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the SUMO networks")
    parser.add_argument("--trials", type=int, default=20, help="incidents in each town")
    parser.add_argument("--sizes", type=int, nargs="*", default=[10_000, 100_000, 1_000_000], help="edges of grids")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the results here, too")
    given = parser.parse_args()
    if not can_run(given.data):
        return
    results: dict[str, object] = {}
    for town in towns(given.data):
        results[town.name] = found = _driven(town, given.trials, given.seed)
        print(f"\n{town.name}: s driven past an incident, {found['n']:.0f} trials")
        for way in ("free traffic", "duarouter", "evigraph"):
            print(f"{way:14}{found[way]:8.0f}")
        print("less than free traffic: {:.0f} s [{:.0f}, {:.0f}]".format(*(found[k] for k in ("gain", "low", "high"))))
    results["latency"] = latency = _latency(towns(given.data)[0], given.seed)
    print("\nIngolstadt, 3 routes: " + ", ".join(f"{name} {value:.1f} ms" for name, value in latency.items()))
    results["grid"] = []
    for size in given.sizes:
        row = _grid(size, given.seed)
        print(", ".join(f"{name} {value:,.1f}" for name, value in row.items()))
        results["grid"].append(row)  # type: ignore[attr-defined]
    if given.json:
        given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


def network_of(town: Town) -> RoadNetwork:
    """The town's network, as the reader has it."""
    reader = get_reader("sumo_net")
    return network_of_records(record for document in reader.documents(town.net) for record in reader.read(document))


def _driven(town: Town, trials: int, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    network = network_of(town)
    router, planner = Router(network), RoutePlanner(network)
    usual = simulate(town, seed, seconds=_DEPARTS_AT)
    pairs = list(_trips(town, network))
    use = usual.entered.sum(0)
    rows: list[tuple[float, float, float]] = []
    free = SegmentSpeeds.unknown(network)
    usually = _usual([simulate(town, other) for other in range(seed + 11, seed + 15)])
    while len(rows) < trials:
        edge = usual.edges[int(rng.choice(len(use), p=use / use.sum()))]
        over = []
        for start, end in (pairs[at] for at in rng.permutation(len(pairs))[:60]):
            path = router.fastest(start, end, 0.0, free)
            if path is not None and network.places.get(edge) in path.segments[1:-1]:
                over.append((start, end, path.segments))
        if not over:
            continue
        kind = str(rng.choice(["lane", "road", "slow"]))
        incident = Incident(edge, kind, 0.7, 0, town.begin + _INCIDENT_AT, town.begin + _LAST_S)
        start, end, static = over[int(rng.integers(len(over)))]
        seen = _seen(simulate(town, seed, [incident], seconds=_DEPARTS_AT))
        known = [
            KnownSpeed(network.ids[network.places[name]], expected_speed(speed, seen.get(name, speed)))
            for name, speed in usually.items()
        ]
        question = RouteQuestion(network.ids[start], network.ids[end], speeds=known)
        own = [network.places[leg.segment] for leg in planner.answer(question).routes[0].legs]
        other = _duarouter(town, network, seen, start, end)
        driven: dict[tuple[int, ...], float] = {}
        for way in (static, other, own):
            if tuple(way) not in driven:
                driven[tuple(way)] = _drive(town, seed, incident, [_name(network, at) for at in way])
        rows.append((driven[tuple(static)], driven[tuple(other)], driven[tuple(own)]))
    table = np.array(rows)
    gains = table[:, 0] - table[:, 2]
    means = [gains[rng.integers(len(gains), size=len(gains))].mean() for _ in range(2000)]
    low, high = np.percentile(means, (2.5, 97.5))
    free_s, dua, own_s = table.mean(0)
    return {
        "n": float(len(rows)),
        "free traffic": free_s,
        "duarouter": dua,
        "evigraph": own_s,
        "gain": float(gains.mean()),
        "low": float(low),
        "high": float(high),
    }


def _drive(town: Town, seed: int, incident: Incident, edges: Sequence[str]) -> float:
    """Seconds that a vehicle takes; one that is under way at the end counts as arriving then."""
    depart = town.begin + _DEPARTS_AT
    run = simulate(town, seed, [incident], [Probe("probe", tuple(edges), depart)], _LAST_S)
    return run.arrivals.get("probe", town.begin + _LAST_S - depart)


def _seen(run: Run) -> dict[str, float]:
    """Mean speed of each edge in the last minutes, by vehicle and time, where somebody drove."""
    last = (_DEPARTS_AT // STEP_S) - 1
    rows = slice(last - _SEEN, last)
    sampled = run.sampled[rows]
    speed = np.nansum(np.nan_to_num(run.speed[rows]) * sampled, 0) / np.maximum(sampled.sum(0), 1e-9)
    return {edge: float(speed[at]) for at, edge in enumerate(run.edges) if sampled[:, at].sum() > 0}


def _usual(runs: Sequence[Run]) -> dict[str, float]:
    """Mean speed of each edge over runs, where somebody drove."""
    found = {}
    for at, edge in enumerate(runs[0].edges):
        speed = mean_speed(
            pair for run in runs for pair in zip(np.nan_to_num(run.speed[:, at]), run.sampled[:, at], strict=True)
        )
        if speed is not None:
            found[edge] = float(speed)
    return found


def _name(network: RoadNetwork, at: int) -> str:
    return network.ids[at].rpartition("/")[2]


def _trips(town: Town, network: RoadNetwork) -> Iterator[tuple[int, int]]:
    """Where the demand goes from and to."""
    for file in town.routes:
        for _, element in iterparse(file):
            ends = (element.get("from"), element.get("to"))
            if element.tag == "route" and element.get("edges"):
                edges = element.get("edges", "").split()
                ends = (edges[0], edges[-1])
            if all(name in network.places for name in ends if name) and all(ends) and ends[0] != ends[1]:
                yield network.places[str(ends[0])], network.places[str(ends[1])]


def _duarouter(town: Town, network: RoadNetwork, seen: dict[str, float], start: int, end: int) -> list[int]:
    """SUMO's own router at the same speeds."""
    import sumo

    with tempfile.TemporaryDirectory() as folder:
        trips, weights, out = (Path(folder) / name for name in ("trips.xml", "weights.xml", "out.rou.xml"))
        ends = f'from="{_name(network, start)}" to="{_name(network, end)}"'
        trips.write_text(f'<routes><trip id="probe" depart="0" {ends}/></routes>', encoding="utf-8")
        times = "".join(
            f'<edge id="{name}" traveltime="{network.length[network.places[name]] / max(speed, 0.1)}"/>'
            for name, speed in seen.items()
        )
        text = f'<meandata><interval begin="0" end="100000">{times}</interval></meandata>'
        weights.write_text(text, encoding="utf-8")
        command = [str(Path(sumo.SUMO_HOME) / "bin" / "duarouter"), "-n", str(town.net), "-r", str(trips)]
        command += ["-w", str(weights), "-o", str(out), "--no-warnings"]
        subprocess.run(command, check=True, capture_output=True)
        for _, element in iterparse(out):
            if element.tag == "route":
                return [network.places[name] for name in element.get("edges", "").split()]
    raise RuntimeError("duarouter found no route")


def _latency(town: Town, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    network = network_of(town)
    planner, pairs = RoutePlanner(network), list(_trips(town, network))
    known = [
        KnownSpeed(id_, float(speed)) for id_, speed in zip(network.ids, rng.uniform(1, 15, len(network)), strict=True)
    ]
    seconds = []
    for at in rng.integers(len(pairs), size=500):
        start, end = (network.ids[one] for one in pairs[at])
        question = RouteQuestion(start, end, count=3, speeds=known)
        started = time.perf_counter()
        planner.answer(question)
        seconds.append(time.perf_counter() - started)
    p50, p99 = np.percentile(seconds, (50, 99)) * 1e3
    return {"p50": float(p50), "p99": float(p99)}


def _grid(size: int, seed: int) -> dict[str, float]:
    """A grid of about so many segments, 100 m each, at speeds drawn for each slice of five minutes."""
    rng = np.random.default_rng(seed)
    side = int((size / 4) ** 0.5)
    network = _grid_network(side)
    started = time.perf_counter()
    router = Router(network)
    built = time.perf_counter() - started
    speeds = SegmentSpeeds(0.0, 300.0, rng.uniform(2, 15, (12, len(network))))
    seconds = []
    for _ in range(5):
        start, end = rng.integers(len(network), size=2)
        started = time.perf_counter()
        router.fastest(int(start), int(end), 0.0, speeds)
        seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"segments": len(network), "build s": built, "query s": float(np.median(seconds)), "peak GiB": peak}


def _grid_network(side: int) -> RoadNetwork:
    at = np.arange(side * side).reshape(side, side)
    ends = [(at[:, :-1], at[:, 1:]), (at[:, 1:], at[:, :-1]), (at[:-1], at[1:]), (at[1:], at[:-1])]
    start, end = (np.concatenate([pair[which].ravel() for pair in ends]) for which in (0, 1))
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    first = np.searchsorted(start, np.arange(side * side + 1))
    count = (first[1:] - first[:-1])[end]
    turn_from = np.repeat(np.arange(len(start)), count)
    within = np.arange(len(turn_from)) - np.repeat(np.cumsum(count) - count, count)
    turn_to = first[end[turn_from]] + within
    back = end[turn_to] == start[turn_from]
    turn_from, turn_to = turn_from[~back], turn_to[~back]
    ids = [str(number) for number in range(len(start))]
    none = [""] * len(start)
    return RoadNetwork(
        ids,
        ids,
        np.full(len(start), 100.0),
        np.full(len(start), 13.89),
        none,
        none,
        turn_from,
        turn_to,
        [],
        np.zeros(len(turn_from)),
        [],
    )


if __name__ == "__main__":
    main()
