"""The thread that reads documents, resolves their records and prepares batches, while another writes them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from ingestion.dead_letters import MAX_RECORD, DeadLetter
from ingestion.readers.base import Document, Reader, unreadable
from ingestion.resolve import VocabularyResolver
from kg.changes import Unsaid
from kg.errors import InputError, words_of
from kg.model import Claim, Entity, Record, Source
from kg.store import Batch, LedgerEntry, PreparedBatch

log = structlog.get_logger("ingestion")

_QUEUED_BATCHES = 2
MAX_TEXT = 2_500_000
"""Characters of entities' texts in one transaction. The embedded server drops a message of more than 16 MB, and a text
is in it twice, each character in up to three bytes."""


@dataclass(frozen=True, slots=True)
class Task:
    """A document to be read, but for the records that are committed already.

    Attributes:
        stale: the graph holds what an earlier content of it said.
        known: its entry in the ledger.
        only: numbers of the records that are wanted, of a document that is loaded already; empty for all.
    """

    document: Document
    skip: int
    stale: bool = False
    known: LedgerEntry | None = None
    only: frozenset[int] = frozenset()


@dataclass(slots=True)
class Chunk:
    """What the worker hands over for one transaction."""

    sources: list[Source] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    rejected: list[DeadLetter] = field(default_factory=list)
    ledger: dict[str, LedgerEntry] = field(default_factory=dict)
    follows: dict[str, LedgerEntry | None] = field(default_factory=dict)
    finished: list[tuple[LedgerEntry, Unsaid]] = field(default_factory=list)
    records: int = 0
    failed_documents: int = 0
    document: str = ""
    bytes_read: int = 0
    text: int = 0

    def add(self, record: Record, document: Document, number: int) -> None:
        """Takes in one record, the document's `number`-th."""
        self.records += 1
        if isinstance(record, Claim):
            self.claims.append(record)
        elif isinstance(record, Entity):
            self.entities.append(record)
            self.text += sum(len(value) for value in record.properties.values() if isinstance(value, str))
        elif isinstance(record, Source):
            self.sources.append(record)
        else:
            place, text = record.place, record.record[:MAX_RECORD]
            self.rejected.append(
                DeadLetter(document.id, str(document.path), document.content, number, place, record.reason, text)
            )

    def enter(self, entry: LedgerEntry, before: LedgerEntry | None) -> None:
        """Notes how far a document is with this chunk, and how far it was before."""
        self.document = entry.document
        self.ledger[entry.document] = entry
        self.follows.setdefault(entry.document, before)

    @property
    def batch(self) -> Batch:
        """Its records as the store takes them."""
        return Batch(self.sources, self.entities, self.claims, list(self.ledger.values()), self.follows)


def unread(document: Document, content: str, error: InputError) -> DeadLetter:
    """The letter for a document that could not be read, or not to its end."""
    return DeadLetter(document.id, document.shown, content, 0, error.place, error.reason, "")


Prepared = tuple[Chunk, PreparedBatch]


class Worker:
    """Reads and resolves in a thread of its own, and hands over chunks through a bounded queue."""

    def __init__(
        self, reader: Reader, resolver: VocabularyResolver, tasks: list[Task], batch_size: int, run: str
    ) -> None:
        self._reader = reader
        self._resolver = resolver
        self._tasks = tasks
        self._batch_size = batch_size
        self._run_id = run
        self._stopped = threading.Event()
        self._queue: asyncio.Queue[Prepared | BaseException | None] = asyncio.Queue(_QUEUED_BATCHES)
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="ingestion-reader", daemon=True)

    async def chunks(self) -> AsyncIterator[Prepared]:
        """Starts the thread; chunks as they come.

        Raises:
            BaseException: whatever ended the thread.
        """
        self._thread.start()
        while (item := await self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    async def stop(self) -> None:
        """Ends the thread, if it runs, and waits for it."""
        self._stopped.set()
        while self._thread.is_alive():
            while not self._queue.empty():
                self._queue.get_nowait()
            await asyncio.sleep(0.01)

    def _run(self) -> None:
        try:
            for chunk in self._read():
                prepared = PreparedBatch.of(chunk.batch, self._resolver.ontology, checked=True)  # by the resolver
                if not self._hand_over((chunk, prepared)):
                    return
            self._hand_over(None)
        except BaseException as error:  # noqa: BLE001 (raised again where the chunks are awaited)
            self._hand_over(error)

    def _hand_over(self, item: Prepared | BaseException | None) -> bool:
        """Waits for room in the queue; False once stopped."""
        if self._stopped.is_set():
            return False
        asyncio.run_coroutine_threadsafe(self._queue.put(item), self._loop).result()
        return not self._stopped.is_set()

    def _read(self) -> Iterator[Chunk]:
        chunk = Chunk()
        bytes_before = 0
        for task in self._tasks:
            document = task.document
            self._resolver.start_document()
            records: Iterator[Record] | None = None
            number = 0
            latest = task.known
            unsaid = Unsaid(document.id) if task.stale else None
            failure: InputError | None = None
            while True:
                try:
                    records = self._reader.read(document) if records is None else records
                    record = next(records, None)
                except InputError as error:
                    failure = error
                    break
                except OSError as error:
                    failure = unreadable(document.path, error)
                    break
                except BaseException as error:  # one must not stop all after it; a panic in Rust is no Exception
                    log.exception("a document can't be read on", document=document.id, record=number + 1)
                    failure = InputError(f"the reader failed: {words_of(error)}", f"record {number + 1}")
                    break
                if record is None:
                    break
                number += 1
                for resolved in self._resolver.resolve_all(record):
                    if unsaid is not None:
                        unsaid.say(resolved)
                    if number > task.skip and (not task.only or number in task.only):
                        chunk.add(resolved, document, number)
                if (chunk.records >= self._batch_size or chunk.text >= MAX_TEXT) and not task.only:
                    chunk.bytes_read = bytes_before + min(document.bytes_read, document.size)
                    entry = self._entry(task, number, complete=False)
                    chunk.enter(entry, latest)
                    latest = entry
                    yield chunk
                    chunk = Chunk()
            if failure is not None:
                chunk.rejected.append(unread(document, document.content, failure))
                chunk.failed_documents += 1
            if task.only:
                yield chunk
                chunk = Chunk()
                continue
            bytes_before += document.size
            chunk.bytes_read = bytes_before
            committed = max(number, task.skip)
            complete = failure is None
            chunk.enter(self._entry(task, committed, complete=complete and unsaid is None), latest)
            if complete and unsaid is not None:
                chunk.finished.append((self._entry(Task(document, 0), committed, complete=True), unsaid))
            if len(chunk.ledger) >= self._batch_size:
                yield chunk
                chunk = Chunk()
        if chunk.ledger:
            yield chunk

    def _entry(self, task: Task, records: int, *, complete: bool) -> LedgerEntry:
        document = task.document
        return LedgerEntry(
            document=document.id,
            path=document.location,
            content=document.content,
            reader=f"{self._reader.name}@{self._reader.version}",
            records=records,
            complete=complete,
            stale=task.stale,
            run=self._run_id,
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
