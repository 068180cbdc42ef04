"""The way from files into the graph: read → resolve → write, in batches that carry their ledger entries.

A worker thread reads, resolves and prepares batches while the database writes; between them lies a queue of a few
batches, so memory stays bounded. The ledger says how many records of a document are committed. Readers give the same
records in the same order each time, so a run that was killed skips those and ends with the graph of one that never was.

A document that has changed is loaded over what it said before; at its end, what it does not say any more is taken back.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from ingestion.dead_letters import DeadLetterFile
from ingestion.readers.base import Document, Reader
from ingestion.resolve import VocabularyResolver
from ingestion.throughput import in_bulk
from ingestion.worker import Chunk, Task, Worker, unread
from kg.errors import ConflictError, InputError, StoreUnavailableError
from kg.store import GraphStore, LedgerEntry, PreparedBatch

T = TypeVar("T")

log = structlog.get_logger("ingestion")

BATCH_SIZE = 10_000
"""Records in one transaction."""

_MOST_COMPARED = 1_000_000
"""Records of a changed document that are kept in memory to be compared; what a longer one said is retracted first."""
_PAUSE_S = (2.0, 5.0, 10.0, 20.0, 30.0)
"""Waits between looks at a database that went away, the last one again and again."""
_PATIENCE_S = 300.0
"""After so long without the database a run stops; what it committed stays."""


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
    dry_run: bool = False,
    patience_s: float = _PATIENCE_S,
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
        dry_run: nothing is written, neither claims nor dead letters; the report says what would be.
        patience_s: how long to wait for a database that went away, before the run stops.

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
        if task.stale and ledger[task.document.id].records > _MOST_COMPARED and not dry_run:
            await store.retract(task.document.id)
            tasks[at] = Task(task.document, 0)
    resolver = VocabularyResolver(store.ontology, mentions=getattr(reader, "mentions", False))
    await resolver.learn(store, [task.document.id for task in tasks if task.stale])
    total = sum(task.document.size for task in tasks)
    write = _rehearse(store, report) if dry_run else _write(store, report, patience_s)
    worker = Worker(reader, resolver, tasks, batch_size, report.run)
    try:
        with in_bulk():
            async for chunk, batch in worker.chunks():
                letters.append(chunk.rejected)
                await write(chunk, batch)
                _count(report, chunk)
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


_Write = Callable[[Chunk, PreparedBatch], Awaitable[None]]


def _write(store: GraphStore, report: IngestionReport, patience_s: float) -> _Write:
    """Writes chunks, and waits for a database that went away."""

    async def write(chunk: Chunk, batch: PreparedBatch) -> None:
        written = await _patiently(partial(store.write, batch), patience_s)
        report.entities += written.entities
        report.facts += written.facts
        for entry, unsaid in chunk.finished:
            taken = await _patiently(partial(store.finish, entry, unsaid), patience_s)
            report.retracted += taken.facts + taken.entities

    return write


def _rehearse(store: GraphStore, report: IngestionReport) -> _Write:
    """Tells what chunks would change."""
    preview = store.preview()

    async def write(chunk: Chunk, batch: PreparedBatch) -> None:
        await preview.write(batch)
        for _, unsaid in chunk.finished:
            await preview.finish(unsaid)
        report.entities, report.facts, report.retracted = preview.entities, preview.facts, preview.retracted

    return write


async def _patiently(work: Callable[[], Awaitable[T]], patience_s: float) -> T:
    """Does the work; where the database is away beyond the store's own retries, after it has come back.

    Raises:
        StoreUnavailableError: it stayed away.
    """
    started = time.monotonic()
    pauses = iter(_PAUSE_S)
    pause = _PAUSE_S[0]
    while True:
        try:
            return await work()
        except StoreUnavailableError as error:
            pause = next(pauses, pause)
            if time.monotonic() - started + pause > patience_s:
                raise
            log.warning("waiting for the database", reason=str(error), seconds=pause)
            await asyncio.sleep(pause)


def _count(report: IngestionReport, chunk: Chunk) -> None:
    report.records += chunk.records
    report.claims += len(chunk.claims)
    report.rejected += len(chunk.rejected) - chunk.failed_documents
    report.failed_documents += chunk.failed_documents
    report.loaded += sum(entry.complete for entry in chunk.ledger.values()) + len(chunk.finished)


def _plan(
    reader: Reader,
    path: Path | None,
    name: str | None,
    ledger: dict[str, LedgerEntry],
    report: IngestionReport,
    letters: DeadLetterFile,
) -> list[Task]:
    """What must be read, by content hash; a file that can't be read is a dead letter."""
    tasks = []
    for document in reader.documents(path, name):
        try:
            document.content  # noqa: B018 (hashed here, where a failure concerns this file alone)
        except InputError as error:
            letters.append([unread(document, "", error)])
            report.failed_documents += 1
            continue
        known = ledger.get(document.id)
        if known is None:
            tasks.append(Task(document, 0))
        elif _is_same(known, document, reader):
            if known.complete:
                report.skipped += 1
            else:
                tasks.append(Task(document, known.records, known.stale, known))
        elif known.content != document.content and known.path != document.location:
            raise ConflictError(
                f"{document.id} was loaded from {known.path}, and {document.location} has other content; "
                f"give this one another name (--name), or retract {document.id} first"
            )
        else:
            tasks.append(Task(document, 0, stale=True, known=known))
            report.changed += 1
    return tasks


def _is_same(known: LedgerEntry, document: Document, reader: Reader) -> bool:
    return known.content == document.content and known.reader == f"{reader.name}@{reader.version}"
