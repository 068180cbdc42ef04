"""Whether a load that is killed again and again ends with the graph of one that never was: by its digest.

A process loads HPO and is killed with SIGKILL at random moments, until it has come to the end; now and then it is the
database that is killed. Then HPO is loaded once more, which must change nothing.

    python -m benchmarks.crash [--kills 20] [--seed 7] [--store embedded] [--path FOLDER] [--mixed] [--json FILE]

With --mixed, the families of `benchmarks.families` follow HPO, as far as their data is there:
`--mixed --kills 60 --databases 6` kills the loading process 50 times, and the database ten times.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.stores import STORES, Database, database
from ingestion.pipeline import BATCH_SIZE, Progress, ingest
from ingestion.readers.base import get_reader
from kg.errors import EvigraphError

_PASSWORD = "EVIGRAPH_GRAPH_PASSWORD"  # noqa: S105 (a name)
_CLIENT, _DATABASE = "client", "database"


@dataclass(slots=True)
class Outcome:
    """What one store went through.

    Attributes:
        digests: after the undisturbed load, its repetition, the load with kills, and its repetition.
        kills: kills of the loading process, those of the database left out.
        starts: of the loading process, until it came to the end.
    """

    store: str
    digests: list[str]
    batches: int
    kills: int
    database_kills: int
    starts: int
    seconds_undisturbed: float
    seconds_killed: float

    @property
    def same(self) -> bool:
        """Whether all digests are one."""
        return len(set(self.digests)) == 1


@dataclass(frozen=True, slots=True)
class Load:
    """What is loaded: HPO, from a folder if one is given, and if mixed the other families."""

    path: Path | None
    batch_size: int
    mixed: bool = False


class Loader:
    """Processes that load a path into one database, and are killed."""

    def __init__(self, base: Database, load: Load, letters: Path) -> None:
        self._base = base
        self._command = [sys.executable, "-m", "benchmarks.crash", "--load", base.url, "--letters", str(letters)]
        self._command += ["--batch", str(load.batch_size)] + (["--path", str(load.path)] if load.path else [])
        self._command += ["--mixed"] if load.mixed else []
        self.starts = 0
        self.batches = 0
        self.killed: list[str] = []

    def _start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        environment = os.environ | ({_PASSWORD: self._base.password} if self._base.password else {})
        return subprocess.Popen(self._command, stdout=subprocess.PIPE, env=environment)

    def run(self) -> None:
        """Loads to the end, undisturbed."""
        process = self._start()
        self.batches += len(list(_lines(process)))
        if process.wait():
            raise SystemExit(f"loading failed with exit code {process.returncode}")

    def run_with_kills(self, moments: list[tuple[int, float, str]]) -> None:
        """Loads to the end, however often it takes.

        Args:
            moments: (after how many committed batches, seconds later, what is killed), in order.
        """
        moments = list(moments)
        while True:
            process = self._start()

            def arm(process: subprocess.Popen[bytes] = process) -> threading.Timer | None:
                if not moments or self.batches < moments[0][0]:
                    return None
                _, delay, victim = moments.pop(0)
                found = threading.Timer(delay, self._kill, (victim, process))
                found.start()
                return found

            timer = arm()
            for _ in _lines(process):
                self.batches += 1
                if timer is None or not timer.is_alive():
                    timer = arm() or timer
            code = process.wait()
            if timer is not None:
                timer.cancel()
                timer.join()
            if code == 0:
                return
            if code != -signal.SIGKILL and timer is None:
                raise SystemExit(f"loading failed with exit code {code}")

    def _kill(self, victim: str, process: subprocess.Popen[bytes]) -> None:
        self.killed.append(victim)
        if victim == _DATABASE:
            self._base.kill()
        else:
            process.send_signal(signal.SIGKILL)


def _lines(process: subprocess.Popen[bytes]) -> Iterator[bytes]:
    assert process.stdout is not None
    yield from process.stdout


def moments(
    dice: random.Random, kills: int, batches: int, every: float, databases: int
) -> list[tuple[int, float, str]]:
    """So many random moments, in order: after a batch, plus up to two batches' time.

    Of each `databases` kills one is the database's.
    """
    after = sorted(dice.randrange(batches) for _ in range(kills))
    return [
        (batch, dice.uniform(0, 2 * every), _DATABASE if databases and number % databases == databases - 1 else _CLIENT)
        for number, batch in enumerate(after)
    ]


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """A load that nobody kills, and its repetition."""

    digests: list[str]
    batches: int
    seconds: float


def load_undisturbed(base: Database, load: Load) -> Undisturbed:
    """Loads into an empty graph, twice."""
    with tempfile.TemporaryDirectory() as folder:
        loader = Loader(base, load, Path(folder) / "letters.jsonl")
        started = time.perf_counter()
        loader.run()
        seconds = time.perf_counter() - started
        batches = loader.batches
        digests = [asyncio.run(_digest(base))]
        loader.run()
        return Undisturbed([*digests, asyncio.run(_digest(base))], batches, seconds)


def load_killed(base: Database, known: Undisturbed, load: Load, kills: int, seed: int, databases: int) -> Outcome:
    """Loads into an empty graph with kills, and once more."""
    with tempfile.TemporaryDirectory() as folder:
        loader = Loader(base, load, Path(folder) / "letters.jsonl")
        planned = moments(random.Random(seed), kills, known.batches, known.seconds / known.batches, databases)
        started = time.perf_counter()
        loader.run_with_kills(planned)
        seconds = time.perf_counter() - started
        starts = loader.starts
        digests = [*known.digests, asyncio.run(_digest(base))]
        loader.run()
        digests.append(asyncio.run(_digest(base)))
    clients, servers = (loader.killed.count(victim) for victim in (_CLIENT, _DATABASE))
    return Outcome(base.name, digests, known.batches, clients, servers, starts, known.seconds, seconds)


async def _digest(base: Database) -> str:
    store = await base.open()
    try:
        return await store.digest()
    finally:
        await store.close()


async def _load(url: str, load: Load, letters: Path) -> None:
    """The work of the process that is killed: a line for each committed batch."""
    from benchmarks.families import FAMILIES
    from kg.ontology import Ontology
    from kg.store import open_store

    def tell(progress: Progress) -> None:
        print(progress.records, flush=True)

    store = await open_store(url, Ontology.load(), password=os.environ.get(_PASSWORD))
    todo: list[tuple[str, Path | None]] = [("hpo", load.path)]
    with tempfile.TemporaryDirectory() as scratch:
        if load.mixed:
            made = [(f.reader, f.make(Path(scratch))) for f in FAMILIES if f.reader not in ("hpo", "rdf")]
            todo += [(reader, path) for reader, path in made if path is not None]
        try:
            for reader, path in todo:
                await ingest(
                    store,
                    get_reader(reader),
                    path,
                    dead_letters=letters,
                    batch_size=load.batch_size,
                    progress=tell,
                )
        finally:
            await store.close()


def main() -> None:
    """Prints a table and, if asked, writes JSON; exit code 1 if the digests differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--databases", type=int, default=5, help="of each so many kills one is the database's; 0: none")
    parser.add_argument("--store", choices=STORES, action="append", help="only this one")
    parser.add_argument("--path", type=Path, help="folder with HPO's files instead of the packaged ones")
    parser.add_argument("--batch", type=int, default=BATCH_SIZE, help="records in one transaction")
    parser.add_argument("--mixed", action="store_true", help="the other families, too")
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--load", help=argparse.SUPPRESS)
    parser.add_argument("--letters", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    load = Load(options.path, options.batch, options.mixed)
    if options.load:
        try:
            asyncio.run(_load(options.load, load, options.letters))
        except EvigraphError as error:  # the database was killed, and did not come back soon enough
            raise SystemExit(str(error)) from error
        return
    outcomes = []
    for name in options.store or STORES:
        with database(name) as base:
            known = load_undisturbed(base, load)
        with database(name) as base:
            outcomes.append(load_killed(base, known, load, options.kills, options.seed, options.databases))
    table = Table(
        "store", "batches", "kills", "database kills", "starts", "s undisturbed", "s killed", "digest", "same"
    )
    for found in outcomes:
        counts = (found.batches, found.kills, found.database_kills, found.starts)
        times = (f"{found.seconds_undisturbed:.1f}", f"{found.seconds_killed:.1f}")
        table.add_row(found.store, *map(str, counts), *times, found.digests[0], "yes" if found.same else "NO")
    Console(width=140).print(table)
    if options.json:
        rows = [asdict(found) | {"same": found.same} for found in outcomes]
        options.json.write_bytes(orjson.dumps({"seed": options.seed, "rows": rows}, option=orjson.OPT_INDENT_2))
    if not all(found.same for found in outcomes) or len({found.digests[0] for found in outcomes}) > 1:
        raise SystemExit("the digests differ")


if __name__ == "__main__":
    main()
