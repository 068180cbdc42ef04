"""A graph in dictionaries: the plainest thing that keeps the contract that snapshots and RDF need of a store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kg.merge import Descriptions, FactClaims, SourceDescriptions
from kg.model import Claim, Entity, Source
from kg.ontology import Ontology

Fact = tuple[str, str, str]


@dataclass(frozen=True)
class Rows:
    """Everything in a graph: sources by id; labels and properties of entities by id; properties of facts."""

    sources: dict[str, dict[str, Any]]
    entities: dict[str, tuple[list[str], dict[str, Any]]]
    facts: dict[Fact, dict[str, Any]]


class MemoryStore:
    """Writes and retracts like the store, each time with a new version."""

    def __init__(self, ontology: Ontology, name: str = "memory", batch: int = 7) -> None:
        self.ontology = ontology
        self.now = 0
        self.sources_: dict[str, SourceDescriptions] = {}
        self.entities: dict[str, tuple[Descriptions, int]] = {}
        self.facts: dict[Fact, tuple[FactClaims, int]] = {}
        self.quarantined: set[str] = set()
        self.removals: list[tuple[int, list[str], list[Fact]]] | None = []
        self._name = name
        self._batch = batch

    # ---- writing --------------------------------------------------------------------------------------------------

    def write(
        self, sources: Iterable[Source] = (), entities: Iterable[Entity] = (), claims: Iterable[Claim] = ()
    ) -> None:
        self.now += 1
        for source in sources:
            self.sources_.setdefault(source.id, SourceDescriptions(set())).add(source)
        for entity in entities:
            descriptions = self.entities.get(entity.id, (Descriptions.empty(), 0))[0]
            descriptions.add(entity)
            self.entities[entity.id] = descriptions, self.now
        for claim in claims:
            key = claim.subject, claim.relation, claim.object
            known = self.facts.get(key, (FactClaims.empty(), 0))[0]
            known.add(claim)
            self.facts[key] = known, self.now
            for end in (claim.subject, claim.object):
                self.entities.setdefault(end, (Descriptions.empty(), self.now))

    def retract(self, source: str) -> None:
        self.now += 1
        gone_facts = []
        for key, (claims, _) in list(self.facts.items()):
            rest = claims.without(source)
            if not rest.claims:
                del self.facts[key]
                gone_facts.append(key)
            elif len(rest.claims) < len(claims.claims):
                self.facts[key] = rest, self.now
        for id_, (descriptions, _) in list(self.entities.items()):
            rest_ = descriptions.without(source)
            if len(rest_.entries) < len(descriptions.entries):
                self.entities[id_] = rest_, self.now
        ends = {end for subject, _, object_ in self.facts for end in (subject, object_)}
        gone = [id_ for id_, (said, _) in self.entities.items() if not said.entries and id_ not in ends]
        for id_ in gone:
            del self.entities[id_]
        if self.removals is not None:
            self.removals.append((self.now, gone, gone_facts))

    def forget(self, source: str) -> None:
        """Takes out what describes a source, or what a document says of sources: the part that `retract` leaves."""
        for id_, said in list(self.sources_.items()):
            rest = said.without(source)
            if id_ == source or not rest.entries:
                del self.sources_[id_]
            else:
                self.sources_[id_] = rest

    def quarantine(self, source: str, *, quarantined: bool) -> None:
        self.now += 1
        (self.quarantined.add if quarantined else self.quarantined.discard)(source)

    def content(self) -> tuple[dict[str, set[tuple[str, str]]], dict[str, dict], dict[Fact, dict]]:
        """All that was said, to compare two graphs by."""
        return (
            {id_: said.entries for id_, said in self.sources_.items()},
            {id_: said.entries for id_, (said, _) in self.entities.items()},
            {fact: claims.claims for fact, (claims, _) in self.facts.items()},
        )

    def rows(self) -> Rows:
        """The same as the database has it, with what is derived, without versions."""
        return Rows(
            {id_: self.source(id_) | {"id": id_} for id_ in self.sources_},
            {
                id_: (
                    sorted(said.labels(self.ontology, self.reliability)),
                    said.properties(self.ontology, self.reliability) | {"id": id_},
                )
                for id_, (said, _) in self.entities.items()
            },
            {fact: claims.properties(self.reliability) for fact, (claims, _) in self.facts.items()},
        )

    # ---- what a snapshot reads --------------------------------------------------------------------------------------

    def reliability(self, source: str) -> float:
        return float(self.source(source)["reliability"])

    def source(self, id_: str) -> dict[str, Any]:
        quarantine = {"quarantined": True, "reliability": 0.0} if id_ in self.quarantined else {}
        return self.sources_[id_].properties(self.ontology) | quarantine

    async def identity(self) -> str:
        return self._name

    async def version(self) -> int:
        return self.now

    async def scan_entities(self, since: int = 0) -> AsyncIterator[list[tuple[Any, ...]]]:
        rows = []
        for id_, (said, version) in list(self.entities.items()):
            if version > since:
                p = said.properties(self.ontology, self.reliability)
                columns = (p.get(c) for c in ("sources", "documents", "descriptions", "places"))
                rows.append((id_, list(reversed(said.labels(self.ontology, self.reliability))), *columns, version))
        for start in range(0, len(rows), self._batch):
            yield rows[start : start + self._batch]

    async def scan_facts(self, relations: Sequence[str], since: int = 0) -> AsyncIterator[list[tuple[Any, ...]]]:
        rows = []
        columns = ("belief", "sources", "confidences", "documents", "qualifiers", "places")
        for key, (claims, version) in list(self.facts.items()):
            if version > since and key[1] in relations:
                p = claims.properties(self.reliability)
                rows.append((*key, *(p[c] for c in columns), version))
        for start in range(0, len(rows), self._batch):
            yield rows[start : start + self._batch]

    async def removed_since(self, version: int) -> tuple[list[str], list[Fact]] | None:
        if self.removals is None:
            return None
        later = [(entities, facts) for at, entities, facts in self.removals if at > version]
        return [e for entities, _ in later for e in entities], [f for _, facts in later for f in facts]

    async def read(self, query: str, parameters: Mapping[str, Any] | None = None) -> AsyncIterator[dict[str, Any]]:
        if "s.descriptions" in query:
            later = sorted(id_ for id_ in self.sources_ if id_ > (parameters or {})["after"])
            for id_ in later[: (parameters or {})["limit"]]:
                p = self.sources_[id_].properties(self.ontology)
                yield {"id": id_, "documents": p["documents"], "descriptions": p["descriptions"]}
            return
        assert query.endswith("RETURN s.id AS id, s.reliability AS reliability")
        for id_ in (parameters or {})["ids"]:
            yield {"id": id_, "reliability": self.reliability(id_)}
