"""What a load would change, told without writing anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from kg.batch import PreparedBatch
from kg.changes import Change
from kg.extents import FACT_COLUMNS, stated_by
from kg.merge import Descriptions, FactClaims
from kg.messages import chunks, parts
from kg.ontology import Ontology
from kg.same import READ_MERGES, AsStated, Roots
from kg.transaction import READ_ENTITIES

Rows = list[dict[str, Any]]


class Preview:
    """Counts entities and facts that batches would create, change or take back; each counts once.

    Args:
        rows: runs a reading query with parameters.
        ontology: the schema.
    """

    def __init__(self, rows: Callable[..., Awaitable[Rows]], ontology: Ontology) -> None:
        self._rows = rows
        self._ontology = ontology
        self._created_entities: set[str] = set()
        self._changed_entities: set[str] = set()
        self._created_facts: set[tuple[str, str, str]] = set()
        self._changed_facts: set[tuple[str, str, str]] = set()
        self._merged: Roots | None = None
        self.retracted = 0

    @property
    def entities(self) -> int:
        """How many would be created or changed."""
        return len(self._created_entities) + len(self._changed_entities)

    @property
    def facts(self) -> int:
        """How many would be created or changed."""
        return len(self._created_facts) + len(self._changed_facts)

    async def write(self, prepared: PreparedBatch) -> None:
        """Looks at what a batch would do."""
        prepared = (await self._roots()).placed(prepared, self._ontology)
        ends = {end for facts in prepared.facts.values() for pair in facts for end in pair}
        await self._write_entities(prepared, ends | prepared.described.keys())
        for relation, facts in prepared.facts.items():
            query = _FACTS.format(type=self._ontology.relation(relation).name)
            for pairs in chunks(list(facts)):
                found = await self._rows(query, {"rows": [{"s": s, "o": o} for s, o in pairs]})
                before = {(row["subject"], row["object"]): FactClaims.from_properties(row) for row in found}
                for pair in pairs:
                    fact = pair[0], relation, pair[1]
                    if (known := before.get(pair)) is None:
                        self._created_facts.add(fact)
                    elif known.merged(facts[pair].claims).claims != known.claims:
                        self._changed_facts.add(fact)

    async def _write_entities(self, prepared: PreparedBatch, ids: Iterable[str]) -> None:
        for part in chunks(sorted(ids)):
            before = {row["id"]: row for row in await self._rows(READ_ENTITIES, {"ids": part})}
            for id_ in part:
                said = prepared.described.get(id_)
                if id_ not in before:
                    self._created_entities.add(id_)
                elif said is not None:
                    known = Descriptions.from_properties(before[id_])
                    if known.merged(said.descriptions).entries != known.entries:
                        self._changed_entities.add(id_)

    async def _roots(self) -> Roots:
        if self._merged is None:
            self._merged = Roots({row["id"]: row["into"] for row in await self._rows(READ_MERGES, {})})
        return self._merged

    async def _run(self, query: str, **parameters: Any) -> Rows:  # noqa: ANN401 (Cypher parameters are of any type)
        """As the writer runs statements."""
        return [row for part in parts(parameters) for row in await self._rows(query, part)]

    async def finish(self, change: Change) -> None:
        """Looks at what a changed document would take back, or say otherwise, of what it said before."""
        roots = await self._roots()
        change = AsStated(change, roots)
        stated = await stated_by(self._run, change, roots.all)
        for relation in await stated.relations(list(self._ontology.relations)):
            for row in await stated.facts(relation):
                claims = FactClaims.from_properties(row)
                rest = change.claims((row["subject"], relation, row["object"]), claims)
                self.retracted += any(rest.claims.get(identity) != said for identity, said in claims.claims.items())
        for row in await stated.entities():
            said = Descriptions.from_properties(row)
            kept = change.descriptions(row["id"], said)
            self.retracted += any(kept.entries.get(identity) != place for identity, place in said.entries.items())


_FACTS = f"""
UNWIND $rows AS r MATCH (s:Entity {{{{id: r.s}}}})-[f:{{type}}]->(o:Entity {{{{id: r.o}}}})
RETURN {FACT_COLUMNS}
"""
