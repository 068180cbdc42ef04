"""Tables as batches of columns: CSV (also with ; or tabs) and Parquet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ingestion.readers.base import Document
from ingestion.readers.lines import MAX_LINE, numbered_lines
from ingestion.readers.parquet import ParquetFile, polars_for
from ingestion.readers.series_days import Floats, Ints
from kg.model import Rejected

_BLOCK = 1 << 20
_BATCH_CELLS = 400_000
_BATCH_ROWS = 50_000
MAX_COLUMNS = 20_000
_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "-"})

Times = npt.NDArray[np.datetime64]
Column = Sequence[str] | Floats | Ints | Times
"""Cells as text; or numbers, with NaN for what is missing; or times in microseconds, UTC."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a table, by columns; `lines` are their numbers."""

    lines: Ints
    columns: Sequence[Column]

    def record(self, row: int) -> str:
        """A row's text, for a refusal."""
        return ",".join(str(column[row]) for column in self.columns)[:2000]


class Table(Protocol):
    """A table that can be read once.

    Attributes:
        names: of its columns, as written.
    """

    names: list[str]

    def place(self, line: int) -> str:
        """What names a row, e.g. `L17`."""
        ...

    def batches(self) -> Iterator[Batch | Rejected]:
        """All rows."""
        ...


class CsvTable:
    """A CSV file with a header line.

    Raises:
        ValueError: there is no header.
    """

    def __init__(self, document: Document) -> None:
        self._document = document.id
        self._file = document.open()
        self._read = 0
        self.names: list[str] = []
        for item in numbered_lines(self._file, document.id):
            if isinstance(item, Rejected):
                raise ValueError(f"no header: {item.reason}")
            self._read, header = item
            if header.strip():
                self._delimiter = max(",;\t", key=header.count)
                self.names = [name.strip() for name in self._split(header)]
                break
        if len(self.names) < 2:
            raise ValueError("no header with two columns or more; the file is empty or no CSV")
        if len(self.names) > MAX_COLUMNS:
            raise ValueError(f"more than {MAX_COLUMNS:,} columns")

    def place(self, line: int) -> str:
        """`L17`"""
        return f"L{line}"

    def _split(self, line: str) -> list[str]:
        if '"' not in line:
            return line.split(self._delimiter)
        return next(csv.reader([line], delimiter=self._delimiter, strict=True))

    def batches(self) -> Iterator[Batch | Rejected]:
        """All rows; one with another number of columns than the header's is refused."""
        with self._file as file:
            while block := file.read(_BLOCK):
                block += (end := file.readline(MAX_LINE + 1))
                while len(end) > MAX_LINE and not end.endswith(b"\n"):  # the line is refused for its length
                    end = file.readline(MAX_LINE + 1)
                batch = self._plain(block)
                if batch is not None:
                    yield batch
                else:
                    yield from self._line_by_line(block)
                self._read += block.count(b"\n")

    def _plain(self, block: bytes) -> Batch | None:
        """A block in which nothing is quoted and no line needs a closer look, at once."""
        if b'"' in block:
            return None
        try:
            rows = block.decode().replace("\r\n", "\n").removesuffix("\n").split("\n")
        except UnicodeDecodeError:
            return None
        delimiter, width = self._delimiter, len(self.names)
        between = width - 1
        if not all(row.count(delimiter) == between for row in rows):
            return None
        cells = delimiter.join(rows).split(delimiter)
        first = self._read + 1
        return Batch(np.arange(first, first + len(rows)), [cells[i::width] for i in range(width)])

    def _line_by_line(self, block: bytes) -> Iterator[Batch | Rejected]:
        width = len(self.names)
        numbers: list[int] = []
        rows: list[list[str]] = []
        for item in numbered_lines(io.BytesIO(block), self._document, self._read):
            if isinstance(item, Rejected):
                yield item
                continue
            number, line = item
            reason = ""
            try:
                row = self._split(line)
            except csv.Error as error:
                reason = f"no CSV: {error}"
            else:
                if len(row) != width and line.strip():
                    reason = f"{len(row)} columns instead of {width}"
            if reason:
                yield Rejected(reason, f"L{number}", line[:2000], self._document)
            elif line.strip():
                numbers.append(number)
                rows.append(row)
        if rows:
            yield Batch(np.array(numbers), list(zip(*rows, strict=True)))


class ParquetTable:
    """A Parquet file; needs polars.

    Raises:
        ValueError: it is no Parquet file, or cut off.
        InputError: polars is not installed.
    """

    def __init__(self, document: Document) -> None:
        self._file = ParquetFile(document)
        self._polars = polars_for(document.path)
        self.names = self._file.names

    def place(self, line: int) -> str:
        """`row 17`"""
        return f"row {line}"

    def batches(self) -> Iterator[Batch | Rejected]:
        """All rows, numbered from 1. What follows a damaged place is refused as a whole."""
        for item in self._file.frames(max(1, min(_BATCH_ROWS, _BATCH_CELLS // len(self.names)))):
            if isinstance(item, Rejected):
                yield item
            else:
                numbers_, frame = item
                yield Batch(np.array(numbers_), [self._column(series) for series in frame])

    def _column(self, series: Any) -> Column:  # noqa: ANN401 (polars is loaded late)
        pl = self._polars
        kind = series.dtype
        column: Column
        if kind in (pl.Datetime, pl.Date):
            moments = series.cast(pl.Datetime("us", getattr(kind, "time_zone", None)))
            column = (
                moments.to_physical().to_numpy().astype("datetime64[us]")
                if not series.null_count()
                else ["" if cell is None else cell.isoformat() for cell in series.to_list()]
            )
        elif kind.is_integer() and kind != pl.UInt64 and not series.null_count():
            column = series.cast(pl.Int64).to_numpy()
        elif kind == pl.Float32:
            column = series.fill_null(float("nan")).to_numpy()
        elif kind in (pl.Float64, pl.Boolean) or (kind.is_integer() and kind != pl.UInt64):
            column = series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        else:
            column = ["" if cell is None else str(cell) for cell in series.to_list()]
        return column


def numbers(column: Column) -> tuple[Floats, list[int]]:
    """A column's numbers, NaN where there is none, and the rows whose cells are neither a finite number nor missing."""
    bad: list[int] = []
    if isinstance(column, np.ndarray):
        if column.dtype.kind == "M":
            return np.full(len(column), np.nan), list(range(len(column)))
        values: Floats = column if column.dtype.kind == "f" else column.astype(np.float64)  # type: ignore[assignment]
    else:
        filled = column if "" not in column else [cell or "nan" for cell in column]
        try:
            values = np.fromiter(map(float, filled), np.float64, len(column))
            careful = "_" in "".join(column)  # float() takes 1_000
        except ValueError:
            careful = True
        if careful:
            values = np.full(len(column), np.nan)
            for row, cell in enumerate(column):
                try:
                    values[row] = float(cell)
                    if "_" not in cell:
                        continue
                except ValueError:
                    if cell.strip().lower() in _MISSING:
                        continue
                values[row] = np.nan
                bad.append(row)
    infinite = np.isinf(values)
    if infinite.any():
        values = np.where(infinite, np.nan, values)
        bad = sorted({*bad, *np.flatnonzero(infinite).tolist()})
    return values, bad


def texts(column: Column) -> Sequence[str]:
    """A column's cells as text; whole numbers without decimals, missing ones empty."""
    if not isinstance(column, np.ndarray):
        return column
    if column.dtype.kind != "f":
        return [str(cell) for cell in column]
    cells = column.tolist()
    return ["" if cell != cell else str(int(cell)) if cell.is_integer() else repr(cell) for cell in cells]
