"""How near loading comes to what the database can take: all of HPO through the pipeline, and raw rows as the ceiling.

The ceiling is the plain driver, in large batches, with the very rows the pipeline leaves: the same nodes (`CREATE`, as
ArcadeDB's `MERGE` with several labels does not use the index) and relationships (`UNWIND $rows … MERGE`) with the same
properties, constraints and indexes. The rows lie ready in memory; reading files, checking, merging and hashing is what
only the pipeline does. Each way starts on a fresh server. The digest is timed, too.

    python -m benchmarks.ingestion [--store embedded] [--rounds 1] [--path FOLDER] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from neo4j import Driver, GraphDatabase, ManagedTransaction
from rich.console import Console
from rich.table import Table

from benchmarks.stores import STORES, Database, database
from ingestion.pipeline import ingest
from ingestion.readers.base import get_reader

_BATCH = 10_000
Rows = list[dict[str, Any]]


@dataclass(slots=True)
class Figures:
    """One store; rates are in facts a second."""

    store: str
    entities: int
    facts: int
    claims: int
    seconds_ceiling: float
    seconds_pipeline: float
    seconds_digest: float
    digest: str

    @property
    def ratio(self) -> float:
        """Speed of the pipeline relative to the ceiling."""
        return self.seconds_ceiling / self.seconds_pipeline


@dataclass(slots=True)
class Content:
    """A graph's rows: nodes by labels, relationships by type."""

    nodes: dict[str, Rows]
    relationships: dict[str, Rows]

    @property
    def sizes(self) -> tuple[int, int]:
        """How many entities and facts."""
        entities = sum(len(rows) for labels, rows in self.nodes.items() if "Entity" in labels)
        return entities, sum(map(len, self.relationships.values()))


def read_content(driver: Driver, name: str) -> Content:
    """Everything in the graph."""
    nodes: dict[str, Rows] = defaultdict(list)
    relationships: dict[str, Rows] = defaultdict(list)
    with driver.session(database=name, fetch_size=_BATCH) as session:
        for labels, properties in session.run(
            "MATCH (n) WHERE n.id IS NOT NULL RETURN labels(n) AS l, properties(n) AS p"
        ):
            ordered = sorted(labels, key=lambda label: (label != "Entity", label))
            nodes[":".join(ordered)].append(properties)
        for subject, type_, object_, properties in session.run(
            "MATCH (s)-[f]->(o) RETURN s.id AS s, type(f) AS t, o.id AS o, properties(f) AS p"
        ):
            relationships[type_].append({"s": subject, "o": object_, "p": properties})
    return Content(nodes, relationships)


def write_content(driver: Driver, name: str, content: Content) -> float:
    """Seconds that raw `UNWIND … MERGE` takes for all rows."""
    started = time.perf_counter()
    with driver.session(database=name) as session:
        for labels, rows in sorted(content.nodes.items()):
            query = f"UNWIND $rows AS r CREATE (n:{labels}) SET n = r"
            for start in range(0, len(rows), _BATCH):
                # in a function: ArcadeDB's own compaction may collide with a write, which is then tried again
                session.execute_write(_run, query, rows[start : start + _BATCH])
        for type_, rows in sorted(content.relationships.items()):
            query = (
                "UNWIND $rows AS r MATCH (s:Entity {id: r.s}) MATCH (o:Entity {id: r.o}) "
                f"MERGE (s)-[f:{type_}]->(o) SET f = r.p"
            )
            for start in range(0, len(rows), _BATCH):
                # in a function: ArcadeDB's own compaction may collide with a write, which is then tried again
                session.execute_write(_run, query, rows[start : start + _BATCH])
    return time.perf_counter() - started


def _run(transaction: ManagedTransaction, query: str, rows: Rows) -> None:
    transaction.run(query, rows=rows).consume()


async def load(base: Database, path: Path | None) -> tuple[int, float, float, str]:
    """Claims, seconds of the pipeline, seconds of the digest, and the digest, after loading HPO into an empty graph."""
    store = await base.open()
    try:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            report = await ingest(store, get_reader("hpo"), path, dead_letters=Path(folder) / "letters.jsonl")
            loaded = time.perf_counter()
        digest = await store.digest()
        return report.claims, loaded - started, time.perf_counter() - loaded, digest
    finally:
        await store.close()


def measure(name: str, rounds: int, path: Path | None) -> Figures:
    """The best of so many rounds, both ways in turn, so that a disturbance does not hit one of them alone."""
    pipelines, ceilings, digests = [], [], []
    for _ in range(rounds):
        with database(name) as base, _driver(base) as driver:
            claims, pipeline, of_digest, digest = asyncio.run(load(base, path))
            content = read_content(driver, base.dialect.database)
        with database(name) as base, _driver(base) as driver:
            asyncio.run(_make_schema(base))
            ceilings.append(write_content(driver, base.dialect.database, content))
        pipelines.append(pipeline)
        digests.append(of_digest)
    entities, facts = content.sizes
    return Figures(name, entities, facts, claims, min(ceilings), min(pipelines), min(digests), digest)


def _driver(base: Database) -> Driver:
    uri, user, password = base.bolt()
    return GraphDatabase.driver(uri, auth=(user, password), notifications_min_severity="OFF")


async def _make_schema(base: Database) -> None:
    await (await base.open()).close()


def main() -> None:
    """Prints a table and, if asked, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=STORES, action="append", help="only this one")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--path", type=Path, help="folder with HPO's files instead of the packaged ones")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    figures = [measure(name, options.rounds, options.path) for name in options.store or STORES]
    table = Table("store", "facts", "ceiling s", "facts/s", "pipeline s", "facts/s", "claims/s", "ratio", "digest s")
    for f in figures:
        ceiling = (f"{f.seconds_ceiling:.1f}", f"{f.facts / f.seconds_ceiling:,.0f}")
        pipeline = (f"{f.seconds_pipeline:.1f}", f"{f.facts / f.seconds_pipeline:,.0f}")
        rest = (f"{f.claims / f.seconds_pipeline:,.0f}", f"{f.ratio:.2f}", f"{f.seconds_digest:.1f}")
        table.add_row(f.store, f"{f.facts:,}", *ceiling, *pipeline, *rest)
    Console(width=140).print(table)
    if options.json:
        rows = [asdict(f) | {"ratio": f.ratio} for f in figures]
        options.json.write_bytes(orjson.dumps({"rows": rows}, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
