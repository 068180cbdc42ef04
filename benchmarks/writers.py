"""The same records through our pipeline and through LangChain's and LlamaIndex's Neo4j writers, each on a fresh Neo4j.

The records are triples of WN18RR in a file; reading it counts, imports, connecting and constraints do not. The first
1,000, on which a new server compiles its plans and code, are a file of their own and timed apart. Each of the others
runs in two ways, in a temporary environment of its own with the newest release of its package:

* `bulk`: distinct nodes, then relations, 1,000 at once: their fastest way. It keeps nothing of who said what.
* `sources`: each record is a text that mentions its two nodes, as when text is loaded: the nearest that they have to
  provenance, though the relation itself has at most the first source.

Our pipeline also checks each record against the ontology, and keeps for each claim its source, place and confidence, a
ledger entry and dead letters. All have the same server, with APOC, which both need, and the fast-packing driver is ours
alone. What each left is counted.

    python -m benchmarks.writers [--records 20000] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from neo4j import GraphDatabase
from rich.console import Console
from rich.table import Column, Table

from benchmarks.families import FAMILIES, load
from benchmarks.stores import Database, database
from benchmarks.writers_others import WRITERS

_PAIRS = """
MATCH (s)-[]->(o) WHERE s.id STARTS WITH 'wn:' AND o.id STARTS WITH 'wn:'
RETURN count(DISTINCT [s.id, o.id]) AS n
"""
_FILE = "train.tsv"
_FIRST = 1_000
_SCRIPT = "import writers_others; writers_others.main()"


@dataclass(slots=True)
class Figures:
    """One writer.

    Attributes:
        seconds_first: for the first records on a new server, which are not among the others.
        pairs: of nodes that are related in the graph that it left, all records counted.
    """

    writer: str
    records: int
    seconds_first: float
    seconds: float
    pairs: int
    relative: float = 1.0

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


class UnavailableError(RuntimeError):
    """A writer can't be had or does not run here."""


def _records(scratch: Path, most: int) -> list[Path]:
    """Two folders with a file `train.tsv` and its mapping for our reader: the first records, and so many others."""
    whole = next(family for family in FAMILIES if family.name == "graphs: table").make(scratch)
    if whole is None:
        return []
    head, *lines = (whole / _FILE).read_bytes().splitlines(keepends=True)
    folders = []
    for name, part in (("first", lines[:_FIRST]), ("others", lines[_FIRST : _FIRST + most])):
        folders.append(scratch / name)
        folders[-1].mkdir()
        (folders[-1] / _FILE).write_bytes(head + b"".join(part))
        shutil.copy(whole / f"{_FILE}.yaml", folders[-1])
    return folders


def _environment(package: str, folder: Path) -> Path:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if uv is None:
        raise UnavailableError("uv is not installed")
    python = folder / "bin" / "python"
    _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
    _run([uv, "pip", "install", "--quiet", "--python", str(python), package])
    return python


def _run(command: list[str], given: str = "") -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    if done.returncode:
        raise UnavailableError((done.stderr.strip() or f"exit status {done.returncode}")[-1000:])
    return done.stdout


def _measure(name: str, folders: list[Path], write: Callable[[Database], tuple[str, list[float]]]) -> Figures:
    with database("neo4j", apoc=True) as base:
        suffix, (first, others) = write(base)
        uri, user, password = base.bolt()
        with GraphDatabase.driver(uri, auth=(user, password), notifications_min_severity="OFF") as driver:
            pairs = driver.execute_query(_PAIRS).records[0]["n"]
    records = (folders[1] / _FILE).read_bytes().count(b"\n") - 1
    found = Figures(name + suffix, records, first, others, pairs)
    print(f"{found.writer}: {found.rate:,.0f} records/s", flush=True)
    return found


def _ours(folders: list[Path], scratch: Path) -> Figures:
    def write(base: Database) -> tuple[str, list[float]]:
        seconds = []
        for folder in folders:
            report, took = asyncio.run(load(base, "table", folder, scratch))
            assert not report.failed, f"{report.rejected} records refused"
            seconds.append(took)
        return "", seconds

    return _measure("Evigraph", folders, write)


def _theirs(package: str, python: Path, folders: list[Path], *, sources: bool) -> Figures:
    def write(base: Database) -> tuple[str, list[float]]:
        uri, user, password = base.bolt()
        job: dict[str, Any] = {"package": package, "uri": uri, "user": user, "password": password}
        job |= {"files": [str(folder / _FILE) for folder in folders], "sources": sources}
        found = json.loads(_run([str(python), "-c", _SCRIPT], json.dumps(job)))
        return f" {found['version']}, {'sources' if sources else 'bulk'}", found["seconds"]

    return _measure(package, folders, write)


def main() -> None:
    """Prints a table and, if asked, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        folders = _records(scratch, options.records)
        if not folders:
            print("WN18RR: the data is not there")
            return
        figures = [_ours(folders, scratch)]
        for package in WRITERS:
            try:
                python = _environment(package, scratch / package)
                figures += [_theirs(package, python, folders, sources=both) for both in (False, True)]
            except UnavailableError as error:
                print(f"{package}: left out: {error}")
    table = Table(
        Column("writer", overflow="fold"),
        "records",
        "seconds",
        "records/s",
        "pairs",
        "first 1,000",
        "Evigraph faster by",
    )
    for row in figures:
        row.relative = row.seconds / figures[0].seconds
        values = (f"{row.records:,}", f"{row.seconds:.1f}", f"{row.rate:,.0f}", f"{row.pairs:,}")
        table.add_row(row.writer, *values, f"{row.seconds_first:.1f} s", f"{row.relative:.1f} ×")
    Console(width=140).print(table)
    if options.json:
        rows = [asdict(row) | {"rate": row.rate} for row in figures]
        options.json.write_bytes(orjson.dumps({"rows": rows}, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
