"""Sensor series: CSV and Parquet tables, wide or long, numpy archives; places and neighbours of the sensors."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from ingestion.readers.base import Document, find_documents
from ingestion.readers.series_arrays import read_arrays
from ingestion.readers.series_days import Days, Ints
from ingestion.readers.series_layout import Layout, find_layout, find_time
from ingestion.readers.series_networks import read_network
from ingestion.readers.series_tables import Batch, Column, CsvTable, ParquetTable, Table, numbers, texts
from ingestion.readers.times import EARLIEST, LATEST, TimeParser
from ingestion.readers.traffic_ids import stem
from kg.errors import InputError
from kg.model import Record, Rejected

_SHOWN = 5
"""Cells of one row that a refusal names."""


class SeriesReader:
    """One entity `Series` for each sensor, measure and day, which OBSERVES its detector; see docs/load/traffic.md."""

    name = "series"
    version = "3"
    extensions: tuple[str, ...] = (".csv", ".tsv", ".parquet", ".npz")
    example = "evigraph ingest series speeds.csv"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """The documents under a file or folder; see `Reader.documents`."""
        if path is None:
            raise InputError("needs a file or folder of sensor series")
        return find_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """A document's records; see `Reader.read`."""
        kind = document.path.suffix.lower()
        try:
            if kind == ".npz":
                yield from read_arrays(document)
                return
            table = ParquetTable(document) if kind == ".parquet" else CsvTable(document)
            yield from _read_table(document, table)
        except ValueError as error:
            yield Rejected(str(error), "", "", document.id)


def _read_table(document: Document, table: Table) -> Iterator[Record]:
    batches = table.batches()
    early: list[Rejected] = []
    first: Batch | None = None
    for item in batches:
        if isinstance(item, Batch):
            first = item
            break
        early.append(item)
    if first is None:
        yield from early
        if not early:
            yield Rejected("no rows below the header", "", "", document.id)
        return
    rest = chain(early, (first,), batches)
    time = find_time(table.names, first)
    if not time:
        yield from read_network(document, table, first, rest)
        return
    layout = find_layout(table.names, first, time, stem(document))
    for column, reason in layout.unread:
        yield Rejected(reason, column, "", document.id)
    rows = _Rows(document, table.place, layout)
    rows.parser.learn(_time_texts([first.columns[i] for i in layout.time]))
    for item in rest:
        if isinstance(item, Rejected):
            yield item
        else:
            yield from rows.read(item)
    yield from rows.days.finish()


def _time_texts(columns: Sequence[Column]) -> Sequence[str]:
    if len(columns) == 1:
        return texts(columns[0])
    clocks = (clock if ":" in clock else f"{clock:0>2}:00" for clock in texts(columns[1]))
    return [f"{date} {clock}" for date, clock in zip(texts(columns[0]), clocks, strict=True)]


class _Rows:
    """Takes the rows of one table apart."""

    def __init__(self, document: Document, place: Callable[[int], str], layout: Layout) -> None:
        self.days = Days(document, place)
        self.parser = TimeParser()
        self._document = document.id
        self._place = place
        self._layout = layout
        self._keys: list[Hashable] = []
        self._index: dict[str, int] = {}
        if not layout.keys:
            self._keys.append("")
            self.days.add_group("", [(sensor, measure) for _, sensor, measure in layout.values])

    def read(self, batch: Batch) -> Iterator[Record]:
        """The refusals of some rows, and the days that are done with them."""
        problems: dict[int, list[str]] = {}
        times, kept = self._times(batch, problems)
        which, named = self._sensors(batch, problems)
        values = []
        for position, sensor, measure in self._layout.values:
            found, bad = numbers(batch.columns[position])
            values.append(found)
            for row in bad:
                cell = str(batch.columns[position][row])[:40]
                problems.setdefault(row, []).append(f"{sensor or measure} is {cell!r}, no finite number")
        matrix = np.column_stack(values)
        for row in sorted(problems):
            told = problems[row]
            reason = "; ".join(told[:_SHOWN]) + (f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else "")
            yield Rejected(reason, self._place(int(batch.lines[row])), batch.record(row), self._document)
        kept &= named & ~np.isnan(matrix).all(axis=1)
        if kept.all():
            yield from self.days.add(self._keys, which, times, batch.lines, matrix)
        else:
            yield from self.days.add(self._keys, which[kept], times[kept], batch.lines[kept], matrix[kept])

    def _times(
        self, batch: Batch, problems: dict[int, list[str]]
    ) -> tuple[Ints, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        columns = [batch.columns[i] for i in self._layout.time]
        only = columns[0]
        if len(columns) == 1 and isinstance(only, np.ndarray) and only.dtype.kind == "M":
            times = only.astype(np.int64)
            good = (times >= EARLIEST) & (times < LATEST)
            for row in np.flatnonzero(~good).tolist():
                problems.setdefault(row, []).append(f"'{only[row]}' is outside 1900…2200")
            return times, good
        cells = _time_texts(columns)
        parse = self.parser.parse
        try:
            known = {cell: parse(cell) for cell in dict.fromkeys(cells)}
            return np.fromiter(map(known.__getitem__, cells), np.int64, len(cells)), np.ones(len(cells), bool)
        except ValueError:
            times, good = np.zeros(len(cells), np.int64), np.ones(len(cells), bool)
        for row, cell in enumerate(cells):
            try:
                times[row] = parse(cell)
            except ValueError as error:
                good[row] = False
                problems.setdefault(row, []).append(str(error))
        return times, good

    def _sensors(
        self, batch: Batch, problems: dict[int, list[str]]
    ) -> tuple[Ints, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
        size = len(batch.lines)
        named = np.ones(size, bool)
        if not self._layout.keys:
            return np.zeros(size, np.int64), named
        columns = [texts(batch.columns[i]) for i in self._layout.keys]
        cells = columns[0] if len(columns) == 1 else list(map("/".join, zip(*columns, strict=True)))
        index = self._index
        for cell in dict.fromkeys(cells):
            if cell not in index:
                index[cell] = len(self._keys)
                self._keys.append(cell)
                self.days.add_group(cell, [(cell.strip(), measure) for _, _, measure in self._layout.values])
        if "" in index:
            for row, cell in enumerate(cells):
                if not cell:
                    named[row] = False
                    problems.setdefault(row, []).append("no sensor is named")
        return np.fromiter(map(index.__getitem__, cells), np.int64, size), named
