"""Changing what is in the graph already: sources that count for more or less, claims that are taken out."""

from __future__ import annotations

from kg.changes import Change, Reweigh
from kg.extents import Stated, stated_by
from kg.merge import Descriptions, FactClaims, SourceDescriptions
from kg.messages import chunks
from kg.transaction import Fact, Rows, Transaction


class Rewriter(Transaction):
    """The statements of a transaction that changes what sources support."""

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
        facts, entities, _ = await self._rewrite(Reweigh(reweighed))
        return facts, entities

    async def _rewrite(self, change: Change) -> tuple[int, int, set[str]]:
        """Applies a change to all facts and descriptions of entities that it concerns.

        Returns:
            How many facts and how many entities changed or went, and the documents of the claims and descriptions that
            went.
        """
        stated = await stated_by(self._rows, change, self._filed)
        facts, of_claims = await self._rewrite_facts(change, stated)
        entities, of_descriptions = await self._rewrite_entities(change, stated)
        return facts, entities, of_claims | of_descriptions

    def _filed(self, ids: set[str]) -> set[str]:
        """Where what is said of these entities may be filed; see `kg.same`."""
        return ids

    async def _rewrite_facts(self, change: Change, stated: Stated) -> tuple[int, set[str]]:
        total = 0
        documents: set[str] = set()
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

    async def _replace_facts(self, relation: str, kept: Rows, gone: list[tuple[str, str]]) -> None:
        """Sets the facts that are kept, and deletes those that go with the entities that are bare then."""
        await self._run(SET_FACTS.format(type=relation), rows=kept)
        for pairs in chunks(gone):
            ends = [{"s": s, "o": o} for s, o in pairs]
            await self._run(_DELETE_FACTS.format(type=relation), rows=ends)
            await self._remember_removal([], [(s, relation, o) for s, o in pairs])
            await self._delete_bare({i for pair in pairs for i in pair})
        subjects = {row["s"] for row in kept} | {subject for subject, _ in gone}
        await self._touch(subjects)
        self._touched.add(relation, subjects)

    async def _rewrite_entities(self, change: Change, stated: Stated) -> tuple[int, set[str]]:
        rows = await stated.entities()
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


SET_FACTS = """
UNWIND $rows AS r MATCH (s:Entity {{id: r.s}})-[f:{type}]->(o:Entity {{id: r.o}}) SET f = r.p
"""
_DELETE_FACTS = """
UNWIND $rows AS r MATCH (s:Entity {{id: r.s}})-[f:{type}]->(o:Entity {{id: r.o}}) DELETE f
"""
