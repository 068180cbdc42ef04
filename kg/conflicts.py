"""Where sources contradict each other: facts that can't be true together, and classes that exclude each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from kg.ontology import Ontology
from kg.store import GraphStore


async def find_conflicts(
    store: GraphStore, relation: str | None = None, *, limit: int = 100, offset: int = 0
) -> list[dict[str, Any]]:
    """Conflicts: of functional relations, then of disjoint relations, then of disjoint classes; each by subject.

    What is not believed at all, such as a state that is past or what only a quarantined source says, is in no conflict.

    Args:
        store: the graph; its ontology says what contradicts what.
        relation: only conflicts that this relation has a part in.
        limit: at most so many.
        offset: leaves out so many at the start.

    Returns:
        Dicts with `kind` (`functional`, `disjoint-relations`, `disjoint-classes`), `subject` (`id`, `name`), and
        `facts`, the strongest first, each with `relation`, `object`, `belief` and `sources`; for classes `classes`,
        each with `class` and `sources`.

    Raises:
        OntologyError: no such relation.
    """
    ontology = store.ontology
    if relation is not None:
        ontology.relation(relation)
    found: list[dict[str, Any]] = []
    for kind, query in _queries(ontology, relation):
        wanted = offset + limit - len(found)
        if wanted <= 0:
            break
        rows = store.read(f"{query} LIMIT $limit", {"limit": wanted})
        found += [_conflict(kind, row, ontology) async for row in rows]
    return found[offset:]


def _queries(ontology: Ontology, relation: str | None) -> Iterator[tuple[str, str]]:
    """Kind and query of all that may be in conflict."""
    for name, known in sorted(ontology.relations.items()):
        if known.functional and relation in (None, name):
            yield (
                "functional",
                f"MATCH (s:Entity)-[f:{name}]->() WHERE f.belief > 0 WITH s, count(f) AS many WHERE many > 1 "
                f"MATCH (s)-[f:{name}]->(o:Entity) WHERE f.belief > 0 "
                f"AND NOT EXISTS {{ MATCH (s)-[g:{name}]->(n:Entity)-[:IS_A*1..4]->(o) WHERE g.belief > 0 }} "
                f"WITH s, collect({_fact('f')}) AS facts WHERE size(facts) > 1 "
                "RETURN s.id AS id, s.name AS name, facts ORDER BY id",
            )
    for name, known in sorted(ontology.relations.items()):
        for other in sorted(known.contradicts):
            if name <= other and relation in (None, name, other):
                yield (
                    "disjoint-relations",
                    f"MATCH (s:Entity)-[f:{name}]->(o:Entity) WHERE f.belief > 0 "
                    f"MATCH (s)-[g:{other}]->(o) WHERE g.belief > 0 "
                    f"RETURN s.id AS id, s.name AS name, o.id AS object, [{_fact('f')}, {_fact('g')}] AS facts "
                    "ORDER BY id, object",
                )
    if relation is None:
        for one, other in ontology.disjoint_classes:
            yield (
                "disjoint-classes",
                f"MATCH (s:{one}:{other}) RETURN s.id AS id, s.name AS name, ['{one}', '{other}'] AS classes, "
                "s.sources AS sources, s.descriptions AS descriptions ORDER BY id",
            )


def _fact(name: str) -> str:
    return (
        f"{{relation: type({name}), object: {{id: o.id, name: o.name}}, belief: {name}.belief, "
        f"sources: {name}.sources}}"
    )


def _conflict(kind: str, row: Mapping[str, Any], ontology: Ontology) -> dict[str, Any]:
    subject = {"id": row["id"], "name": row["name"]}
    if kind != "disjoint-classes":
        facts = [fact | {"sources": sorted(set(fact["sources"]))} for fact in row["facts"]]
        facts.sort(key=lambda fact: (-fact["belief"], fact["relation"], fact["object"]["id"]))
        return {"kind": kind, "subject": subject, "facts": facts}
    said: dict[str, set[str]] = {name: set() for name in row["classes"]}
    for source, content in zip(row["sources"], row["descriptions"], strict=True):
        for name in ontology.labels(orjson.loads(content)["classes"]):
            if name in said:
                said[name].add(source)
    classes = [{"class": name, "sources": sorted(sources)} for name, sources in said.items()]
    return {"kind": kind, "subject": subject, "classes": classes}
