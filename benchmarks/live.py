"""Whether forecasts keep up with sensors: from the sending of a message to the event whose forecast takes it in.

The first four fifths of a series are in an embedded store, and a server has a forecaster of its sensors. Then sensors
send what they measured next, one observation a message, at a steady rate, a minute of theirs in a second: to a NATS
server, from which `evigraph stream` reads, or by POST /v1/claims. A listener to GET /v1/traffic/live notes when the
forecast that a message is in arrives.

    python -m benchmarks.live [--seconds 60] [--rate 200] [--by nats post] [--forecaster DIR] [--json FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
from rich.console import Console
from rich.table import Table

from api.service import Service
from api.settings import load_settings
from benchmarks.forecast import SERIES
from encoders.forecast.forecast_graph import iso
from encoders.forecast.series import SensorSeries, series_of_records
from encoders.forecast.training import ForecastSettings, train_forecaster
from ingestion.readers.base import get_reader
from tests.api.server import Server, serving
from tests.support.nats_server import NatsServer

_TOPIC, _STREAM = "sensors.speed", "sensors_speed"
_FASTER = 60
"""Seconds of the sensors in a second."""
_SETTLE_S = 10.0
_PATIENCE_S = 60.0
_AT_ONCE = 8
"""Connections that post."""


@dataclass(slots=True)
class Outcome:
    """One way in; seconds from the sending of a message to the event that has it.

    Attributes:
        rate: messages a second, as sent.
        seen: messages that were in an event.
        ticks: events.
        every_s: median of the times between events.
        event_kb: mean size of an event.
    """

    by: str
    messages: int
    rate: float
    seen: int
    latency_p50_s: float
    latency_p99_s: float
    latency_max_s: float
    ticks: int
    every_s: float
    event_kb: float
    alerts: int


def message(number: int, series: SensorSeries, elapsed_s: float) -> bytes:
    """What the sensor whose turn it is measures, so many seconds after the beginning of the series."""
    at = number % len(series.sensors)
    step = min(int(elapsed_s * _FASTER // series.step_s), len(series) - 1)
    sensor, source = series.sensors[at], f"sensor:{series.sensors[at].partition(':')[2]}"
    id_ = f"observation:live/{number}"
    when = iso(series.start + int(elapsed_s * _FASTER))
    observed = {"at": when, series.measure: round(float(series.values[step, at]), 3)}
    return orjson.dumps(
        {
            "id": f"live-{number}",
            "sources": [{"id": source, "kind": "sensor"}],
            "entities": [{"id": id_, "classes": ["TrafficObservation"], "source": source, "properties": observed}],
            "claims": [{"subject": id_, "relation": "OBSERVES", "object": sensor, "source": source}],
        }
    )


async def _send(by: str, series: SensorSeries, messages: int, rate: float, server: Server, broker: str) -> list[float]:
    """Sends all; times of sending."""
    sent = [0.0] * messages
    waiting: asyncio.Queue[int] = asyncio.Queue()
    begun = time.time()

    async with _sender(by, server, broker) as send:

        async def work() -> None:
            while (number := await waiting.get()) >= 0:
                sent[number] = time.time()
                await send(message(number, series, sent[number] - begun), number)

        workers = [asyncio.create_task(work()) for _ in range(_AT_ONCE)]
        for number in range(messages):
            await asyncio.sleep(max(0.0, number / rate - (time.time() - begun)))
            waiting.put_nowait(number)
        for _ in workers:
            waiting.put_nowait(-1)
        await asyncio.gather(*workers)
    return sent


@asynccontextmanager
async def _sender(by: str, server: Server, broker: str) -> AsyncIterator[Any]:
    if by == "post":
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:

            async def post(body: bytes, _: int) -> None:
                answered = await client.post("/v1/claims", content=body, headers={"Content-Type": "application/json"})
                answered.raise_for_status()

            yield post
        return
    from faststream.nats import NatsBroker

    made = NatsBroker(broker, apply_types=False, logger=None)
    stream = (await made.connect()).jetstream()

    async def publish(body: bytes, number: int) -> None:
        await stream.publish(_TOPIC, body, headers={"Nats-Msg-Id": str(number)}, timeout=10)

    yield publish
    await made.stop()


async def _listen(
    server: Server, seen: dict[int, float], ticks: list[tuple[float, int, int]], begun: asyncio.Event
) -> None:
    """Notes when messages are in an event, and of events (time, bytes, alerts)."""
    async with (
        httpx.AsyncClient(base_url=server.url, timeout=_PATIENCE_S) as client,
        client.stream("GET", "/v1/traffic/live") as response,
    ):
        if response.is_error:
            raise SystemExit((await response.aread()).decode())
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                now = time.time()
                told = orjson.loads(line[6:])
                begun.set()
                ticks.append((now, len(line), len(told.get("alerts", ()))))
                for one in told.get("measurements", ()):
                    seen.setdefault(int(one["id"].rpartition("/")[2]), now)


async def _make_stream(url: str) -> None:
    from faststream.nats import NatsBroker

    broker = NatsBroker(url, apply_types=False, logger=None)
    await (await broker.connect()).jetstream().add_stream(name=_STREAM, subjects=[_TOPIC])
    await broker.stop()


def measure(by: str, folder: Path, series: SensorSeries, forecaster: Path, messages: int, rate: float) -> Outcome:
    """One way in, in an empty store with the first part of the series."""
    graph = f"embedded:{folder / 'graph'}"
    cut = round(0.8 * len(series))
    first, later = series.part(0, cut), series.part(cut, len(series))
    np.savez(
        folder / "loops.npz", speed=first.values, adj=first.near, sensor_ids=list(first.sensors),
        start=iso(first.start), step_s=first.step_s,
    )  # fmt: skip
    asyncio.run(_load(graph, folder))
    seen: dict[int, float] = {}
    ticks: list[tuple[float, int, int]] = []
    called = tuple(f"detector:loops/{name}" for name in later.sensors)
    later = SensorSeries(later.measure, called, later.start, later.step_s, later.values, later.near)

    async def run(server: Server, broker: str) -> list[float]:
        begun = asyncio.Event()
        listening = asyncio.create_task(_listen(server, seen, ticks, begun))
        first = asyncio.create_task(begun.wait())
        await asyncio.wait([listening, first], return_when=asyncio.FIRST_COMPLETED)
        sent = await _send(by, later, messages, rate, server, broker)
        await asyncio.wait([listening], timeout=_SETTLE_S)
        if not listening.cancel():
            await listening  # raises what ended it
        return sent

    settings = {"EVIGRAPH_FORECASTER": str(forecaster)}
    with serving(graph, folder / "served", settings) as server, NatsServer(folder / "nats") as nats:
        consumer: subprocess.Popen[bytes] | None = None
        if by == "nats":
            asyncio.run(_make_stream(nats.url))
            command = [
                str(Path(sys.executable).with_name("evigraph")),
                "--graph",
                graph,
                "--data",
                str(folder / "data"),
            ]
            with (folder / "consumer.log").open("wb") as log:
                consumer = subprocess.Popen(
                    [*command, "stream", f"{nats.url}/{_STREAM}", _TOPIC], stderr=log, env=os.environ
                )
            time.sleep(8)
        try:
            sent = asyncio.run(run(server, nats.url))
        finally:
            if consumer is not None:
                consumer.kill()
                consumer.wait()
    lags = sorted(seen[number] - sent[number] for number in seen)
    if not lags:
        raise SystemExit(f"no message was seen:\n{server.log.read_text()[-3000:]}")
    gaps = [later - former for (former, *_), (later, *_) in pairwise(ticks)]
    return Outcome(
        by,
        messages,
        messages / (max(sent) - min(sent)),
        len(seen),
        lags[len(lags) // 2],
        lags[int(len(lags) * 0.99)],
        lags[-1],
        len(ticks),
        statistics.median(gaps) if gaps else 0.0,
        statistics.mean(size for _, size, _ in ticks) / 1000,
        sum(many for *_, many in ticks),
    )


async def _load(graph: str, folder: Path) -> None:
    async with Service(load_settings(graph=graph, data=folder / "data")) as service:
        await service.ingest("series", folder / "loops.npz")


def main() -> None:
    """Prints a table and, if asked, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=Path, default=SERIES)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=200, help="messages a second")
    parser.add_argument("--by", nargs="+", choices=["nats", "post"], default=["nats", "post"])
    parser.add_argument("--forecaster", type=Path, help="of the series; default: one that is quickly trained")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    if not options.series.exists():
        print(f"skipped: no series at {options.series}; name one with --series")
        return
    reader = get_reader("series")
    documents = reader.documents(options.series)
    series = series_of_records(record for document in documents for record in reader.read(document))
    outcomes = []
    with tempfile.TemporaryDirectory() as name:
        forecaster = options.forecaster
        if forecaster is None:  # as fast as a good one
            forecaster = Path(name) / "forecaster"
            quick = ForecastSettings(epochs=2, refit=False)
            train_forecaster(series.part(0, round(0.8 * len(series))), quick).save(forecaster)
        for by in options.by:
            folder = Path(name) / by
            folder.mkdir()
            messages = int(options.seconds * options.rate)
            outcomes.append(measure(by, folder, series, forecaster, messages, options.rate))
    table = Table("by", "messages", "rate/s", "seen", "p50 s", "p99 s", "max s", "events", "every s", "kB", "alerts")
    for found in outcomes:
        lags = (f"{value:.2f}" for value in (found.latency_p50_s, found.latency_p99_s, found.latency_max_s))
        events = str(found.ticks), f"{found.every_s:.2f}", f"{found.event_kb:.0f}", str(found.alerts)
        table.add_row(found.by, str(found.messages), f"{found.rate:.0f}", str(found.seen), *lags, *events)
    Console(width=140).print(table)
    if options.json:
        options.json.write_text(json.dumps([asdict(found) for found in outcomes], indent=1) + "\n")


if __name__ == "__main__":
    main()
