"""Edge data of SUMO's outputs, as the series that causes are looked for in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ingestion.readers.base import get_reader
from kg.errors import InputError
from kg.model import Claim, Entity, Rejected
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
    known = {id_: row for id_, row in rows.items() if observed.get(id_) in network.places and "density" in row}
    if not known:
        raise InputError("holds no edge data of this network", str(path))
    begins = sorted({row["begin_seconds"] for row in known.values()})
    steps = {round(row["end_seconds"] - row["begin_seconds"], 3) for row in known.values()}
    if len(steps) != 1:
        raise InputError(f"has intervals of {', '.join(f'{step:g}' for step in sorted(steps))} s", str(path))
    (step,) = steps
    count = round((begins[-1] - begins[0]) / step) + 1
    if count * len(network) > _MOST:
        raise InputError(f"{count:,} intervals of {len(network):,} segments are too many to hold", str(path))
    tables = {name: np.zeros((count, len(network))) for name in _NAMES}
    tables["speed"][:] = np.nan
    for id_, row in known.items():
        at = round((row["begin_seconds"] - begins[0]) / step), network.places[observed[id_]]
        for name, own in _NAMES.items():
            if own in row:
                tables[name][at] = row[own]
    return EdgeSeries(tuple(network.ids), begins[0], step, **tables)
