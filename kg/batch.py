"""What one transaction writes, and all of its preparation that needs no database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
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
    """

    document: str
    path: str
    content: str
    reader: str
    records: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction writes."""

    sources: Sequence[Source] = ()
    entities: Sequence[Entity] = ()
    claims: Sequence[Claim] = ()
    ledger: Sequence[LedgerEntry] = ()


@dataclass(slots=True)
class PreparedFact:
    """One fact: its claims, and its relationship's properties but for the belief, which needs the graph."""

    claims: FactClaims
    columns: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """A batch that was checked and merged, by whichever thread has time for it; writing it changes nothing in it.

    Attributes:
        cited: ids of the sources that claims and descriptions cite.
        described: what it says of entities, by id.
        facts: relation → (subject, object) → fact.
    """

    batch: Batch
    cited: frozenset[str]
    described: dict[str, Descriptions]
    facts: dict[str, dict[tuple[str, str], PreparedFact]]

    @classmethod
    def of(cls, batch: Batch, ontology: Ontology) -> PreparedBatch:
        """Checks and merges a batch.

        Raises:
            OntologyError: a source, entity or claim breaks the ontology.
        """
        for source in batch.sources:
            if problem := ontology.check_source(source):
                raise OntologyError(f"source {source.id}: {problem}")
        described: dict[str, Descriptions] = defaultdict(Descriptions.empty)
        for entity in batch.entities:
            if problem := ontology.check_entity(entity):
                raise OntologyError(f"entity {entity.id}: {problem}")
            described[entity.id].add(entity)
        facts: dict[str, dict[tuple[str, str], FactClaims]] = defaultdict(lambda: defaultdict(FactClaims.empty))
        for claim in batch.claims:
            if problem := ontology.check_claim(claim):
                raise OntologyError(f"claim {claim.subject} {claim.relation} {claim.object}: {problem}")
            facts[claim.relation][claim.subject, claim.object].add(claim)
        return cls(
            batch,
            frozenset(c.source for c in batch.claims) | {e.source for e in batch.entities},
            dict(described),
            {
                relation: {pair: PreparedFact(claims, claims.columns()) for pair, claims in sorted(pairs.items())}
                for relation, pairs in sorted(facts.items())
            },
        )
