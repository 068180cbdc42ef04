"""Series in numpy archives: arrays time × sensor under the measure's name, with `start` and `step_min`."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

from ingestion.readers.base import Document
from ingestion.readers.series_days import Days, Floats
from ingestion.readers.series_networks import Network
from ingestion.readers.times import TimeParser
from kg.model import Record, Rejected

MAX_ARRAY = 1 << 30
"""Bytes of an archive when unpacked: arrays are held in memory."""
_ROWS = 5_000
_STEPS = {"step_min": 60_000_000, "step_s": 1_000_000}


def read_arrays(document: Document) -> Iterator[Record]:
    """The records of an archive: each two-dimensional array of numbers is a measure, or, if named `adj…`, neighbours.

    Raises:
        ValueError: it is no such archive; says why.
    """
    with document.open() as file:
        try:
            with zipfile.ZipFile(file) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
            if size > MAX_ARRAY:
                raise ValueError(f"{size:,} bytes when unpacked, more than {MAX_ARRAY:,}")
            file.seek(0)
            with np.load(file, allow_pickle=False) as loaded:
                arrays = {name: loaded[name] for name in loaded.files}
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, MemoryError, ValueError) as error:
            raise ValueError(f"no numpy archive, or a damaged one: {error}") from error
    grids = {n: a for n, a in arrays.items() if a.ndim == 2 and a.dtype.kind in "fiu"}
    measures = {n: a for n, a in grids.items() if not n.startswith("adj")}
    if not grids:
        raise ValueError("no array of two dimensions, time × sensor")
    width = next(iter((measures or grids).values())).shape[1]
    named = arrays.get("sensor_ids")
    names = [str(name) for name in named.ravel().tolist()] if named is not None else [str(i) for i in range(width)]
    for name, array in grids.items():
        if array.shape[1] != len(names) or (name not in measures and array.shape[0] != len(names)):
            yield Rejected(f"shape {array.shape} does not fit {len(names)} sensors", name, "", document.id)
        elif name in measures:
            yield from _measure(document, name, array, names, arrays)
    network = Network(document)
    told = [n for n, a in grids.items() if n not in measures and a.shape == (len(names), len(names))]
    if told:
        yield network.source
    for name in told:
        yield from network.matrix(names, grids[name].astype(np.float64), name + "[{i},{j}]", name)


def _measure(
    document: Document,
    name: str,
    array: Floats,
    names: list[str],
    arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]],
) -> Iterator[Record]:
    unit = next((unit for unit in _STEPS if unit in arrays), None)
    if "start" not in arrays or unit is None:
        raise ValueError("needs the arrays start and step_min (or step_s)")
    start = TimeParser().parse(str(arrays["start"][()]))
    step = round(float(str(arrays[unit][()])) * _STEPS[unit])
    if step <= 0:
        raise ValueError(f"{unit} is not above 0")
    days = Days(document, lambda row: f"{name}[{row}]")
    days.add_group(name, [(sensor, name) for sensor in names])
    for row in range(0, len(array), _ROWS):
        part = array[row : row + _ROWS]
        values = part if part.dtype.kind == "f" else part.astype(np.float64)
        infinite = np.isinf(values)
        for index in np.flatnonzero(infinite.any(axis=1)).tolist():
            which = ", ".join(names[i] for i in np.flatnonzero(infinite[index])[:5])
            yield Rejected(f"no finite number for {which}", f"{name}[{row + index}]", "", document.id)
        numbers = np.arange(row, row + len(values))
        filled = np.where(infinite, np.nan, values) if infinite.any() else values
        yield from days.add([name], np.zeros(len(values), np.int64), start + numbers * step, numbers, filled)
    yield from days.finish()
