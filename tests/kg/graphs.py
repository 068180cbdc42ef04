"""Small records for tests of stores, and what a store holds as plain dictionaries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from kg.model import Claim, Entity, Source
from kg.store import Batch, GraphStore, LedgerEntry
from tests.kg.memory_store import Rows

PUBLICATION = Source("PMID:1", "publication", name="One patient", document="doc:a")
MODEL = Source("llm:small@1", "model", model="small", version="1", document="doc:b")
RELEASE = Source("hpo:2025", "database", document="doc:a")

SEIZURE = Entity(
    "HP:0001250", ("Phenotype",), "hpo:2025", {"name": "Seizure", "synonyms": ("Fits", "Epileptic seizure")}, "doc:a"
)
ATAXIA = Entity("HP:0001251", ("Phenotype",), "hpo:2025", {"name": "Ataxia"}, "doc:a")
DRAVET = Entity("OMIM:607208", ("Disease",), "hpo:2025", {"name": "Dravet syndrome"}, "doc:a", "L1")
SCN1A = Entity("HGNC:10585", ("Gene",), "PMID:1", {"name": "SCN1A"}, "doc:a", "L2")


def has(
    object_: str = SEIZURE.id,
    source: Source = PUBLICATION,
    confidence: float = 1.0,
    *,
    subject: str = DRAVET.id,
    relation: str = "HAS_PHENOTYPE",
    document: str = "",
    place: str = "L1",
    **qualifiers: Any,
) -> Claim:
    """A claim about Dravet syndrome, unless told otherwise."""
    return Claim(subject, relation, object_, source.id, confidence, qualifiers, document or source.document, place)


def ledger(document: str, records: int = 1, *, complete: bool = True) -> LedgerEntry:
    return LedgerEntry(document, f"/data/{document}", "0" * 64, "test@1", records, complete)


def sample() -> Batch:
    """Three sources, four entities and five claims of four facts, out of two documents."""
    return Batch(
        sources=[PUBLICATION, MODEL, RELEASE],
        entities=[SEIZURE, ATAXIA, DRAVET, SCN1A],
        claims=[
            has(confidence=0.9, frequency_numerator=3, frequency_denominator=4),
            has(source=MODEL, confidence=0.5),
            has(ATAXIA.id, source=MODEL, confidence=0.25),
            has(DRAVET.id, subject=SCN1A.id, relation="ASSOCIATED_WITH"),
            has("HP:0002133", onset_age="P1Y", curator="x[2020-01-01]"),
        ],
        ledger=[ledger("doc:a", 7), ledger("doc:b", 3)],
    )


def split(batch: Batch, parts: Sequence[int], many: int) -> list[Batch]:
    """The records of a batch in so many batches, each record in the one that `parts` names in turn."""
    result = []
    for part in range(many):

        def mine(records: Iterable[Any], part: int = part) -> list[Any]:
            return [r for number, r in enumerate(records) if parts[number % len(parts)] % many == part]

        result.append(Batch(batch.sources, mine(batch.entities), mine(batch.claims), batch.ledger))
    return result


async def content(store: GraphStore) -> Rows:
    """Everything in the graph but the ledger, without versions."""
    sources = {row["p"]["id"]: row["p"] async for row in store.read("MATCH (s:Source) RETURN properties(s) AS p")}
    entities = {}
    async for row in store.read("MATCH (n:Entity) RETURN labels(n) AS labels, properties(n) AS p"):
        row["p"].pop("version")
        entities[row["p"]["id"]] = (sorted(row["labels"]), row["p"])
    facts = {}
    query = "MATCH (s)-[f]->(o) RETURN s.id AS s, type(f) AS r, o.id AS o, properties(f) AS p"
    async for row in store.read(query):
        row["p"].pop("version")
        assert (row["s"], row["r"], row["o"]) not in facts, "one fact is two relationships"
        facts[row["s"], row["r"], row["o"]] = row["p"]
    return Rows(sources, entities, facts)
