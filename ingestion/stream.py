"""From a broker into the graph: at least once in, exactly once in effect.

Messages are written by the batch, each batch with its entry in the ledger in one transaction, and only then
acknowledged: what was not, the broker sends again. The entry keeps the ids of the latest messages, as many as may be
with us unacknowledged, so that a message which is sent again although it was written is skipped. An older one would be
written again, and change nothing, since the same claims twice leave the same graph.

Memory is bounded: a full buffer takes no more messages until a batch is committed. While the database is away,
messages stay with the broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import structlog

from ingestion.dead_letters import DeadLetter, DeadLetterFile, letters_of_message
from ingestion.push import STREAM, Sorted, Sorter, ledger_entry
from ingestion.readers.base import READERS, get_reader
from ingestion.readers.detection import Said
from ingestion.stream_brokers import ID_BYTES, Feed, Received
from ingestion.stream_messages import message_function, records_of, version_of
from ingestion.throughput import in_bulk
from kg.errors import ConflictError, InputError, StoreUnavailableError, words_of
from kg.model import Record, Rejected
from kg.store import Batch, GraphStore, LedgerEntry, PreparedBatch

T = TypeVar("T")

log = structlog.get_logger("stream")

BATCH = 1000
"""Messages in one transaction, at most."""
LINGER_S = 0.1
"""How long a batch waits for more."""

_REMEMBERED = 100_000
"""Entities that are known to be in the graph, at most: a stream has no end, and most of what it tells of is new."""
_PAUSE_S = (1.0, 2.0, 5.0, 10.0)
"""Waits for a database that went away, the last one again and again."""
_REPORT_S = 10.0


class Window:
    """The latest messages that are written, by id, oldest first; older ones are forgotten."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._ids: dict[bytes, None] = {}

    def __contains__(self, id_: bytes) -> bool:
        return id_ in self._ids

    def load(self, text: str) -> None:
        """Takes over what an entry of the ledger has."""
        joined = b64decode(text)
        self._ids = {joined[at : at + ID_BYTES]: None for at in range(0, len(joined), ID_BYTES)}

    def with_(self, ids: Sequence[bytes]) -> str:
        """For the ledger: these, too."""
        latest = list({**self._ids, **dict.fromkeys(ids)})[-self._size :]
        return b64encode(b"".join(latest)).decode()


@dataclass(slots=True)
class StreamReport:
    """What a consumer did.

    Attributes:
        messages: committed, those that were written before included.
        repeated: sent again although they were written.
        refused: records that went to the dead letters.
        lags: seconds from the sending to the commit, since the last line of the log.
    """

    messages: int = 0
    repeated: int = 0
    claims: int = 0
    refused: int = 0
    batches: int = 0
    lags: list[float] = field(default_factory=list)

    def view(self) -> dict[str, int]:
        """Its counts."""
        return {name: getattr(self, name) for name in ("messages", "repeated", "claims", "refused", "batches")}


@dataclass(frozen=True, slots=True)
class _Ready:
    """A batch that only has to be written: its messages that were not written before."""

    messages: list[Received]
    prepared: PreparedBatch
    letters: list[DeadLetter]


class Consumer:
    """Takes messages of one topic; `run` it once.

    Args:
        store: the graph.
        feed: the subscription.
        reader: `claims`, or a reader's name.
        dead_letters: JSON-lines file to which refused records are appended.
        batch: messages in one transaction.
        buffer: messages that wait.
        told: gets what the log gets now and then: counts, rate, lags.

    Raises:
        InputError: there is no such reader.
    """

    def __init__(
        self,
        store: GraphStore,
        feed: Feed,
        reader: str,
        dead_letters: Path,
        *,
        batch: int = BATCH,
        buffer: int = 4000,
        told: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> None:
        self.report = StreamReport()
        self._store = store
        self._feed = feed
        self._read = message_function(reader)
        self._reader = version_of(reader)
        self._document = f"{STREAM}{quote(feed.topic, safe=':/@+~#*>$')}"
        self._batch = batch
        self._told = told
        self._buffer: asyncio.Queue[Received] = asyncio.Queue(buffer)
        self._held: dict[bytes, Received] = {}
        self._window = Window(buffer + batch)
        self._sorter = Sorter(store, mentions=reader in READERS and getattr(get_reader(reader), "mentions", False))
        self._letters = DeadLetterFile(dead_letters)
        self._known: LedgerEntry | None = None
        self._run = uuid.uuid4().hex
        self._stop = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> StreamReport:
        """Consumes until it is told to stop; then the batch at work is ended.

        Raises:
            InputError: the broker can't be reached; the dead letters can't be written.
        """
        self._stop = stop
        self._store.remember(_REMEMBERED)
        self._letters.load()
        with in_bulk():
            await self._consume()
        return self.report

    async def _consume(self) -> None:
        await self._patiently(self._load)
        await self._feed.start(self._take)
        reporter = asyncio.create_task(self._tell())
        log.info("consuming", url=self._feed.url, topic=self._feed.topic, document=self._document)
        writing: asyncio.Task[None] | None = None
        try:
            while messages := await self._collect():
                ready = await self._patiently(lambda taken=messages: self._prepare(taken))  # type: ignore[misc]
                if writing is not None:  # the batch before, which the database has written meanwhile
                    await writing
                writing = asyncio.create_task(self._write(messages, ready))
            if writing is not None:
                await writing
        except StoreUnavailableError as error:  # while we were told to stop
            log.warning("stopped without the database", reason=str(error), unacknowledged=len(self._held))
        finally:
            reporter.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reporter
            await self._feed.stop()

    # ---- messages -------------------------------------------------------------------------------------------------

    async def _take(self, message: Received) -> None:
        """Puts a message into the buffer, or waits for room."""
        if message.id in self._window:  # else copies would fill the buffer where the database is slow
            self.report.repeated += 1
            self.report.messages += 1
            await self._feed.acknowledge_again(message)
            return
        known = message.id in self._held
        self._held[message.id] = message  # of two deliveries the later one is acknowledged
        if not known:
            await self._buffer.put(message)

    async def _collect(self) -> list[Received]:
        """The next batch; empty when it is time to stop."""
        first = await self._unless_stopped(self._buffer.get())
        if first is None:
            return []
        if self._buffer.qsize() < self._batch - 1:
            await self._unless_stopped(asyncio.sleep(LINGER_S))
        found = [first]
        while len(found) < self._batch and not self._buffer.empty():
            found.append(self._buffer.get_nowait())
        return found

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What comes of the work; None if it is time to stop before."""
        task, stopped = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() and not self._stop.is_set() else None
        finally:
            task.cancel()
            stopped.cancel()

    async def _acknowledge(self, messages: Sequence[Received]) -> None:
        latest = [self._held.pop(message.id, message) for message in messages]
        try:
            await self._feed.acknowledge(latest)
        except Exception as error:  # noqa: BLE001 (of any client; what is not acknowledged is sent again, and skipped)
            log.warning("not acknowledged", reason=words_of(error), messages=len(messages))

    # ---- writing --------------------------------------------------------------------------------------------------

    async def _load(self) -> None:
        """Reads which messages are written."""
        self._known = await ledger_entry(self._store, self._document)
        self._window.load(self._known.content if self._known else "")

    async def _write(self, messages: Sequence[Received], ready: _Ready) -> None:
        """Commits messages, whatever it takes, and acknowledges them.

        Raises:
            StoreUnavailableError: it is time to stop, and the database is away.
        """
        fresh = ready.messages
        try:
            if fresh:
                await self._patiently(lambda: self._commit(ready))
        except ConflictError:  # another consumer of this topic, or a retraction
            await self._patiently(self._load)
            await self._again(messages)
            return
        except (StoreUnavailableError, InputError):
            raise
        except Exception as error:  # noqa: BLE001 (of any driver; what it refuses must not stop what comes after it)
            if len(fresh) > 1:
                log.warning("a batch is refused, its halves are tried", reason=str(error), messages=len(fresh))
                await self._again(messages[: len(messages) // 2])
                await self._again(messages[len(messages) // 2 :])
                return
            refused = Rejected(f"the graph refuses it: {error}", "")
            self._letters.append(self._letters_of(fresh[0], [refused], len(ready.letters) + 1))
            self.report.refused += 1
        await self._acknowledge(messages)
        now = time.time()
        self.report.messages += len(messages)
        self.report.repeated += len(messages) - len(fresh)
        self.report.lags += [now - message.sent for message in messages if message.sent is not None]

    async def _again(self, messages: Sequence[Received]) -> None:
        await self._write(messages, await self._patiently(lambda: self._prepare(messages)))

    async def _prepare(self, messages: Sequence[Received]) -> _Ready:
        """All of the work that needs no transaction."""
        fresh = [message for message in messages if message.id not in self._window]
        parts = await self._sorter.sort(await asyncio.to_thread(self._records, fresh))
        letters = [
            letter
            for message, part in zip(fresh, parts, strict=True)
            for letter in self._letters_of(message, part.rejected)
        ]
        whole = Sorted()
        for part in parts:
            whole.extend(part)
        batch = Batch(whole.sources, whole.entities, whole.claims)
        prepared = await asyncio.to_thread(PreparedBatch.of, batch, self._store.ontology, checked=True)
        return _Ready(fresh, prepared, letters)

    async def _commit(self, ready: _Ready) -> None:
        self._letters.append(ready.letters)
        known = self._known
        entry = LedgerEntry(
            document=self._document,
            path=self._feed.url,
            content=self._window.with_([message.id for message in ready.messages]),
            reader=self._reader,
            records=(known.records if known else 0) + len(ready.messages),
            complete=True,
            run=self._run,
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        batch = replace(ready.prepared.batch, ledger=[entry], follows={self._document: known})
        await self._store.write(replace(ready.prepared, batch=batch))
        self._known = entry
        self._window.load(entry.content)
        self.report.batches += 1
        self.report.claims += len(batch.claims)
        self.report.refused += len(ready.letters)

    def _records(self, messages: Sequence[Received]) -> list[list[Record]]:
        """The records of each message; what describes things that many messages name comes once in a batch."""
        said = Said()
        return [
            records_of(self._read, message.id.hex(), message.body, message.topic, self._document, said)
            for message in messages
        ]

    def _letters_of(self, message: Received, refused: Sequence[Rejected], first: int = 1) -> list[DeadLetter]:
        id_ = message.id.hex()
        return letters_of_message(self._document, self._feed.url, id_, message.topic, message.body, refused, first)

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Does the work; where the database is away, after it has come back.

        Raises:
            StoreUnavailableError: it is time to stop, and the database is away.
        """
        pauses = iter(_PAUSE_S)
        pause = 0.0
        while True:
            try:
                return await work()
            except StoreUnavailableError as error:
                pause = next(pauses, pause)
                log.warning("waiting for the database", reason=str(error), seconds=pause, waiting=len(self._held))
                await self._unless_stopped(asyncio.sleep(pause))
                if self._stop.is_set():
                    raise

    async def _tell(self) -> None:
        """A line in the log now and then."""
        before, at = 0, time.monotonic()
        while True:
            await asyncio.sleep(_REPORT_S)
            report, now = self.report, time.monotonic()
            lags, report.lags = sorted(report.lags), []
            told = report.view() | {
                "rate": round((report.messages - before) / (now - at), 1),
                "lag_p50_s": round(lags[len(lags) // 2], 3) if lags else None,
                "lag_p99_s": round(lags[int(len(lags) * 0.99)], 3) if lags else None,
                "lag_max_s": round(lags[-1], 3) if lags else None,
                "buffer": self._buffer.qsize(),
                "held": len(self._held),
            }
            log.info("stream", **told)
            self._told(told)
            before, at = report.messages, now
