"""Whether an enhancement that is killed at random moments ends with the graph of one that never was: by its digest.

HPO is loaded, enhanced undisturbed, and the enhancement retracted; then the command is killed with SIGKILL again and
again, at moments drawn from the time that it took undisturbed, and run to its end. Retracting that must give back the
graph as it was.

    python -m benchmarks.enhance_crash [--kills 10] [--seed 7] [--store embedded] [--by neighbours] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.stores import STORES, Database, database
from encoders.graph.enhance_graph import source_of
from ingestion.pipeline import ingest
from ingestion.readers.hpo import HpoReader

_ASKED = "^ASSOCIATED_WITH"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened.

    Attributes:
        before: digest of the loaded graph.
        undisturbed: after the enhancement that was left alone.
        killed: after the one that was killed.
        retracted: the digests after either was retracted.
        moments: when the process was killed, seconds after its start.
    """

    store: str
    by: str
    before: str
    undisturbed: str
    killed: str
    retracted: list[str]
    moments: list[float]
    seconds: float

    @property
    def right(self) -> bool:
        """Whether the kills made no difference, and retracting took all back."""
        return self.undisturbed == self.killed != self.before and set(self.retracted) == {self.before}


def enhance(base: Database, data: Path, by: str, kill_after: float | None = None) -> bool:
    """Runs the command, and says whether it came to its end."""
    command = [sys.executable, "-c", "from api.cli import main; main()", "enhance", "medical", "--relations", _ASKED]
    environment = os.environ | {"EVIGRAPH_GRAPH": base.url, "EVIGRAPH_DATA": str(data)}
    environment |= {"EVIGRAPH_GRAPH_PASSWORD": base.password} if base.password else {}
    process = subprocess.Popen([*command, "--by", by], stdout=subprocess.DEVNULL, env=environment)
    try:
        code = process.wait(kill_after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return False
    if code:
        raise SystemExit(f"the enhancement ended with exit code {code}")
    return True


async def digest(base: Database, retract: str | None = None) -> str:
    """Of the graph, after a source is retracted."""
    store = await base.open()
    try:
        if retract:
            await store.retract(retract)
        return await store.digest()
    finally:
        await store.close()


async def load(base: Database, dead_letters: Path) -> str:
    """Loads HPO; the digest of the graph."""
    store = await base.open()
    try:
        await ingest(store, HpoReader(), None, dead_letters=dead_letters)
    finally:
        await store.close()
    return await digest(base)


def measure(name: str, by: str, kills: int, seed: int) -> Outcome:
    """All of it on one database."""
    draw = random.Random(seed)
    source = source_of("medical")
    with database(name) as base, tempfile.TemporaryDirectory() as folder:
        before = asyncio.run(load(base, Path(folder) / "dead-letters.jsonl"))
        start = time.perf_counter()
        enhance(base, Path(folder) / "undisturbed", by)
        seconds = time.perf_counter() - start
        undisturbed, retracted = asyncio.run(digest(base)), [asyncio.run(digest(base, source))]
        moments: list[float] = []
        while len(moments) < kills:  # a run that goes on from what is kept may end before its moment comes
            moment = draw.uniform(0, seconds)
            if not enhance(base, Path(folder) / "killed", by, moment):
                moments.append(moment)
        enhance(base, Path(folder) / "killed", by)
        killed = asyncio.run(digest(base))
        retracted.append(asyncio.run(digest(base, source)))
    return Outcome(name, by, before, undisturbed, killed, retracted, moments, seconds)


def main() -> None:
    """Prints what happened, and ends with 1 if it is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--store", choices=STORES, default="embedded")
    parser.add_argument("--by", default="neighbours")
    parser.add_argument("--json", type=Path, help="write the outcome to this file")
    options = parser.parse_args()
    found = measure(options.store, options.by, options.kills, options.seed)
    moments = ", ".join(f"{moment:.1f}" for moment in found.moments)
    print(f"{found.store}, by {found.by}: undisturbed in {found.seconds:.1f} s")
    print(f"killed {len(found.moments)} times, after {moments} s")
    print(f"one digest, and after retraction the one before: {found.right}")
    if options.json:
        options.json.write_text(json.dumps(asdict(found), indent=1) + "\n")
    raise SystemExit(not found.right)


if __name__ == "__main__":
    main()
