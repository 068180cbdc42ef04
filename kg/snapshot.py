"""A domain of the graph as arrays, at one version of the graph: what reasoners read.

Entities, facts and relations are small integers in a snapshot: an entity is its position among the sorted ids, a fact
its position among the facts sorted by (relation, subject, object). Positions hold for one version only; ids for all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import structlog

from kg.errors import NotFoundError
from kg.model import Claim
from kg.snapshot_arrays import Array, Floats, Ints, Longs, Strings, Tables, csr
from kg.snapshot_build import Changes, Readable, read_changes
from kg.snapshot_cache import SnapshotCache

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Claims:
    """The claims of a run of facts, grouped by fact; all arrays but `start` have one element a claim.

    Attributes:
        start: int64 (facts + 1,); the claims of the run's i-th fact are `start[i]:start[i + 1]`.
        source: int32, position in `Snapshot.sources`.
        confidence: float64, 0…1.
    """

    start: Longs
    source: Ints
    confidence: Floats
    _qualifiers: Ints
    _columns: dict[str, Array]

    def __len__(self) -> int:
        return len(self.source)

    def qualifier(self, name: str) -> Array:
        """One qualifier of each claim: float64 with NaN where it is absent, if it is numeric or boolean; else int32
        codes of `Snapshot.texts`, -1 where it is absent.

        Raises:
            KeyError: the ontology has no such qualifier.
        """
        return self._columns[name][self._qualifiers]

    @property
    def fact(self) -> Longs:
        """int64, the fact of each claim, counted from the run's first."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """All facts of one relation, sorted by subject, then object; arrays have one element a fact.

    Attributes:
        first: position of the first one among all facts of the snapshot.
        subject: int32, positions of entities.
        object: int32, positions of entities.
        belief: float64, 0…1.
    """

    first: int
    subject: Ints
    object: Ints
    belief: Floats
    claims: Claims

    def __len__(self) -> int:
        return len(self.subject)


class Snapshot:
    """A domain's entities, facts and claims at one version of the graph; read-only.

    Attributes:
        version: the graph's version.
        relations: names of the domain's relations, sorted; `tables.fact_relation` counts in them.
        tables: the arrays themselves.
    """

    def __init__(self, domain: str, version: int, relations: tuple[str, ...], tables: Tables) -> None:
        self.domain = domain
        self.version = version
        self.relations = relations
        self.tables = tables
        self._members: dict[str, Longs] = {}
        bounds = np.searchsorted(tables.fact_relation, np.arange(len(relations) + 1))
        self._range = {name: (int(bounds[i]), int(bounds[i + 1])) for i, name in enumerate(relations)}
        for values in tables.arrays().values():
            values.flags.writeable = False

    def __len__(self) -> int:
        """How many entities."""
        return len(self.tables.entity_id)

    # ---- entities -------------------------------------------------------------------------------------------------

    def index(self, id_: str) -> int:
        """Position of an entity.

        Raises:
            NotFoundError: no entity of this id.
        """
        at, found = self.tables.entity_id.position(id_)
        if not found:
            raise NotFoundError(f"no entity {id_!r}")
        return at

    def indices(self, ids: Iterable[str]) -> Longs:
        """Positions of many entities, -1 for an unknown id."""
        at, found = self.tables.entity_id.positions(Strings.of(ids))
        return np.where(found, at, -1)

    def __contains__(self, id_: object) -> bool:
        return isinstance(id_, str) and self.tables.entity_id.position(id_)[1]

    def id(self, entity: int) -> str:
        """Id of an entity."""
        return self.tables.entity_id[entity]

    def name(self, entity: int) -> str:
        """Name of an entity, or its id if nobody named it."""
        return self.tables.entity_name[entity] or self.id(entity)

    def labels(self, entity: int) -> tuple[str, ...]:
        """Labels of an entity, `Entity` first, then by name."""
        return self._label_sets[int(self.tables.entity_label[entity])]

    def properties(self, entity: int) -> dict[str, Any]:
        """Properties of an entity by the ontology's names; decoded at each call."""
        properties: dict[str, Any] = orjson.loads(self.tables.entity_properties.raw(entity))
        return properties

    def entities(self, label: str) -> Longs:
        """Positions of all entities of a label, ascending; kept after the first call."""
        if label not in self._members:
            has_label = np.array([label in labels for labels in self._label_sets], np.bool_)
            members = np.flatnonzero(has_label[self.tables.entity_label])
            members.flags.writeable = False
            self._members[label] = members
        return self._members[label]

    @cached_property
    def _label_sets(self) -> list[tuple[str, ...]]:
        return [tuple(orjson.loads(labels)) for labels in self.tables.label]

    # ---- facts ----------------------------------------------------------------------------------------------------

    def facts(self, relation: str) -> Facts:
        """All facts of a relation, as views of the snapshot's arrays.

        Raises:
            NotFoundError: the domain has no such relation.
        """
        first, last = self._relation_range(relation)
        tables = self.tables
        from_, to = int(tables.claim_start[first]), int(tables.claim_start[last])
        claims = Claims(
            start=tables.claim_start[first : last + 1] - from_,
            source=tables.claim_source[from_:to],
            confidence=tables.claim_confidence[from_:to],
            _qualifiers=tables.claim_qualifiers[from_:to],
            _columns=tables.qualifier_columns,
        )
        rows = slice(first, last)
        return Facts(first, tables.fact_subject[rows], tables.fact_object[rows], tables.fact_belief[rows], claims)

    def out(self, entity: int, relation: str | None = None) -> Longs:
        """Positions of the facts that an entity is the subject of, ascending."""
        return self._touching(*self._by_subject, entity, relation)

    def in_(self, entity: int, relation: str | None = None) -> Longs:
        """Positions of the facts that an entity is the object of, ascending."""
        return self._touching(*self._by_object, entity, relation)

    def subject(self, fact: int) -> int:
        """Position of the subject of a fact."""
        return int(self.tables.fact_subject[fact])

    def object(self, fact: int) -> int:
        """Position of the object of a fact."""
        return int(self.tables.fact_object[fact])

    def relation(self, fact: int) -> str:
        """Relation of a fact."""
        return self.relations[int(self.tables.fact_relation[fact])]

    def belief(self, fact: int) -> float:
        """Belief of a fact, 0…1."""
        return float(self.tables.fact_belief[fact])

    def claims(self, fact: int) -> list[Claim]:
        """The claims of one fact, in full."""
        tables = self.tables
        subject, object_ = self.id(self.subject(fact)), self.id(self.object(fact))
        return [
            Claim(
                subject=subject,
                relation=self.relation(fact),
                object=object_,
                source=tables.source[tables.claim_source[claim]],
                confidence=float(tables.claim_confidence[claim]),
                qualifiers=orjson.loads(tables.qualifiers.raw(tables.claim_qualifiers[claim])),
                document=tables.document[tables.claim_document[claim]],
                place=tables.place[tables.claim_place[claim]],
            )
            for claim in range(tables.claim_start[fact], tables.claim_start[fact + 1])
        ]

    def without(self, sources: Iterable[str]) -> Snapshot:
        """The same without what these sources say of facts; a fact that others say, too, keeps its belief."""
        at, found = self.sources.positions(Strings.of(sorted(set(sources))))
        keep = ~np.isin(self.tables.claim_source, at[found])
        if keep.all():
            return self
        return Snapshot(self.domain, self.version, self.relations, self.tables.keep_claims(keep))

    # ---- strings --------------------------------------------------------------------------------------------------

    @property
    def sources(self) -> Strings:
        """Ids of the sources that the facts' claims cite, sorted."""
        return self.tables.source

    def source_id(self, source: int) -> str:
        """Id of a source by its position."""
        return self.tables.source[source]

    @property
    def texts(self) -> Strings:
        """The strings that qualifiers have as values, sorted; `Claims.qualifier` gives positions in them."""
        return self.tables.text

    # ---- CSR ------------------------------------------------------------------------------------------------------

    def _relation_range(self, relation: str) -> tuple[int, int]:
        try:
            return self._range[relation]
        except KeyError:
            raise NotFoundError(f"domain {self.domain!r} has no relation {relation!r}") from None

    @cached_property
    def _by_subject(self) -> tuple[Longs, Longs]:
        return csr(self.tables.fact_subject, len(self))

    @cached_property
    def _by_object(self) -> tuple[Longs, Longs]:
        return csr(self.tables.fact_object, len(self))

    def _touching(self, start: Longs, facts: Longs, entity: int, relation: str | None) -> Longs:
        found = facts[start[entity] : start[entity + 1]]
        if relation is None:
            return found
        first, last = np.searchsorted(found, self._relation_range(relation))
        return found[first:last]


async def load_snapshot(store: Readable, domain: str, cache: Path) -> Snapshot:
    """The snapshot of a domain at the store's version: mapped from the cache, refreshed from it, or built.

    Args:
        store: the graph.
        domain: name of an ontology file, e.g. `medical`.
        cache: folder that keeps the last snapshots of all domains; made if it is not there.

    Raises:
        OntologyError: no such domain.
        StoreUnavailableError: the store is down, or written to faster than it can be read.
    """
    relations = store.ontology.domain_relations(domain)
    folder = SnapshotCache(cache, domain, store.ontology, await store.identity())
    cached = await asyncio.to_thread(folder.newest)
    if cached is not None:
        version, tables = cached
        return await _refresh(Snapshot(domain, version, relations, tables), store, folder)
    return await _build(domain, store, folder)


async def refresh_snapshot(snapshot: Snapshot, store: Readable, cache: Path) -> Snapshot:
    """The same snapshot if the graph has not changed, else a new one, made of what changed; the old one stays valid.

    Raises:
        StoreUnavailableError: the store is down, or written to faster than it can be read.
    """
    folder = SnapshotCache(cache, snapshot.domain, store.ontology, await store.identity())
    return await _refresh(snapshot, store, folder)


async def _refresh(snapshot: Snapshot, store: Readable, folder: SnapshotCache) -> Snapshot:
    version = await store.version()
    if version == snapshot.version:
        return snapshot
    changes = await read_changes(store, snapshot.relations, snapshot.version) if version > snapshot.version else None
    if changes is None:
        log.info("snapshot.rebuild", domain=snapshot.domain, version=version, snapshot=snapshot.version)
        return await _build(snapshot.domain, store, folder)
    return await _finish(snapshot.domain, changes, snapshot.tables, folder)


async def _build(domain: str, store: Readable, folder: SnapshotCache) -> Snapshot:
    changes = None
    while changes is None:  # None: removals were forgotten while we read; that takes long, but can't go on for ever
        changes = await read_changes(store, store.ontology.domain_relations(domain), 0)
    return await _finish(domain, changes, None, folder)


async def _finish(domain: str, changes: Changes, base: Tables | None, folder: SnapshotCache) -> Snapshot:
    start = time.perf_counter()
    tables = await asyncio.to_thread(changes.apply, base)
    await asyncio.to_thread(folder.save, changes.version, tables)
    log.info(
        "snapshot.refreshed" if base else "snapshot.built",
        domain=domain,
        version=changes.version,
        rows=len(changes),
        seconds=round(time.perf_counter() - start, 3),
    )
    return Snapshot(domain, changes.version, changes.relations, tables)
