"""KGAT-shaped folders: a knowledge graph and interactions in whole numbers, and lists that name the numbers.

`kg_final.txt` (head relation tail), `entity_list.txt`, `relation_list.txt`, `item_list.txt`, `user_list.txt` (their
original and new ids), `train.txt` (a user and his items). An item's number is also its entity's. `test.txt` is held
out for evaluation, and not read. Wang et al., *KGAT*, KDD 2019; https://github.com/xiangwang1223/knowledge_graph_attention_network
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ingestion.readers.base import Document, find_documents
from ingestion.readers.beside import Accompanied
from ingestion.readers.lines import lines
from ingestion.readers.retail_tables import Things
from ingestion.readers.traffic_ids import dataset
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected, Source

_GRAPH, _TRAIN = "kg_final.txt", "train.txt"
_LISTS = {
    "entity_list.txt": ("concept", "Concept"),
    "item_list.txt": ("item", "Item"),
    "user_list.txt": ("user", "User"),
}
_RELATIONS = "relation_list.txt"
_SHOWN = 2000


class KgatReader:
    """`RELATED_TO` facts with the relation's name as `predicate`, `LINKED_TO` from items to entities, interactions."""

    name = "kgat"
    version = "1"
    extensions: tuple[str, ...] = (_GRAPH, _TRAIN, *_LISTS)
    example = "evigraph ingest kgat amazon-book/"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each file; see `Reader.documents`."""
        if path is None:
            raise InputError("reader kgat needs a folder with kg_final.txt")
        for document in find_documents(self, path, name):
            named = document.path.with_name(_RELATIONS)
            beside = (named,) if document.path.name.lower() == _GRAPH and named.exists() else ()
            yield Accompanied(document, beside)

    def read(self, document: Document) -> Iterator[Record]:
        """The source, then each line; things are described before they are first spoken of."""
        yield Source(document.id, "document", name=document.path.name, document=document.id)
        name = document.path.name.lower()
        if name == _GRAPH:
            yield from _graph(document)
        elif name == _TRAIN:
            yield from _train(document)
        elif name in _LISTS:
            yield from _list(document, *_LISTS[name])
        else:
            yield Rejected(f"no file of KGAT's: its are {', '.join(KgatReader.extensions)}", "", "", document.id)


def _graph(document: Document) -> Iterator[Record]:
    names: dict[str, str] = {}
    list_ = Document(document.id, document.path.with_name(_RELATIONS))
    if list_.path.exists():
        for entry in _entries(list_):
            if isinstance(entry, Rejected):
                yield Rejected(
                    f"{_RELATIONS}: {entry.reason}", f"{_RELATIONS}:{entry.place}", entry.record, document.id
                )
            else:
                names[entry[1][1]] = entry[1][0]
    concepts = Things(document, dataset(document), "concept", "Concept")
    for item in lines(document):
        numbers = _numbers(item, document.id)
        if isinstance(numbers, Rejected):
            yield numbers
            continue
        place, cells = numbers
        if len(cells) != 3:
            if cells:
                yield Rejected(f"{len(cells)} numbers instead of 3", place, " ".join(cells)[:_SHOWN], document.id)
            continue
        head, relation, tail = cells
        yield from concepts.new(head, place)
        yield from concepts.new(tail, place)
        said = {"predicate": names.get(relation, relation)}
        yield Claim(concepts.id(head), "RELATED_TO", concepts.id(tail), document.id, 1.0, said, document.id, place)


def _train(document: Document) -> Iterator[Record]:
    data = dataset(document)
    users = Things(document, data, "user", "User")
    items = Things(document, data, "item", "Item")
    for item in lines(document):
        numbers = _numbers(item, document.id)
        if isinstance(numbers, Rejected):
            yield numbers
            continue
        place, cells = numbers
        if len(cells) == 1:
            yield Rejected(f"user {cells[0]} without items", place, cells[0], document.id)
        for key in dict.fromkeys(cells[1:]):
            yield from users.new(cells[0], place)
            yield from items.new(key, place)
            yield Claim(users.id(cells[0]), "INTERACTED_WITH", items.id(key), document.id, 1.0, {}, document.id, place)


def _list(document: Document, prefix: str, class_: str) -> Iterator[Record]:
    data = dataset(document)
    things = Things(document, data, prefix, class_)
    concepts = Things(document, data, "concept", "Concept")
    for entry in _entries(document):
        if isinstance(entry, Rejected):
            yield entry
            continue
        place, (original, number) = entry
        yield Entity(things.id(number), (class_,), document.id, {"name": original}, document.id, place)
        if class_ == "Item":
            yield from concepts.new(number, place)
            yield Claim(things.id(number), "LINKED_TO", concepts.id(number), document.id, 1.0, {}, document.id, place)


def _entries(document: Document) -> Iterator[tuple[str, tuple[str, str]] | Rejected]:
    """(place, (original id, new id)) of a list; its header says in which columns they are."""
    header: list[str] = []
    for item in lines(document):
        if isinstance(item, Rejected):
            yield item
            continue
        number, text = item
        cells = text.split()
        if not header:
            header = cells
            if not {"org_id", "remap_id"} <= set(header):
                yield Rejected(
                    "the header is not org_id remap_id …; the file is not read", "L1", text[:_SHOWN], document.id
                )
                return
            original, new = header.index("org_id"), header.index("remap_id")
        elif cells:
            if len(cells) > len(header) and original == 0:  # a name with blanks
                extra = len(cells) - len(header) + 1
                cells = [" ".join(cells[:extra]), *cells[extra:]]
            if len(cells) != len(header):
                reason = f"{len(cells)} columns instead of {len(header)}"
            elif not _is_number(cells[new]):
                reason = f"remap_id {cells[new][:40]!r} is no whole number"
            else:
                yield f"L{number}", (cells[original], cells[new])
                continue
            yield Rejected(reason, f"L{number}", text[:_SHOWN], document.id)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _numbers(item: tuple[int, str] | Rejected, document: str) -> tuple[str, list[str]] | Rejected:
    """The whole numbers of a line."""
    if isinstance(item, Rejected):
        return item
    line, text = item
    cells = text.split()
    for cell in cells:
        if not _is_number(cell):
            return Rejected(f"{cell[:40]!r} is no whole number", f"L{line}", text[:_SHOWN], document)
    return f"L{line}", cells
