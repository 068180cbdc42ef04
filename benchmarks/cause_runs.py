"""Runs of SUMO for `benchmarks.cause`: clean ones, and ones with an incident at a random place; kept in a folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from benchmarks.sumo_runs import Incident, Run, Town, simulate

SECONDS = 2700.0
_SHORTEST_M = 15.0
_TABLES = ("speed", "density", "left", "entered", "waiting", "time_loss", "sampled")


@dataclass(frozen=True, slots=True)
class Case:
    """A run, with what happened in it."""

    run: Run
    incident: Incident | None


def clean_runs(town: Town, seeds: range, cache: Path) -> list[Run]:
    """Runs without incident."""
    return [_kept(town, seed, None, cache) for seed in seeds]


def incident_cases(
    town: Town, seeds: range, use: np.ndarray, length: np.ndarray, edges: list[str], cache: Path
) -> Iterator[Case]:
    """One incident a seed: on an edge of 15 m at least drawn by use, of a kind, at a time and for a time drawn evenly.

    Args:
        town: where.
        seeds: one a case.
        use: vehicles that entered each edge.
        length: m, of each edge.
        edges: their ids.
        cache: folder.
    """
    use = np.where(length >= _SHORTEST_M, use, 0.0)
    for seed in seeds:
        rng = np.random.default_rng(seed)
        edge = edges[int(rng.choice(len(use), p=use / use.sum()))]
        kind = str(rng.choice(["lane", "road", "slow"]))
        begin = town.begin + float(rng.integers(600, 1500))
        lasts = float(rng.integers(600, 1200))
        incident = Incident(edge, kind, float(rng.uniform(0.3, 0.9)), int(rng.integers(4)), begin, begin + lasts)
        yield Case(_kept(town, seed, incident, cache), incident)


def _kept(town: Town, seed: int, incident: Incident | None, cache: Path) -> Run:
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{town.name}-{'clean' if incident is None else 'incident'}-{seed}.npz"
    if not path.is_file():
        run = simulate(town, seed, [incident] if incident else [], seconds=SECONDS)
        tables = {name: getattr(run, name).astype(np.float32) for name in _TABLES}
        said = np.array([str(part) for part in astuple(incident)] if incident else [])
        np.savez_compressed(path, edges=np.array(run.edges), begin=run.begin, incident=said, **tables)
    with np.load(path, allow_pickle=False) as read:
        if incident is not None and list(read["incident"]) != [str(part) for part in astuple(incident)]:
            raise RuntimeError(f"{path} is of another incident; remove the folder")
        tables = {name: read[name].astype(np.float64) for name in _TABLES}
        return Run([str(edge) for edge in read["edges"]], float(read["begin"]), **tables)
