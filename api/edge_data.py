"""Measurements of segments, from SUMO's outputs or from the graph, as the series that causes are looked for in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from ingestion.readers.base import get_reader
from kg.errors import InputError, NotFoundError
from kg.model import Claim, Entity, Rejected
from kg.store import GraphStore
from reasoning.traffic.edge_series import EdgeSeries
from reasoning.traffic.road_network import RoadNetwork

_MOST = 20_000_000
_NAMES = {
    "speed": "speed",
    "density": "density",
    "entered": "entered",
    "left": "left",
    "waiting": "waiting_time",
    "sampled": "sampled_seconds",
}


def series_of_files(paths: Sequence[Path], network: RoadNetwork) -> list[EdgeSeries]:
    """One series a file, all of the segments that the network has.

    Raises:
        InputError: a file can't be read, or holds no edge data at equal steps.
    """
    return [_series(path, network) for path in paths]


def _series(path: Path, network: RoadNetwork) -> EdgeSeries:
    if not path.is_file():
        raise InputError("no such file", str(path))
    reader = get_reader("sumo_outputs")
    rows: dict[str, dict[str, float]] = {}
    observed: dict[str, str] = {}
    for document in reader.documents(path):
        for record in reader.read(document):
            if isinstance(record, Rejected):
                raise InputError(record.reason, f"{path}:{record.place}")
            if isinstance(record, Entity) and "TrafficObservation" in record.classes:
                numbers = {
                    name: float(value)
                    for name, value in record.properties.items()
                    if not isinstance(value, str | tuple)
                }
                rows[record.id] = numbers
            elif isinstance(record, Claim) and record.relation == "OBSERVES":
                observed[record.subject] = record.object.rpartition("/")[2]
    return _tabled(((observed.get(id_, ""), row) for id_, row in rows.items()), network, str(path))


async def series_of_sources(store: GraphStore, sources: Sequence[str], network: RoadNetwork) -> list[EdgeSeries]:
    """What each source has observed on segments, of all those that the network has.

    Raises:
        NotFoundError: the graph has no such source.
        InputError: a source has observed no segments at equal steps.
    """
    return [await _series_of_source(store, source, network) for source in sources]


async def _series_of_source(store: GraphStore, source: str, network: RoadNetwork) -> EdgeSeries:
    columns = ", ".join(f"o.{own} AS {own}" for own in (*_NAMES.values(), "begin_seconds", "end_seconds"))
    query = (
        "MATCH (o:TrafficObservation)-[:OBSERVES]->(s:RoadSegment) WHERE $source IN o.sources "
        f"RETURN s.id AS segment, {columns}"
    )
    rows = [
        (str(row.pop("segment")), {name: float(value) for name, value in row.items() if value is not None})
        async for row in store.read(query, {"source": source})
    ]
    if not rows and await store.source(source) is None:
        raise NotFoundError(f"no source {source!r}")
    return _tabled(rows, network, source)


def _tabled(rows: Iterable[tuple[str, Mapping[str, float]]], network: RoadNetwork, place: str) -> EdgeSeries:
    known = [(network.places[on], row) for on, row in rows if on in network.places and "density" in row]
    known = [(at, row) for at, row in known if {"begin_seconds", "end_seconds"} <= row.keys()]
    if not known:
        raise InputError("holds no edge data of this network", place)
    begins = sorted({row["begin_seconds"] for _, row in known})
    steps = {round(row["end_seconds"] - row["begin_seconds"], 3) for _, row in known}
    if len(steps) != 1:
        raise InputError(f"has intervals of {', '.join(f'{step:g}' for step in sorted(steps))} s", place)
    (step,) = steps
    count = round((begins[-1] - begins[0]) / step) + 1
    if count * len(network) > _MOST:
        raise InputError(f"{count:,} intervals of {len(network):,} segments are too many to hold", place)
    tables = {name: np.zeros((count, len(network))) for name in _NAMES}
    tables["speed"][:] = np.nan
    for segment, row in known:
        at = round((row["begin_seconds"] - begins[0]) / step), segment
        for name, own in _NAMES.items():
            if own in row:
                tables[name][at] = row[own]
    return EdgeSeries(tuple(network.ids), begins[0], step, **tables)
