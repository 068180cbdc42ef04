"""Which entities a document speaks of, so that taking back what it says need not read the whole graph.

Each transaction notes for its documents, in nodes (:Extent {document, ids}), the entities that they describe and the
subjects of their claims, as stated. That may name too much, what was taken back since, but never too little. A graph
whose first transactions did not note it (`GraphState.extents` is false) is read as a whole.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from kg.changes import Change
from kg.messages import chunks
from kg.model import Claim, Entity

Rows = list[dict[str, Any]]
Run = Callable[..., Awaitable[Rows]]
"""(statement, **parameters) → rows; as `kg.write.Writer` and `kg.preview.Preview` run them"""

CREATE_EXTENTS = "UNWIND $rows AS r CREATE (x:Extent) SET x = r"
DELETE_EXTENTS = "MATCH (x:Extent {document: $document}) DELETE x"

FACT_COLUMNS = """s.id AS subject, o.id AS object, f.sources AS sources, f.documents AS documents,
       f.qualifiers AS qualifiers, f.confidences AS confidences, f.places AS places"""
"""Of a fact f from s to o: its ends, and what `FactClaims` reads."""
ENTITY_COLUMNS = """n.id AS id, labels(n) AS labels, n.sources AS sources, n.documents AS documents,
       n.descriptions AS descriptions, n.places AS places"""
"""Of an entity n: what `Descriptions` reads, and its labels."""

_FACTS = f"""
MATCH (s:Entity)-[f:{{type}}]->(o:Entity)
WHERE any(id IN $cited WHERE id IN f.sources OR id IN f.documents)
RETURN {FACT_COLUMNS}
"""
_FACTS_OF = f"""
UNWIND $ids AS id MATCH (s:Entity {{{{id: id}}}})-[f:{{type}}]->(o:Entity)
WHERE any(c IN $cited WHERE c IN f.documents)
RETURN {FACT_COLUMNS}
"""
_RELATIONS_OF = """
UNWIND $ids AS id MATCH (s:Entity {id: id})-[f]->(o:Entity)
WHERE any(c IN $cited WHERE c IN f.documents) RETURN DISTINCT type(f) AS relation
"""
_ENTITIES = f"""
MATCH (n:Entity) WHERE any(id IN $cited WHERE id IN n.sources OR id IN n.documents)
RETURN {ENTITY_COLUMNS}
"""
_ENTITIES_OF = f"""
UNWIND $ids AS id MATCH (n:Entity {{id: id}}) WHERE any(c IN $cited WHERE c IN n.documents)
RETURN {ENTITY_COLUMNS}
"""


def extents(entities: Iterable[Entity], claims: Iterable[Claim]) -> Rows:
    """Rows for `CREATE_EXTENTS`."""
    found: dict[str, set[str]] = defaultdict(set)
    for entity in entities:
        found[entity.document].add(entity.id)
    for claim in claims:
        found[claim.document].add(claim.subject)
    return rows_of(found)


def rows_of(ids: dict[str, set[str]]) -> Rows:
    """Rows for `CREATE_EXTENTS`, of the ids by document."""
    return [{"document": document, "ids": part} for document in sorted(ids) for part in chunks(sorted(ids[document]))]


class Stated:
    """Everything in which some sources or documents are cited.

    Args:
        run: runs a reading statement.
        cited: ids of the sources or documents.
        ids: the only entities that they may speak of; None if that is not known.
    """

    def __init__(self, run: Run, cited: Iterable[str], ids: Iterable[str] | None) -> None:
        self._run = run
        self._cited = sorted(cited)
        self._ids = None if ids is None else sorted(ids)

    async def relations(self, known: Sequence[str]) -> list[str]:
        """Those of the known relations in whose facts they are cited, or may be."""
        if self._ids is None:
            return sorted(known)
        return sorted({row["relation"] for row in await self._run(_RELATIONS_OF, cited=self._cited, ids=self._ids)})

    async def facts(self, relation: str) -> Rows:
        """Facts that cite them: both ends, and what `FactClaims` reads."""
        if self._ids is None:
            return await self._run(_FACTS.format(type=relation), cited=self._cited)
        return await self._run(_FACTS_OF.format(type=relation), cited=self._cited, ids=self._ids)

    async def entities(self) -> Rows:
        """Entities whose descriptions cite them: `id`, `labels`, and what `Descriptions` reads."""
        if self._ids is None:
            return await self._run(_ENTITIES, cited=self._cited)
        return await self._run(_ENTITIES_OF, cited=self._cited, ids=self._ids)


async def stated_by(run: Run, change: Change, filed: Callable[[set[str]], set[str]]) -> Stated:
    """Everything that a change concerns.

    Args:
        run: runs a reading statement.
        change: to what sources or documents say.
        filed: the entities under which what is stated of these may be filed; see `kg.same`.
    """
    ids = await _extent(run, change.document) if change.document else None
    return Stated(run, change.ids, None if ids is None else filed(ids))


async def _extent(run: Run, document: str) -> set[str] | None:
    """The entities that a document may speak of, as stated; None if the graph does not know."""
    state = await run("MATCH (g:GraphState {id: 'graph'}) RETURN g.extents AS extents")
    if not state or not state[0]["extents"]:
        return None
    rows = await run("MATCH (x:Extent {document: $document}) RETURN x.ids AS ids", document=document)
    return {id_ for row in rows for id_ in row["ids"]}
