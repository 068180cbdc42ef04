"""Two entities are one: merging them, and taking that back.

A merge is a decision of its own, kept as a node (:Merge {id, into}), and every claim keeps the ids that it was made
with: where a claim about B is filed under A, the qualifiers `merged_subject` and `merged_object` say so, and in a
description `merged_id` does. The graph is thus a function of what was said and of the merges in force, whatever the
order of both: claims about B that come later go to A, and without the merge each goes where it belongs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import orjson

from kg.batch import Batch, PreparedBatch, PreparedEntity, PreparedFact
from kg.changes import Change
from kg.errors import ConflictError, InputError, NotFoundError
from kg.merge import Descriptions, FactClaims, SourceDescriptions, canonical_json
from kg.model import Claim, Source
from kg.ontology import Ontology
from kg.retract import Retractor
from kg.transaction import READ_ENTITIES, Fact

if TYPE_CHECKING:
    from kg.store import GraphStore

READ_MERGES = "MATCH (m:Merge) RETURN m.id AS id, m.into AS into"
_REVIEW = "review:same"
"""Document of what people say when they review proposals."""

_SUBJECT, _OBJECT, _ENTITY = "merged_subject", "merged_object", "merged_id"


@dataclass(frozen=True, slots=True)
class Merge:
    """A decision that two entities are one.

    Attributes:
        id: the entity that went; also the id of the decision.
        into: the entity that it went into.
        by: who decided.
        at: when, ISO 8601.
        version: of the graph.
    """

    id: str
    into: str
    by: str
    at: str
    version: int


class Roots:
    """Where what is said of an entity is filed.

    Args:
        merges: entity that went → the one that it went into.
    """

    def __init__(self, merges: Mapping[str, str]) -> None:
        self.merges = dict(merges)

    def __getitem__(self, id_: str) -> str:
        while id_ in self.merges:
            id_ = self.merges[id_]
        return id_

    def all(self, ids: set[str]) -> set[str]:
        """Wherever something that is said of these entities may be filed."""
        return ids | {self[id_] for id_ in self.merges.keys() & ids}

    def filed(self, fact: Fact, claims: FactClaims) -> dict[Fact, FactClaims]:
        """Claims filed under one fact, by the facts under which they have to be."""
        found: dict[Fact, FactClaims] = defaultdict(FactClaims.empty)
        for (source, document, text), said in claims.claims.items():
            meant, qualifiers = original(fact, text)
            subject, relation, object_ = self[meant[0]], meant[1], self[meant[2]]
            marks = ((_SUBJECT, meant[0], subject), (_OBJECT, meant[2], object_))
            qualifiers |= {name: own for name, own, now in marks if own != now}
            found[subject, relation, object_].claims[source, document, canonical_json(qualifiers)] = said
        return found

    def described(self, id_: str, descriptions: Descriptions) -> dict[str, Descriptions]:
        """Descriptions filed under one entity, by the entities under which they have to be."""
        found: dict[str, Descriptions] = defaultdict(Descriptions.empty)
        for (source, document, text), place in descriptions.entries.items():
            content = orjson.loads(text)
            meant = content.pop(_ENTITY, id_)
            if self[meant] != meant:
                content[_ENTITY] = meant
            found[self[meant]].entries[source, document, canonical_json(content)] = place
        return found

    def placed(self, prepared: PreparedBatch, ontology: Ontology) -> PreparedBatch:
        """A batch with everything filed where it has to be; only what concerns merged entities is made anew."""
        if not self.merges:
            return prepared
        merged = self.merges.keys()
        described = dict(prepared.described)
        for id_ in merged & prepared.described.keys():
            del described[id_]
            for root, descriptions in self.described(id_, prepared.described[id_].descriptions).items():
                before = described[root].descriptions if root in described else Descriptions.empty()
                described[root] = PreparedEntity.of(before.merged(descriptions), ontology)
        facts = {}
        for relation, pairs in prepared.facts.items():
            facts[relation] = {p: f for p, f in pairs.items() if p[0] not in merged and p[1] not in merged}
            for pair in pairs.keys() - facts[relation].keys():
                for (s, _, o), claims in self.filed((pair[0], relation, pair[1]), pairs[pair].claims).items():
                    known = facts[relation].get((s, o))
                    facts[relation][s, o] = PreparedFact.of((s, o), known.claims.merged(claims) if known else claims)
        return replace(prepared, described=described, facts=facts)


def original(fact: Fact, qualifiers: str) -> tuple[Fact, dict[str, Any]]:
    """The fact as a claim states it, and its own qualifiers."""
    own: dict[str, Any] = orjson.loads(qualifiers)
    return (own.pop(_SUBJECT, fact[0]), fact[1], own.pop(_OBJECT, fact[2])), own


class AsStated:
    """A change that knows facts and entities as they are stated, applied to those that were merged."""

    reweighs = False

    def __init__(self, change: Change, roots: Roots) -> None:
        self.ids = change.ids
        self.document = change.document
        self._change = change
        self._roots = roots
        self._none = Roots({})

    def claims(self, fact: Fact, claims: FactClaims) -> FactClaims:
        """What stays of the claims of a fact."""
        stated: dict[Fact, FactClaims] = defaultdict(FactClaims.empty)
        for (source, document, text), said in claims.claims.items():
            meant, own = original(fact, text)
            stated[meant].claims[source, document, canonical_json(own)] = said
        kept = FactClaims.empty()
        for meant, said_there in stated.items():
            for now in self._roots.filed(meant, self._change.claims(meant, said_there)).values():
                kept = kept.merged(now)
        return kept

    def descriptions(self, entity: str, descriptions: Descriptions) -> Descriptions:
        """What stays of the descriptions of an entity."""
        kept = Descriptions.empty()
        for meant, said_there in self._none.described(entity, descriptions).items():
            for now in self._roots.described(meant, self._change.descriptions(meant, said_there)).values():
                kept = kept.merged(now)
        return kept

    def of_source(self, source: str, descriptions: SourceDescriptions) -> SourceDescriptions:
        """What stays of the descriptions of a source."""
        return self._change.of_source(source, descriptions)


class Merger(Retractor):
    """The statements of one writing transaction, in a graph some of whose entities were merged."""

    async def _begin(self) -> None:
        await super()._begin()
        if self._known.merges is None:
            rows = await self._rows(READ_MERGES)
            self._known.merges = {row["id"]: row["into"] for row in rows}
        self._roots = Roots(self._known.merges)

    def _placed(self, prepared: PreparedBatch) -> PreparedBatch:
        return self._roots.placed(prepared, self._ontology)

    def commit(self) -> None:
        """Takes over what the transaction learned."""
        super().commit()
        self._known.merges = self._roots.merges

    async def _rewrite(self, change: Change) -> tuple[int, int, set[str]]:
        return await super()._rewrite(self._as_stated(change))

    def _filed(self, ids: set[str]) -> set[str]:
        return self._roots.all(ids)

    def _as_stated(self, change: Change) -> Change:
        return change if change.reweighs or not self._roots.merges else AsStated(change, self._roots)

    async def merge(self, from_: str, into: str, by: str, at: str) -> Merge:
        """Files all that is said of one entity under another, now and from now on.

        Raises:
            NotFoundError: one of them is not in the graph.
            ConflictError: one of them was merged already.
            InputError: both are the same, or the one that goes is of a controlled vocabulary.
        """
        if from_ == into:
            raise InputError(f"{from_} is the same already")
        await self._begin()
        known = await self._rows("MATCH (m:Merge {id: $id}) RETURN properties(m) AS merge", id=from_)
        if known and (done := Merge(**known[0]["merge"])) == Merge(from_, into, by, at, done.version):
            return done  # a transaction is tried again also where it was committed and only the answer was lost
        found = {row["id"]: row["labels"] for row in await self._rows(READ_ENTITIES, ids=sorted((from_, into)))}
        for id_ in (from_, into):
            if id_ in self._roots.merges:
                raise ConflictError(f"{id_} was merged into {self._roots.merges[id_]}")
            if id_ not in found:
                raise NotFoundError(f"no entity {id_!r}")
        if closed := sorted(self._ontology.closed_classes & set(found[from_])):
            raise InputError(f"{from_} belongs to a controlled vocabulary ({closed[0]}); merge the other one into it")
        merge = Merge(from_, into, by, at, self._version)
        await self._run(
            "CREATE (:Merge {id: $id, into: $into, by: $by, at: $at, version: $version})",
            id=from_, into=into, by=by, at=at, version=self._version,
        )  # fmt: skip
        self._roots = Roots({**self._roots.merges, from_: into})
        await self._file_anew(from_)
        return merge

    async def unmerge(self, id_: str) -> Merge:
        """Takes a merge back: everything said of the entity is filed under itself again.

        Raises:
            NotFoundError: it was not merged.
        """
        await self._begin()
        rows = await self._rows("MATCH (m:Merge {id: $id}) RETURN properties(m) AS merge", id=id_)
        if not rows:
            raise NotFoundError(f"no merge of {id_!r}")
        root = self._roots[id_]
        await self._run("MATCH (m:Merge {id: $id}) DELETE m", id=id_)
        self._roots = Roots({i: into for i, into in self._roots.merges.items() if i != id_})
        await self._file_anew(root)
        return Merge(**rows[0]["merge"])

    async def _file_anew(self, id_: str) -> None:
        """Moves what is filed under an entity and belongs under another by now."""
        described = await self._take_descriptions(id_)
        moved: dict[str, dict[tuple[str, str], FactClaims]] = defaultdict(lambda: defaultdict(FactClaims.empty))
        kept: dict[str, list[dict[str, Any]]] = defaultdict(list)
        gone: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for fact, claims in await self._facts_at(id_):
            await self._load_reliabilities({source for source, _, _ in claims.claims})
            by_fact = self._roots.filed(fact, claims)
            rest = by_fact.pop(fact, None)
            if rest is None:
                gone[fact[1]].append((fact[0], fact[2]))
            elif by_fact:
                kept[fact[1]].append(self._fact_row((fact[0], fact[2]), rest))
            for (subject, relation, object_), elsewhere in by_fact.items():
                moved[relation][subject, object_] = moved[relation][subject, object_].merged(elsewhere)
        ends = {end for facts in moved.values() for pair in facts for end in pair}
        await self._write_entities(
            {i: PreparedEntity.of(said, self._ontology) for i, said in sorted(described.items())}, ends
        )
        for relation, facts in sorted(moved.items()):
            prepared = {pair: PreparedFact.of(pair, claims) for pair, claims in sorted(facts.items())}
            await self._write_facts(relation, prepared)
        for relation in sorted(kept.keys() | gone.keys()):
            await self._replace_facts(relation, kept[relation], gone[relation])
        await self._delete_bare({id_})
        await self._touch(self._changed_subjects)
        await self._forget_removals()

    async def _take_descriptions(self, id_: str) -> dict[str, Descriptions]:
        """Takes out the descriptions that belong elsewhere; gives them by the entity where they do."""
        row = (await self._rows(READ_ENTITIES, ids=[id_]))[0]
        said = Descriptions.from_properties(row)
        await self._load_reliabilities({source for source, _, _ in said.entries})
        by_root = self._roots.described(id_, said)
        rest = by_root.pop(id_, Descriptions.empty())
        if by_root:
            await self._update_entities([self._node(id_, rest) | {"was": row["labels"]}])
        return by_root

    async def _facts_at(self, id_: str) -> Iterable[tuple[Fact, FactClaims]]:
        types = "|".join(sorted(self._ontology.relations))
        found: dict[Fact, FactClaims] = {}
        for pattern, ends in ((f"-[f:{types}]->", "n.id AS s, o.id AS o"), (f"<-[f:{types}]-", "o.id AS s, n.id AS o")):
            query = (
                f"MATCH (n:Entity {{id: $id}}){pattern}(o:Entity) "
                f"RETURN {ends}, type(f) AS relation, properties(f) AS claims"
            )
            for row in await self._rows(query, id=id_):
                found[row["s"], row["relation"], row["o"]] = FactClaims.from_properties(row["claims"])
        return sorted(found.items())


async def possibly_same(store: GraphStore, *, limit: int = 100, offset: int = 0) -> list[dict[str, Any]]:
    """Pairs of entities that may be one, the likeliest first; without those that were said to be different.

    Returns:
        Dicts with `belief`, the `sources` that say so, and `entities`, both with `id`, `name` and `labels`.
    """
    query = (
        "MATCH (a:Entity)-[f:POSSIBLY_SAME]->(b:Entity) WHERE a.id <> b.id AND f.belief > 0 "
        "AND NOT EXISTS { MATCH (a)-[d:DIFFERENT_FROM]-(b) WHERE d.belief > 0 } "
        "RETURN f.belief AS belief, f.sources AS sources, a.id AS a, a.name AS a_name, labels(a) AS a_labels, "
        "b.id AS b, b.name AS b_name, labels(b) AS b_labels ORDER BY belief DESC, a, b SKIP $offset LIMIT $limit"
    )
    known = store.ontology.classes.keys()
    return [
        {
            "belief": row["belief"],
            "sources": sorted(set(row["sources"])),
            "entities": [
                {
                    "id": row[end],
                    "name": row[f"{end}_name"],
                    "labels": list(store.ontology.labels(set(row[f"{end}_labels"]) & known)),
                }
                for end in ("a", "b")
            ],
        }
        async for row in store.read(query, {"offset": offset, "limit": limit})
    ]


async def merges(store: GraphStore) -> list[Merge]:
    """The merges in force, the latest first."""
    query = "MATCH (m:Merge) RETURN properties(m) AS merge ORDER BY m.version DESC, m.id"
    return [Merge(**row["merge"]) async for row in store.read(query)]


async def reject(store: GraphStore, id_: str, other: str, *, by: str) -> None:
    """Says that two entities are not one, so that they are not proposed any more; the source is `person:` and `by`.

    Raises:
        NotFoundError: one of them is not in the graph.
        InputError: both are the same.
    """
    if id_ == other:
        raise InputError(f"{id_} is the same")
    for end in (id_, other):
        if await store.entity(end) is None:
            raise NotFoundError(f"no entity {end!r}")
    source = Source(f"person:{quote(by)}", "person", name=by, document=_REVIEW)
    claim = Claim(id_, "DIFFERENT_FROM", other, source.id, document=_REVIEW)
    await store.write(Batch(sources=[source], claims=[claim]))
