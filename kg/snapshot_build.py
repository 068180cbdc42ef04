"""What changed in the graph since a version, read from the store and turned into a snapshot's arrays."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from itertools import chain, repeat
from typing import Any, Protocol

import numpy as np
import orjson

from kg.errors import StoreUnavailableError
from kg.merge import Descriptions
from kg.ontology import Ontology
from kg.snapshot_arrays import REMOVED, Array, Strings, Tables, merge, ragged

_ROUNDS = 50


class Readable(Protocol):
    """What a snapshot needs of a store; see `kg.store.GraphStore`."""

    ontology: Ontology

    async def identity(self) -> str:
        """A text that no other graph has."""
        ...

    async def version(self) -> int:
        """Grows with each committed write."""
        ...

    def scan_entities(self, since: int = 0) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Entities changed after a version."""
        ...

    def scan_facts(self, relations: Sequence[str], since: int = 0) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Facts changed after a version."""
        ...

    async def removed_since(self, version: int) -> tuple[list[str], list[tuple[str, str, str]]] | None:
        """Entities and facts removed after a version."""
        ...

    def read(self, query: str, parameters: Mapping[str, Any] | None = None) -> AsyncIterator[dict[str, Any]]:
        """Rows of a reading query."""
        ...


async def read_changes(store: Readable, relations: Sequence[str], since: int) -> Changes | None:
    """All that changed after a version; after 0: everything.

    The graph may be written to meanwhile: what changed during one round of reading is read in the next one, until a
    round begins and ends at the same version.

    Returns:
        The changes, with the version that they lead to; None if the store no longer knows what was removed.

    Raises:
        StoreUnavailableError: the graph is written to faster than it can be read.
    """
    changes = Changes(store.ontology, relations)
    changes.version = since
    for _ in range(_ROUNDS):
        now = await store.version()
        if now == changes.version:
            return changes
        if changes.version:
            removed = await store.removed_since(changes.version)
            if removed is None:
                return None
            changes.remove(*removed)
        reliabilities: dict[str, float] = {}
        async for entities in store.scan_entities(changes.version):
            await read_reliabilities(store, entities, reliabilities)
            changes.add_entities(entities, reliabilities)
        async for facts in store.scan_facts(relations, changes.version):
            changes.add_facts(facts)
        changes.version = now
    raise StoreUnavailableError("the graph is written to faster than a snapshot can be read; try again later")


async def read_reliabilities(store: Readable, rows: list[tuple[Any, ...]], known: dict[str, float]) -> None:
    """Adds the reliabilities of the sources that describe entities: they say whose name wins, and whose counts."""
    cited = {source for _, _, sources, *_ in rows for source in sources or ()} - known.keys()
    if cited:
        query = "UNWIND $ids AS id MATCH (s:Source {id: id}) RETURN s.id AS id, s.reliability AS reliability"
        async for row in store.read(query, {"ids": sorted(cited)}):
            known[row["id"]] = row["reliability"]


def effective_properties(
    ontology: Ontology, row: tuple[Any, ...], reliabilities: Mapping[str, float]
) -> dict[str, Any]:
    """Properties of an entity, a row of `scan_entities`: the union of what its descriptions say that count.

    A source without a reliability is gone since the row was read, and does not count.
    """
    _, _, sources, documents, descriptions, places, _ = row
    columns = {"sources": sources, "documents": documents, "descriptions": descriptions, "places": places}
    merged = Descriptions.from_properties(columns).properties(ontology, lambda source: reliabilities.get(source, 0.0))
    return {name: value for name, value in merged.items() if name in ontology.properties}


class Changes:
    """Changed rows in the order they were read; a later row of one entity or fact replaces the earlier ones.

    Strings are numbered as they come, so that a row costs a few numbers. A removal is a row, too.

    Attributes:
        version: that of the graph once these changes are in.
    """

    def __init__(self, ontology: Ontology, relations: Sequence[str]) -> None:
        self.version = 0
        self._ontology = ontology
        self.relations = tuple(relations)
        self._codes = {name: code for code, name in enumerate(relations)}
        self._entities: dict[str, tuple[str, str, str] | None] = {}
        self._ids, self._sources, self._documents, self._places, self._qualifiers = (_Codes() for _ in range(5))
        self._fact_subject, self._fact_relation, self._fact_object, self._fact_claims = (array("i") for _ in range(4))
        self._fact_belief, self._claim_confidence = array("d"), array("d")
        self._claim_source, self._claim_document, self._claim_place, self._claim_qualifiers = (
            array("i") for _ in range(4)
        )

    def __len__(self) -> int:
        """How many rows were read."""
        return len(self._entities) + len(self._fact_subject)

    def remove(self, entities: Iterable[str], facts: Iterable[tuple[str, str, str]]) -> None:
        """Entities and facts that are gone; what is added later is back."""
        self._entities |= dict.fromkeys(entities)
        kept = [fact for fact in facts if fact[1] in self._codes]
        self.add_facts([(*fact, 0.0, (), (), (), (), (), 0) for fact in kept])

    def add_entities(self, rows: list[tuple[Any, ...]], reliabilities: Mapping[str, float]) -> None:
        """Rows of `scan_entities`, with the reliabilities of the sources that describe them."""
        for row in rows:
            own = effective_properties(self._ontology, row, reliabilities)
            label = orjson.dumps(["Entity", *sorted(set(row[1]) - {"Entity"})])
            properties_json = orjson.dumps(own, option=orjson.OPT_SORT_KEYS)
            self._entities[row[0]] = label.decode(), own.get("name", ""), properties_json.decode()

    def add_facts(self, rows: list[tuple[Any, ...]]) -> None:
        """Rows of `scan_facts`."""
        if not rows:
            return
        subjects, relations, objects, beliefs, sources, confidences, documents, qualifiers, places, _ = zip(
            *rows, strict=True
        )
        self._fact_subject.extend(self._ids.of(subjects))
        self._fact_relation.extend(map(self._codes.__getitem__, relations))
        self._fact_object.extend(self._ids.of(objects))
        self._fact_belief.extend(beliefs)
        self._fact_claims.extend(map(len, sources))
        self._claim_source.extend(self._sources.of(chain.from_iterable(sources)))
        self._claim_confidence.extend(chain.from_iterable(confidences))
        self._claim_document.extend(self._documents.of(chain.from_iterable(documents)))
        self._claim_place.extend(self._places.of(chain.from_iterable(places)))
        self._claim_qualifiers.extend(self._qualifiers.of(chain.from_iterable(qualifiers)))

    def apply(self, base: Tables | None = None) -> Tables:
        """The tables of a graph from those before the changes; from None, of all that was read."""
        ends, subject = self._ids.ranked(self._fact_subject)
        object_ = self._ids.ranked(self._fact_object)[1]
        relation = np.asarray(self._fact_relation, np.uint16)
        order = np.lexsort((object_, subject, relation))
        key = np.stack((relation[order], subject[order], object_[order]))
        is_last = np.append((key[:, 1:] != key[:, :-1]).any(axis=0), np.ones(min(len(order), 1), np.bool_))
        facts = order[is_last]
        start = np.concatenate(([0], np.cumsum(np.asarray(self._fact_claims, np.int64))))
        claims = ragged(start, facts)
        source, claim_source = self._sources.ranked(self._claim_source)
        document, claim_document = self._documents.ranked(self._claim_document)
        place, claim_place = self._places.ranked(self._claim_place)
        qualifiers, claim_qualifiers = self._qualifiers.ranked(self._claim_qualifiers)
        text, columns = _qualifier_columns(self._ontology, qualifiers)
        ids = sorted(self._entities)
        rows = [self._entities[id_] or ("", "", "") for id_ in ids]
        labels = _Codes()
        codes = [REMOVED if not label else labels[label] for label, _, _ in rows]
        label, entity_label = labels.ranked(codes)
        change = Tables(
            entity_id=Strings.of(ids),
            entity_label=entity_label,
            entity_name=Strings.of(name for _, name, _ in rows),
            entity_properties=Strings.of(properties for _, _, properties in rows),
            fact_subject=subject[facts],
            fact_relation=relation[facts],
            fact_object=object_[facts],
            fact_belief=np.asarray(self._fact_belief, np.float64)[facts],
            claim_start=np.concatenate(([0], np.cumsum(np.diff(start)[facts]))),
            claim_source=claim_source[claims],
            claim_document=claim_document[claims],
            claim_place=claim_place[claims],
            claim_qualifiers=claim_qualifiers[claims],
            claim_confidence=np.asarray(self._claim_confidence, np.float64)[claims],
            label=label,
            source=source,
            document=document,
            place=place,
            qualifiers=qualifiers,
            text=text,
            qualifier_columns=columns,
        )
        if base is None:
            base = Changes(self._ontology, self.relations)._empty()
        return merge(base, change, ends)

    def _empty(self) -> Tables:
        none = Strings.of(())
        ints, floats = np.zeros(0, np.int32), np.zeros(0, np.float64)
        return Tables(
            entity_id=none, entity_label=ints, entity_name=none, entity_properties=none,
            fact_subject=ints, fact_relation=np.zeros(0, np.uint16), fact_object=ints, fact_belief=floats,
            claim_start=np.zeros(1, np.int64), claim_source=ints, claim_document=ints, claim_place=ints,
            claim_qualifiers=ints, claim_confidence=floats,
            label=none, source=none, document=none, place=none, qualifiers=none, text=none,
            qualifier_columns=_qualifier_columns(self._ontology, none)[1],
        )  # fmt: skip


class _Codes(dict[str, int]):
    """Strings numbered in the order they come."""

    def __missing__(self, text: str) -> int:
        code = self[text] = len(self)
        return code

    def of(self, texts: Iterable[str]) -> Iterable[int]:
        """Codes of strings, new ones included."""
        return map(self.__getitem__, texts)

    def ranked(self, codes: Sequence[int]) -> tuple[Strings, Array]:
        """The sorted strings, and codes as positions among them; -1 stays."""
        texts = sorted(self)
        rank = np.full(len(texts) + 1, -1, np.int32)
        rank[np.fromiter(self.of(texts), np.int64, len(texts))] = np.arange(len(texts), dtype=np.int32)
        return Strings.of(texts), rank[np.asarray(codes, np.int32)]


def _qualifier_columns(ontology: Ontology, qualifiers: Strings) -> tuple[Strings, dict[str, Array]]:
    """A column a qualifier of the ontology: float64 (NaN: absent), or int32 codes (-1: absent) of the texts."""
    sets: list[dict[str, Any]] = [orjson.loads(text) for text in qualifiers]
    columns: dict[str, Array] = {}
    coded: dict[str, Sequence[int]] = {}
    codes = _Codes({})
    for name, qualifier in sorted(ontology.qualifiers.items()):
        if str in qualifier.types:
            values = (said.get(name) for said in sets)
            coded[name] = [-1 if value is None else codes[value] for value in values]
        else:
            numbers = map(dict.get, sets, repeat(name), repeat(np.nan))
            columns[name] = np.fromiter(numbers, np.float64, len(sets))
    text = Strings.of(sorted(codes))
    return text, columns | {name: codes.ranked(values)[1] for name, values in coded.items()}
