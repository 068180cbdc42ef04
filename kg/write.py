"""Writing claims into the graph: the work inside one transaction.

Every writing transaction first raises the graph's version. That node is thereby locked until the commit, so writers
take turns, in one process or in several, and what a transaction reads it may rely on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import orjson
from neo4j import AsyncTransaction

from kg.batch import Batch, LedgerEntry, PreparedBatch, PreparedEntity, PreparedFact
from kg.changes import Change, Reweigh
from kg.errors import ConflictError, InputError, OntologyError
from kg.extents import CREATE_EXTENTS, Stated, extent, extents
from kg.groups import Touched, read_group, set_belief, settle
from kg.merge import Descriptions, FactClaims, SourceDescriptions, belief_of
from kg.model import Source
from kg.ontology import Ontology

T = TypeVar("T")
Rows = list[dict[str, Any]]
Fact = tuple[str, str, str]
"""(subject id, relation, object id)"""

_CHUNK = 10_000
_MESSAGE = 12_000_000
"""Bytes of rows in one message, as JSON: ArcadeDB takes 16 MiB, and answers nothing to more."""
_MOST_KNOWN = 2_000_000


@dataclass(frozen=True, slots=True)
class WriteReport:
    """The graph's version after a write, and how many entities and facts are new or changed."""

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
        merges: entities that went → those that they went into; None: to be asked. See `kg.same`.
        most: entities, and half as many facts, after which they are forgotten.
    """

    def __init__(self) -> None:
        self.most = _MOST_KNOWN
        self.version = 0
        self.complete = False
        self.entities: set[str] = set()
        self.created: set[str] = set()
        self.facts: set[int] = set()
        self.reliabilities: dict[str, float] = {}
        self.merges: dict[str, str] | None = None

    def valid_at(self, version: int) -> None:
        """Forgets everything if the graph was changed by somebody else since."""
        if self.version != version:
            self.entities.clear()
            self.forget_facts()
            self.reliabilities.clear()
            self.merges = None
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
        self._touched = Touched(ontology)

    async def write(self, prepared: PreparedBatch) -> WriteReport:
        """Writes a batch.

        Raises:
            OntologyError: it cites a source that nobody described.
            ConflictError: somebody else changed one of its documents meanwhile.
        """
        await self._begin()
        prepared = self._placed(prepared)
        await self._check_ledger(prepared.batch)
        await self._write_sources(prepared.batch.sources)
        await self._load_reliabilities(set(prepared.cited))
        ends = {i for pairs in prepared.facts.values() for pair in pairs for i in pair}
        entities = await self._write_entities(prepared.described, ends)
        changed = 0
        for relation, facts in prepared.facts.items():
            changed += await self._write_facts(relation, facts)
        await self._touch(self._changed_subjects)
        await self._run(CREATE_EXTENTS, rows=extents(prepared.batch.entities, prepared.batch.claims))
        await self._write_ledger(prepared.batch.ledger)
        return WriteReport(self._version, entities, changed)

    async def settle(self) -> None:
        """Sets the belief of facts that compete with others; the last thing in a transaction."""
        for name, subjects in sorted(self._touched.subjects.items()):
            relation = self._ontology.relation(name)
            for ids in chunks(sorted(subjects)):
                rows = await self._rows(read_group(relation), ids=ids)
                await self._load_reliabilities({source for row in rows for source in row["sources"]})
                changed = list(settle(relation, rows, self._reliability))
                if changed:
                    await self._run(set_belief(relation), rows=changed, version=self._version)
                    await self._touch(row["s"] for row in changed)

    def commit(self) -> None:
        """Takes over what the transaction learned; to be called once it is committed."""
        known = self._known
        known.version = self._version
        if len(known.entities) > known.most:
            known.entities.clear()
            known.complete = False
        if len(known.facts) > known.most // 2:
            known.forget_facts()
        known.entities |= self._seen
        known.entities -= self._gone
        known.created |= self._created
        known.created -= self._gone
        known.facts |= self._facts
        known.reliabilities |= self._reliabilities
        for source in self._gone_sources:
            known.reliabilities.pop(source, None)

    def _placed(self, prepared: PreparedBatch) -> PreparedBatch:
        """The batch with what is said of merged entities filed where it has to be; see `kg.same`."""
        return prepared

    # ---- parts ----------------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        rows = await self._rows(
            "MERGE (g:GraphState {id: 'graph'}) SET g.extents = coalesce(g.extents, coalesce(g.version, 0) = 0), "
            "g.version = coalesce(g.version, 0) + 1 RETURN g.version AS version"
        )
        self._version = int(rows[0]["version"])
        self._known.valid_at(self._version - 1)

    async def _check_ledger(self, batch: Batch) -> None:
        written = {entry.document: entry for entry in batch.ledger}
        found = await self.ledger(sorted(batch.follows))
        for document, before in batch.follows.items():
            now = found.get(document)
            # a transaction is tried again also where it was committed and only the answer was lost
            if now is not None and written[document].same_state(now):
                continue
            if (now is None) != (before is None) or (before is not None and not before.same_state(now)):
                raise ConflictError(f"{document} was changed by somebody else while it was loaded; load it again")

    async def ledger(self, documents: list[str]) -> dict[str, LedgerEntry]:
        """Entries of these documents, as far as there are any."""
        query = "UNWIND $ids AS id MATCH (l:LedgerEntry {document: id}) RETURN properties(l) AS entry"
        entries = [LedgerEntry(**row["entry"]) for row in await self._rows(query, ids=documents)]
        return {entry.document: entry for entry in entries}

    async def _write_ledger(self, entries: Iterable[LedgerEntry]) -> None:
        if rows := [asdict(entry) for entry in entries]:
            await self._run("UNWIND $rows AS r MERGE (l:LedgerEntry {document: r.document}) SET l = r", rows=rows)

    async def _write_sources(self, sources: Iterable[Source]) -> None:
        described: dict[str, SourceDescriptions] = defaultdict(lambda: SourceDescriptions(set()))
        for source in sources:
            described[source.id].add(source)
        before = {row["id"]: row for row in await self._rows(READ_SOURCES, ids=sorted(described))}
        new: Rows = []
        changed: Rows = []
        for id_, descriptions in sorted(described.items()):
            if (old := before.get(id_)) is None:
                properties = {"id": id_} | descriptions.properties(self._ontology)
                new.append(properties)
                self._reliabilities[id_] = properties["reliability"]
                continue
            known = SourceDescriptions.from_properties(old)
            if not descriptions.entries <= known.entries:
                changed.append(old | {"said": SourceDescriptions(known.entries | descriptions.entries)})
        if new:
            await self._run("UNWIND $rows AS r CREATE (s:Source) SET s = r", rows=new)
        await self._update_sources(changed)

    async def _update_sources(self, rows: Rows) -> tuple[int, int]:
        """Sets what sources are, and weighs anew what they say.

        Args:
            rows: of `READ_SOURCES`, with their new descriptions as `said`.

        Returns:
            How many facts and entities were weighed anew.
        """
        if not rows:
            return 0, 0
        nodes = []
        reweighed = set()
        for row in rows:
            said: SourceDescriptions = row["said"]
            kept = {name: row[name] for name in ("trust", "quarantined") if row[name] is not None}
            node = {"id": row["id"]} | said.properties(self._ontology) | kept
            node["reliability"] = 0.0 if kept.get("quarantined") else kept.get("trust", node["reliability"])
            nodes.append(node)
            self._reliabilities[row["id"]] = node["reliability"]
            if node["reliability"] != row["reliability"]:
                reweighed.add(row["id"])
        await self._run("UNWIND $rows AS r MATCH (s:Source {id: r.id}) SET s = r", rows=nodes)
        if not reweighed:
            return 0, 0
        facts, _ = await self._rewrite_facts(Reweigh(reweighed))
        entities, _ = await self._rewrite_entities(Reweigh(reweighed))
        return facts, entities

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
        for row in await self._rows(READ_ENTITIES, ids=unknown):
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
            await self._run(f"UNWIND $rows AS r CREATE (n:{':'.join(labels)}) SET n = r", rows=rows)
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
        new: Rows = []
        perhaps_new: Rows = []
        for pair, fact in facts.items():
            self._complete(fact.row["p"])
            (new if self._is_new(relation, pair) else perhaps_new).append(fact.row)
        await self._run(_CREATE_FACTS.format(type=type_), rows=new)
        touched = [row["s"] for row in new]
        different: Rows = []
        for row in await self._rows(_MERGE_FACTS.format(type=type_), rows=perhaps_new):
            if row["before"] is None:
                touched.append(row["subject"])
            else:
                different.append(row)
        await self._load_reliabilities({source for row in different for source in row["before"]["sources"]})
        merged: Rows = []
        for row in different:
            pair = row["subject"], row["object"]
            before = FactClaims.from_properties(row["before"])
            claims = before.merged(facts[pair].claims)
            if claims.claims != before.claims:
                merged.append(self._fact_row(pair, claims))
        await self._run(_SET_FACTS.format(type=type_), rows=merged)
        touched += [row["s"] for row in merged]
        self._changed_subjects.update(touched)
        self._touched.add(relation, touched)
        return len(touched)

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

    async def _rewrite_facts(self, change: Change) -> tuple[int, set[str]]:
        """Applies a change to all facts that it concerns.

        Returns:
            How many facts changed or went, and the documents of the claims that went.
        """
        total = 0
        documents: set[str] = set()
        stated = await self._stated(change)
        for relation in await stated.relations(list(self._ontology.relations)):
            rows = await stated.facts(relation)
            kept: Rows = []
            gone: list[tuple[str, str]] = []
            facts = [((row["subject"], row["object"]), FactClaims.from_properties(row)) for row in rows]
            changed = [(pair, claims, change.claims((pair[0], relation, pair[1]), claims)) for pair, claims in facts]
            await self._load_reliabilities({i[0] for _, _, rest in changed for i in rest.claims})
            for pair, claims, rest in changed:
                documents |= {i[1] for i in claims.claims.keys() - rest.claims.keys()}
                if not rest.claims:
                    gone.append(pair)
                elif change.reweighs or rest.claims != claims.claims:
                    kept.append(self._fact_row(pair, rest))
            await self._replace_facts(relation, kept, gone)
            total += len(kept) + len(gone)
        return total, documents

    async def _stated(self, change: Change) -> Stated:
        ids = await extent(self._rows, change.document) if change.document else None
        return Stated(self._rows, change.ids, ids if ids is None else self._filed(ids))

    def _filed(self, ids: set[str]) -> set[str]:
        """Where what is said of these entities may be filed; see `kg.same`."""
        return ids

    async def _replace_facts(self, relation: str, kept: Rows, gone: list[tuple[str, str]]) -> None:
        """Sets the facts that are kept, and deletes those that go with the entities that are bare then."""
        await self._run(_SET_FACTS.format(type=relation), rows=kept)
        for pairs in chunks(gone):
            ends = [{"s": s, "o": o} for s, o in pairs]
            await self._run(_DELETE_FACTS.format(type=relation), rows=ends)
            await self._remember_removal([], [(s, relation, o) for s, o in pairs])
            await self._delete_bare({i for pair in pairs for i in pair})
        subjects = {row["s"] for row in kept} | {subject for subject, _ in gone}
        await self._touch(subjects)
        self._touched.add(relation, subjects)

    async def _rewrite_entities(self, change: Change) -> tuple[int, set[str]]:
        """The same for descriptions of entities."""
        rows = await (await self._stated(change)).entities()
        before = [(row, Descriptions.from_properties(row)) for row in rows]
        after = [(row, said, change.descriptions(row["id"], said)) for row, said in before]
        await self._load_reliabilities({i[0] for _, _, rest in after for i in rest.entries})
        changed: Rows = []
        documents: set[str] = set()
        bare: set[str] = set()
        for row, said, rest in after:
            documents |= {i[1] for i in said.entries.keys() - rest.entries.keys()}
            if change.reweighs or rest.entries != said.entries:
                changed.append(self._node(row["id"], rest) | {"was": row["labels"]})
            if not rest.entries:
                bare.add(row["id"])
        await self._update_entities(changed)
        for ids in chunks(sorted(bare)):
            await self._delete_bare(set(ids))
        return len(changed), documents

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
        """Runs a statement; one that unwinds `rows` or `ids`, for so many at a time as fit into a message."""
        for part in parts(parameters):
            await (await self._tx.run(query, part)).consume()

    async def _rows(self, query: str, **parameters: Any) -> Rows:  # noqa: ANN401
        """The same, and what it returns."""
        return [row for part in parts(parameters) for row in await (await self._tx.run(query, part)).data()]


def parts(parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Parameters of a statement, with `rows` or `ids`, if it unwinds them, as `chunks`."""
    name = next((name for name in ("rows", "ids") if name in parameters), None)
    if name is None:
        yield parameters
        return
    for part in chunks(parameters[name]):
        yield {**parameters, name: part}


def chunks(rows: Sequence[T]) -> Iterator[list[T]]:
    """The rows in lists of at most `_CHUNK`, none longer than a database takes as one message.

    Raises:
        InputError: one row alone is longer.
    """
    for start in range(0, len(rows), _CHUNK):
        yield from _small(list(rows[start : start + _CHUNK]))


def _small(rows: list[T]) -> Iterator[list[T]]:
    if len(orjson.dumps(rows)) <= _MESSAGE:
        yield rows
    elif len(rows) > 1:
        yield from _small(rows[: len(rows) // 2])
        yield from _small(rows[len(rows) // 2 :])
    else:
        raise InputError(f"one entity or fact of more than {_MESSAGE:,} bytes: {str(rows[0])[:200]}")


READ_SOURCES = """
UNWIND $ids AS id MATCH (s:Source {id: id})
RETURN s.id AS id, s.reliability AS reliability, s.trust AS trust, s.quarantined AS quarantined,
       s.documents AS documents, s.descriptions AS descriptions
"""
READ_ENTITIES = """
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
WITH s, o, f, r, f.key <> r.p.key AS differs WHERE differs OR f.version = r.p.version
RETURN s.id AS subject, o.id AS object, CASE WHEN differs THEN properties(f) END AS before
"""
_SET_FACTS = """
UNWIND $rows AS r MATCH (s:Entity {{id: r.s}})-[f:{type}]->(o:Entity {{id: r.o}}) SET f = r.p
"""
_DELETE_FACTS = """
UNWIND $rows AS r MATCH (s:Entity {{id: r.s}})-[f:{type}]->(o:Entity {{id: r.o}}) DELETE f
"""
