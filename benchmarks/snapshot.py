"""How soon reasoners have the graph in memory: a snapshot built, started from its cache, and refreshed.

All of HPO is loaded. *Built*: read from the database and cached. *Cached start*: a new process maps the cache, the
time of its imports and of opening the store left out. *Refresh*: after one write that changed 1,000 facts, the median
of some. Each refreshed snapshot is compared with one that is built anew at the end.

    python -m benchmarks.snapshot [--store embedded] [--path FOLDER] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
import structlog
from rich.console import Console
from rich.table import Table

from benchmarks.stores import STORES, Database, database
from ingestion.pipeline import ingest
from ingestion.readers.base import get_reader
from kg.model import Claim, Source
from kg.ontology import Ontology
from kg.snapshot import Snapshot, load_snapshot, refresh_snapshot
from kg.store import Batch, GraphStore, open_store

_PASSWORD = "EVIGRAPH_GRAPH_PASSWORD"  # noqa: S105 (a name)
_CHANGED = 1_000
_ROUNDS = 5


@dataclass(slots=True)
class Figures:
    """One store, in seconds."""

    store: str
    facts: int
    built: float
    cached_start: float
    refresh: float
    megabytes: float


async def measure(base: Database, path: Path | None) -> Figures:
    """Loads HPO, then takes the times.

    Raises:
        SystemExit: a refreshed snapshot differs from a new one.
    """
    store = await base.open()
    try:
        with tempfile.TemporaryDirectory() as folder:
            cache = Path(folder) / "cache"
            await ingest(store, get_reader("hpo"), path, dead_letters=Path(folder) / "letters.jsonl")
            started = time.perf_counter()
            snapshot = await load_snapshot(store, "medical", cache)
            built = time.perf_counter() - started
            facts = len(snapshot.tables.fact_subject)
            size = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file())
            start = min(_start(base, cache) for _ in range(3))
            refreshes = []
            for number in range(_ROUNDS):
                await store.write(_change(snapshot, number))
                started = time.perf_counter()
                snapshot = await refresh_snapshot(snapshot, store, cache)
                refreshes.append(time.perf_counter() - started)
            _compare(snapshot, await load_snapshot(store, "medical", Path(folder) / "new"))
            return Figures(base.name, facts, built, start, statistics.median(refreshes), size / 1e6)
    finally:
        await store.close()


def _change(snapshot: Snapshot, number: int) -> Batch:
    """One more claim of each of 1,000 facts that lie all over the graph."""
    source = Source(f"benchmark:{number}", "person", document="benchmark")
    phenotypes = snapshot.facts("HAS_PHENOTYPE")
    step = len(phenotypes) // _CHANGED
    facts = [phenotypes.first + number + step * i for i in range(_CHANGED)]
    claims = [
        Claim(
            snapshot.id(snapshot.subject(fact)),
            "HAS_PHENOTYPE",
            snapshot.id(snapshot.object(fact)),
            source.id,
            0.5,
            document="benchmark",
        )
        for fact in facts
    ]
    return Batch([source], claims=claims)


def _compare(one: Snapshot, other: Snapshot) -> None:
    second = other.tables.arrays()
    for name, values in one.tables.arrays().items():
        if values.tobytes() != second[name].tobytes():
            raise SystemExit(f"the refreshed snapshot differs from a new one in {name}")


def _start(base: Database, cache: Path) -> float:
    """Seconds that a process of its own takes to have the cached snapshot and its first row."""
    environment = os.environ | ({_PASSWORD: base.password} if base.password else {})
    command = [sys.executable, "-m", "benchmarks.snapshot", "--start", base.url, "--cache", str(cache)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True)
    return float(json.loads(done.stdout))


async def _cached_start(url: str, cache: Path) -> float:
    store: GraphStore = await open_store(url, Ontology.load(), password=os.environ.get(_PASSWORD))
    try:
        started = time.perf_counter()
        snapshot = await load_snapshot(store, "medical", cache)
        snapshot.name(int(snapshot.facts("HAS_PHENOTYPE").subject[0]))
        return time.perf_counter() - started
    finally:
        await store.close()


def main() -> None:
    """Prints a table and, if asked, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=STORES, action="append", help="only this one")
    parser.add_argument("--path", type=Path, help="folder with HPO's files instead of the packaged ones")
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--start", help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    if options.start:
        print(asyncio.run(_cached_start(options.start, options.cache)))
        return
    figures = []
    for name in options.store or STORES:
        with database(name) as base:
            figures.append(asyncio.run(measure(base, options.path)))
    table = Table("store", "facts", "built s", "cached start s", f"refresh after {_CHANGED:,} facts s", "cache MB")
    for f in figures:
        times = (f"{f.built:.2f}", f"{f.cached_start:.3f}", f"{f.refresh:.3f}")
        table.add_row(f.store, f"{f.facts:,}", *times, f"{f.megabytes:.0f}")
    Console(width=140).print(table)
    if options.json:
        options.json.write_bytes(orjson.dumps({"rows": [asdict(f) for f in figures]}, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
