"""Parquet files as frames of rows, read in bounded memory; needs polars."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import reduce
from operator import and_
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ingestion.readers.base import Document
from kg.errors import InputError
from kg.model import Rejected

if TYPE_CHECKING:
    import polars as pl

_DAY_IN = {"ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_FIRST, _LAST = ((day - date(1970, 1, 1)).days for day in (date(1, 1, 2), date(9999, 12, 30)))
"""Days since 1970 that Python has times of, in any zone. With others polars fails, or panics."""


def polars_for(path: Path) -> ModuleType:
    """The polars module, loaded late.

    Raises:
        InputError: it is not installed.
    """
    try:
        import polars
    except ImportError as error:
        raise InputError("Parquet needs polars: pip install 'evigraph[tables]'", str(path)) from error
    return polars


def parquet_columns(path: Path) -> list[str]:
    """Names of a file's columns.

    Raises:
        ValueError: it is no Parquet file.
        InputError: polars is not installed.
    """
    polars = polars_for(path)
    try:
        return list(polars.read_parquet_schema(path))
    except _broken(polars) as error:
        raise ValueError(f"no Parquet file: {error}") from error


class ParquetFile:
    """A Parquet file.

    Attributes:
        names: of its columns.

    Raises:
        ValueError: it is no Parquet file, or cut off.
        InputError: it can't be read, or polars is not installed.
    """

    def __init__(self, document: Document) -> None:
        polars = self._polars = polars_for(document.path)
        self._document = document
        document.open().close()  # where it can't be read, the error names the file
        try:
            self._frame: pl.LazyFrame = polars.scan_parquet(document.path)
            schema = self._frame.collect_schema()
            self._size: int = self._frame.select(polars.len()).collect().item()
        except _broken(polars) as error:
            raise ValueError(f"no Parquet file: {error}") from error
        self.names = schema.names()
        checks = ((name, self._in_range(polars.col(name), kind)) for name, kind in schema.items())
        self._checks = [check.fill_null(value=True).alias(name) for name, check in checks if check is not None]

    def frames(self, rows: int) -> Iterator[tuple[list[int], pl.DataFrame] | Rejected]:
        """All rows, up to so many at once, with their numbers from 1.

        A row with a time that Python has none for is refused. What follows a damaged place is refused as a whole.
        """
        read = 0
        try:
            for frame in self._frame.collect_batches(chunk_size=rows, maintain_order=True):
                numbers = list(range(read + 1, read + 1 + frame.height))
                read += frame.height
                self._document.bytes_read = self._document.size * read // max(1, self._size)
                good = frame.select(self._checks)
                if self._checks and not (whole := good.select(self._polars.all_horizontal("*")).to_series()).all():
                    for number, row in zip(numbers, good.iter_rows(named=True), strict=True):
                        if names := [name for name, fine in row.items() if not fine]:
                            reason = f"{', '.join(names)}: outside the years 1…9999"
                            yield Rejected(reason, f"row {number}", "", self._document.id)
                    numbers = [number for number, fine in zip(numbers, whole, strict=True) if fine]
                    frame = frame.filter(whole)
                if numbers:
                    yield numbers, frame
        except _broken(self._polars) as error:
            yield Rejected(f"can't be read on: {error}", f"row {read + 1}", "", self._document.id)

    def _in_range(self, cell: pl.Expr, kind: pl.DataType) -> pl.Expr | None:
        """Whether Python has a value for each time in a cell; None where there are no times."""
        polars = self._polars
        if isinstance(kind, polars.Date):
            return cell.to_physical().is_between(_FIRST, _LAST)
        if isinstance(kind, polars.Datetime):
            return _between(cell, kind.time_unit, _FIRST, _LAST)
        if isinstance(kind, polars.Duration):
            return _between(cell, kind.time_unit, -timedelta.max.days, timedelta.max.days)
        if isinstance(kind, polars.List | polars.Array):
            item = self._in_range(polars.element(), kind.inner)
            items = cell.arr.to_list() if isinstance(kind, polars.Array) else cell
            return None if item is None else items.list.eval(item).list.all()
        if isinstance(kind, polars.Struct):
            fields = [self._in_range(cell.struct.field(field.name), field.dtype) for field in kind.fields]
            known = [field for field in fields if field is not None]
            return reduce(and_, known) if known else None
        return None


def _between(cell: pl.Expr, unit: str, first: int, last: int) -> pl.Expr | None:
    """Whether a time or duration lies between two days; None where 64 bits hold none that does not."""
    day = _DAY_IN[unit]
    return None if last * day >= 1 << 63 else cell.to_physical().is_between(first * day, last * day)


def _broken(polars: ModuleType) -> tuple[type[BaseException], ...]:
    """What polars raises on a file that is damaged."""
    return polars.exceptions.PolarsError, polars.exceptions.PanicException, OSError
