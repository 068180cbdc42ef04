"""Writing claims into the graph, and taking a source's claims out again: the work inside one transaction.

Every writing transaction first raises the graph's version. That node is thereby locked until the commit, so writers
take turns, in one process or in several, and what a transaction reads it may rely on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from neo4j import AsyncTransaction

from kg.batch import PreparedBatch, PreparedEntity, PreparedFact
from kg.errors import NotFoundError, OntologyError
from kg.merge import Descriptions, FactClaims, SourceDescriptions, belief_of
from kg.model import Source
from kg.ontology import Ontology

T = TypeVar("T")
Rows = list[dict[str, Any]]
Fact = tuple[str, str, str]
"""(subject id, relation, object id)"""

_CHUNK = 10_000
_MOST_KNOWN_ENTITIES = 2_000_000
_MOST_KNOWN_FACTS = 1_000_000
_REMEMBERED_REMOVALS = 1_000
"""Versions for which removals are kept; a snapshot that is older is built anew."""


@dataclass(frozen=True, slots=True)
class WriteReport:
    """The graph's version after a write, and how many entities and facts are new or changed."""

    version: int
    entities: int
    facts: int


@dataclass(frozen=True, slots=True)
class Retraction:
    """The graph's version after a retraction, and how many entities and facts went or changed."""

    version: int
    entities: int
    facts: int


class Known:
    """What this process knows to be in the graph, so that it need not ask: valid while nobody else writes.

    Attributes:
        entities: ids that are there.
        complete: whether they are all that are there.
        created: those that this process made, and all of whose outgoing facts are thus among `facts`.
        facts: hashes of facts; one that is not among them, of such an entity, is new.
        reliabilities: of sources, by id.
    """

    def __init__(self) -> None:
        self.version = 0
        self.complete = False
        self.entities: set[str] = set()
        self.created: set[str] = set()
        self.facts: set[int] = set()
        self.reliabilities: dict[str, float] = {}

    def valid_at(self, version: int) -> None:
        """Forgets everything if the graph was changed by somebody else since."""
        if self.version != version:
            self.entities.clear()
            self.forget_facts()
            self.reliabilities.clear()
            self.complete = False
        if version == 0:
            self.complete = True  # of nothing

    def forget_facts(self) -> None:
        """Whether a fact is new must be asked again."""
        self.created.clear()
        self.facts.clear()


class Writer:
    """The statements of one writing transaction."""

    def __init__(self, tx: AsyncTransaction, ontology: Ontology, known: Known) -> None:
        self._tx = tx
        self._ontology = ontology
        self._known = known
        self._version = 0
        self._reliabilities: dict[str, float] = {}
        self._seen: set[str] = set()
        self._created: set[str] = set()
        self._gone: set[str] = set()
        self._gone_sources: list[str] = []
        self._facts: set[int] = set()
        self._versioned: set[str] = set()
        self._changed_subjects: set[str] = set()

    # ---- the two transactions -----------------------------------------------------------------------------------

    async def write(self, prepared: PreparedBatch) -> WriteReport:
        """Writes a batch.

        Raises:
            OntologyError: it cites a source that nobody described.
        """
        await self._begin()
        await self._write_sources(prepared.batch.sources)
        await self._load_reliabilities(set(prepared.cited))
        ends = {i for pairs in prepared.facts.values() for pair in pairs for i in pair}
        entities = await self._write_entities(prepared.described, ends)
        changed = 0
        for relation, facts in prepared.facts.items():
            changed += await self._write_facts(relation, facts)
        await self._touch(self._changed_subjects)
        if prepared.batch.ledger:
            rows = [asdict(entry) for entry in prepared.batch.ledger]
            await self._run("UNWIND $rows AS r MERGE (l:LedgerEntry {document: r.document}) SET l = r", rows=rows)
        return WriteReport(self._version, entities, changed)

    async def retract(self, source: str) -> Retraction:
        """Takes out what only this source (or document) says, and lowers the belief of the rest.

        The ledger entries of documents that quote or describe the source are reset, so that loading them again brings
        it back.

        Raises:
            NotFoundError: neither a source nor a document of this id is in the graph.
        """
        await self._begin()
        known = await self._rows(
            "OPTIONAL MATCH (s:Source {id: $id}) OPTIONAL MATCH (l:LedgerEntry {document: $id}) "
            "RETURN s.documents AS described_in, l IS NOT NULL AS document",
            id=source,
        )
        if not known or (known[0]["described_in"] is None and not known[0]["document"]):
            raise NotFoundError(f"no source or document {source!r}")
        orphans = await self._drop_source(source)
        facts, documents = await self._rewrite_facts({source}, without=source)
        entities, described_in = await self._rewrite_entities({source}, without=source)
        for id_ in orphans:
            await self._run("MATCH (s:Source {id: $id}) DELETE s", id=id_)
        self._gone_sources = orphans
        await self._run("MATCH (l:LedgerEntry {document: $id}) DELETE l", id=source)
        await self._run(
            "UNWIND $ids AS id MATCH (l:LedgerEntry {document: id}) SET l.records = 0, l.complete = false",
            ids=sorted({*documents, *described_in, *(known[0]["described_in"] or ())}),
        )
        forgotten = max(0, self._version - _REMEMBERED_REMOVALS)
        await self._run("MATCH (r:Removal) WHERE r.version <= $forgotten DELETE r", forgotten=forgotten)
        await self._run("MATCH (g:GraphState {id: 'graph'}) SET g.forgotten = $forgotten", forgotten=forgotten)
        return Retraction(self._version, entities, facts)

    def commit(self) -> None:
        """Takes over what the transaction learned; to be called once it is committed."""
        known = self._known
        known.version = self._version
        if len(known.entities) > _MOST_KNOWN_ENTITIES:
            known.entities.clear()
            known.complete = False
        if len(known.facts) > _MOST_KNOWN_FACTS:
            known.forget_facts()
        known.entities |= self._seen
        known.entities -= self._gone
        known.created |= self._created
        known.created -= self._gone
        known.facts |= self._facts
        known.reliabilities |= self._reliabilities
        for source in self._gone_sources:
            known.reliabilities.pop(source, None)

    # ---- parts ----------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        rows = await self._rows(
            "MERGE (g:GraphState {id: 'graph'}) SET g.version = coalesce(g.version, 0) + 1 RETURN g.version AS version"
        )
        self._version = int(rows[0]["version"])
        self._known.valid_at(self._version - 1)

    async def _write_sources(self, sources: Iterable[Source]) -> None:
        described: dict[str, SourceDescriptions] = defaultdict(lambda: SourceDescriptions(set()))
        for source in sources:
            described[source.id].add(source)
        found = await self._rows(
            "UNWIND $ids AS id MATCH (s:Source {id: id}) "
            "RETURN s.id AS id, s.reliability AS reliability, s.documents AS documents, s.descriptions AS descriptions",
            ids=sorted(described),
        )
        before = {row["id"]: row for row in found}
        new: Rows = []
        changed: Rows = []
        reweighed = set()
        for id_, descriptions in sorted(described.items()):
            if (old := before.get(id_)) is not None:
                known = SourceDescriptions.from_properties(old)
                if descriptions.entries <= known.entries:
                    continue
                descriptions.entries |= known.entries
            properties = {"id": id_} | descriptions.properties(self._ontology)
            (new if old is None else changed).append(properties)
            self._reliabilities[id_] = properties["reliability"]
            if old is not None and old["reliability"] != properties["reliability"]:
                reweighed.add(id_)
        if new:
            await self._run("UNWIND $rows AS r CREATE (s:Source) SET s = r", rows=new)
        if changed:
            await self._run("UNWIND $rows AS r MATCH (s:Source {id: r.id}) SET s = r", rows=changed)
        if reweighed:
            await self._rewrite_facts(reweighed)
            await self._rewrite_entities(reweighed)

    async def _load_reliabilities(self, sources: set[str]) -> None:
        wanted = sources - self._reliabilities.keys() - self._known.reliabilities.keys()
        for row in await self._rows(
            "UNWIND $ids AS id MATCH (s:Source {id: id}) RETURN s.id AS id, s.reliability AS reliability",
            ids=sorted(wanted),
        ):
            self._reliabilities[row["id"]] = row["reliability"]
        if missing := wanted - self._reliabilities.keys():
            raise OntologyError(f"claims cite sources that nothing describes: {', '.join(sorted(missing)[:5])}")

    def _reliability(self, source: str) -> float:
        own = self._reliabilities
        return own[source] if source in own else self._known.reliabilities[source]

    async def _write_entities(self, described: Mapping[str, PreparedEntity], ends: set[str]) -> int:
        known = self._known
        wanted = sorted(described.keys() | (ends - known.entities))
        unknown = [id_ for id_ in wanted if id_ in known.entities] if known.complete else wanted
        found: dict[str, dict[str, Any]] = {}
        for chunk in _chunks(unknown):
            for row in await self._rows(_READ_ENTITIES, ids=chunk):
                found[row["id"]] = row
        await self._load_reliabilities({s for row in found.values() for s in row["sources"] or ()})
        new: dict[tuple[str, ...], Rows] = defaultdict(list)
        changed: Rows = []
        for id_ in wanted:
            prepared = described.get(id_)
            if (known_as := found.get(id_)) is not None:
                if prepared is None:
                    continue
                before = Descriptions.from_properties(known_as)
                merged = before.merged(prepared.descriptions)
                if merged.entries != before.entries:
                    changed.append(self._node(id_, merged) | {"was": known_as["labels"]})
            else:
                prepared = prepared or PreparedEntity.of(Descriptions.empty(), self._ontology)
                new[prepared.labels].append(self._node_properties(id_, prepared.descriptions, prepared.properties))
                self._created.add(id_)
        for labels, rows in sorted(new.items()):
            for part in _chunks(rows):
                await self._run(f"UNWIND $rows AS r CREATE (n:{':'.join(labels)}) SET n = r", rows=part)
        await self._update_entities(changed)
        self._seen.update(wanted)
        return len(wanted) - len(found) + len(changed)

    def _node(self, id_: str, descriptions: Descriptions) -> dict[str, Any]:
        properties = self._node_properties(id_, descriptions, None)
        return {"id": id_, "labels": descriptions.labels(self._ontology), "properties": properties}

    def _node_properties(self, id_: str, descriptions: Descriptions, prepared: dict[str, Any] | None) -> dict[str, Any]:
        self._versioned.add(id_)
        properties = prepared or descriptions.properties(self._ontology, self._reliability)
        return {**properties, "id": id_, "version": self._version}

    async def _update_entities(self, nodes: Rows) -> None:
        """Sets properties, and labels where they changed (grouped, since labels can't be parameters)."""
        if not nodes:
            return
        groups: dict[tuple[tuple[str, ...], tuple[str, ...]], list[str]] = defaultdict(list)
        for node in nodes:
            new, old = set(node["labels"]), set(self._ontology.labels(set(node["was"]) - {"Entity"}))
            if new != old:
                groups[tuple(sorted(new - old)), tuple(sorted(old - new))].append(node["id"])
        for (added, removed), ids in sorted(groups.items()):
            if removed:
                query = f"UNWIND $ids AS id MATCH (n:Entity {{id: id}}) REMOVE n:{':'.join(removed)}"
                await self._run(query, ids=ids)
            if added:
                query = f"UNWIND $ids AS id MATCH (n:Entity {{id: id}}) SET n:{':'.join(added)}"
                await self._run(query, ids=ids)
        rows = [node["properties"] for node in nodes]
        await self._run("UNWIND $rows AS r MATCH (n:Entity {id: r.id}) SET n = r", rows=rows)

    async def _write_facts(self, relation: str, facts: Mapping[tuple[str, str], PreparedFact]) -> int:
        type_ = self._ontology.relation(relation).name
        different: Rows = []
        new: Rows = []
        perhaps_new: Rows = []
        for pair, fact in facts.items():
            self._complete(fact.row["p"])
            (new if self._is_new(relation, pair) else perhaps_new).append(fact.row)
        for rows in _chunks(new):
            await self._run(_CREATE_FACTS.format(type=type_), rows=rows)
        created = len(new)
        for rows in _chunks(perhaps_new):
            result = await self._tx.run(_MERGE_FACTS.format(type=type_), rows=rows)
            different += await result.data()
            created += (await result.consume()).counters.relationships_created
        await self._load_reliabilities({source for row in different for source in row["sources"]})
        merged = []
        for row in different:
            pair = row["subject"], row["object"]
            before = FactClaims.from_properties(row)
            claims = before.merged(facts[pair].claims)
            if claims.claims != before.claims:
                merged.append(self._fact_row(pair, claims))
        if merged:
            await self._run(_SET_FACTS.format(type=type_), rows=merged)
        if created or merged:
            self._changed_subjects.update(subject for subject, _ in facts)
        return created + len(merged)

    def _is_new(self, relation: str, pair: tuple[str, str]) -> bool:
        """Whether a fact is certainly not in the graph; notes that it is from now on."""
        known, subject = self._known, pair[0]
        if subject not in self._created and subject not in known.created:
            return False
        fact = hash((relation, *pair))
        self._facts.add(fact)
        return fact not in known.facts

    def _fact_row(self, pair: tuple[str, str], claims: FactClaims) -> dict[str, Any]:
        row = PreparedFact.of(pair, claims).row
        self._complete(row["p"])
        return row

    def _complete(self, properties: dict[str, Any]) -> None:
        """Fills in what only the graph knows."""
        properties["belief"] = belief_of(properties, self._reliability)
        properties["version"] = self._version

    async def _touch(self, ids: Iterable[str]) -> None:
        """Marks subjects of changed facts: a version is that of the last change of an entity or its outgoing facts."""
        query = "UNWIND $ids AS id MATCH (n:Entity {id: id}) WHERE n.version < $version SET n.version = $version"
        if wanted := sorted(set(ids) - self._versioned):
            await self._run(query, ids=wanted, version=self._version)

    # ---- rewriting what a source supports ---------------------------------------------------------------------------

    async def _drop_source(self, source: str) -> list[str]:
        """Sources that nothing describes once this source, or document, is gone."""
        orphans = {source}
        changed: Rows = []
        rows = await self._rows(
            "MATCH (s:Source) WHERE $id IN s.documents "
            "RETURN s.id AS id, s.documents AS documents, s.descriptions AS descriptions, s.reliability AS reliability",
            id=source,
        )
        reweighed = set()
        for row in rows:
            rest = SourceDescriptions.from_properties(row).without(source)
            if not rest.entries:
                orphans.add(row["id"])
                continue
            properties = {"id": row["id"]} | rest.properties(self._ontology)
            changed.append(properties)
            self._reliabilities[row["id"]] = properties["reliability"]
            if properties["reliability"] != row["reliability"]:
                reweighed.add(row["id"])
        if changed:
            await self._run("UNWIND $rows AS r MATCH (s:Source {id: r.id}) SET s = r", rows=changed)
        if reweighed:
            await self._rewrite_facts(reweighed)
            await self._rewrite_entities(reweighed)
        return sorted(orphans)

    async def _rewrite_facts(self, sources: set[str], without: str = "") -> tuple[int, set[str]]:
        """Weighs the facts of these sources anew, or takes one source's claims out of them.

        Returns:
            How many facts changed or went, and the documents in which the source was quoted.
        """
        total = 0
        documents: set[str] = set()
        for relation in sorted(self._ontology.relations):
            rows = await self._rows(_FACTS_OF_SOURCES.format(type=relation), ids=sorted(sources))
            kept: Rows = []
            gone: list[tuple[str, str]] = []
            before = [(row["subject"], row["object"], FactClaims.from_properties(row)) for row in rows]
            await self._load_reliabilities({i[0] for _, _, claims in before for i in claims.claims} - {without})
            for subject, object_, claims in before:
                rest = claims.without(without) if without else claims
                documents |= {i[1] for i in claims.claims if without and without in (i[0], i[1])}
                if rest.claims:
                    kept.append(self._fact_row((subject, object_), rest))
                else:
                    gone.append((subject, object_))
            for part in _chunks(kept):
                await self._run(_SET_FACTS.format(type=relation), rows=part)
            for pairs in _chunks(gone):
                ends = [{"s": s, "o": o} for s, o in pairs]
                await self._run(_DELETE_FACTS.format(type=relation), rows=ends)
                await self._remember_removal([], [(s, relation, o) for s, o in pairs])
                await self._delete_bare({i for pair in pairs for i in pair})
            if rows:
                await self._touch(row["subject"] for row in rows)
            total += len(rows)
        return total, documents - {without}

    async def _rewrite_entities(self, sources: set[str], without: str = "") -> tuple[int, set[str]]:
        """The same for descriptions of entities."""
        rows = await self._rows(_ENTITIES_OF_SOURCES, ids=sorted(sources))
        before = [(row, Descriptions.from_properties(row)) for row in rows]
        await self._load_reliabilities({i[0] for _, entries in before for i in entries.entries} - {without})
        changed: Rows = []
        documents: set[str] = set()
        bare: set[str] = set()
        for row, descriptions in before:
            rest = descriptions.without(without) if without else descriptions
            documents |= {i[1] for i in descriptions.entries if without and without in (i[0], i[1])}
            changed.append(self._node(row["id"], rest) | {"was": row["labels"]})
            if not rest.entries:
                bare.add(row["id"])
        for part in _chunks(changed):
            await self._update_entities(part)
        for ids in _chunks(sorted(bare)):
            await self._delete_bare(set(ids))
        return len(rows), documents - {without}

    async def _delete_bare(self, ids: set[str]) -> None:
        """Deletes those of the entities that nobody describes and no fact touches any more."""
        rows = await self._rows(
            "UNWIND $ids AS id MATCH (n:Entity {id: id}) WHERE n.sources IS NULL AND NOT (n)--() RETURN n.id AS id",
            ids=sorted(ids),
        )
        if bare := [row["id"] for row in rows]:
            await self._run("UNWIND $ids AS id MATCH (n:Entity {id: id}) DELETE n", ids=bare)
            await self._remember_removal(bare, [])
            self._gone.update(bare)

    async def _remember_removal(self, entities: list[str], facts: list[Fact]) -> None:
        """For snapshots that are refreshed by what changed since."""
        await self._run(
            "CREATE (:Removal {version: $version, entities: $entities, subjects: $subjects, relations: $relations, "
            "objects: $objects})",
            version=self._version,
            entities=entities,
            subjects=[s for s, _, _ in facts],
            relations=[r for _, r, _ in facts],
            objects=[o for _, _, o in facts],
        )

    async def _run(self, query: str, **parameters: Any) -> None:  # noqa: ANN401 (Cypher parameters are of any type)
        await (await self._tx.run(query, parameters)).consume()

    async def _rows(self, query: str, **parameters: Any) -> Rows:  # noqa: ANN401
        if parameters.get("ids") == []:
            return []
        return await (await self._tx.run(query, parameters)).data()


def _chunks(rows: Sequence[T]) -> Iterator[list[T]]:
    """The rows in lists of at most `_CHUNK`."""
    return (list(rows[start : start + _CHUNK]) for start in range(0, len(rows), _CHUNK))


_READ_ENTITIES = """
UNWIND $ids AS id MATCH (n:Entity {id: id})
RETURN n.id AS id, labels(n) AS labels, n.sources AS sources, n.documents AS documents,
       n.descriptions AS descriptions, n.places AS places
"""
_CREATE_FACTS = """
UNWIND $rows AS r MATCH (s:Entity {{id: r.s}}) MATCH (o:Entity {{id: r.o}}) CREATE (s)-[f:{type}]->(o) SET f = r.p
"""
_MERGE_FACTS = """
UNWIND $rows AS r
MATCH (s:Entity {{id: r.s}}) MATCH (o:Entity {{id: r.o}})
MERGE (s)-[f:{type}]->(o) ON CREATE SET f = r.p
WITH s, o, f, r WHERE f.key <> r.p.key
RETURN s.id AS subject, o.id AS object, f.sources AS sources, f.documents AS documents,
       f.qualifiers AS qualifiers, f.confidences AS confidences, f.places AS places
"""
_SET_FACTS = """
UNWIND $rows AS r MATCH (s:Entity {{id: r.s}})-[f:{type}]->(o:Entity {{id: r.o}}) SET f = r.p
"""
_DELETE_FACTS = """
UNWIND $rows AS r MATCH (s:Entity {{id: r.s}})-[f:{type}]->(o:Entity {{id: r.o}}) DELETE f
"""
_FACTS_OF_SOURCES = """
MATCH (s:Entity)-[f:{type}]->(o:Entity)
WHERE any(id IN $ids WHERE id IN f.sources OR id IN f.documents)
RETURN s.id AS subject, o.id AS object, f.sources AS sources, f.documents AS documents,
       f.qualifiers AS qualifiers, f.confidences AS confidences, f.places AS places
"""
_ENTITIES_OF_SOURCES = """
MATCH (n:Entity) WHERE any(id IN $ids WHERE id IN n.sources OR id IN n.documents)
RETURN n.id AS id, labels(n) AS labels, n.sources AS sources, n.documents AS documents,
       n.descriptions AS descriptions, n.places AS places
"""
