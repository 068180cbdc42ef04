"""The graph over Bolt: Neo4j, or the embedded store. Which one it is only its dialect knows."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import orjson
from neo4j import AsyncTransaction

from kg.batch import Batch, LedgerEntry, PreparedBatch
from kg.bolt import READ_TIMEOUT_S, Bolt
from kg.changes import Unsaid
from kg.dialect import ArcadeDialect, Dialect, Neo4jDialect
from kg.digest import Digest
from kg.embedded import USER, EmbeddedServer
from kg.errors import ConfigurationError
from kg.ontology import Ontology
from kg.preview import Preview
from kg.retract import Retraction
from kg.same import Merge, Merger
from kg.search import search
from kg.transaction import Fact, Known
from kg.vectors import Vectors
from kg.write import WriteReport

__all__ = ["Batch", "GraphStore", "LedgerEntry", "PreparedBatch", "Retraction", "WriteReport", "open_store"]

T = TypeVar("T")
_SOURCE_FIELDS = ("id", "kind", "name", "model", "version", "url", "reliability", "trust", "quarantined")


async def open_store(
    url: str, ontology: Ontology, *, user: str = "neo4j", password: str | None = None, heap: str = "2g"
) -> GraphStore:
    """Opens a graph and makes sure that it has the ontology's constraints and indexes.

    Args:
        url: `embedded:FOLDER`, or `bolt://…` / `neo4j://…` (also `+s`, `+ssc`).
        ontology: the schema.
        user: at Neo4j; the embedded store has its own.
        password: at Neo4j.
        heap: memory limit of the embedded store's JVM.

    Raises:
        ConfigurationError: the URL is of neither kind.
        StoreUnavailableError: it can't be reached, started, or refuses the credentials.
    """
    scheme, _, rest = url.partition(":")
    dialect: Dialect
    if scheme == "embedded" and rest:
        server = EmbeddedServer(Path(rest), heap)
        dialect = ArcadeDialect()

        async def connect() -> tuple[str, str, str]:
            endpoint = await asyncio.to_thread(server.connect)
            return endpoint.bolt, USER, endpoint.password

        sql, release = server.sql, server.close
    elif re.fullmatch(r"(bolt|neo4j)(\+s|\+ssc)?", scheme) and rest.startswith("//"):
        dialect = Neo4jDialect()

        async def connect() -> tuple[str, str, str]:
            return url, user, password or ""

        sql, release = _no_sql, _nothing
    else:
        raise ConfigurationError(f"the graph is embedded:FOLDER, bolt://… or neo4j://…, not {url!r}")
    store = GraphStore(Bolt(connect, dialect), ontology, dialect, sql, release)
    try:
        await store.open()
    except BaseException:
        await store.close()
        raise
    return store


def _no_sql(command: str) -> None:
    raise ConfigurationError(f"this database has no SQL: {command}")


def _nothing() -> None:
    return None


class GraphStore:
    """One graph. Made by `open_store`; close it when done."""

    def __init__(
        self,
        bolt: Bolt,
        ontology: Ontology,
        dialect: Dialect,
        sql: Callable[[str], None],
        release: Callable[[], None],
    ) -> None:
        self.ontology = ontology
        self.dialect = dialect
        self.vectors = Vectors(bolt, dialect, sql)
        self._bolt = bolt
        self._sql = sql
        self._release = release
        self._known = Known()
        self._writing = asyncio.Lock()
        self._identity = ""

    async def open(self) -> None:
        """Connects, and makes what is missing of the schema."""
        await self._bolt.open()
        for statement in self.dialect.cypher_schema(self.ontology):
            await self._bolt.run(statement)
        for command in self.dialect.sql_schema(self.ontology):
            await asyncio.to_thread(self._sql, command)

    async def close(self) -> None:
        """Closes the connections, and lets go of an embedded server."""
        await self._bolt.close()
        await asyncio.to_thread(self._release)

    # ---- writing ------------------------------------------------------------------------------------------------

    def remember(self, most: int) -> None:
        """Bounds what writers remember of the graph, by the number of entities; else it asks more, and takes longer."""
        self._known.most = most

    async def write(self, batch: Batch | PreparedBatch) -> WriteReport:
        """Writes a batch and its ledger entries in one transaction; the same batch again changes nothing.

        Raises:
            OntologyError: a source, entity or claim breaks the ontology, or cites a source that nobody described.
            StoreUnavailableError: the database stayed away.
        """
        prepared = PreparedBatch.of(batch, self.ontology) if isinstance(batch, Batch) else batch
        return await self._transact(lambda writer: writer.write(prepared))

    async def retract(self, id_: str) -> Retraction:
        """Takes back all that a source, or a document, says, and what only it supported.

        Raises:
            NotFoundError: there is no such source or document.
            StoreUnavailableError: the database stayed away.
        """
        return await self._transact(lambda writer: writer.retract(id_))

    def preview(self) -> Preview:
        """Takes batches as `write` does, and only tells what they would change."""
        return Preview(self._bolt.rows, self.ontology)

    async def finish(self, entry: LedgerEntry, unsaid: Unsaid) -> Retraction:
        """Ends the loading of a document that has changed: takes back what it does not say any more; see `Unsaid`.

        Raises:
            StoreUnavailableError: the database stayed away.
        """
        return await self._transact(lambda writer: writer.finish(entry, unsaid))

    async def trust(self, source: str, level: float | None = None, *, quarantined: bool = False) -> Retraction:
        """Says how far a source is trusted, and weighs all that it says anew; without arguments as far as it says.

        Args:
            source: its id.
            level: reliability in 0…1, instead of its own.
            quarantined: what it says is kept, but does not count.

        Raises:
            NotFoundError: there is no such source.
            InputError: the level is outside 0…1.
            StoreUnavailableError: the database stayed away.
        """
        return await self._transact(lambda writer: writer.trust(source, level, quarantined=quarantined))

    async def merge(self, id_: str, into: str, *, by: str) -> Merge:
        """Says that an entity is another one: what is said of it, now and later, is filed under that; see `kg.same`.

        Args:
            id_: of the entity that goes.
            into: id of the one that stays.
            by: who says so.

        Raises:
            NotFoundError: one of them is not in the graph.
            ConflictError: one of them was merged already.
            InputError: both are the same, or the one that goes is of a controlled vocabulary.
            StoreUnavailableError: the database stayed away.
        """
        at = datetime.now(UTC).isoformat()
        return await self._transact(lambda writer: writer.merge(id_, into, by, at))

    async def unmerge(self, id_: str) -> Merge:
        """Takes back the merge of an entity; the graph is as if it had never been.

        Raises:
            NotFoundError: it was not merged.
            StoreUnavailableError: the database stayed away.
        """
        return await self._transact(lambda writer: writer.unmerge(id_))

    async def _transact(self, work: Callable[[Merger], Awaitable[T]]) -> T:
        writer: Merger | None = None

        async def attempt(transaction: AsyncTransaction) -> T:
            nonlocal writer
            writer = Merger(transaction, self.ontology, self._known)
            done = await work(writer)
            await writer.settle()
            return done

        async with self._writing:
            done = await self._bolt.write(attempt)
            if writer is not None:
                writer.commit()
        return done

    # ---- the whole ----------------------------------------------------------------------------------------------

    async def identity(self) -> str:
        """A text that no other graph has."""
        if not self._identity:
            rows = await self._bolt.rows("MATCH (g:GraphState {id: 'graph'}) RETURN g.identity AS identity")
            if not rows or rows[0]["identity"] is None:
                rows = await self._bolt.write(_identify)
            self._identity = rows[0]["identity"]
        return self._identity

    async def version(self) -> int:
        """Grows with each committed write; 0 for an empty graph."""
        rows = await self._bolt.rows("MATCH (g:GraphState {id: 'graph'}) RETURN g.version AS version")
        return int(rows[0]["version"] or 0) if rows else 0

    async def ledger(self) -> dict[str, LedgerEntry]:
        """How far each document has been loaded, by its id."""
        names = LedgerEntry.__dataclass_fields__
        columns = ", ".join(f"l.{name} AS {name}" for name in names)
        rows = await self._bolt.rows(f"MATCH (l:LedgerEntry) RETURN {columns} ORDER BY document")
        known = ({name: value for name, value in row.items() if value is not None} for row in rows)
        return {row["document"]: LedgerEntry(**row) for row in known}

    async def counts(self) -> dict[str, Any]:
        """How many `entities` by label, `facts` by relation, `sources` and `documents`; and the version."""
        entities: dict[str, int] = {}
        for row in await self._bolt.rows("MATCH (n:Entity) RETURN labels(n) AS labels, count(*) AS many"):
            for label in row["labels"]:
                entities[label] = entities.get(label, 0) + row["many"]
        facts: dict[str, int] = {}
        for relation in sorted(self.ontology.relations):
            rows = await self._bolt.rows(f"MATCH ()-[f:{relation}]->() RETURN count(f) AS many")
            if rows and rows[0]["many"]:
                facts[relation] = rows[0]["many"]
        return {
            "version": await self.version(),
            "entities": entities,
            "facts": facts,
            "sources": await self._count("Source"),
            "documents": await self._count("LedgerEntry"),
        }

    async def _count(self, label: str) -> int:
        return int((await self._bolt.rows(f"MATCH (n:{label}) RETURN count(n) AS many"))[0]["many"])

    async def digest(self) -> str:
        """One order-free hash of all sources, entities and facts, without versions and the ledger; see `kg.digest`."""
        digest = Digest()
        async for rows in self._bolt.batches("MATCH (s:Source) RETURN s.id, properties(s)"):
            digest.add_sources(rows)
        async for rows in self._bolt.batches("MATCH (n:Entity) RETURN n.id, labels(n), properties(n)"):
            digest.add_entities(rows)
        for relation in sorted(self.ontology.relations):
            query = f"MATCH (s:Entity)-[f:{relation}]->(o:Entity) RETURN s.id, '{relation}', o.id, properties(f)"
            async for rows in self._bolt.batches(query):
                digest.add_facts(rows)
        return digest.hexdigest()

    # ---- reading ------------------------------------------------------------------------------------------------

    def read(
        self, query: str, parameters: Mapping[str, Any] | None = None, timeout_s: float = READ_TIMEOUT_S
    ) -> AsyncIterator[dict[str, Any]]:
        """Streams the records of a reading query; see `Bolt.read`."""
        return self._bolt.read(query, parameters, timeout_s)

    async def scan_entities(self, since: int = 0) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Entities whose own or whose outgoing facts' last change came after a version.

        Yields:
            Rows (id, labels, sources, documents, descriptions, places, version); lists are None for an entity that
            nobody has described.
        """
        async for rows in self._bolt.batches(_SCAN_ENTITIES, {"since": since}):
            yield rows

    async def scan_facts(self, relations: Sequence[str], since: int = 0) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Facts of these relations that changed after a version.

        Yields:
            Rows (subject, relation, object, belief, sources, confidences, documents, qualifiers, places, version).
        """
        types = [self.ontology.relation(relation).name for relation in relations]
        if since and types:  # few facts: one query for all relations
            queries = [_SCAN_FACTS.format(types="|".join(types))]
        else:
            queries = [_SCAN_ALL_FACTS.format(type=type_) for type_ in types]
        for query in queries:
            async for rows in self._bolt.batches(query, {"since": since}):
                yield rows

    async def removed_since(self, version: int) -> tuple[list[str], list[Fact]] | None:
        """Entities, and (subject, relation, object) of facts, removed after a version; None if that is forgotten."""
        state = await self._bolt.rows("MATCH (g:GraphState {id: 'graph'}) RETURN g.forgotten AS forgotten")
        if state and (state[0]["forgotten"] or 0) > version:
            return None
        rows = await self._bolt.rows(
            "MATCH (r:Removal) WHERE r.version > $version RETURN r.entities AS entities, r.subjects AS subjects, "
            "r.relations AS relations, r.objects AS objects ORDER BY r.version",
            {"version": version},
        )
        facts = [f for r in rows for f in zip(r["subjects"], r["relations"], r["objects"], strict=True)]
        return [id_ for row in rows for id_ in row["entities"]], facts

    # ---- looking up ---------------------------------------------------------------------------------------------

    async def entity(self, id_: str) -> dict[str, Any] | None:
        """One entity: `id`, `labels`, `properties`, `descriptions` (what each source says of it); None if unknown."""
        rows = await self._bolt.rows(
            "MATCH (n:Entity {id: $id}) RETURN labels(n) AS labels, properties(n) AS properties", {"id": id_}
        )
        if not rows:
            return None
        own = rows[0]["properties"]
        columns = (own.get(c) or () for c in ("sources", "documents", "descriptions", "places"))
        return {
            "id": id_,
            "labels": self._labels(rows[0]["labels"]),
            "properties": {name: own[name] for name in sorted(own) if name in self.ontology.properties},
            "descriptions": [
                {"source": source, "document": document, **orjson.loads(content), "place": place}
                for source, document, content, place in zip(*columns, strict=True)
            ],
        }

    async def neighbourhood(
        self, id_: str, *, relations: Sequence[str] | None = None, limit: int = 50, offset: int = 0
    ) -> list[dict[str, Any]]:
        """Facts about an entity, by relation and direction, the strongest first.

        Returns:
            Dicts with `direction` (`out`, `in`), `relation`, `entity` (the other end), `belief` and `claims`.

        Raises:
            OntologyError: a relation is unknown.
        """
        types = "|".join(self.ontology.relation(name).name for name in relations or sorted(self.ontology.relations))
        found: list[dict[str, Any]] = []
        for direction, pattern in (("out", f"-[f:{types}]->"), ("in", f"<-[f:{types}]-")):
            query = (
                f"MATCH (n:Entity {{id: $id}}){pattern}(o:Entity) RETURN type(f) AS relation, f.belief AS belief, "
                "o.id AS id, o.name AS name, labels(o) AS labels, f.sources AS sources, f.documents AS documents, "
                "f.confidences AS confidences, f.qualifiers AS qualifiers, f.places AS places "
                "ORDER BY relation, belief DESC, id LIMIT $limit"
            )
            rows = await self._bolt.rows(query, {"id": id_, "limit": offset + limit})
            found += [row | {"direction": direction} for row in rows]
        found.sort(key=lambda r: (r["relation"], r["direction"] == "in", -r["belief"], r["id"]))
        return [
            {
                "direction": row["direction"],
                "relation": row["relation"],
                "entity": {"id": row["id"], "name": row["name"], "labels": self._labels(row["labels"])},
                "belief": row["belief"],
                "claims": _claims(row),
            }
            for row in found[offset : offset + limit]
        ]

    async def search(self, text: str, *, labels: Sequence[str] | None = None, limit: int = 20) -> list[dict[str, Any]]:
        """Entities by id, name, synonym or words: the exact ones first; see `kg.search`.

        Returns:
            Dicts with `id`, `name`, `labels`, `score` and `match` (`id`, `name`, `synonym`, `full-text`).

        Raises:
            OntologyError: a label is unknown.
        """
        return await search(self._bolt.rows, self.dialect, self.ontology, text, labels or (), limit)

    async def source(self, id_: str) -> dict[str, Any] | None:
        """One source: `id`, `kind`, `name`, `model`, `version`, `url`, `reliability`; None if unknown."""
        columns = ", ".join(f"s.{name} AS {name}" for name in _SOURCE_FIELDS)
        rows = await self._bolt.rows(f"MATCH (s:Source {{id: $id}}) RETURN {columns}", {"id": id_})
        return rows[0] if rows else None

    async def sources(
        self, *, kind: str | None = None, quarantined: bool = False, limit: int = 1000, offset: int = 0
    ) -> list[dict[str, Any]]:
        """A page of the sources, by id, of one kind or all, only those in quarantine or all; as `source`."""
        columns = ", ".join(f"s.{name} AS {name}" for name in _SOURCE_FIELDS)
        wanted = [text for asked, text in ((kind, "s.kind = $kind"), (quarantined, "s.quarantined")) if asked]
        where = f"WHERE {' AND '.join(wanted)} " if wanted else ""
        return await self._bolt.rows(
            f"MATCH (s:Source) {where}RETURN {columns} ORDER BY id SKIP $offset LIMIT $limit",
            {"kind": kind, "offset": offset, "limit": limit},
        )

    def _labels(self, labels: Sequence[str]) -> list[str]:
        return list(self.ontology.labels(set(labels) & self.ontology.classes.keys()))


async def _identify(transaction: AsyncTransaction) -> list[dict[str, Any]]:
    result = await transaction.run(
        "MERGE (g:GraphState {id: 'graph'}) SET g.identity = coalesce(g.identity, $identity), "
        "g.version = coalesce(g.version, 0) RETURN g.identity AS identity",
        identity=uuid.uuid4().hex,
    )
    return await result.data()


def _claims(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    columns = (row[c] for c in ("sources", "documents", "confidences", "qualifiers", "places"))
    return [
        {"source": s, "document": d, "confidence": c, "qualifiers": orjson.loads(q), "place": p}
        for s, d, c, q, p in zip(*columns, strict=True)
    ]


_SCAN_ENTITIES = """
MATCH (n:Entity) WHERE n.version > $since
RETURN n.id, labels(n), n.sources, n.documents, n.descriptions, n.places, n.version
"""
_SCAN_ALL_FACTS = """
MATCH (s:Entity)-[f:{type}]->(o:Entity)
RETURN s.id, '{type}', o.id, f.belief, f.sources, f.confidences, f.documents, f.qualifiers, f.places, f.version
"""
_SCAN_FACTS = """
MATCH (s:Entity) WHERE s.version > $since
MATCH (s)-[f:{types}]->(o:Entity) WHERE f.version > $since
RETURN s.id, type(f), o.id, f.belief, f.sources, f.confidences, f.documents, f.qualifiers, f.places, f.version
"""
