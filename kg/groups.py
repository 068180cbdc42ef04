"""Facts that compete, and their belief: for relations whose strategy is another than noisy-or.

A fact's competitors are the other objects of its subject, where its relation is functional, and what a disjoint
relation says of the same pair. Belief is settled once a transaction, after everything else, by what the graph then
holds: it is a function of the claims of the group, however they came.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from kg.belief import STRATEGIES, Vote, Votes
from kg.merge import Reliability
from kg.ontology import Ontology, Relation

Fact = tuple[str, str]
"""(relation, object id) of one subject."""


class Touched:
    """Subjects of facts that a transaction changed, as far as the belief of a group hangs on them."""

    def __init__(self, ontology: Ontology) -> None:
        self._concerned = ontology.settled
        self.subjects: dict[str, set[str]] = defaultdict(set)

    def add(self, relation: str, subjects: Iterable[str]) -> None:
        """Notes subjects of changed facts of one relation."""
        for settled in self._concerned.get(relation, ()):
            self.subjects[settled].update(subjects)


def read_group(relation: Relation) -> str:
    """The query for all facts that the belief of this relation's facts hangs on, of subjects `$ids`."""
    types = "|".join(sorted({relation.name, *relation.contradicts}))
    return (
        f"UNWIND $ids AS id MATCH (s:Entity {{id: id}})-[f:{types}]->(o:Entity) "
        "RETURN s.id AS subject, type(f) AS relation, o.id AS object, f.belief AS belief, f.sources AS sources, "
        "f.confidences AS confidences, f.qualifiers AS qualifiers"
    )


def set_belief(relation: Relation) -> str:
    """The statement that sets `b`elief of facts from `s`ubject to `o`bject."""
    return (
        f"UNWIND $rows AS r MATCH (:Entity {{id: r.s}})-[f:{relation.name}]->(:Entity {{id: r.o}}) "
        "SET f.belief = r.b, f.version = $version"
    )


def settle(relation: Relation, rows: Sequence[Mapping[str, Any]], reliability: Reliability) -> Iterator[dict[str, Any]]:
    """Rows for `set_belief` of those facts whose belief is another than it should be.

    Args:
        relation: its facts are settled.
        rows: what `read_group` gives.
        reliability: of sources.
    """
    groups: dict[str, dict[Fact, Votes]] = defaultdict(dict)
    before = {}
    for row in rows:
        groups[row["subject"]][row["relation"], row["object"]] = _votes(row, reliability)
        before[row["subject"], row["relation"], row["object"]] = row["belief"]
    for subject, facts in groups.items():
        for fact, belief in beliefs(relation, facts).items():
            if before[subject, relation.name, fact] != belief:
                yield {"s": subject, "o": fact, "b": belief}


def beliefs(relation: Relation, facts: Mapping[Fact, Votes]) -> dict[str, float]:
    """Object → belief of the facts of this relation, out of all facts of one subject that concern it."""
    fuse = STRATEGIES[relation.fusion]
    rows = sorted(facts.items())
    return {
        object_: fuse(own, [votes for other, votes in rows if competes(relation, object_, other)])
        for (name, object_), own in rows
        if name == relation.name
    }


def competes(relation: Relation, object_: str, other: Fact) -> bool:
    """Whether another fact of the same subject can't be true beside this relation's fact with this object."""
    name, other_object = other
    if name == relation.name:
        return relation.functional and other_object != object_
    return name in relation.contradicts and other_object == object_


def _votes(row: Mapping[str, Any], reliability: Reliability) -> list[Vote]:
    columns = zip(row["sources"], row["confidences"], row["qualifiers"], strict=True)
    return [Vote(source, reliability(source), confidence, _when(said)) for source, confidence, said in columns]


def _when(qualifiers: str) -> tuple[float, float]:
    """Since when and until when a claim holds."""
    said = orjson.loads(qualifiers) if qualifiers != "{}" else {}
    since = _timestamp(said.get("valid_from"))
    if since is None:
        since = _timestamp(said.get("said_at"))
    until = _timestamp(said.get("valid_to"))
    return -math.inf if since is None else since, math.inf if until is None else until


def _timestamp(text: object) -> float | None:
    """Seconds of an ISO 8601 text, UTC unless it says otherwise; None if it is none."""
    try:
        moment = datetime.fromisoformat(str(text))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
