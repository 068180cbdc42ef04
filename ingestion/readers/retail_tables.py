"""Tables of shops and recommenders as rows: CSV, TSV, Parquet, RecBole's atomic files; columns found by usual names.

RecBole's header names a type with each column, e.g. `class:token_seq`; its files have tabs and no quotes.
https://recbole.io/docs/user_guide/data/atomic_files.html
"""

from __future__ import annotations

import ast
import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date
from typing import Any

from ingestion.readers.base import Document
from ingestion.readers.lines import lines
from ingestion.readers.parquet import ParquetFile
from ingestion.readers.traffic_ids import curie
from kg.model import Entity, Rejected, Value

TABLE_EXTENSIONS = (".csv", ".tsv", ".parquet")
RECBOLE_TYPES = ("token", "token_seq", "float", "float_seq")

USER = (
    "userid", "user", "uid", "customerid", "customer", "visitorid", "reviewerid", "memberid", "buyerid", "用户id",
    "用户",
)  # fmt: skip
ITEM = (
    "itemid", "item", "iid", "productid", "product", "parentasin", "asin", "sku", "goodsid", "articleid", "movieid",
    "movie", "bookid", "isbn", "businessid", "trackid", "songid", "videoid", "newsid", "商品id", "商品",
)  # fmt: skip
"""Usual names of columns, best first, without case, blanks and punctuation."""

MAX_REMEMBERED = 200_000
_MAX_QUOTED_LINES = 200
"""Lines over which a quoted cell may run; a quote that is not closed by then costs its own line only."""
_BATCH_ROWS = 20_000
_SHOWN = 2000

Cell = str | tuple[str, ...]
Row = tuple[str, Sequence[Cell]]
"""Where it is, and its cells."""


def columns(names: Iterable[str], *roles: Sequence[str]) -> list[int | None]:
    """For each role the index of the column whose name comes first among the role's."""
    plain = [_plain(name) for name in names]
    return [next((plain.index(name) for name in role if name in plain), None) for role in roles]


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


class Table:
    """A table that can be read once.

    Attributes:
        names: of its columns.
        sequences: indices of the columns that hold several values in a cell, as RecBole's header says.

    Raises:
        ValueError: there is no header to go by.
        InputError: Parquet, and polars is not installed.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        name = document.path.name.lower()
        self._quoted = name.endswith(".csv")
        self.delimiter = ""
        if name.endswith(".parquet"):
            file = ParquetFile(document)
            header, self._rows = file.names, _parquet_rows(file)
        else:
            self._lines = lines(document)
            first = next(self._lines, "")
            if isinstance(first, Rejected):
                raise ValueError(f"no header: {first.reason}")
            if not first or not first[1].strip():
                raise ValueError("no header; the file is empty")
            self.delimiter = max(",;\t|", key=first[1].count) if self._quoted else "\t"
            try:
                header = self._split(first[1])
            except csv.Error as error:
                raise ValueError(f"no header: {error}") from None
            self._rows = self._text_rows()
        self.sequences: list[int] = []
        self.names: list[str] = []
        for index, column in enumerate(header):
            base, _, kind = column.strip().rpartition(":")
            known = bool(base) and kind in RECBOLE_TYPES
            self.names.append(base if known else column.strip())
            if known and kind.endswith("_seq"):
                self.sequences.append(index)
        twice = sorted({n for n in self.names if n and self.names.count(n) > 1})
        if twice:
            raise ValueError(f"column {', '.join(twice)} is there twice")

    def rows(self) -> Iterator[Row | Rejected]:
        """All rows; one with more or fewer cells than the header is refused."""
        return self._rows

    def rejected(self, reason: str, row: Row) -> Rejected:
        """The refusal of one row."""
        text = ",".join(c if isinstance(c, str) else "|".join(c) for c in row[1])
        return Rejected(reason, row[0], text[:_SHOWN], self._document.id)

    def left_out(self, used: Iterable[int | None]) -> Iterator[Rejected]:
        """One note that names the columns that are not read, if there are any but a nameless index."""
        known = set(used)
        names = [n for i, n in enumerate(self.names) if i not in known and n not in ("", "Unnamed: 0")]
        if names:
            yield Rejected(f"columns not read: {', '.join(names)}", "L1", "", self._document.id)

    def _split(self, text: str) -> list[str]:
        if self._quoted and '"' in text:
            return next(csv.reader([text], delimiter=self.delimiter, strict=True))
        return text.split(self.delimiter)

    def _text_rows(self) -> Iterator[Row | Rejected]:
        width = len(self.names)
        pending: list[tuple[int, str] | Rejected] = []
        while (item := pending.pop(0) if pending else next(self._lines, None)) is not None:
            if isinstance(item, Rejected):
                yield item
                continue
            number, text = item
            place = f"L{number}"
            try:
                cells = self._split(text)
            except csv.Error as error:
                joined = self._joined(text, pending) if "unexpected end" in str(error) else None
                if joined is None:
                    yield Rejected(f"no CSV: {error}", place, text[:_SHOWN], self._document.id)
                    continue
                cells = joined
            if len(cells) == width:
                yield place, cells
            elif text.strip():
                reason = f"{len(cells)} columns instead of {width}"
                yield Rejected(reason, place, text[:_SHOWN], self._document.id)

    def _joined(self, text: str, pending: list[tuple[int, str] | Rejected]) -> list[str] | None:
        """The cells of a row whose quoted cell runs over several lines; what was looked at in vain is pending."""
        looked: list[tuple[int, str] | Rejected] = []
        parts = [text]
        while len(looked) < _MAX_QUOTED_LINES:
            item = pending.pop(0) if pending else next(self._lines, None)
            if item is None:
                break
            looked.append(item)
            if isinstance(item, Rejected):
                break
            parts.append(item[1])
            if '"' in item[1]:
                with suppress(csv.Error):
                    return next(
                        csv.reader("\n".join(parts).splitlines(keepends=True), delimiter=self.delimiter, strict=True)
                    )
        pending[:0] = looked
        return None


def _parquet_rows(file: ParquetFile) -> Iterator[Row | Rejected]:
    for item in file.frames(_BATCH_ROWS):
        if isinstance(item, Rejected):
            yield item
            continue
        for number_, cells in zip(item[0], item[1].iter_rows(), strict=True):
            yield f"row {number_}", [_cell(cell) for cell in cells]


def _cell(value: Any) -> Cell:  # noqa: ANN401 (what polars holds)
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list):
        return tuple(text for item in value if (text := str(_cell(item))))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # ids become floats where a column has gaps
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else str(value)


# ---- cells -----------------------------------------------------------------------------------------------------------


def several(cell: Cell, *, sequence: bool = False) -> tuple[str, ...]:
    """The values of a cell: of a list, by blanks in a RecBole sequence, else written with `|`, `;` or as a list."""
    if isinstance(cell, str):
        if sequence:
            cell = tuple(cell.split())
        elif cell.startswith("[") and cell.endswith("]"):
            cell = _listed(cell)
        else:
            cell = tuple(cell.replace(";", "|").split("|"))
    return tuple(dict.fromkeys(text for part in cell if (text := " ".join(part.split()))))


def _listed(cell: str) -> tuple[str, ...]:
    """The items of a list as Python or JSON write it; the text as it is if it is none."""
    with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
        parsed = ast.literal_eval(cell)
        if isinstance(parsed, list):
            found = tuple(str(item) for item in parsed)
            "".join(found).encode()  # half a character, \\ud800, is no text
            return found
    return (cell,)


def number(text: Cell, column: str) -> float:
    """A finite number.

    Raises:
        ValueError: naming the column.
    """
    try:
        value = float(text)  # type: ignore[arg-type]
        if math.isfinite(value) and "_" not in text:
            return value
    except (ValueError, TypeError):
        pass
    raise ValueError(f"{column} {str(text)[:40]!r} is no finite number")


class Things:
    """Users, items and other things of one data set: their ids, and a description of each when it comes up first.

    Memory is bounded: beyond `MAX_REMEMBERED` all are forgotten, and described once more when they come up again.
    """

    def __init__(self, document: Document, dataset: str, prefix: str, class_: str) -> None:
        self._document = document.id
        self._dataset = dataset
        self._prefix = prefix
        self._classes = (class_,)
        self._ids: dict[str, str] = {}

    def id(self, key: str) -> str:
        """The id of what the data set calls `key`."""
        return self._ids.get(key) or curie(self._prefix, self._dataset, key)

    def new(self, key: str, place: str, **properties: Value) -> Iterator[Entity]:
        """Its description, unless that was given already."""
        if key in self._ids:
            return
        if len(self._ids) >= MAX_REMEMBERED:
            self._ids.clear()
        id_ = self._ids[key] = curie(self._prefix, self._dataset, key)
        yield Entity(id_, self._classes, self._document, properties, self._document, place)
