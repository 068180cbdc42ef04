"""Streams over a real NATS server, with consumers and the server killed."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from ingestion.dead_letters import read_letters
from ingestion.stream import Consumer, Window
from ingestion.stream_brokers import Received, open_feed, without_credentials
from kg.errors import InputError, StoreUnavailableError
from kg.store import GraphStore
from tests.support.backends import Backend
from tests.support.nats_server import BINARY, NatsServer

TOPIC = "frigate.events"
STREAM = "frigate_events"
DOCUMENT = f"stream:{TOPIC}"


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    if not BINARY.exists() and os.environ.get("CI") != "true":
        pytest.skip(f"there is no {BINARY}")
    with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.fixture
async def store(embedded_backend: Backend) -> AsyncIterator[GraphStore]:
    embedded_backend.empty()
    store = await embedded_backend.open()
    yield store
    await store.close()


def event(number: int) -> bytes:
    """One detection of a track of ten."""
    after = {
        "id": f"{number // 10}.0-abc",
        "camera": f"cam{number % 4}",
        "frame_time": 1_700_000_000 + number / 100,
        "label": "car" if number % 3 else "person",
        "score": 0.8,
        "top_score": 0.9,
        "box": [10, 20, 110, 220],
    }
    return orjson.dumps({"type": "update", "after": after})


@asynccontextmanager
async def publisher(server: NatsServer) -> AsyncIterator[Any]:
    """Publishes into the stream, which is there."""
    from faststream.nats import NatsBroker

    broker = NatsBroker(server.url, apply_types=False, logger=None, max_reconnect_attempts=-1)
    stream = (await broker.connect()).jetstream()
    await stream.add_stream(name=STREAM, subjects=[TOPIC])
    yield stream
    await broker.stop()


async def publish(stream: Any, bodies: Sequence[bytes]) -> None:
    """Publishes until the server has each; it keeps one of those that it gets twice."""
    for body in bodies:
        headers = {"Nats-Msg-Id": hashlib.sha256(body).hexdigest()}
        while True:
            try:
                await stream.publish(TOPIC, body, timeout=2, headers=headers)
                break
            except Exception:  # noqa: BLE001 (the server is just starting again)
                await asyncio.sleep(0.1)


async def consume(
    server: NatsServer, store: GraphStore, letters: Path, until: int, reader: str = "frigate"
) -> Consumer:
    """Consumes in this process, until so many messages are committed."""
    feed = open_feed(f"{server.url}/{STREAM}", TOPIC, resend_s=1.0)
    consumer = Consumer(store, feed, reader, letters)
    stop = asyncio.Event()
    run = asyncio.create_task(consumer.run(stop))
    async with asyncio.timeout(60):
        while consumer.report.messages < until and not run.done():  # noqa: ASYNC110 (a consumer tells nobody)
            await asyncio.sleep(0.02)
    stop.set()
    await run
    return consumer


@contextmanager
def process(server: NatsServer, url: str, data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`evigraph stream`, as users run it."""
    evigraph = str(Path(sys.executable).with_name("evigraph"))
    command = [evigraph, "--graph", url, "--data", str(data), "stream", f"{server.url}/{STREAM}", TOPIC]
    data.mkdir(exist_ok=True)
    options = ["--reader", "frigate", "--resend-s", "1", "--batch", "100", "--json"]
    with (data / "log").open("ab") as log, (data / "out").open("ab") as out:
        child = subprocess.Popen([*command, *options], stderr=log, stdout=out)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


async def committed(store: GraphStore) -> int:
    entry = (await store.ledger()).get(DOCUMENT)
    return entry.records if entry else 0


async def test_killed_at_random_moments_nothing_is_lost_and_nothing_comes_twice(
    nats: NatsServer, store: GraphStore, embedded_backend: Backend, tmp_path: Path
) -> None:
    dice = random.Random(7)
    bodies = [event(number) for number in range(1500)]
    async with publisher(nats) as stream:
        await publish(stream, bodies)
        await consume(nats, store, tmp_path / "clean.jsonl", len(bodies))
        clean = await store.digest()
        assert await committed(store) == len(bodies)
        embedded_backend.empty()
        await stream.delete_stream(STREAM)

    async with publisher(nats) as stream:
        log = tmp_path / "data" / "log"
        for kill in range(3):
            await publish(stream, bodies[kill * 500 : (kill + 1) * 500])
            with process(nats, embedded_backend.url, tmp_path / "data") as child:
                before = await committed(store)
                await _until(child, log, lambda now, before=before: now > before, store)
                await asyncio.sleep(dice.uniform(0, 0.3))
                child.send_signal(signal.SIGKILL)
            if kill == 1:
                nats.kill()
                nats.start()
        with process(nats, embedded_backend.url, tmp_path / "data") as child:
            await _until(child, log, lambda now: now == len(bodies) and log.read_text().count("consuming") == 4, store)
            child.send_signal(signal.SIGTERM)
            assert child.wait(30) == 0
    told = [orjson.loads(line) for line in (tmp_path / "data" / "out").read_bytes().splitlines()]
    assert [line["messages"] for line in told if line["event"] == "end"] == [told[-1]["messages"]]
    assert told[-1]["batches"] > 0
    assert await store.digest() == clean
    assert await committed(store) == len(bodies)
    assert not list(read_letters(tmp_path / "data" / "dead-letters.jsonl"))


async def _until(child: subprocess.Popen[bytes], log: Path, reached: Callable[[int], bool], store: GraphStore) -> None:
    """Waits until so many messages are committed."""
    async with asyncio.timeout(60):
        while not reached(await committed(store)):
            assert child.poll() is None, log.read_text()  # noqa: ASYNC240 (a few lines)
            await asyncio.sleep(0.02)


async def test_what_was_written_is_skipped_when_it_comes_again(
    nats: NatsServer, store: GraphStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with publisher(nats) as stream:
        await publish(stream, [event(number) for number in range(50)])

        async def lost(self: object, messages: Sequence[Received]) -> None:
            raise ConnectionError("the line is cut")

        with monkeypatch.context() as patch:
            patch.setattr("ingestion.stream_brokers.NatsFeed.acknowledge", lost)
            await consume(nats, store, tmp_path / "letters.jsonl", 50)
        version = await store.version()
        second = await consume(nats, store, tmp_path / "letters.jsonl", 50)
        assert second.report.repeated == second.report.messages == 50
        assert await store.version() == version
        assert await committed(store) == 50


async def test_poison_goes_to_the_dead_letters_and_the_rest_is_written(
    nats: NatsServer, store: GraphStore, tmp_path: Path
) -> None:
    letters = tmp_path / "letters.jsonl"
    poison = [b"\xff\xfe", b"{", b"[]", b'{"after": {"id": "1"}}', event(0).replace(b"0.8", b"NaN")]
    async with publisher(nats) as stream:
        await publish(stream, [event(1), *poison, event(2)])
        consumer = await consume(nats, store, letters, 7)
    assert consumer.report.refused == len(poison)
    found = list(read_letters(letters))
    assert [letter.document for letter in found] == [DOCUMENT] * len(poison)
    assert found[1].record == "{"
    assert found[1].reason.startswith("not JSON")
    detections = [row async for row in store.read("MATCH (d:Detection) RETURN d.id AS id")]
    assert len(detections) == 2


async def test_what_the_graph_refuses_does_not_stop_the_rest(
    nats: NatsServer, store: GraphStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = GraphStore.write

    async def picky(self: GraphStore, batch: Any) -> Any:
        if any("700000000.03" in str(entity.properties.get("at")) + entity.id for entity in batch.batch.entities):
            raise RuntimeError("no such thing here")
        return await write(self, batch)

    monkeypatch.setattr(GraphStore, "write", picky)
    async with publisher(nats) as stream:
        await publish(stream, [event(number) for number in range(8)])
        consumer = await consume(nats, store, tmp_path / "letters.jsonl", 8)
    assert consumer.report.refused == 1
    (letter,) = read_letters(tmp_path / "letters.jsonl")
    assert letter.record.encode() == event(3)
    assert await committed(store) == 7


async def test_while_the_database_is_away_messages_wait(
    nats: NatsServer, store: GraphStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = GraphStore.write, 0

    async def away(self: GraphStore, batch: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls <= 2:
            raise StoreUnavailableError("away")
        return await write(self, batch)

    monkeypatch.setattr(GraphStore, "write", away)
    monkeypatch.setattr("ingestion.stream._PAUSE_S", (0.05,))
    async with publisher(nats) as stream:
        await publish(stream, [event(number) for number in range(20)])
        consumer = await consume(nats, store, tmp_path / "letters.jsonl", 20)
    assert calls >= 3
    assert consumer.report.messages == 20
    assert await committed(store) == 20


async def test_claims_are_a_format_of_messages(nats: NatsServer, store: GraphStore, tmp_path: Path) -> None:
    claim = {"subject": "detection:1", "relation": "DETECTED_IN", "object": "camera:1", "source": "yolo:1"}
    first = {"sources": [{"id": "yolo:1", "kind": "model"}], "claims": [claim]}
    wrong = {"claims": [claim | {"confidence": 3}, claim | {"object": "camera:2"}]}
    async with publisher(nats) as stream:
        await publish(stream, [orjson.dumps(first), orjson.dumps(wrong), orjson.dumps(claim | {"object": "camera:3"})])
        consumer = await consume(nats, store, tmp_path / "letters.jsonl", 3, "claims")
    assert consumer.report.claims == 3
    (letter,) = read_letters(tmp_path / "letters.jsonl")
    assert letter.place == "claims[0]"
    assert letter.reason.startswith("confidence: ")


def test_a_window_keeps_the_latest() -> None:
    ids = [number.to_bytes(8, "big") for number in range(6)]
    window = Window(4)
    window.load(window.with_(ids[:3]))
    window.load(window.with_(ids[3:]))
    assert [id_ in window for id_ in ids] == [False, False, True, True, True, True]
    window.load("")
    assert ids[5] not in window


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://user:pa/ss@host", "amqp://host"),
        ("nats://host:4222/S?password=p&tls=1", "nats://host:4222/S?password=…&tls=1"),
        ("redis://host/0?Token=t", "redis://host/0?Token=…"),
    ],
)
def test_secrets_are_not_shown(url: str, shown: str) -> None:
    assert without_credentials(url) == shown


@pytest.mark.parametrize(
    ("url", "kind", "shown"),
    [
        ("nats://u:p@127.0.0.1:4222/S", "NatsBroker", "nats://127.0.0.1:4222/S"),
        ("kafka://u:p@one:9092,two:9092", "KafkaBroker", "kafka://one:9092,two:9092"),
        ("kafkas://one:9093", "KafkaBroker", "kafkas://one:9093"),
        ("amqp://u:p@host:5672/", "RabbitBroker", "amqp://host:5672/"),
        ("redis://:p@host:6379/0", "RedisBroker", "redis://host:6379/0"),
        ("mqtt://u:p@host:1883", "MQTTBroker", "mqtt://host:1883"),
        ("mqtts://host:8883", "MQTTBroker", "mqtts://host:8883"),
    ],
)
def test_a_url_says_which_broker(url: str, kind: str, shown: str) -> None:
    feed = open_feed(url, "topic")
    assert type(feed.broker).__name__ == kind
    assert feed.url == shown
    assert feed.subscribers


@pytest.mark.parametrize("url", ["", "http://host", "nats", "nats:", "zeromq://host"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(InputError, match="not the URL of a broker"):
        open_feed(url, "topic")


def _message(body: bytes, **raw: Any) -> Any:
    made = type("Message", (), {"body": body, "raw_message": raw.pop("mapping", None) or type("Raw", (), raw)()})
    return made()


def test_ids_tell_messages_apart_by_place_and_content() -> None:
    kafka = open_feed("kafka://host:9092", "topic").received
    base = {"partition": 0, "offset": 7, "timestamp": 1_700_000_000_500, "topic": "topic"}
    first = kafka(_message(b"a", **base))
    assert first.sent == 1_700_000_000.5
    assert first.id == kafka(_message(b"a", **base)).id
    others = [kafka(_message(b"a", **(base | {name: 1}))).id for name in list(base)[:3]] + [
        kafka(_message(b"b", **base)).id
    ]
    assert len({first.id, *others}) == 5


def test_each_broker_tells_a_messages_own_topic() -> None:
    mqtt = open_feed("mqtt://host:1883", "cameras/#").received
    gate, door = (mqtt(_message(b"same", topic=f"cameras/{name}")) for name in ("gate", "door"))
    assert (gate.topic, door.topic) == ("cameras/gate", "cameras/door")
    assert gate.id != door.id

    sequence = type("Sequence", (), {"stream": "S"})
    metadata = type("Metadata", (), {"timestamp": datetime.fromtimestamp(1, UTC), "sequence": sequence})
    nats = open_feed("nats://host:4222", "cameras.>").received
    assert nats(_message(b"", metadata=metadata, subject="cameras.gate")).topic == "cameras.gate"

    rabbit = open_feed("amqp://host:5672/", "queue").received
    assert rabbit(_message(b"", timestamp=None, routing_key="cameras.gate")).topic == "cameras.gate"
    assert rabbit(_message(b"", timestamp=None, routing_key="")).topic == "queue"


def test_redis_entries_are_bodies() -> None:
    redis = open_feed("redis://host:6379", "topic").received

    def entry(data: dict[bytes, bytes]) -> Received:
        return redis(_message(b"as published", mapping={"message_ids": [b"1700000000500-0"], "data": data}))

    assert entry({b"json": b"{}"}).body == b"{}"
    assert entry({b"a": b"1", b"b": b"2"}).body == b'{"a":"1","b":"2"}'
    assert entry({b"__data__": b"..."}).body == b"as published"
    assert entry({b"json": b"{}"}).sent == 1_700_000_000.5


async def test_kafka_offsets_are_committed_behind_what_is_written_and_no_further() -> None:
    feed = open_feed("kafka://host:9092", "topic")
    committed: list[dict[Any, int]] = []

    class Client:
        async def commit(self, offsets: dict[Any, int]) -> None:
            committed.append(offsets)

    def message(partition: int, offset: int) -> Received:
        made = _message(b"", topic="topic", partition=partition, offset=offset, timestamp=0)
        made.consumer = Client()
        return feed.received(made)

    await feed.acknowledge([message(0, 5), message(1, 9), message(0, 6)])
    (offsets,) = committed
    assert {(key.topic, key.partition): offset for key, offset in offsets.items()} == {
        ("topic", 0): 7,
        ("topic", 1): 10,
    }
