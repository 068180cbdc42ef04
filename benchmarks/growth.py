"""Whether writing stays as fast as the graph grows, and memory flat: facts a second around given sizes, and an edit.

The facts are findings of patients drawn from HPO's annotations (`reasoning.diagnosis.simulation`), since no real set of
this size is at hand; HPO is loaded first. Each patient is an entity of its own, and its findings are HPO's terms, some
of which thus come to have hundreds of thousands of facts.

    python -m benchmarks.growth [--store embedded] [--facts 10000 --facts 1000000] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.diagnosis_data import installed_annotations
from benchmarks.stores import STORES, database
from ingestion.pipeline import Progress, ingest
from ingestion.readers.base import Document, Reader, find_documents, get_reader
from kg.model import Claim, Entity, Record, Source
from kg.store import GraphStore
from reasoning.diagnosis.scan import Index, Parameters
from reasoning.diagnosis.simulation import simulate

SIZES = (10_000, 100_000, 1_000_000, 3_000_000)
_DRAWN = 20_000
"""Different patients; they come again under new ids."""
_EDITED = 100
"""Patients in the small file that is edited."""
_WINDOW = 60_000
"""Facts over which a rate is taken."""


@dataclass(slots=True)
class Point:
    """When the graph had so many facts.

    Attributes:
        per_second: records loaded a second.
        edit_s: to load a file of a hundred patients again of whom one has lost a finding; None while a load goes on.
        peak_mib: memory of this process.
    """

    store: str
    facts: int
    per_second: float | None
    edit_s: float | None
    peak_mib: float


class PatientReader:
    """Lines of HPO ids, one patient a line."""

    name = "patients"
    version = "1"
    extensions: tuple[str, ...] = (".txt",)
    example = "evigraph ingest patients FILE"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """The file."""
        assert path is not None
        return find_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """A patient and his findings."""
        yield Source(document.id, "document", document=document.id)
        with document.open() as file:
            for number, line in enumerate(file):
                patient = f"patient:{document.path.stem}/{number}"
                place = f"L{number + 1}"
                yield Entity(patient, ("Patient",), document.id, {}, document.id, place)
                for term in line.decode().split():
                    yield Claim(patient, "HAS_PHENOTYPE", term, document.id, 1.0, {}, document.id, place)


def write_patients(path: Path, facts: int) -> None:
    """A file with so many findings."""
    annotations = installed_annotations()
    index = Index(annotations, Parameters())
    drawn = [
        " ".join(annotations.term_ids[term] for term in patient.findings.present.tolist())
        for patient in itertools.islice(simulate(index, _DRAWN, seed=1), _DRAWN)
    ]
    written = 0
    with path.open("w") as file:
        for line in itertools.cycle(drawn):
            file.write(line + "\n")
            written += line.count(" ") + 1
            if written >= facts:
                return


async def edit(store: GraphStore, scratch: Path, name: str) -> float:
    """Loads a small file, and again after an edit; the seconds of that."""
    file = scratch / f"{name}.txt"
    with (scratch / "patients.txt").open() as patients:
        lines = list(itertools.islice(patients, _EDITED))
    file.write_text("".join(lines))
    await ingest(store, PatientReader(), file, dead_letters=scratch / "letters.jsonl")
    longest = max(range(len(lines)), key=lambda number: lines[number].count(" "))
    lines[longest] = lines[longest].partition(" ")[2]
    file.write_text("".join(lines))
    started = time.perf_counter()
    report = await ingest(store, PatientReader(), file, dead_letters=scratch / "letters.jsonl")
    assert report.retracted == 1, report
    return time.perf_counter() - started


async def grow(store: GraphStore, name: str, sizes: list[int], scratch: Path) -> list[Point]:
    """Loads up to the greatest size, and notes the rate at each; edits before and after."""
    await ingest(store, get_reader("hpo"), dead_letters=scratch / "letters.jsonl")
    file = scratch / "patients.txt"
    write_patients(file, max(sizes))
    points: list[Point] = []
    left = sorted(sizes)

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    async def note_edit(facts: int, file: str) -> None:
        points.append(Point(name, facts, None, await edit(store, scratch, file), peak()))
        print(f"{name}: {facts:,} facts, an edit takes {points[-1].edit_s:.2f} s", flush=True)

    await note_edit(0, "before")
    marks: list[tuple[int, float]] = [(0, time.perf_counter())]

    def note(progress: Progress) -> None:
        marks.append((progress.records, time.perf_counter()))
        if left and progress.records >= left[0]:
            start = next(mark for mark in reversed(marks[:-1]) if mark[0] <= max(left[0] - _WINDOW, 0))
            rate = (marks[-1][0] - start[0]) / (marks[-1][1] - start[1])
            points.append(Point(name, left.pop(0), rate, None, peak()))
            print(f"{name}: {points[-1].facts:,} facts, {rate:,.0f} records/s, {peak():,.0f} MiB", flush=True)

    reader: Reader = PatientReader()
    await ingest(store, reader, file, dead_letters=scratch / "letters.jsonl", progress=note)
    await note_edit(max(sizes), "after")
    return points


def main() -> None:
    """Prints a table and, if asked, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=STORES, action="append", help="only this one")
    parser.add_argument("--facts", type=int, action="append", help=f"sizes; {', '.join(map(str, SIZES))}")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    points: list[Point] = []
    for name in options.store or STORES:
        with tempfile.TemporaryDirectory() as scratch, database(name) as base:

            async def run(scratch: str = scratch, base_name: str = name) -> list[Point]:
                store = await base.open()
                try:
                    return await grow(store, base_name, list(options.facts or SIZES), Path(scratch))
                finally:
                    await store.close()

            points += asyncio.run(run())
    table = Table("store", "facts", "records/s", "edit s", "peak MiB")
    for point in points:
        rate = "" if point.per_second is None else f"{point.per_second:,.0f}"
        seconds = "" if point.edit_s is None else f"{point.edit_s:.2f}"
        table.add_row(point.store, f"{point.facts:,}", rate, seconds, f"{point.peak_mib:,.0f}")
    Console(width=140).print(table)
    if options.json:
        options.json.write_bytes(orjson.dumps({"rows": [asdict(p) for p in points]}, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
