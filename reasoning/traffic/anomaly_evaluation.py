"""The Numenta Anomaly Benchmark's score (Lavin & Ahmad 2015), by its own rule, profile `standard`.

A window's first detection counts by how early it comes, +1 at its beginning; a window without counts −1; a detection
outside counts between 0 right after a window and −0.11. The sum is scaled such that no detections are 0 and perfect
ones 100. The first 15 % of a series, 750 values at most, are to learn from, and do not count.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from kg.errors import InputError

_PROBATION, _LONGEST = 0.15, 750
_FALSE = 0.11
_FAR = 3.0


@dataclass(frozen=True, slots=True)
class LabelledSeries:
    """A series, and when something was wrong.

    Attributes:
        times: s.
        values: NaN where nothing was measured.
        windows: first and last index of each, in order.
    """

    name: str
    times: list[float]
    values: list[float]
    windows: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class NabReport:
    """What detections are worth.

    Attributes:
        n: values.
        windows: how many.
        nab_standard: 0…100, below 0 if worse than nothing; None without windows.
        precision: share of the detections that lie in windows.
        recall: share of the windows that have one.
        detections: how many, after the part to learn from.
    """

    n: int
    windows: int
    nab_standard: float | None
    precision: float
    recall: float
    detections: int


def read_series(paths: Sequence[Path], windows: Path) -> list[LabelledSeries]:
    """Series of CSV files or folders with `timestamp,value`, with their windows.

    Raises:
        InputError: a file can't be read; names file and line.
    """
    named = _read_windows(windows)
    found = []
    files = (file for path in paths for file in (sorted(path.glob("*.csv")) if path.is_dir() else [path]))
    for path in files:
        times, values = read_csv(path)
        spans = next((spans for key, spans in named.items() if key.rpartition("/")[2] == path.name), [])
        found.append(LabelledSeries(path.name, times, values, [_indices(times, span) for span in spans]))
    if found and not {one.name for one in found} & {key.rpartition("/")[2] for key in named}:
        raise InputError(f"names none of {', '.join(one.name for one in found)}", str(windows))
    if not found:
        raise InputError("holds no series", ", ".join(map(str, paths)))
    return found


def read_csv(path: Path) -> tuple[list[float], list[float]]:
    """Times in s and values of a CSV file with the columns `timestamp` and `value`.

    Raises:
        InputError: it can't be read; names file and line.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(str(error), str(path)) from error
    times, values = [], []
    for number, row in enumerate(rows, 2):
        try:
            times.append(_time(row["timestamp"]))
            values.append(float(row["value"]) if row["value"] else math.nan)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"needs `timestamp` and `value`: {error}", f"{path}:{number}") from error
        if len(times) > 1 and times[-1] < times[-2]:
            raise InputError("the clock goes back", f"{path}:{number}")
    return times, values


def probation(n: int) -> int:
    """How many values at the beginning do not count."""
    return min(math.floor(_PROBATION * n), _LONGEST)


def nab(series: Sequence[LabelledSeries], detected: Sequence[Sequence[int]]) -> NabReport:
    """The score of detections: for each series the indices at which something was told."""
    total, inside, found, count = 0.0, 0, 0, 0
    for one, indices in zip(series, detected, strict=True):
        best: dict[int, float] = {}
        for index in sorted(indices):
            if index < probation(len(one.times)):
                continue
            count += 1
            window = next((number for number, (a, b) in enumerate(one.windows) if a <= index <= b), None)
            if window is None:
                total += _FALSE * _after(one.windows, index)
            else:
                inside += 1
                first, last = one.windows[window]
                worth = _sigmoid(-(last - index + 1) / (last - first + 1)) / _sigmoid(-1.0)
                best[window] = max(best.get(window, -math.inf), worth)
        found += len(best)
        total += sum(best.values()) - (len(one.windows) - len(best))
    windows = sum(len(one.windows) for one in series)
    return NabReport(
        sum(len(one.times) for one in series),
        windows,
        100.0 * (total + windows) / (2 * windows) if windows else None,
        inside / count if count else 1.0,
        found / windows if windows else 1.0,
        count,
    )


def _after(windows: Sequence[tuple[int, int]], index: int) -> float:
    before = [window for window in windows if window[1] < index]
    if not before:
        return -1.0
    first, last = before[-1]
    return _sigmoid((index - last) / max(last - first, 1))


def _sigmoid(position: float) -> float:
    return -1.0 if position > _FAR else 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def _read_windows(path: Path) -> Mapping[str, list[tuple[float, float]]]:
    try:
        read = orjson.loads(path.read_bytes())
        return {key: [(_time(first), _time(last)) for first, last in spans] for key, spans in read.items()}
    except (OSError, AttributeError, TypeError, ValueError) as error:
        raise InputError(f"is no object of file names with windows [from, to]: {error}", str(path)) from error


def _indices(times: Sequence[float], span: tuple[float, float]) -> tuple[int, int]:
    inside: Iterator[int] = (index for index, time in enumerate(times) if span[0] <= time <= span[1])
    indices = list(inside)
    if not indices:
        raise InputError(f"no value lies in the window from {span[0]:.0f} to {span[1]:.0f} s")
    return indices[0], indices[-1]


def _time(text: str) -> float:
    time = datetime.fromisoformat(text)
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
