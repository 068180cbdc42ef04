"""Which edge is to blame for a jam, on incidents at random places in SUMO's runs of three real towns.

The method sees edge data alone, and what is usual from eight runs of other seeds. Its weights are learned from
incidents of other seeds: `own` of all towns, `left out` of the other towns only. A run is judged ten minutes after the
incident began, or at its end, whatever effect it had. `asked`: `explain` and the baseline know when it began; the
baseline blames the edge that lost most speed, in spreads. `by itself`: `explain` has to tell the jam, too; where it
tells of none, or told of one before the incident, that counts as it is.
Needs SUMO: `uv sync --group sumo`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from benchmarks.cause_runs import Case, clean_runs, incident_cases
from benchmarks.route import network_of
from benchmarks.sumo_runs import DATA, STEP_S, Incident, Run, Town, can_run, towns
from reasoning.traffic.cause import SignWeights, blame, first_told
from reasoning.traffic.cause_signs import SIGNS, signs_of
from reasoning.traffic.edge_series import EdgeSeries, Floats, Usual
from reasoning.traffic.road_network import RoadNetwork

_SETTLED = 3
_NOT_TOLD = 10**6
_AFTER = 10
_QUANTILE = 0.95
Signs = dict[str, Floats]


@dataclass(frozen=True, slots=True)
class Seen:
    """Signs of the runs of one town."""

    town: Town
    edges: list[str]
    begin: float
    learned: list[tuple[Signs, Incident]]
    hidden: list[tuple[Signs, Incident]]
    quiet: list[Signs]
    hidden_quiet: list[Signs]


def main() -> None:
    """Prints how often the right edge is blamed, how soon, and false alarms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the SUMO networks")
    parser.add_argument("--cache", type=Path, default=Path("benchmarks/results/cause"), help="folder for runs")
    parser.add_argument("--incidents", type=int, default=50, help="to be judged in each town; half in Bologna")
    parser.add_argument("--save", type=Path, help="write weights learned from all towns here")
    parser.add_argument("--json", type=Path, help="write the results here, too")
    given = parser.parse_args()
    if not can_run(given.data):
        return
    seen = [_seen(town, given.incidents, given.cache) for town in towns(given.data)]
    results: dict[str, dict[str, float]] = {}
    own = _learn(seen)
    if given.save:
        own.save(given.save)
    for one in seen:
        others = [other for other in seen if other is not one]
        for name, weights in (("own", own), ("left out", _learn(others))):
            row = _judge(one, weights)
            results[f"{one.town.name}, {name}"] = row
            print(f"{one.town.name:12}{name:10}" + "  ".join(f"{what} {value:.2f}" for what, value in row.items()))
    if given.json:
        given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


def _seen(town: Town, count: int, cache: Path) -> Seen:
    count = count if town.name != "bologna" else count // 2
    network = network_of(town)
    usual_runs = clean_runs(town, range(8), cache)
    edges = usual_runs[0].edges
    use = np.asarray(sum(run.entered.sum(0) for run in usual_runs))
    length = np.array([network.length[network.places[edge]] for edge in edges])
    days = [_series(run, network) for run in usual_runs]
    usual = Usual.of(days)
    kinds = (range(1000, 1000 + (40 if town.name != "bologna" else 20)), range(2000, 2000 + count))
    learned, hidden = (list(incident_cases(town, seeds, use, length, edges, cache)) for seeds in kinds)
    quiet = [signs_of(day, Usual.of([d for d in days if d is not day]), network) for day in days]
    clean = clean_runs(town, range(500, 510 if town.name != "bologna" else 505), cache)
    return Seen(
        town,
        edges,
        usual_runs[0].begin,
        _signs(learned, usual, network),
        _signs(hidden, usual, network),
        [dict(one) for one in quiet],
        [dict(signs_of(_series(run, network), usual, network)) for run in clean],
    )


def _signs(cases: Sequence[Case], usual: Usual, network: RoadNetwork) -> list[tuple[Signs, Incident]]:
    return [
        (dict(signs_of(_series(case.run, network), usual, network)), case.incident)
        for case in cases
        if case.incident is not None
    ]


def _series(run: Run, network: RoadNetwork) -> EdgeSeries:
    ids = tuple(network.ids[network.places[edge]] for edge in run.edges)
    tables = (run.speed, run.density, run.entered, run.left, run.waiting, run.sampled)
    return EdgeSeries(ids, run.begin, float(STEP_S), *tables)


def _learn(seen: Sequence[Seen]) -> SignWeights:
    """Logistic regression on all edges of the minutes with an incident, and of every second minute without."""
    rows, labels = [], []
    for one in seen:
        for signs, incident in one.learned:
            table = np.stack([signs[name] for name in SIGNS], -1)
            first, last = _minutes(one, incident, len(table))
            for minute in range(first + 2, last):
                rows.append(table[minute])
                labels.append(np.array([edge == incident.edge for edge in one.edges]))
        for signs in one.quiet:
            table = np.stack([signs[name] for name in SIGNS], -1)[_SETTLED::2]
            rows += list(table)
            labels += [np.zeros(len(one.edges), np.bool_)] * len(table)
    matrix, truth = np.concatenate(rows), np.concatenate(labels)
    scaler = StandardScaler().fit(matrix)
    model = LogisticRegression(C=0.1, max_iter=300).fit(scaler.transform(matrix), truth)
    scales = (scaler.mean_, scaler.scale_, model.coef_[0])
    mean, scale, weight = (dict(zip(SIGNS, map(float, values), strict=True)) for values in scales)
    card = {"data": "SUMO: " + ", ".join(one.town.name for one in seen), "incidents": sum(len(s.learned) for s in seen)}
    untold = SignWeights(float(model.intercept_[0]), mean, scale, weight, 0.0, card)
    peaks = [_peak(untold.probability(signs)) for one in seen for signs in one.quiet]
    threshold = float(np.quantile(peaks, _QUANTILE))
    return SignWeights(untold.bias, mean, scale, weight, threshold, card)


def _peak(probability: Floats) -> float:
    return float(np.minimum(probability[1:], probability[:-1])[_SETTLED:].max())


def _minutes(one: Seen, incident: Incident, length: int) -> tuple[int, int]:
    first, last = (int((time - one.begin) // STEP_S) for time in (incident.begin, incident.end))
    return first, min(last, length)


def _judge(one: Seen, weights: SignWeights) -> dict[str, float]:
    asked, ranks, baseline, soon, told_before = [], [], [], [], 0
    for signs, incident in one.hidden:
        probability = weights.probability(signs)
        first, last = _minutes(one, incident, len(probability))
        until = min(first + _AFTER, last - 1)
        edge = one.edges.index(incident.edge)
        asked.append(_rank(blame(probability[: until + 1], first + 2), edge))
        told = first_told(probability[: until + 1], weights.threshold)
        ranks.append(_NOT_TOLD if told is None else _rank(blame(probability[: until + 1], told), edge))
        baseline.append(_rank(signs["slower"][first + 2 : until + 1].mean(0), edge))
        told = first_told(probability, weights.threshold)
        if told is not None and told <= first:
            told_before += 1
        elif told is not None and told < last + 5:
            soon.append(told - first)
    quiet = one.hidden_quiet
    alarms = sum(_peak(weights.probability(signs)) >= weights.threshold for signs in quiet)
    hours = sum((len(signs["slower"]) - _SETTLED) * STEP_S / 3600 for signs in quiet)
    n = len(ranks)
    return {
        "n": n,
        "asked top-1": _share(asked, 1),
        "top-3": _share(asked, 3),
        "baseline top-1": _share(baseline, 1),
        "top-3 ": _share(baseline, 3),
        "by itself top-1": _share(ranks, 1),
        "top-3  ": _share(ranks, 3),
        "top-1 where told": _share([rank for rank in ranks if rank < _NOT_TOLD], 1),
        "told": len(soon) / max(n - told_before, 1),
        "median min": float(np.median(soon)) if soon else float("nan"),
        "told before": told_before / n,
        "false alarms an hour": alarms / hours,
    }


def _share(ranks: Sequence[int], most: int) -> float:
    return float(np.mean([rank <= most for rank in ranks]))


def _rank(scores: Floats, edge: int) -> int:
    return int((scores > scores[edge]).sum()) + 1


if __name__ == "__main__":
    main()
