"""The YAML file that says what a table's rows mean: which entities and claims, made of which columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ingestion.readers.beside import read_beside
from ingestion.readers.graph_names import convert, escape
from kg.errors import InputError
from kg.ontology import Ontology, Property

NAMES = ("mapping.yaml", "mapping.yml")
_COLUMN = re.compile(r"\{([^{}]+)\}")

Cell = str | tuple[str, ...]
Cells = Mapping[str, Cell]
"""A row: column → cell; several values where the mapping splits the column."""
Constant = bool | int | float
Rule = str | Constant


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class SourceRule(_Strict):
    """Who says it; without, the document does."""

    id: str
    kind: str = "document"
    name: str = ""
    model: str = ""
    version: str = ""
    url: str = ""
    reliability: float | None = None


class EntityRule(_Strict):
    """One entity a row."""

    class_: str = Field(alias="class")
    id: str
    properties: dict[str, Rule] = {}


class ClaimRule(_Strict):
    """One claim a row."""

    subject: str
    relation: str
    object: str
    confidence: Rule = 1.0
    qualifiers: dict[str, Rule] = {}


class MappingFile(_Strict):
    """What the rows of a table mean. `split` names the columns whose cells hold several values, and what parts them."""

    source: SourceRule | None = None
    split: dict[str, str] = {}
    entities: list[EntityRule] = []
    claims: list[ClaimRule] = []


class _UniqueLoader(yaml.SafeLoader):
    """Refuses a key that is there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if isinstance(key, str) and keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def mapping_path(table: Path) -> Path | None:
    """`<file>.yaml`, else `mapping.yaml` beside a table; None if there is neither."""
    own = (f"{table.name}.yaml", f"{table.name}.yml")
    return next((path for name in (*own, *NAMES) if (path := table.with_name(name)).is_file()), None)


def read_mapping(path: Path, table: str) -> MappingFile:
    """The mapping of a table out of a file: the file itself, or what stands under `tables` by the table's name.

    Raises:
        InputError: it is not YAML, not a mapping, or has none for this table; names the field.
    """
    try:
        content = yaml.load(read_beside(path), _UniqueLoader)  # noqa: S506 (a safe loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"not YAML: {' '.join(str(error).split())}", path.name) from error
    place = path.name
    if isinstance(content, dict) and isinstance(tables := content.get("tables"), dict):
        pattern = next((p for p in sorted(map(str, tables), key=lambda p: (p != table, p)) if fnmatch(table, p)), None)
        if pattern is None:
            raise InputError(f"says nothing of {table}; knows {', '.join(map(str, tables))}", path.name)
        content, place = tables[pattern], f"{path.name}: tables.{pattern}"
    try:
        found = MappingFile.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
        raise InputError(first["msg"].lower(), f"{place}: {field}" if field else place) from error
    if not found.entities and not found.claims:
        raise InputError("names neither entities nor claims", place)
    return found


def plain_mapping(columns: Sequence[str], ontology: Ontology) -> MappingFile | None:
    """The mapping of a table of claims that calls its columns `subject`, `relation`, `object`; None if it does not."""
    if not {"subject", "relation", "object"} <= set(columns):
        return None
    qualifiers: dict[str, Rule] = {name: name for name in columns if name in ontology.qualifiers}
    sure: Rule = "confidence" if "confidence" in columns else 1.0
    source = SourceRule(id="{source}") if "source" in columns else None
    claim = ClaimRule(
        subject="{subject}", relation="{relation}", object="{object}", confidence=sure, qualifiers=qualifiers
    )
    return MappingFile(source=source, claims=[claim])


# ---- compiled -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Template:
    """A text with `{column}` in it."""

    parts: tuple[str, ...]
    """Text and column in turn, text first."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it takes."""
        return self.parts[1::2]

    def fill(self, cells: Cells, change: Callable[[str], str] = str) -> str:
        """The text for a row; empty if a cell that it needs is."""
        texts = list(self.parts)
        for index in range(1, len(texts), 2):
            cell = cells[texts[index]]
            if not cell:
                return ""
            texts[index] = change(cell if isinstance(cell, str) else " ".join(cell))
        return "".join(texts)

    def id(self, cells: Cells) -> str:
        """The same for an id: cells are percent-encoded."""
        return self.fill(cells, escape)

    def first_empty(self, cells: Cells) -> str:
        """The column for which `fill` gave nothing."""
        return next((c for c in self.columns if not cells[c]), "")


@dataclass(frozen=True, slots=True)
class Value:
    """What a property, a qualifier or a confidence is: a column's cell, a template's text, or always the same."""

    column: str = ""
    template: Template | None = None
    constant: Constant | None = None

    def of(self, cells: Cells) -> object:
        """The value for a row; None if there is none."""
        if self.constant is not None:
            return self.constant
        return (self.template.fill(cells) if self.template else cells[self.column]) or None


class Compiler:
    """Checks a mapping's rules against a table's columns and the ontology. Errors name file and field."""

    def __init__(self, columns: Sequence[str], ontology: Ontology, place: str) -> None:
        self._columns = columns
        self._ontology = ontology
        self._place = place

    def error(self, reason: str, field: str) -> InputError:
        """An error of the mapping."""
        return InputError(reason, f"{self._place}: {field}")

    def column(self, name: str, field: str) -> str:
        """A column's name, if there is one so called.

        Raises:
            InputError: there is none.
        """
        if name not in self._columns:
            raise self.error(f"no column {name!r}; the table has {', '.join(self._columns)}", field)
        return name

    def template(self, text: str, field: str) -> Template:
        """A text with `{column}`.

        Raises:
            InputError: it names an unknown column.
        """
        parts = _COLUMN.split(text)
        return Template((*(self.column(p, field) if i % 2 else p for i, p in enumerate(parts)),))

    def value(self, rule: Rule, field: str) -> Value:
        """A column's name, a template, or a constant.

        Raises:
            InputError: it names an unknown column.
        """
        if not isinstance(rule, str):
            return Value(constant=rule)
        if "{" in rule:
            return Value(template=self.template(rule, field))
        return Value(column=self.column(rule, field))

    def values(
        self, rules: Mapping[str, Rule], known: Mapping[str, Property], classes: frozenset[str] | None, field: str
    ) -> tuple[tuple[Property, Value], ...]:
        """Properties of classes (None: of which, a row says), or qualifiers.

        Raises:
            InputError: one is unknown, does not belong to the classes, or takes no such constant.
        """
        found = []
        for name, rule in rules.items():
            here = f"{field}.{name}"
            property_ = known.get(name)
            if property_ is None:
                raise self.error(f"unknown; known: {', '.join(sorted(known))}", here)
            if classes is not None and property_.domain and not property_.domain & classes:
                raise self.error(f"is a property of {'/'.join(sorted(property_.domain))} only", here)
            value = self.value(rule, here)
            if value.constant is not None:
                try:
                    convert(value.constant, property_)
                except ValueError as error:
                    raise self.error(str(error), here) from error
            found.append((property_, value))
        return tuple(found)

    def class_(self, text: str, field: str) -> Template | str:
        """A class, or the template of one.

        Raises:
            InputError: there is no such class.
        """
        if "{" in text:
            return self.template(text, field)
        if text not in self._ontology.classes or "Entity" not in self._ontology.classes[text]:
            raise self.error(f"unknown class {text!r}; known: {', '.join(sorted(self._ontology.classes))}", field)
        return text

    def relation(self, text: str, field: str) -> Template | str:
        """A relation, or the template of one.

        Raises:
            InputError: there is no such relation.
        """
        if "{" in text:
            return self.template(text, field)
        if text not in self._ontology.relations:
            raise self.error(f"unknown relation {text!r}; known: {', '.join(sorted(self._ontology.relations))}", field)
        return text


def expanded(cells: Cells, columns: Sequence[str]) -> Iterator[Cells]:
    """The row once for each value of those of these columns that hold several; not at all where one holds none."""
    several = [c for c in dict.fromkeys(columns) if isinstance(cells[c], tuple)]
    if not several:
        yield cells
        return
    for values in product(*(cells[c] for c in several)):
        yield {**cells, **dict(zip(several, values, strict=True))}
