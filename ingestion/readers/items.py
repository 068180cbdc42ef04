"""What a shop or library has, and who its users are. CSV, TSV, Parquet, RecBole's `.item` and `.user`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ingestion.readers.base import Document, find_documents
from ingestion.readers.retail_tables import (
    ITEM,
    TABLE_EXTENSIONS,
    USER,
    Cell,
    Row,
    Table,
    Things,
    columns,
    number,
    several,
)
from ingestion.readers.traffic_ids import dataset
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected, Source, Value

_CATEGORIES = (
    "category", "categories", "genre", "genres", "class", "classes", "tag", "tags", "department", "maincategory",
    "categoryname", "类别",
)  # fmt: skip
_BRAND = ("brand", "brandname", "manufacturer", "maker", "品牌")
_PRICE = ("price", "listprice", "unitprice", "价格")
_SIGNS = "$€£¥₹ \u00a0\u202f"
_THOUSANDS = re.compile(r"[+-]?\d{1,3}([.,])\d{3}(\1\d{3})+")
_MAYBE_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
_TEXTS = {
    "name": (
        "name",
        "title",
        "itemname",
        "itemtitle",
        "productname",
        "producttitle",
        "movietitle",
        "booktitle",
        "名称",
    ),
    "definition": ("description", "desc", "summary", "overview", "描述"),
    "url": ("url", "itemurl", "producturl", "link"),
    "currency": ("currency", "pricecurrency"),
    "released_in": (
        "releaseyear",
        "year",
        "releasedate",
        "released",
        "publicationyear",
        "yearofpublication",
        "pubdate",
    ),
}
"""Property of an item → usual names of its column."""


class ItemsReader:
    """Items with their categories and brands, or, where a table has a user column and no item column, users.

    Columns without a property of their own are kept as `column=value`, in `details` of an item, `profile` of a user.
    """

    name = "items"
    version = "3"
    extensions: tuple[str, ...] = (*TABLE_EXTENSIONS, ".item", ".user")
    example = "evigraph ingest items ml-100k.item"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each table; see `Reader.documents`."""
        if path is None:
            raise InputError("reader items needs a file or folder")
        return find_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """The source, then of each row its thing, categories and brand."""
        try:
            table = Table(document)
            item, user = columns(table.names, ITEM, USER)
            if item is None and user is None:
                raise ValueError(f"no column is an item id such as item_id: {', '.join(table.names)[:500]}")
        except ValueError as error:
            yield Rejected(str(error), "L1", "", document.id)
            return
        yield Source(document.id, "document", name=document.path.name, document=document.id)
        if item is not None:
            yield from _Items(document, table, item).read()
        elif user is not None:
            yield from _users(document, table, user)


def _users(document: Document, table: Table, key: int) -> Iterator[Record]:
    users = Things(document, dataset(document), "user", "User")
    for row in table.rows():
        if isinstance(row, Rejected):
            yield row
        elif not (id_ := str(row[1][key]).strip()):
            yield table.rejected(f"no {table.names[key]}", row)
        else:
            profile = _pairs(table, row, {key})
            properties: dict[str, Value] = {"profile": profile} if profile else {}
            yield Entity(users.id(id_), ("User",), document.id, properties, document.id, row[0])


def _pairs(table: Table, row: Row, used: set[int]) -> tuple[str, ...]:
    """`column=value` of the columns that are not used otherwise."""
    rest = ((n, c) for i, (n, c) in enumerate(zip(table.names, row[1], strict=True)) if i not in used)
    return tuple(f"{n}={text}" for n, c in rest if (text := c.strip() if isinstance(c, str) else "|".join(c)))


class _Items:
    """The items of one table."""

    def __init__(self, document: Document, table: Table, key: int) -> None:
        self._document = document
        self._table = table
        self._key = key
        self._brand, self._price, *texts = columns(table.names, _BRAND, _PRICE, *_TEXTS.values())
        self._texts = {name: index for name, index in zip(_TEXTS, texts, strict=True) if index is not None}
        self._categories = [i for name in _CATEGORIES if (i := columns(table.names, (name,))[0]) is not None]
        self._used = {key, self._brand, self._price, *self._texts.values(), *self._categories} - {None}
        data = dataset(document)
        self._items = Things(document, data, "item", "Item")
        self._known = {
            "HAS_CATEGORY": Things(document, data, "category", "Category"),
            "HAS_BRAND": Things(document, data, "brand", "Brand"),
        }

    def read(self) -> Iterator[Record]:
        for row in self._table.rows():
            if isinstance(row, Rejected):
                yield row
                continue
            try:
                described = self._describe(row)
            except ValueError as error:
                yield self._table.rejected(str(error), row)
                continue
            yield described
            for index in self._categories:
                sequence = index in self._table.sequences
                yield from self._claims(described.id, "HAS_CATEGORY", several(row[1][index], sequence=sequence), row[0])
            if self._brand is not None:
                yield from self._claims(described.id, "HAS_BRAND", several((_text(row[1][self._brand]),)), row[0])

    def _describe(self, row: Row) -> Entity:
        place, cells = row
        key = _text(cells[self._key])
        if not key:
            raise ValueError(f"no {self._table.names[self._key]}")
        properties: dict[str, Value] = {n: text for n, i in self._texts.items() if (text := _text(cells[i]))}
        if self._price is not None and (price := _text(cells[self._price])):
            properties["price"] = _amount(price, self._table.names[self._price], self._table.delimiter)
        if details := _pairs(self._table, row, self._used):  # type: ignore[arg-type]
            properties["details"] = details
        return Entity(self._items.id(key), ("Item",), self._document.id, properties, self._document.id, place)

    def _claims(self, item: str, relation: str, names: tuple[str, ...], place: str) -> Iterator[Record]:
        document = self._document.id
        for name in names:
            yield from self._known[relation].new(name, place, name=name)
            yield Claim(item, relation, self._known[relation].id(name), document, 1.0, {}, document, place)


def _text(cell: Cell) -> str:
    return " ".join((cell if isinstance(cell, str) else " ".join(cell)).split())


def _amount(text: str, name: str, delimiter: str) -> float:
    """A price as shops write it: `$1,200.50`, `49,90 €`, `1.299,00`. Of two signs the last one is the decimal one.

    A single sign before three digits stands for thousands if it is a comma, for a fraction if it is a point; in a table
    with semicolons either may be meant.

    Raises:
        ValueError: it is no number, or `1,299` or `1.299` in a table with semicolons.
    """
    stated = text.strip(_SIGNS)
    if "," in stated and "." in stated:
        decimal = max(",.", key=stated.rfind)
        stated = stated.replace("." if decimal == "," else ",", "").replace(decimal, ".")
    elif _THOUSANDS.fullmatch(stated):
        stated = stated.replace(",", "").replace(".", "")
    elif _MAYBE_THOUSANDS.fullmatch(stated):
        if delimiter == ";":
            raise ValueError(f"{name} {text!r} is ambiguous in a table with semicolons: thousands or a fraction?")
        stated = stated.replace(",", "")
    elif stated.count(",") == 1:
        stated = stated.replace(",", ".")
    return number(stated, name)
