"""One writing transaction: what it knows of the graph, and the statements that all kinds of writing share.

Every writing transaction first raises the graph's version. That node is thereby locked until the commit, so writers
take turns, in one process or in several, and what a transaction reads it may rely on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from neo4j import AsyncTransaction

from kg.batch import LedgerEntry, PreparedFact
from kg.errors import OntologyError
from kg.extents import ENTITY_COLUMNS
from kg.groups import Touched
from kg.merge import Descriptions, FactClaims, belief_of
from kg.messages import parts
from kg.ontology import Ontology

Rows = list[dict[str, Any]]
Fact = tuple[str, str, str]
"""(subject id, relation, object id)"""

_MOST_KNOWN = 2_000_000


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


class Transaction:
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

    async def _begin(self) -> None:
        rows = await self._rows(
            "MERGE (g:GraphState {id: 'graph'}) SET g.extents = coalesce(g.extents, coalesce(g.version, 0) = 0), "
            "g.version = coalesce(g.version, 0) + 1 RETURN g.version AS version"
        )
        self._version = int(rows[0]["version"])
        self._known.valid_at(self._version - 1)

    # ---- ledger and sources

    async def ledger(self, documents: list[str]) -> dict[str, LedgerEntry]:
        """Entries of these documents, as far as there are any."""
        query = "UNWIND $ids AS id MATCH (l:LedgerEntry {document: id}) RETURN properties(l) AS entry"
        entries = [LedgerEntry(**row["entry"]) for row in await self._rows(query, ids=documents)]
        return {entry.document: entry for entry in entries}

    async def _write_ledger(self, entries: Iterable[LedgerEntry]) -> None:
        if rows := [asdict(entry) for entry in entries]:
            await self._run("UNWIND $rows AS r MERGE (l:LedgerEntry {document: r.document}) SET l = r", rows=rows)

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

    # ---- entities and facts

    def _node(self, id_: str, descriptions: Descriptions) -> dict[str, Any]:
        properties = self._node_properties(id_, descriptions, None)
        return {"id": id_, "labels": descriptions.labels(self._ontology, self._reliability), "properties": properties}

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

    # ---- statements

    async def _run(self, query: str, **parameters: Any) -> None:  # noqa: ANN401 (Cypher parameters are of any type)
        """Runs a statement; one that unwinds `rows` or `ids`, for so many at a time as fit into a message."""
        for part in parts(parameters):
            await (await self._tx.run(query, part)).consume()

    async def _rows(self, query: str, **parameters: Any) -> Rows:  # noqa: ANN401
        """The same, and what it returns."""
        return [row for part in parts(parameters) for row in await (await self._tx.run(query, part)).data()]


READ_SOURCES = """
UNWIND $ids AS id MATCH (s:Source {id: id})
RETURN s.id AS id, s.reliability AS reliability, s.trust AS trust, s.quarantined AS quarantined,
       s.documents AS documents, s.descriptions AS descriptions
"""
READ_ENTITIES = f"""
UNWIND $ids AS id MATCH (n:Entity {{id: id}})
RETURN {ENTITY_COLUMNS}
"""
