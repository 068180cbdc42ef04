"""Jobs, each a piece of long work that writes to the graph: they run one after the other, tell how far they are, and
can be cancelled.

Jobs live as long as the process. Nothing is lost with it: what is committed stays, and the same work asked for again
goes on from there.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from api.errors import BusyError, problem_of
from kg.errors import ConflictError, EvigraphError, NotFoundError

KEPT = 200
"""Finished jobs that are remembered."""

_STOP_WITHIN_S = 20.0
_FINISHED = ("done", "failed", "cancelled")
STATES = ("waiting", "running", *_FINISHED)

log = structlog.get_logger("jobs")


@dataclass(frozen=True, slots=True)
class Result:
    """What work did, as JSON; None where it was cancelled before there was anything to tell."""

    report: dict[str, Any] | None
    cancelled: bool = False


class Work(Protocol):
    """What a job does."""

    @property
    def kind(self) -> str:
        """`ingestion`, `enhancement`."""

    def asked(self) -> dict[str, Any]:
        """What clients see of what was asked."""

    async def run(self, job: Job) -> Result:
        """Does it: calls `job.report_progress` on its way, ends early when `job.cancel` is set."""

    def clean(self) -> None:
        """Removes what only this work needed; called when it has ended, or was cancelled before it began."""


@dataclass(eq=False)
class Job:
    """Work in the queue.

    Attributes:
        progress: how far it is, as JSON.
        result: what it did, unless it failed.
        problem: why it failed.
    """

    id: str
    work: Work
    state: str = "waiting"
    created: str = ""
    started: str = ""
    finished: str = ""
    progress: dict[str, Any] | None = None
    result: Result | None = None
    problem: dict[str, Any] | None = None
    cancel: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def view(self) -> dict[str, Any]:
        """What clients see."""
        return {
            "id": self.id,
            **self.work.asked(),
            "state": self.state,
            "created": self.created,
            "started": self.started or None,
            "finished": self.finished or None,
            "progress": self.progress,
            "report": self.result.report if self.result else None,
            "problem": self.problem,
        }

    def report_progress(self, progress: dict[str, Any]) -> None:
        """Notes how far the job is; only from the event loop's thread."""
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
            view = self.view()
            yield view
            if view["state"] in _FINISHED:
                return
            await changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class Jobs:
    """The queue and its worker.

    Args:
        max_waiting: jobs that may wait.
        on_change: told the number of jobs in each state.
    """

    def __init__(self, max_waiting: int, on_change: Callable[[dict[str, int]], None]) -> None:
        self._max_waiting = max_waiting
        self._on_change = on_change
        self._jobs: dict[str, Job] = {}
        self._wanted = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        """Starts the worker."""
        self._worker = asyncio.create_task(self._work(), name="jobs")

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
                log.warning("a job did not stop in time and was cut off; asked for again, it goes on from there")

    def list(self, kind: str) -> list[Job]:
        """All jobs of a kind, the newest first."""
        return [job for job in reversed(self._jobs.values()) if job.work.kind == kind]

    def get(self, kind: str, id_: str) -> Job:
        """The job of this kind with this id.

        Raises:
            NotFoundError: there is none.
        """
        job = self._jobs.get(id_)
        if job is None or job.work.kind != kind:
            raise NotFoundError(f"no {kind} {id_!r}")
        return job

    def check_room(self) -> None:
        """Whether one more job may wait.

        Raises:
            BusyError: no.
        """
        if self._stopping or sum(job.state == "waiting" for job in self._jobs.values()) >= self._max_waiting:
            raise BusyError(f"{self._max_waiting} jobs wait already; try again when one is through")

    def add(self, work: Work) -> Job:
        """A new job, waiting.

        Raises:
            BusyError: too many wait already.
        """
        self.check_room()
        job = Job(secrets.token_hex(8), work, created=_now())
        self._jobs[job.id] = job
        self._forget_old()
        self._tell()
        self._wanted.set()
        return job

    def cancel(self, job: Job) -> None:
        """Cancels a job: one that waits at once, one that runs after the step at work. What is committed stays.

        Raises:
            ConflictError: it has ended.
        """
        if job.state in _FINISHED:
            raise ConflictError(f"{job.work.kind} {job.id} has ended already: {job.state}")
        self._cancel(job)
        self._tell()

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
        log.info("job starts", job=job.id, kind=job.work.kind)
        state = "failed"
        try:
            job.result = await job.work.run(job)
            state = "cancelled" if job.result.cancelled else "done"
        except EvigraphError as error:
            job.problem = problem_of(error)
        except Exception as error:
            log.exception("job failed unexpectedly", job=job.id)
            job.problem = problem_of(error)
        except asyncio.CancelledError:
            job.enter("cancelled")  # cut off: nobody waits for it to be cleaned up
            raise
        self._end(job, state)
        log.info("job ended", job=job.id, state=job.state)

    def _end(self, job: Job, state: str) -> None:
        job.work.clean()
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
