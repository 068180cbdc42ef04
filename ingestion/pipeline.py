"""The way from files into the graph: read → resolve → write, in batches that carry their ledger entries.

A worker thread reads, resolves and prepares batches while the database writes; between them lies a queue of a few
batches, so memory stays bounded. The ledger says how many records of a document are committed. Readers give the same
records in the same order each time, so a run that was killed skips those and ends with the graph of one that never was.

A document that has changed is loaded over what it said before; at its end, what it does not say any more is taken back.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ingestion.dead_letters import MAX_RECORD, DeadLetter, DeadLetterFile
from ingestion.readers.base import Document, Reader, unreadable
from ingestion.resolve import VocabularyResolver
from kg.changes import Unsaid
from kg.errors import ConflictError, InputError, StoreUnavailableError
from kg.model import Claim, Entity, Record, Source
from kg.store import Batch, GraphStore, LedgerEntry, PreparedBatch

BATCH_SIZE = 10_000
"""Records in one transaction."""

_QUEUED_BATCHES = 2
_MOST_COMPARED = 1_000_000
"""Records of a changed document that are kept in memory to be compared; what a longer one said is retracted first."""
_COLLECT_EVERY = 200_000
"""Objects made between two garbage collections: batches are many small objects without cycles, and Python's own 700
make the collector take a third of the time."""
_SWITCH_S = 0.0005
"""How long the thread that reads may keep the interpreter when the one that writes has got the database's answer."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is; `bytes_total` is what all documents to be read have."""

    document: str
    records: int
    bytes_read: int
    bytes_total: int


@dataclass(slots=True)
class IngestionReport:
    """What a run did.

    Attributes:
        loaded: documents read to their end.
        skipped: documents that were there already, unchanged.
        changed: documents that had changed since they were loaded.
        retracted: entities and facts that they do not say any more, or say otherwise.
        failed_documents: documents that could not be read, or not to their end.
        records: records read, those skipped on a resume left out.
        entities: entities created or changed.
        facts: facts created or changed.
        rejected: records refused.
        version: the graph's version afterwards.
        run: id of this run in the ledger.
    """

    reader: str
    dead_letters: Path
    loaded: int = 0
    skipped: int = 0
    changed: int = 0
    retracted: int = 0
    failed_documents: int = 0
    records: int = 0
    claims: int = 0
    entities: int = 0
    facts: int = 0
    rejected: int = 0
    version: int = 0
    seconds: float = 0.0
    cancelled: bool = False
    run: str = ""

    @property
    def rate(self) -> float:
        """Claims a second."""
        return self.claims / self.seconds if self.seconds else 0.0

    @property
    def failed(self) -> bool:
        """Whether anything was refused or could not be read."""
        return bool(self.rejected or self.failed_documents)


@dataclass(frozen=True, slots=True)
class _Task:
    """A document to be read, but for the records that are committed already.

    Attributes:
        stale: the graph holds what an earlier content of it said.
        known: its entry in the ledger.
    """

    document: Document
    skip: int
    stale: bool = False
    known: LedgerEntry | None = None


@dataclass(slots=True)
class _Chunk:
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

    def add(self, record: Record, document: Document, number: int) -> None:
        """Takes in one record, the document's `number`-th."""
        self.records += 1
        if isinstance(record, Claim):
            self.claims.append(record)
        elif isinstance(record, Entity):
            self.entities.append(record)
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
        return Batch(self.sources, self.entities, self.claims, list(self.ledger.values()), self.follows)


async def ingest(
    store: GraphStore,
    reader: Reader,
    path: Path | None = None,
    *,
    name: str | None = None,
    dead_letters: Path,
    batch_size: int = BATCH_SIZE,
    progress: Callable[[Progress], None] | None = None,
    cancel: asyncio.Event | None = None,
) -> IngestionReport:
    """Loads a file or folder; what is there already is skipped, what has changed is retracted and loaded anew.

    Args:
        store: the graph.
        reader: of the format; see `ingestion.readers.base.get_reader`.
        path: None takes the reader's own data, if it has any.
        name: stands for the root's name in document ids, so that two roots of one name can be told apart.
        dead_letters: JSON-lines file to which refused records are appended.
        batch_size: records in one transaction.
        progress: called after each committed batch.
        cancel: when set, the run ends after the batch at work; what is committed stays, and a later run goes on.

    Raises:
        InputError: nothing to read, or a vocabulary that the records need is not loaded.
        ConflictError: the graph holds another document under the same id, or somebody else changes one meanwhile.
        StoreUnavailableError: the database went away; the same call goes on where it stopped.
    """
    started = time.perf_counter()
    report = IngestionReport(reader.name, dead_letters, run=uuid.uuid4().hex)
    letters = DeadLetterFile(dead_letters)
    letters.load()
    ledger = await store.ledger()
    tasks = await asyncio.to_thread(_plan, reader, path, name, ledger, report, letters)
    for at, task in enumerate(tasks):
        if task.stale and ledger[task.document.id].records > _MOST_COMPARED:
            await store.retract(task.document.id)
            tasks[at] = _Task(task.document, 0)
    resolver = VocabularyResolver(store.ontology, mentions=getattr(reader, "mentions", False))
    await resolver.learn(store, [task.document.id for task in tasks if task.stale])
    total = sum(task.document.size for task in tasks)
    worker = _Worker(reader, resolver, tasks, batch_size, report.run)
    try:
        async for chunk, batch in worker.chunks():
            letters.append(chunk.rejected)
            written = await store.write(batch)
            _count(report, chunk, written.entities, written.facts)
            for entry, unsaid in chunk.finished:
                taken = await store.finish(entry, unsaid)
                report.loaded += 1
                report.retracted += taken.facts + taken.entities
            if progress is not None:
                progress(Progress(chunk.document, report.records, chunk.bytes_read, total))
            if cancel is not None and cancel.is_set():
                report.cancelled = True
                break
    except StoreUnavailableError as error:
        raise StoreUnavailableError(
            f"{error}; {report.records:,} records of this run are committed, the same command goes on from there"
        ) from error
    finally:
        await worker.stop()
    report.version = await store.version()
    report.seconds = time.perf_counter() - started
    return report


def _count(report: IngestionReport, chunk: _Chunk, entities: int, facts: int) -> None:
    report.records += chunk.records
    report.claims += len(chunk.claims)
    report.entities += entities
    report.facts += facts
    report.rejected += len(chunk.rejected) - chunk.failed_documents
    report.failed_documents += chunk.failed_documents
    report.loaded += sum(entry.complete for entry in chunk.ledger.values())


def _plan(
    reader: Reader,
    path: Path | None,
    name: str | None,
    ledger: dict[str, LedgerEntry],
    report: IngestionReport,
    letters: DeadLetterFile,
) -> list[_Task]:
    """What must be read, by content hash; a file that can't be read is a dead letter."""
    tasks = []
    for document in reader.documents(path, name):
        try:
            document.content  # noqa: B018 (hashed here, where a failure concerns this file alone)
        except InputError as error:
            letters.append([_unread(document, "", error)])
            report.failed_documents += 1
            continue
        known = ledger.get(document.id)
        if known is None:
            tasks.append(_Task(document, 0))
        elif _is_same(known, document, reader):
            if known.complete:
                report.skipped += 1
            else:
                tasks.append(_Task(document, known.records, known.stale, known))
        elif known.content != document.content and known.path != document.location:
            raise ConflictError(
                f"{document.id} was loaded from {known.path}, and {document.location} has other content; "
                f"give this one another name (--name), or retract {document.id} first"
            )
        else:
            tasks.append(_Task(document, 0, stale=True, known=known))
            report.changed += 1
    return tasks


def _is_same(known: LedgerEntry, document: Document, reader: Reader) -> bool:
    return known.content == document.content and known.reader == f"{reader.name}@{reader.version}"


def _unread(document: Document, content: str, error: InputError) -> DeadLetter:
    return DeadLetter(document.id, str(document.path), content, 0, error.place, error.reason, "")


_Prepared = tuple[_Chunk, PreparedBatch]


class _Worker:
    """Reads and resolves in a thread of its own, and hands over chunks through a bounded queue."""

    def __init__(
        self, reader: Reader, resolver: VocabularyResolver, tasks: list[_Task], batch_size: int, run: str
    ) -> None:
        self._reader = reader
        self._resolver = resolver
        self._tasks = tasks
        self._batch_size = batch_size
        self._run_id = run
        self._switch_before = sys.getswitchinterval()
        self._collect_before = gc.get_threshold()
        self._stopped = threading.Event()
        self._queue: asyncio.Queue[_Prepared | Exception | None] = asyncio.Queue(_QUEUED_BATCHES)
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="ingestion-reader", daemon=True)

    async def chunks(self) -> AsyncIterator[_Prepared]:
        """Starts the thread; chunks as they come.

        Raises:
            Exception: whatever ended the thread.
        """
        sys.setswitchinterval(_SWITCH_S)
        gc.set_threshold(_COLLECT_EVERY)
        self._thread.start()
        while (item := await self._queue.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    async def stop(self) -> None:
        """Ends the thread, if it runs, and waits for it."""
        sys.setswitchinterval(self._switch_before)
        gc.set_threshold(*self._collect_before)
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
        except Exception as error:  # noqa: BLE001 (raised again where the chunks are awaited)
            self._hand_over(error)

    def _hand_over(self, item: _Prepared | Exception | None) -> bool:
        """Waits for room in the queue; False once stopped."""
        if self._stopped.is_set():
            return False
        asyncio.run_coroutine_threadsafe(self._queue.put(item), self._loop).result()
        return not self._stopped.is_set()

    def _read(self) -> Iterator[_Chunk]:
        chunk = _Chunk()
        bytes_before = 0
        for task in self._tasks:
            document = task.document
            self._resolver.start_document()
            records = self._reader.read(document)
            number = 0
            latest = task.known
            unsaid = Unsaid(document.id) if task.stale else None
            failure: InputError | None = None
            while True:
                try:
                    record = next(records, None)
                except InputError as error:
                    failure = error
                    break
                except OSError as error:
                    failure = unreadable(document.path, error)
                    break
                if record is None:
                    break
                number += 1
                for resolved in self._resolver.resolve_all(record):
                    if unsaid is not None:
                        unsaid.say(resolved)
                    if number > task.skip:
                        chunk.add(resolved, document, number)
                if chunk.records >= self._batch_size:
                    chunk.bytes_read = bytes_before + min(document.bytes_read, document.size)
                    entry = self._entry(task, number, complete=False)
                    chunk.enter(entry, latest)
                    latest = entry
                    yield chunk
                    chunk = _Chunk()
            if failure is not None:
                chunk.rejected.append(_unread(document, document.content, failure))
                chunk.failed_documents += 1
            bytes_before += document.size
            chunk.bytes_read = bytes_before
            committed = max(number, task.skip)
            complete = failure is None
            chunk.enter(self._entry(task, committed, complete=complete and unsaid is None), latest)
            if complete and unsaid is not None:
                chunk.finished.append((self._entry(_Task(document, 0), committed, complete=True), unsaid))
            if len(chunk.ledger) >= self._batch_size:
                yield chunk
                chunk = _Chunk()
        if chunk.ledger:
            yield chunk

    def _entry(self, task: _Task, records: int, *, complete: bool) -> LedgerEntry:
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
