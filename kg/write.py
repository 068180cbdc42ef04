"""Writing claims into the graph: the work inside one transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kg.batch import Batch, PreparedBatch, PreparedEntity, PreparedFact
from kg.errors import ConflictError
from kg.extents import CREATE_EXTENTS, extents
from kg.groups import read_group, set_belief, settle
from kg.merge import Descriptions, FactClaims, SourceDescriptions
from kg.messages import chunks
from kg.model import Source
from kg.rewrite import SET_FACTS, Rewriter
from kg.transaction import READ_ENTITIES, READ_SOURCES, Rows


@dataclass(frozen=True, slots=True)
class WriteReport:
    """The graph's version after a write, and how many entities and facts are new or changed."""

    version: int
    entities: int
    facts: int


class Writer(Rewriter):
    """The statements of a transaction that writes a batch."""

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

    def _placed(self, prepared: PreparedBatch) -> PreparedBatch:
        """The batch with what is said of merged entities filed where it has to be; see `kg.same`."""
        return prepared

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
                if not all(self._reliability(source) for source, _, _ in prepared.descriptions.entries):
                    labels = prepared.descriptions.labels(self._ontology, self._reliability)
                    prepared = replace(prepared, labels=labels, properties=None)
                new[prepared.labels].append(self._node_properties(id_, prepared.descriptions, prepared.properties))
                self._created.add(id_)
        for labels, rows in sorted(new.items()):
            await self._run(f"UNWIND $rows AS r CREATE (n:{':'.join(labels)}) SET n = r", rows=rows)
        await self._update_entities(changed)
        self._seen.update(wanted)
        return len(wanted) - len(found) + len(changed)

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
        await self._run(SET_FACTS.format(type=type_), rows=merged)
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
