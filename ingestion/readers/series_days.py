"""Rows of sensor series, gathered into one entity for each sensor, measure and day.

Rows may come in any order within `WINDOW` values: a day is done when so many others came since its last. What comes for
it later is refused. Memory is bounded by `MAX_HELD` values.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import orjson

from ingestion.readers.base import Document
from ingestion.readers.times import DAY_US, iso
from ingestion.readers.traffic_ids import curie, dataset
from kg.model import Claim, Entity, Record, Rejected, Source, Value

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]

WINDOW = 1_000_000
"""Values of other days after which a day is done."""
MAX_HELD = 24_000_000
"""Values that wait for the end of their days: 200 MB in a wide table. Beyond it the longest resting day is closed."""

_MIDNIGHT = "00:00:00"
_DENSE_STEP_US = 60_000_000
_DENSE = 4
"""Values have a step if it is a minute or more, or if at least every fourth is there; else their times are listed."""
_SHOWN = 5
"""Columns that a refusal names."""


@dataclass(slots=True)
class _Day:
    times: list[Ints] = field(default_factory=list)
    lines: list[Ints] = field(default_factory=list)
    values: list[Floats] = field(default_factory=list)
    held: int = 0
    last: int = 0


@dataclass(slots=True)
class _Group:
    """Series that share their rows: the measures of one sensor, or all columns of a wide table.

    Attributes:
        columns: (sensor, measure) of each column of values.
        first: number of the day that `done` counts from.
        done: a bit for each day that was given out.
        step: the finest step so far, in microseconds; 0 if none is known.
    """

    columns: Sequence[tuple[str, str]]
    first: int | None = None
    done: int = 0
    step: int = 0

    def bit(self, day: int) -> int:
        """The bit of a day in `done`: days from the first that was done are even, those before it odd."""
        if self.first is None:
            self.first = day
        distance = day - self.first
        return 1 << (2 * distance if distance >= 0 else -2 * distance - 1)


class Days:
    """Collects the rows of one document and gives out each day when it is done.

    Args:
        document: which the records are of.
        place: what names a row by its number, e.g. `L17`.
    """

    def __init__(self, document: Document, place: Callable[[int], str]) -> None:
        self._document = document.id
        self._dataset = dataset(document)
        self._place = place
        self._groups: dict[Hashable, _Group] = {}
        self._days: dict[tuple[Hashable, int], _Day] = {}
        self._held = 0
        self._taken = 0
        self._sensors: dict[str, tuple[str, str]] = {}

    def add_group(self, key: Hashable, columns: Sequence[tuple[str, str]]) -> None:
        """Declares a group before its first rows."""
        self._groups[key] = _Group(columns)

    def add(self, keys: Sequence[Hashable], which: Ints, times: Ints, lines: Ints, values: Floats) -> Iterator[Record]:
        """Takes in rows, and gives the days that they close and the rows that come too late.

        Args:
            keys: the groups that the rows are of.
            which: index into `keys` of each row.
            times: microseconds since 1970.
            lines: number of each row in the document.
            values: rows × columns of the group; NaN where nothing was measured.
        """
        if not len(times):
            return
        days = times // DAY_US
        code = (which << 20) + (days - days.min())
        order = np.argsort(code, kind="stable")
        starts = np.flatnonzero(np.diff(code[order], prepend=-1))
        parts = sorted(np.split(order, starts[1:]), key=lambda part: int(part[0]))
        for part in parts:
            key, day = keys[int(which[part[0]])], int(days[part[0]])
            yield from self._take(key, day, times[part], lines[part], values[part])
        while self._days:
            resting = next(iter(self._days))
            if self._held <= MAX_HELD and self._taken - self._days[resting].last <= WINDOW:
                break
            yield from self._close(*resting)

    def finish(self) -> Iterator[Record]:
        """Gives the days still open."""
        for key, day in list(self._days):
            yield from self._close(key, day)

    def _take(self, key: Hashable, day: int, times: Ints, lines: Ints, values: Floats) -> Iterator[Record]:
        group = self._groups[key]
        found = self._days.pop((key, day), None)
        if found is None:
            if group.done & group.bit(day):
                for line, time in zip(lines.tolist(), times.tolist(), strict=True):
                    reason = f"out of order: {iso(time)} comes more than {WINDOW:,} values after the rest of its day"
                    yield self._rejected(reason, line)
                return
            found = _Day()
        self._days[key, day] = found  # those that rest longest come first
        found.times.append(times)
        found.lines.append(lines)
        found.values.append(values)
        found.held += values.size
        self._held += values.size
        self._taken += values.size
        found.last = self._taken

    def _close(self, key: Hashable, number: int) -> Iterator[Record]:
        group, day = self._groups[key], self._days.pop((key, number))
        group.done |= group.bit(number)
        self._held -= day.held
        times, lines, values = np.concatenate(day.times), np.concatenate(day.lines), np.concatenate(day.values)
        steps = np.diff(times)
        if (steps <= 0).any():
            order = np.argsort(times, kind="stable")
            times, lines, values = times[order], lines[order], values[order]
            steps = np.diff(times)
            if (steps == 0).any():
                again = np.flatnonzero(steps == 0) + 1
                yield from self._merge_repeated(group, again, times, lines, values)
                times, lines, values = (np.delete(column, again, axis=0) for column in (times, lines, values))
                steps = np.diff(times)
        yield from self._series(group, number, times, steps, lines, np.ascontiguousarray(values.T))

    def _merge_repeated(
        self, group: _Group, again: Ints, times: Ints, lines: Ints, values: Floats
    ) -> Iterator[Rejected]:
        """Fills the first row of a time from the others of the same time; another value than the first's is refused."""
        first = -1
        for index in again.tolist():
            first = index - 1 if first < 0 or times[first] != times[index] else first
            kept, new = values[first], values[index]
            differs = (kept != new) & ~np.isnan(kept) & ~np.isnan(new)
            if differs.any():
                told = [
                    f"{group.columns[i][0]} {group.columns[i][1]} {new[i]:g} instead of {kept[i]:g}"
                    for i in np.flatnonzero(differs)[:_SHOWN]
                ]
                more = f" and {int(differs.sum()) - _SHOWN} more" if differs.sum() > _SHOWN else ""
                reason = (
                    f"{iso(int(times[index]))} was measured at {self._place(int(lines[first]))} already: "
                    f"{', '.join(told)}{more}"
                )
                yield self._rejected(reason, int(lines[index]))
            missing = np.isnan(kept)
            kept[missing] = new[missing]

    def _series(
        self, group: _Group, day: int, times: Ints, steps: Ints, lines: Ints, columns: Floats
    ) -> Iterator[Record]:
        step = _step(times, steps, group.step)
        group.step = step or group.step
        position = np.arange(len(times))
        if step:
            position = (times - times[0]) // step
            size = int(position[-1]) + 1
            if size > len(times):
                wide = np.full((len(columns), size), np.nan, columns.dtype)
                wide[:, position] = columns
                columns = wide
        seen = ~np.isnan(columns)
        counts = seen.sum(axis=1).tolist()
        firsts = seen.argmax(axis=1).tolist()
        lasts = (columns.shape[1] - seen[:, ::-1].argmax(axis=1)).tolist()
        date = iso(day * DAY_US)[:10]
        started: dict[int, tuple[str, str]] = {}
        for (sensor, measure), column, mask, count, first, last in zip(
            group.columns, columns, seen, counts, firsts, lasts, strict=True
        ):
            if not count:
                continue
            if first not in started:
                row = int(np.searchsorted(position, first))
                started[first] = iso(int(times[row])), self._place(int(lines[row]))
            start, place = started[first]
            properties: dict[str, Value] = {"measure": measure, "started_at": start, "value_count": count}
            if step:
                properties["values"] = _json(column[first:last])
                properties["step_seconds"] = step / 1e6
            else:
                properties["values"] = _json(column[mask])
                properties["offsets"] = _json((times[mask] - times[first]) / 1e6)
            source, detector = self._sensors.get(sensor) or (yield from self._introduce(sensor, place))
            # files of parts of a day have parts of a series, each with the time of its first value
            part = date if start[11:19] == _MIDNIGHT else f"{date}T{start[11:19]}"
            id_ = curie("series", self._dataset, sensor, measure, part)
            yield Entity(id_, ("Series",), source, properties, self._document, place)
            yield Claim(id_, "OBSERVES", detector, source, 1.0, {}, self._document, place)

    def _introduce(self, sensor: str, place: str) -> Generator[Record, None, tuple[str, str]]:
        source, detector = curie("sensor", self._dataset, sensor), curie("detector", self._dataset, sensor)
        self._sensors[sensor] = source, detector
        yield Source(source, "sensor", name=sensor, document=self._document)
        yield Entity(detector, ("TrafficDetector",), source, {"name": sensor}, self._document, place)
        return source, detector

    def _rejected(self, reason: str, line: int) -> Rejected:
        return Rejected(reason, self._place(line), "", self._document)


def _step(times: Ints, steps: Ints, known: int) -> int:
    """The step of a day's values in microseconds: the widest that all times fall on; 0 if there is no sensible one."""
    if not len(steps):
        return known
    step = int(np.gcd.reduce(steps))
    span = int(times[-1] - times[0])
    finer = int(np.gcd(step, known)) if known else step
    for candidate in (finer, step):
        if candidate >= _DENSE_STEP_US or span // candidate + 1 <= _DENSE * len(times):
            return candidate
    return 0


def _json(values: Floats) -> str:
    """A JSON list; NaN is null, and counts have no decimals."""
    counts = bool((np.floor(values) == values).all()) and bool((np.abs(values) < 1 << 53).all())
    array = values.astype(np.int64) if counts else np.ascontiguousarray(values)
    return orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY).decode()
