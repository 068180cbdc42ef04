"""What the columns of a table of sensor series are: time, sensor, measures, or a sensor each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ingestion.readers.series_tables import Batch, Column, numbers, texts
from ingestion.readers.times import TimeParser
from kg.ontology import snake

_TIME = re.compile(
    r"time|date|ts|epoch|utc|timestamp|time_stamp|datetime|date_time|(start|starting|begin|measured|measurement|recorded"
    r"|observed|local|interval|period|result)_(time|at|date|start|timestamp|datetime)"
)
_SENSOR = re.compile(
    r"id|(sensor|detector|det|station|loop|arm|site|device|intersection|tollgate|location|link|segment|camera|approach"
    r"|lane|direction|road|edge|stop|counter)s?(_?(id|name|no|nr|number|code))?"
)
_MEASURE = re.compile(r"travel_?time|speed|flow|volume|occupancy|density|counts?|total|value|headway|queue_length")
_EVENT = re.compile(r"event_?(id|code|type)")
_SAMPLE = 200


def plain(name: str) -> str:
    """A column's name to look up: `TimeStamp` → `time_stamp`, `Travel time` → `travel_time`."""
    return re.sub(r"\W+", "_", snake(name.strip())).strip("_")


@dataclass(frozen=True, slots=True)
class Layout:
    """Positions of columns.

    Attributes:
        time: one column, or date and clock.
        keys: columns that together name the sensor (a long table); empty where each column is a series of its own.
        values: (position, sensor, measure) of the columns of values; the sensor is empty in a long table.
        unread: (name, reason) of columns that are left out.
    """

    time: tuple[int, ...]
    keys: tuple[int, ...]
    values: tuple[tuple[int, str, str], ...]
    unread: tuple[tuple[str, str], ...]


def sensor_columns(names: Sequence[str]) -> list[int]:
    """Columns that by their names name a sensor."""
    return [i for i, name in enumerate(names) if _SENSOR.fullmatch(plain(name))]


def find_time(names: Sequence[str], batch: Batch) -> tuple[int, ...]:
    """The column of times, or those of date and clock; empty if there is none.

    By name, else by what the first rows hold; bare numbers are times only under a name that says so.
    """
    known = [plain(name) for name in names]
    named = [i for i, name in enumerate(known) if _TIME.fullmatch(name)]
    if "date" in known:
        date = known.index("date")
        if max(map(len, texts(batch.columns[date])[:_SAMPLE]), default=0) <= len("2024-01-01"):
            for clock in ("time", "hour"):
                if clock in known:
                    return date, known.index(clock)
    if named:
        full = [i for i in named if _holds_times(batch.columns[i], numbers_too=True)]
        return ((full or named)[0],)
    return next(((i,) for i, column in enumerate(batch.columns) if _holds_times(column, numbers_too=False)), ())


def _holds_times(column: Column, *, numbers_too: bool) -> bool:
    if not isinstance(column, (list, tuple)):
        return column.dtype.kind == "M" or numbers_too  # type: ignore[union-attr]
    sample = [text for text in column[:_SAMPLE] if text]
    parser = TimeParser()
    parser.day_first = True  # of either order it is a time
    good = 0
    for text in sample:
        if not numbers_too and re.fullmatch(r"[\d.]+", text):
            return False
        try:
            parser.parse(text)
            good += 1
        except ValueError:
            continue
    return 2 * good > len(sample)


def find_layout(names: Sequence[str], batch: Batch, time: tuple[int, ...], stem: str) -> Layout:
    """The layout of a table with times.

    Args:
        names: of the columns.
        batch: the first rows.
        time: what `find_time` found.
        stem: the file's name, which names sensor and measure where the columns don't.

    Raises:
        ValueError: it is no table of series; says why.
    """
    if _holds_times([names[time[0]]], numbers_too=True):
        raise ValueError("no header: the first line holds values")
    if any(_EVENT.fullmatch(plain(name)) for name in names):
        raise ValueError("a log of events, not of values at times; no series")
    keys = tuple(i for i in sensor_columns(names) if i not in time)
    unread: list[tuple[str, str]] = []
    found: list[int] = []
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if i in time or i in keys or (i == 0 and not name):  # a nameless first column counts the rows
            continue
        if name in first:
            unread.append(
                (name, f"column {name!r} is there twice, as {first[name] + 1} and {i + 1}; the second is left out")
            )
        elif not name:
            unread.append((name, f"column {i + 1} has no name, and is left out"))
        elif _is_text(batch.columns[i]):
            unread.append((name, f"column {name!r} does not hold numbers, and is left out"))
        else:
            first[name] = i
            found.append(i)
    if not found:
        raise ValueError("no column holds numbers")
    measures = [plain(names[i]) for i in found]
    if keys:
        values = tuple((i, "", measure or names[i]) for i, measure in zip(found, measures, strict=True))
    elif all(_MEASURE.fullmatch(measure) for measure in measures):  # one sensor
        sensor, of_file = _from_stem(stem)
        values = tuple(
            (i, sensor, of_file if measure == "value" else measure) for i, measure in zip(found, measures, strict=True)
        )
    else:
        of_file = _from_stem(stem)[1]
        values = tuple((i, names[i], of_file) for i in found)
    return Layout(time, keys, values, tuple(unread))


def _is_text(column: Column) -> bool:
    """Whether two cells or more are no numbers, and none is one."""
    values, bad = numbers(column)
    return len(bad) > 1 and bool((values != values).all())


def _from_stem(stem: str) -> tuple[str, str]:
    """Sensor and measure by a file's name: `speed_6005` → (`6005`, `speed`)."""
    known = plain(stem)
    match = re.search(rf"(?:^|_)({_MEASURE.pattern})(?:_|$)", known)
    if match is None:
        return stem, "value"
    rest = "_".join(part for part in (known[: match.start()], known[match.end() :]) if part)
    return rest or stem, match[1]
