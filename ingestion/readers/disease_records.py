"""Chinese disease records: JSON lines with `name` and `symptoms`, as medical question answering uses them."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from ingestion.readers.base import Document, find_documents
from ingestion.readers.detection import curie
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected, Source, Value

_ROOT = "HP:0000118"
"""All findings are under it, as in HPO."""
_SYNONYMS = Path(__file__).with_name("findings_zh.tsv")
_MOST_DEFINITION = 4000
_CUT = "..."
"""Ends names that the records have cut."""


class DiseaseRecordsReader:
    """A disease a line, with its symptoms as findings that are called by their names and by what patients say for them.

    Of the other fields only `desc` is taken, as definition.
    """

    name = "disease_records"
    version = "1"
    extensions: tuple[str, ...] = (".jsonl", ".jsonl.xz", ".ndjson")
    example = "evigraph ingest disease_records disease_graph.jsonl.xz"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """The documents under a file or folder; see `Reader.documents`."""
        if path is None:
            raise InputError("reader disease_records needs a file or folder")
        return find_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """A document's records; see `Reader.read`."""
        id_ = document.id
        yield Source(id_, "database", document=id_)
        yield Entity(_ROOT, ("Phenotype",), id_, {"name": "Phenotypic abnormality"}, id_, "L1")
        names = _FindingNames(id_)
        for number, line in enumerate(_lines(document), 1):
            place = f"L{number}"
            if isinstance(line, Rejected):
                yield line
                return
            if not line.strip():
                continue
            try:
                item = orjson.loads(line)
                name, symptoms = _fields(item)
            except (orjson.JSONDecodeError, ValueError) as error:
                yield Rejected(str(error), place, line.decode("utf-8", "replace")[:2000], id_)
                continue
            disease = curie("disease", name)
            properties = {"name": name}
            if isinstance(item.get("desc"), str) and item["desc"].strip():
                properties["definition"] = item["desc"].strip()[:_MOST_DEFINITION]
            yield Entity(disease, ("Disease",), id_, properties, id_, place)
            for symptom in symptoms:
                yield from names.described(symptom, place)
                qualifiers = {"mention": symptom} if names.canonical(symptom) != symptom else {}
                yield Claim(disease, "HAS_PHENOTYPE", names.id(symptom), id_, 1.0, qualifiers, id_, place)


def _lines(document: Document) -> Iterator[bytes | Rejected]:
    with document.open() as file:
        try:
            if document.path.suffix == ".xz":
                with lzma.open(file) as unpacked:
                    yield from unpacked
            else:
                yield from file
        except (lzma.LZMAError, EOFError) as error:
            yield Rejected(f"can't be unpacked: {error}", "", "", document.id)


def _fields(item: Any) -> tuple[str, list[str]]:  # noqa: ANN401 (JSON)
    """Name and symptoms.

    Raises:
        ValueError: one of them is missing, or no text.
    """
    if not isinstance(item, dict):
        raise ValueError("is no object")
    name, symptoms = item.get("name"), item.get("symptoms") or []
    if not isinstance(name, str) or not name.strip():
        raise ValueError("`name` must be a text")
    if not isinstance(symptoms, list) or not all(isinstance(one, str) for one in symptoms):
        raise ValueError("`symptoms` must be a list of texts")
    kept = (one.strip() for one in symptoms if not one.strip().endswith(_CUT))
    return name.strip(), list(dict.fromkeys(one for one in kept if one))


class _FindingNames:
    """Brings the names of a finding to one entity, and describes each once."""

    def __init__(self, document: str) -> None:
        lines = _SYNONYMS.read_text(encoding="utf-8").splitlines()
        rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
        self._synonyms = {name: tuple(others.split()) for name, others, _ in rows}
        self._broader = {name: broader for name, _, broader in rows if broader}
        self._narrower: dict[str, list[str]] = {}
        for name, broader in self._broader.items():
            self._narrower.setdefault(broader, []).append(name)
        self._canonical = {other: name for name, others in self._synonyms.items() for other in others}
        self._document = document
        self._known: set[str] = set()

    def canonical(self, name: str) -> str:
        """The name that stands for all."""
        return name if name in self._synonyms else self._canonical.get(name, name)

    def id(self, name: str) -> str:
        """Of the finding."""
        return curie("finding", self.canonical(name))

    def described(self, name: str, place: str) -> Iterator[Record]:
        """The finding, what it is a kind of and its kinds, unless they were described already."""
        name = self.canonical(name)
        if name in self._known:
            return
        self._known.add(name)
        called: dict[str, Value] = {"name": name}
        if others := self._synonyms.get(name):
            called["synonyms"] = others
        yield Entity(self.id(name), ("Phenotype",), self._document, called, self._document, place)
        broader = self._broader.get(name)
        if broader:
            yield from self.described(broader, place)
        above = self.id(broader) if broader else _ROOT
        yield Claim(self.id(name), "IS_A", above, self._document, 1.0, {}, self._document, place)
        for narrower in self._narrower.get(name, ()):  # patients may name these where records do not
            yield from self.described(narrower, place)
