"""RecBole's knowledge graphs: `.kg` (head, relation, tail) and `.link` (the entity that each item is)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ingestion.readers.base import Document, find_documents
from ingestion.readers.retail_tables import ITEM, Table, Things, columns
from ingestion.readers.traffic_ids import dataset
from kg.errors import InputError
from kg.model import Claim, Record, Rejected, Scalar, Source

_HEAD = ("headid", "head", "h")
_RELATION = ("relationid", "relation", "r")
_TAIL = ("tailid", "tail", "t")
_ENTITY = ("entityid", "entity")


class RecboleKgReader:
    """`RELATED_TO` facts with the relation's own name as `predicate`, and `LINKED_TO` from items to entities."""

    name = "recbole_kg"
    version = "1"
    extensions: tuple[str, ...] = (".kg", ".link")
    example = "evigraph ingest recbole_kg ml-100k.kg"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each file; see `Reader.documents`."""
        if path is None:
            raise InputError("reader recbole_kg needs a file or folder")
        return find_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """The source, then each row; things are described before they are first spoken of."""
        is_link = document.path.name.lower().endswith(".link")
        try:
            table = Table(document)
            found = columns(table.names, *((ITEM, _ENTITY) if is_link else (_HEAD, _TAIL, _RELATION)))
            if None in found:
                wanted = "item_id, entity_id" if is_link else "head_id, relation_id, tail_id"
                raise ValueError(f"the columns are not {wanted}: {', '.join(table.names)[:500]}")
        except ValueError as error:
            yield Rejected(str(error), "L1", "", document.id)
            return
        yield Source(document.id, "document", name=document.path.name, document=document.id)
        yield from table.left_out(found)
        data = dataset(document)
        concepts = Things(document, data, "concept", "Concept")
        subjects = Things(document, data, "item", "Item") if is_link else concepts
        relation = "LINKED_TO" if is_link else "RELATED_TO"
        indices = [index for index in found if index is not None]
        for row in table.rows():
            if isinstance(row, Rejected):
                yield row
                continue
            place, cells = row
            head, tail, *predicate = (str(cells[index]).strip() for index in indices)
            missing = [table.names[i] for i in indices if not str(cells[i]).strip()]
            if missing:
                yield table.rejected(f"no {', '.join(missing)}", row)
                continue
            yield from subjects.new(head, place)
            yield from concepts.new(tail, place)
            qualifiers: dict[str, Scalar] = {"predicate": predicate[0]} if predicate else {}
            yield Claim(
                subjects.id(head), relation, concepts.id(tail), document.id, 1.0, qualifiers, document.id, place
            )
