"""The evidence of one answer: facts of the graph with their claims, numbered as they are cited."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from kg.model import Scalar
from kg.snapshot import Snapshot
from reasoning.diagnosis.annotations import FREQUENCY_SHARES

_LEFT_OUT = frozenset(("aspect", "curator"))
"""Qualifiers that are left out of answers: the relation says the one, and the entity's page has the other."""


@dataclass(frozen=True, slots=True)
class ClaimCited:
    """One source saying the fact."""

    source: str
    document: str
    confidence: float
    qualifiers: dict[str, Any]
    place: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A fact of the graph.

    Attributes:
        number: what the text and the results cite it by.
        predicted: only models say so; nobody observed it.
    """

    number: int
    subject: str
    relation: str
    object: str
    belief: float
    predicted: bool
    claims: list[ClaimCited]


@dataclass(frozen=True, slots=True)
class _Fact:
    belief: float
    predicted: bool
    claims: list[ClaimCited]
    reported: str


class Facts:
    """Facts of a snapshot by their ids; what was asked for once is remembered."""

    def __init__(self, snapshot: Snapshot, models: Collection[str] = ()) -> None:
        self.snapshot = snapshot
        self._models = frozenset(models)
        self.find = lru_cache(maxsize=100_000)(self._find)
        self.name = lru_cache(maxsize=50_000)(self._name)
        tables = snapshot.tables
        self._position = lru_cache(maxsize=100_000)(tables.entity_id.position)
        self._source = lru_cache(maxsize=50_000)(tables.source.__getitem__)
        self._document = lru_cache(maxsize=10_000)(tables.document.__getitem__)
        self._qualifiers = lru_cache(maxsize=50_000)(lambda at: _telling(orjson.loads(tables.qualifiers.raw(at))))

    def _find(self, subject: str, relation: str, object_: str) -> _Fact | None:
        snapshot = self.snapshot
        (start, has_start), (end, has_end) = self._position(subject), self._position(object_)
        if not (has_start and has_end):
            return None
        facts = snapshot.out(start, relation)
        facts = facts[snapshot.tables.fact_object[facts] == end]
        if len(facts) == 0:
            return None
        fact = int(facts[0])
        claims = self._claims(fact)
        return _Fact(
            belief=round(snapshot.belief(fact), 4),
            predicted=bool(self._models) and all(claim.source in self._models for claim in claims),
            claims=claims,
            reported=reported(claims, self.name),
        )

    def _claims(self, fact: int) -> list[ClaimCited]:
        """As `Snapshot.claims`, by way of what is remembered: most claims share sources and qualifiers."""
        tables = self.snapshot.tables
        run = slice(int(tables.claim_start[fact]), int(tables.claim_start[fact + 1]))
        rows = zip(
            tables.claim_source[run].tolist(),
            tables.claim_document[run].tolist(),
            tables.claim_confidence[run].tolist(),
            tables.claim_qualifiers[run].tolist(),
            tables.claim_place[run].tolist(),
            strict=True,
        )
        return [
            ClaimCited(self._source(s), self._document(d), confidence, self._qualifiers(q), tables.place[p])
            for s, d, confidence, q, p in rows
        ]

    def _name(self, id_: str) -> str:
        at, found = self._position(id_)
        return self.snapshot.name(at) if found else id_


def _telling(qualifiers: Mapping[str, Scalar]) -> dict[str, Any]:
    return {name: value for name, value in qualifiers.items() if name not in _LEFT_OUT}


def reported(claims: Iterable[ClaimCited], name_of: Callable[[str], str]) -> str:
    """How often, in the words of the sources: their counts added up, then percentages and frequency terms."""
    had = of = 0
    words: dict[str, None] = {}
    seen: set[tuple[object, ...]] = set()
    for claim in claims:
        said = claim.qualifiers
        if denominator := int(said.get("frequency_denominator", 0)):
            count = int(said.get("frequency_numerator", 0)), denominator
            # A row with several references is a claim of each; a source may come in several documents.
            keys = {(claim.source, *count), (claim.document, claim.place, *count)}
            if not keys & seen:
                had, of = had + count[0], of + denominator
            seen |= keys
        elif "frequency_percent" in said:
            words[f"{float(said['frequency_percent']):g} %"] = None
        elif (term := str(said.get("frequency_term", ""))) in FREQUENCY_SHARES:
            words[name_of(term).lower()] = None
    parts = [f"{had} of {of} patients"] if of else []
    return ", ".join([*parts, *words])


class EvidenceList:
    """Numbers facts from 1 in the order in which they are first cited."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._numbers: dict[tuple[str, str, str], int] = {}
        self._found: list[_Fact] = []

    def cite(self, subject: str, relation: str, object_: str) -> list[int]:
        """The number of a fact, in a list; empty if the graph does not have it."""
        key = subject, relation, object_
        if key not in self._numbers:
            fact = self._facts.find(subject, relation, object_)
            if fact is None:
                return []
            self._found.append(fact)
            self._numbers[key] = len(self._found)
        return [self._numbers[key]]

    def reported(self, numbers: list[int]) -> str:
        """How often the sources of these facts have seen it; empty if they do not say."""
        return ", ".join(filter(None, (self._found[number - 1].reported for number in numbers)))

    def name(self, id_: str) -> str:
        """Name of an entity, or its id."""
        return self._facts.name(id_)

    def numbered(self) -> list[Evidence]:
        """All that was cited, by number."""
        return [
            Evidence(number, *key, fact.belief, fact.predicted, fact.claims)
            for (key, number), fact in zip(self._numbers.items(), self._found, strict=True)
        ]
