"""Whether a stream of detections is kept up with, and whether anything is lost or comes twice when things are killed.

A process publishes Frigate events, each one detection with its track, to a NATS server at a steady rate; another,
`evigraph stream`, loads them. First nobody is killed: lag, from publishing to commit, and the consumer's memory. Then
the same events go into an empty graph while the consumer is killed with SIGKILL at random moments, and once the broker.
Both graphs must have one digest, and the ledger must count each message once.

    python -m benchmarks.streams [--seconds 120] [--rate 2000] [--kills 10] [--store embedded] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.stores import STORES, Database, database
from tests.support.nats_server import NatsServer

_TOPIC, _STREAM = "frigate.events", "frigate_events"
_TOGETHER = 50
"""Messages that are published before their receipts are awaited."""
_PATIENCE_S = 600.0
_WINDOW_S = 10.0
"""As the consumer tells of them."""


@dataclass(slots=True)
class Outcome:
    """One store; lags are those of windows of ten seconds while messages come.

    A database that has just started compiles its code on the same cores, so it is told when lags had come down, too.

    Attributes:
        rate: messages a second, as published.
        lag_p50_s: median of the windows' medians.
        lag_p99_s: the worst window's.
        settled_s: end of the first window from which on each has a median below a second; None: never.
        lags: (median, p99) of each window.
        drained_s: from the last message's publishing to its commit, of the undisturbed run.
        memory_mb: of the consumer after a third of the time, and at the end.
        counted: messages by the ledger, undisturbed and with kills.
    """

    store: str
    messages: int
    rate: float
    lag_p50_s: float
    lag_p99_s: float
    settled_s: float | None
    lags: list[tuple[float, float]]
    drained_s: float
    memory_mb: tuple[float, float]
    kills: int
    digests: list[str]
    counted: list[int]

    @property
    def same(self) -> bool:
        """Whether nothing was lost and nothing came twice."""
        return len(set(self.digests)) == 1 and set(self.counted) == {self.messages}


def event(number: int) -> dict[str, Any]:
    """One detection; twenty are of a track, and one of five lies in a zone."""
    after = {
        "id": f"{1_700_000_000 + number // 20}.5-{number // 20:06x}",
        "camera": f"camera-{number % 8}",
        "frame_time": 1_700_000_000 + number / 100,
        "start_time": 1_700_000_000 + number // 20 / 5,
        "label": ("car", "person", "bus", "bicycle")[number // 20 % 4],
        "score": round(0.5 + number % 50 / 100, 2),
        "top_score": 0.99,
        "box": [number % 1000, number % 700, number % 1000 + 90, number % 700 + 60],
        "current_zones": ["crossing"] if number % 5 == 0 else [],
    }
    return {"type": "update", "after": after}


class Consumer:
    """`evigraph stream`, started as often as it takes."""

    def __init__(self, base: Database, server: NatsServer, folder: Path) -> None:
        evigraph = str(Path(sys.executable).with_name("evigraph"))
        self._command = [evigraph, "--graph", base.url, "--data", str(folder), "stream", f"{server.url}/{_STREAM}"]
        self._command += [_TOPIC, "--reader", "frigate", "--resend-s", "5"]
        self._environment = os.environ | {"EVIGRAPH_LOG_FORMAT": "json"}
        if base.password:
            self._environment["EVIGRAPH_GRAPH_PASSWORD"] = base.password
        self.log = folder / "consumer.log"
        self.starts = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it consumes."""
        self.starts += 1
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stderr=log, env=self._environment)
        deadline = time.monotonic() + 120
        while sum(line.get("event") == "consuming" for line in self.lines()) < self.starts:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the consumer does not start:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.05)

    def lines(self) -> Iterator[dict[str, Any]]:
        """The log."""
        for line in self.log.read_bytes().splitlines():
            with contextlib.suppress(orjson.JSONDecodeError):
                yield orjson.loads(line)

    def end(self, number: signal.Signals) -> None:
        """Sends a signal, and waits for the end."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(60)

    def memory_mb(self) -> float:
        """Resident memory."""
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _producer(server: NatsServer, messages: int, rate: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.streams", "--produce", server.url]
    return subprocess.Popen([*command, "--messages", str(messages), "--rate", str(rate)], stdout=subprocess.PIPE)


async def _produce(url: str, messages: int, rate: float) -> None:
    """The work of the publishing process: each message until the server has it, in which it may count on receipts."""
    from faststream.nats import NatsBroker

    broker = NatsBroker(url, apply_types=False, logger=None, max_reconnect_attempts=-1, reconnect_time_wait=1)
    stream = (await broker.connect()).jetstream()
    started = time.monotonic()
    for first in range(0, messages, _TOGETHER):
        await asyncio.sleep(max(0.0, first / rate - (time.monotonic() - started)))
        bodies = [(str(n), orjson.dumps(event(n))) for n in range(first, min(first + _TOGETHER, messages))]
        while True:
            try:
                sent = [stream.publish(_TOPIC, body, headers={"Nats-Msg-Id": id_}, timeout=5) for id_, body in bodies]
                await asyncio.gather(*sent)
                break
            except Exception:  # noqa: BLE001 (the server was killed; it keeps one of those that it gets twice)
                await asyncio.sleep(0.2)
    print(messages / (time.monotonic() - started), flush=True)
    await broker.stop()


async def _make_stream(server: NatsServer) -> None:
    from faststream.nats import NatsBroker

    broker = NatsBroker(server.url, apply_types=False, logger=None)
    await (await broker.connect()).jetstream().add_stream(name=_STREAM, subjects=[_TOPIC])
    await broker.stop()


async def _state(base: Database) -> tuple[str, int]:
    """Digest, and how many messages the ledger counts."""
    store = await base.open()
    try:
        entry = (await store.ledger()).get(f"stream:{_TOPIC}")
        return await store.digest(), entry.records if entry else 0
    finally:
        await store.close()


async def _drained(base: Database, messages: int) -> float:
    """Waits until so many messages are committed; the time then."""
    store = await base.open()
    query = "MATCH (l:LedgerEntry {document: $id}) RETURN l.records AS records"
    deadline = time.monotonic() + _PATIENCE_S
    try:
        while time.monotonic() < deadline:
            rows = [row["records"] async for row in store.read(query, {"id": f"stream:{_TOPIC}"})]
            if rows and rows[0] >= messages:
                break
            await asyncio.sleep(0.05)
        return time.monotonic()
    finally:
        await store.close()


@dataclass(frozen=True, slots=True)
class Steady:
    """An undisturbed run."""

    rate: float
    lags: list[tuple[float, float]]
    drained_s: float
    memory_mb: tuple[float, float]
    state: tuple[str, int]


def run_steady(base: Database, messages: int, rate: float) -> Steady:
    """Nobody is killed."""
    with tempfile.TemporaryDirectory() as name, NatsServer(Path(name) / "nats") as server:
        asyncio.run(_make_stream(server))
        consumer = Consumer(base, server, Path(name))
        consumer.start()
        producer = _producer(server, messages, rate)
        memory = []
        while producer.poll() is None:
            memory.append(consumer.memory_mb())
            time.sleep(0.5)
        assert producer.stdout is not None
        published = float(producer.stdout.read())
        ended = time.monotonic()
        drained = asyncio.run(_drained(base, messages)) - ended
        memory.append(consumer.memory_mb())
        time.sleep(11)  # for the last line of the log
        consumer.end(signal.SIGTERM)
        lags = [
            (line["lag_p50_s"], line["lag_p99_s"])
            for line in consumer.lines()
            if line.get("event") == "stream" and line["lag_p50_s"] is not None
        ]
    return Steady(published, lags, drained, (memory[len(memory) // 3], memory[-1]), asyncio.run(_state(base)))


def run_killed(base: Database, messages: int, rate: float, kills: int, seed: int) -> tuple[str, int]:
    """The consumer is killed so many times, the broker once."""
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, NatsServer(Path(name) / "nats") as server:
        asyncio.run(_make_stream(server))
        consumer = Consumer(base, server, Path(name))
        producer = _producer(server, messages, rate)
        for kill in range(kills):
            consumer.start()
            time.sleep(dice.uniform(0, messages / rate / kills))
            if kill == kills // 2:
                server.kill()
                time.sleep(dice.uniform(0, 1))
                server.start()
                time.sleep(dice.uniform(0, 2))
            consumer.end(signal.SIGKILL)
        consumer.start()
        producer.wait()
        asyncio.run(_drained(base, messages))
        time.sleep(10)  # would anything come again, it had come by now
        consumer.end(signal.SIGTERM)
    return asyncio.run(_state(base))


def _settled(lags: list[tuple[float, float]]) -> float | None:
    high = [number for number, (p50, _) in enumerate(lags, 1) if p50 >= 1.0]
    first = (high[-1] if high else 0) + 1
    return first * _WINDOW_S if first <= len(lags) else None


def measure(name: str, messages: int, rate: float, kills: int, seed: int) -> Outcome:
    """Both runs on one kind of database."""
    with database(name) as base:
        steady = run_steady(base, messages, rate)
    with database(name) as base:
        killed = run_killed(base, messages, rate, kills, seed) if kills else steady.state
    return Outcome(
        name,
        messages,
        steady.rate,
        statistics.median(p50 for p50, _ in steady.lags),
        max(p99 for _, p99 in steady.lags),
        _settled(steady.lags),
        steady.lags,
        steady.drained_s,
        steady.memory_mb,
        kills,
        [steady.state[0], killed[0]],
        [steady.state[1], killed[1]],
    )


def main() -> None:
    """Prints a table and, if asked, writes JSON; exit code 1 if anything was lost or came twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--rate", type=float, default=2000, help="messages a second")
    parser.add_argument("--kills", type=int, default=10, help="of the consumer; 0: without the second run")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--store", choices=STORES, action="append", help="only this one")
    parser.add_argument("--json", type=Path, help="file to write")
    parser.add_argument("--produce", help=argparse.SUPPRESS)
    parser.add_argument("--messages", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.produce:
        asyncio.run(_produce(options.produce, options.messages, options.rate))
        return
    messages = int(options.seconds * options.rate)
    outcomes = [measure(name, messages, options.rate, options.kills, options.seed) for name in options.store or STORES]
    columns = (
        "store",
        "messages",
        "rate/s",
        "lag p50 s",
        "p99 s",
        "p50 below 1 s from",
        "drained s",
        "memory MB",
        "kills",
        "counted",
        "same",
    )
    table = Table(*columns)
    for found in outcomes:
        settled = "never" if found.settled_s is None else f"{found.settled_s:.0f} s"
        figures = (f"{found.lag_p50_s:.2f}", f"{found.lag_p99_s:.2f}", settled, f"{found.drained_s:.2f}")
        memory = " → ".join(f"{mb:.0f}" for mb in found.memory_mb)
        counted = " ".join(map(str, found.counted))
        same = "yes" if found.same else "NO"
        head = (found.store, str(found.messages), f"{found.rate:.0f}")
        table.add_row(*head, *figures, memory, str(found.kills), counted, same)
    Console(width=140).print(table)
    if options.json:
        rows = [asdict(found) | {"same": found.same} for found in outcomes]
        options.json.write_bytes(orjson.dumps({"seed": options.seed, "rows": rows}, option=orjson.OPT_INDENT_2))
    if not all(found.same for found in outcomes):
        raise SystemExit("messages were lost, or came twice")


if __name__ == "__main__":
    main()
