"""Ingestion jobs: they run one after the other, tell how far they are, and can be cancelled.

Jobs live as long as the process. Nothing is lost with it: what is committed stays, the ledger knows how far each
document is, and the same ingestion asked for again goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from api.errors import BusyError, problem_of
from api.outcome import Outcome
from ingestion.pipeline import Progress
from kg.errors import ConflictError, EvigraphError, NotFoundError

KEPT = 200
"""Finished jobs that are remembered."""

_STOP_WITHIN_S = 20.0
_FINISHED = ("done", "failed", "cancelled")
STATES = ("waiting", "running", *_FINISHED)

log = structlog.get_logger("jobs")

Run = Callable[["Job"], Awaitable[Outcome]]
"""Does a job's work: calls `job.report_progress` on its way, ends early when `job.cancel` is set."""


@dataclass(eq=False)
class Job:
    """One ingestion.

    Attributes:
        path: what is ingested; None is the reader's own data.
        shown_path: what clients see of it.
        upload: folder to be removed when the job has ended, unless its dead letters need it.
        dry_run: only tells what would change.
    """

    id: str
    reader: str
    path: Path | None
    shown_path: str
    name: str | None = None
    upload: Path | None = None
    dry_run: bool = False
    state: str = "waiting"
    created: str = ""
    started: str = ""
    finished: str = ""
    progress: Progress | None = None
    outcome: Outcome | None = None
    problem: dict[str, Any] | None = None
    cancel: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def view(self) -> dict[str, Any]:
        """What clients see."""
        progress = self.progress
        return {
            "id": self.id,
            "reader": self.reader,
            "path": self.shown_path,
            "dry_run": self.dry_run,
            "state": self.state,
            "created": self.created,
            "started": self.started or None,
            "finished": self.finished or None,
            "progress": {
                "document": progress.document,
                "records": progress.records,
                "bytes_read": progress.bytes_read,
                "bytes_total": progress.bytes_total,
            }
            if progress
            else None,
            "report": self.outcome.view() if self.outcome else None,
            "problem": self.problem,
        }

    def report_progress(self, progress: Progress) -> None:
        """Notes how far the job is."""
        self.progress = progress
        self._wake()

    def enter(self, state: str) -> None:
        """Goes into another state."""
        self.state = state
        if state == "running":
            self.started = _now()
        elif state in _FINISHED:
            self.finished = _now()
        self._wake()

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """The job now, and again whenever it has changed, until it has ended. A slow follower misses steps, no end."""
        while True:
            changed = self._changed
            yield self.view()
            if self.state in _FINISHED:
                return
            await changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Jobs:
    """The queue and its worker.

    Args:
        run: does a job's work.
        max_waiting: jobs that may wait.
        on_change: told the number of jobs in each state.
        is_needed: whether the folder of an upload is still needed, for its dead letters, once its job has ended.
    """

    def __init__(
        self,
        run: Run,
        max_waiting: int,
        on_change: Callable[[dict[str, int]], None],
        is_needed: Callable[[Path], bool] = lambda _: False,
    ) -> None:
        self._run = run
        self._is_needed = is_needed
        self._max_waiting = max_waiting
        self._on_change = on_change
        self._jobs: dict[str, Job] = {}
        self._wanted = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        """Starts the worker."""
        self._worker = asyncio.create_task(self._work(), name="ingestion-jobs")

    async def stop(self) -> None:
        """Cancels what waits and what runs; the batch at work is committed or rolled back as a whole."""
        self._stopping = True
        for job in self._jobs.values():
            self._cancel(job)
        self._wanted.set()
        if self._worker is not None:
            try:
                await asyncio.wait_for(self._worker, _STOP_WITHIN_S)
            except TimeoutError:
                log.warning("an ingestion did not stop in time and was cut off; the same ingestion goes on from there")

    def list(self) -> list[Job]:
        """All jobs, the newest first."""
        return list(reversed(self._jobs.values()))

    def get(self, id_: str) -> Job:
        """The job with this id.

        Raises:
            NotFoundError: there is none.
        """
        try:
            return self._jobs[id_]
        except KeyError:
            raise NotFoundError(f"no ingestion {id_!r}") from None

    def check_room(self) -> None:
        """Whether one more job may wait.

        Raises:
            BusyError: no.
        """
        if self._stopping or sum(job.state == "waiting" for job in self._jobs.values()) >= self._max_waiting:
            raise BusyError(f"{self._max_waiting} ingestions wait already; try again when one is through")

    def add(
        self,
        reader: str,
        path: Path | None,
        shown_path: str,
        name: str | None = None,
        upload: Path | None = None,
        *,
        dry_run: bool = False,
    ) -> Job:
        """A new job, waiting.

        Raises:
            BusyError: too many wait already.
        """
        self.check_room()
        job = Job(secrets.token_hex(8), reader, path, shown_path, name, upload, dry_run, created=_now())
        self._jobs[job.id] = job
        self._forget_old()
        self._tell()
        self._wanted.set()
        return job

    def cancel(self, id_: str) -> Job:
        """Cancels a job: one that waits at once, one that runs after the batch at work. What is committed stays.

        Raises:
            NotFoundError: there is none.
            ConflictError: it has ended.
        """
        job = self.get(id_)
        if job.state in _FINISHED:
            raise ConflictError(f"ingestion {id_} has ended already: {job.state}")
        self._cancel(job)
        self._tell()
        return job

    def _cancel(self, job: Job) -> None:
        job.cancel.set()
        if job.state == "waiting":
            self._end(job, "cancelled")

    async def _work(self) -> None:
        while not self._stopping:
            job = next((job for job in self._jobs.values() if job.state == "waiting"), None)
            if job is None:
                self._wanted.clear()
                await self._wanted.wait()
                continue
            job.enter("running")
            self._tell()
            await self._perform(job)
            self._tell()

    async def _perform(self, job: Job) -> None:
        log.info("ingestion starts", job=job.id, reader=job.reader)
        state = "failed"
        try:
            job.outcome = await self._run(job)
            state = "cancelled" if job.outcome.report.cancelled else "done"
        except EvigraphError as error:
            job.problem = problem_of(error)
        except Exception as error:
            log.exception("ingestion failed unexpectedly", job=job.id)
            job.problem = problem_of(error)
        except asyncio.CancelledError:
            job.enter("cancelled")  # its upload stays: nobody waits for a look at the dead letters now
            raise
        if job.upload is not None and await asyncio.to_thread(self._is_needed, job.upload):
            job.upload = None
        self._end(job, state)
        log.info("ingestion ended", job=job.id, state=job.state)

    def _end(self, job: Job, state: str) -> None:
        if job.upload is not None:
            with contextlib.suppress(OSError):
                shutil.rmtree(job.upload)
        job.enter(state)

    def _forget_old(self) -> None:
        finished = [job.id for job in self._jobs.values() if job.state in _FINISHED]
        for id_ in finished[: max(0, len(finished) - KEPT)]:
            del self._jobs[id_]

    def _tell(self) -> None:
        states = [job.state for job in self._jobs.values()]
        self._on_change({state: states.count(state) for state in STATES})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
