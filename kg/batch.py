"""What one transaction writes, and all of its preparation that needs no database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kg.errors import OntologyError
from kg.merge import Descriptions, FactClaims
from kg.model import Claim, Entity, Source
from kg.ontology import Ontology


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """How far one document has been loaded; written in the same transaction as what was loaded.

    Attributes:
        document: logical id, e.g. `hpo:phenotype.hpoa`.
        path: where it was read; never part of the digest.
        content: SHA-256 of its bytes, hexadecimal.
        reader: name and version, e.g. `hpo@1`.
        records: how many of its records are committed.
        complete: all of them are.
        stale: the graph may still hold what an earlier content of the document said.
        run: which run of the ingestion wrote it last.
        at: when, ISO 8601, UTC.
    """

    document: str
    path: str
    content: str
    reader: str
    records: int
    complete: bool
    stale: bool = False
    run: str = ""
    at: str = ""

    def same_state(self, other: LedgerEntry | None) -> bool:
        """Whether another entry says that just as much of the same is loaded."""
        return other is not None and (self.content, self.reader, self.records, self.complete) == (
            other.content,
            other.reader,
            other.records,
            other.complete,
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction writes.

    Attributes:
        follows: the ledger's entries as they have to be before, None for a document that was not loaded yet; a document
            that somebody else changes meanwhile is a conflict.
    """

    sources: Sequence[Source] = ()
    entities: Sequence[Entity] = ()
    claims: Sequence[Claim] = ()
    ledger: Sequence[LedgerEntry] = ()
    follows: Mapping[str, LedgerEntry | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PreparedEntity:
    """What a batch says of one entity.

    Attributes:
        labels: of the node, if all its sources count.
        properties: of the node, if its source counts, where only one describes it, else None: which of several comes
            first, only the graph knows.
    """

    descriptions: Descriptions
    labels: tuple[str, ...]
    properties: dict[str, Any] | None

    @classmethod
    def of(cls, descriptions: Descriptions, ontology: Ontology) -> PreparedEntity:
        """Makes as much of the node as is possible without the graph."""
        alone = len(descriptions.entries) == 1
        properties = descriptions.properties(ontology, _any) if alone else None
        return cls(descriptions, descriptions.labels(ontology, _any), properties)


def _any(_source: str) -> float:
    return 1.0


@dataclass(frozen=True, slots=True)
class PreparedFact:
    """One fact: its claims, and its row for the database.

    Attributes:
        row: `s`ubject, `o`bject and `p`roperties; the writer fills in belief and version, which need the graph.
    """

    claims: FactClaims
    row: dict[str, Any]

    @classmethod
    def of(cls, pair: tuple[str, str], claims: FactClaims) -> PreparedFact:
        """Makes the row of a fact out of its claims."""
        return cls(claims, {"s": pair[0], "o": pair[1], "p": claims.columns()})


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """A batch that was checked and merged, by whichever thread has time for it; it may be written several times.

    Attributes:
        cited: ids of the sources that claims and descriptions cite.
        described: what it says of entities, by id.
        facts: relation → (subject, object) → fact.
    """

    batch: Batch
    cited: frozenset[str]
    described: dict[str, PreparedEntity]
    facts: dict[str, dict[tuple[str, str], PreparedFact]]

    @classmethod
    def of(cls, batch: Batch, ontology: Ontology, *, checked: bool = False) -> PreparedBatch:
        """Checks and merges a batch.

        Args:
            batch: what is to be written.
            ontology: what it has to comply with.
            checked: its entities and claims were checked already.

        Raises:
            OntologyError: a source, entity or claim breaks the ontology.
        """
        for source in batch.sources:
            if problem := ontology.check_source(source):
                raise OntologyError(f"source {source.id}: {problem}")
        described: dict[str, Descriptions] = defaultdict(Descriptions.empty)
        for entity in batch.entities:
            if not checked and (problem := ontology.check_entity(entity)):
                raise OntologyError(f"entity {entity.id}: {problem}")
            described[entity.id].add(entity)
        facts: dict[str, dict[tuple[str, str], FactClaims]] = defaultdict(lambda: defaultdict(FactClaims.empty))
        for claim in batch.claims:
            if not checked and (problem := ontology.check_claim(claim)):
                raise OntologyError(f"claim {claim.subject} {claim.relation} {claim.object}: {problem}")
            facts[claim.relation][claim.subject, claim.object].add(claim)
        return cls(
            batch,
            frozenset(c.source for c in batch.claims) | {e.source for e in batch.entities},
            {id_: PreparedEntity.of(descriptions, ontology) for id_, descriptions in described.items()},
            {
                relation: {pair: PreparedFact.of(pair, claims) for pair, claims in sorted(pairs.items())}
                for relation, pairs in sorted(facts.items())
            },
        )
