"""Embeddings in the graph: a vector for an entity of a domain, and the database's index that finds the nearest ones.

They are derived from what sources say, and no part of it: they lie in nodes of their own, which neither the digest nor
the graph's version knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from neo4j import AsyncTransaction
from numpy.typing import NDArray

from kg.bolt import Bolt
from kg.dialect import Dialect
from kg.messages import chunks

WIDTH = 256
"""Numbers of a vector: an index has one width."""

INDEX_TIMEOUT_S = 3600.0
_MOST = 10_000
"""Neighbours asked of the index at most."""


@dataclass(frozen=True, slots=True)
class Near:
    """An entity near another one.

    Attributes:
        similarity: cosine of their vectors, −1…1.
    """

    id: str
    name: str
    labels: tuple[str, ...]
    similarity: float


class Vectors:
    """The embeddings of a graph.

    Args:
        bolt: the database.
        dialect: which one it is.
        sql: runs a command of the database's SQL.
        label: of the nodes that hold them: one for each width.
        width: numbers of a vector.
    """

    def __init__(
        self, bolt: Bolt, dialect: Dialect, sql: Callable[[str], None], label: str = "Embedding", width: int = WIDTH
    ) -> None:
        self._bolt = bolt
        self._dialect = dialect
        self._sql = sql
        self._label = label
        self._width = width
        self._index = dialect.vector_index(label)

    def apart(self, label: str, width: int) -> Vectors:
        """Vectors of another width, in nodes of their own."""
        return Vectors(self._bolt, self._dialect, self._sql, label, width)

    async def prepare(self) -> None:
        """Makes the index where it is missing.

        Raises:
            StoreUnavailableError: the database went away.
        """
        name = f"{self._label.lower()}_id"
        await self._bolt.run(f"CREATE CONSTRAINT {name} IF NOT EXISTS FOR (n:{self._label}) REQUIRE n.id IS UNIQUE")
        for command in self._dialect.sql_vector_schema(self._label, self._width):
            await asyncio.to_thread(self._sql, command)
        for statement in self._dialect.cypher_vector_schema(self._label, self._width):
            await self._bolt.run(statement)

    async def warm(self) -> None:
        """Has the database build now what it else builds at the first question, which takes long for many vectors."""
        query = f"CALL db.index.vector.queryNodes('{self._index}', 1, $vector) YIELD node RETURN node.id"
        async for _ in self._bolt.batches(query, {"vector": [1.0] * self._width}):
            pass

    async def write(self, domain: str, model: str, vectors: Mapping[str, Sequence[float]]) -> None:
        """Writes vectors of entities, instead of those that they had in the domain.

        Args:
            domain: name of an ontology file.
            model: what made them: its name and version.
            vectors: id → `WIDTH` numbers.

        Raises:
            StoreUnavailableError: the database went away.
        """
        rows = [
            {"id": _key(domain, id_), "entity": id_, "vector": [float(x) for x in vector]}
            for id_, vector in vectors.items()
        ]
        for part in chunks(rows):
            await self._run(_WRITE.format(label=self._label), {"rows": part, "domain": domain, "model": model})

    async def all(self, domain: str, model: str) -> dict[str, NDArray[np.float32]]:
        """The vectors that a model made, by id of the entity."""
        found: dict[str, NDArray[np.float32]] = {}
        query = f"MATCH (n:{self._label}) WHERE n.domain = $domain AND n.model = $model RETURN n.entity, n.vector"
        async for rows in self._bolt.batches(query, {"domain": domain, "model": model}):
            found.update((id_, np.array(vector, np.float32)) for id_, vector in rows)
        return found

    async def ids(self, domain: str) -> set[str]:
        """Ids of the entities that have a vector, of whatever model."""
        found: set[str] = set()
        async for rows in self._bolt.batches(
            f"MATCH (n:{self._label}) WHERE n.domain = $domain RETURN n.entity", {"domain": domain}
        ):
            found.update(row[0] for row in rows)
        return found

    async def of(self, domain: str, id_: str) -> tuple[list[float], str] | None:
        """The vector of an entity, and the model that made it; None if it has none."""
        rows = await self._bolt.rows(
            f"MATCH (n:{self._label} {{id: $id}}) RETURN n.vector AS vector, n.model AS model",
            {"id": _key(domain, id_)},
        )
        return (list(rows[0]["vector"]), rows[0]["model"]) if rows else None

    async def nearest(
        self, domain: str, vector: Sequence[float], limit: int, *, labels: Sequence[str] = (), without: str = ""
    ) -> list[Near]:
        """The entities whose vectors are most like one, the likest first.

        Args:
            domain: of the entities.
            vector: `WIDTH` numbers.
            limit: at most so many.
            labels: only entities with one of these labels, which the caller has checked.
            without: id of an entity that is left out.

        Raises:
            StoreUnavailableError: the database went away.
        """
        where = "n.domain = $domain AND n.entity <> $without"
        if labels:
            where += f" AND e:{'|'.join(sorted(set(labels)))}"
        query = (
            f"CALL db.index.vector.queryNodes('{self._index}', $k, $vector) YIELD node, score "
            f"WITH node AS n, score MATCH (e:Entity {{id: n.entity}}) WHERE {where} "
            "RETURN e.id AS id, e.name AS name, labels(e) AS labels, score ORDER BY score DESC, id LIMIT $limit"
        )
        asked = min(_MOST, 4 * (limit + 1))
        while True:
            parameters = {"k": asked, "vector": list(vector), "domain": domain, "without": without, "limit": limit}
            rows = await self._bolt.rows(query, parameters)
            if len(rows) == limit or asked == _MOST:
                return [_near(row) for row in rows]
            asked = min(_MOST, 8 * asked)

    async def forget(self, domain: str, ids: Iterable[str]) -> None:
        """Removes the vectors of some entities of a domain.

        Raises:
            StoreUnavailableError: the database went away.
        """
        for part in chunks([_key(domain, id_) for id_ in ids]):
            await self._run(f"UNWIND $ids AS id MATCH (n:{self._label} {{id: id}}) DELETE n", {"ids": part})

    async def _run(self, query: str, parameters: dict[str, Any]) -> None:
        async def work(transaction: AsyncTransaction) -> None:
            await (await transaction.run(query, parameters)).consume()

        await self._bolt.write(work)


def _near(row: dict[str, Any]) -> Near:
    """Both databases score (1 + cosine) / 2."""
    return Near(row["id"], row["name"] or "", tuple(row["labels"]), round(2 * float(row["score"]) - 1, 6))


def _key(domain: str, id_: str) -> str:
    return f"{domain} {id_}"


_WRITE = """
UNWIND $rows AS row
MERGE (n:{label} {{id: row.id}})
SET n.entity = row.entity, n.domain = $domain, n.model = $model, n.vector = row.vector
"""
