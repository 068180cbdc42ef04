from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.errors import BusyError
from api.jobs import KEPT, Job, Jobs
from api.outcome import Outcome
from ingestion.pipeline import IngestionReport, Progress
from kg.errors import ConflictError, InputError, NotFoundError


class Work:
    """Runs until it is let go or cancelled."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.error: Exception | None = None
        self.states: dict[str, int] = {}
        self.running = 0

    async def run(self, job: Job) -> Outcome:
        self.running += 1
        assert self.running == 1, "two jobs ran at once"
        try:
            job.report_progress(Progress("x:1", 10, 5, 50))
            waits = [asyncio.create_task(self.go.wait()), asyncio.create_task(job.cancel.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if self.error is not None:
                raise self.error
            return Outcome(IngestionReport(job.reader, Path("d"), records=20, cancelled=job.cancel.is_set()), ())
        finally:
            self.running -= 1

    def count(self, states: dict[str, int]) -> None:
        self.states = states


@pytest.fixture
async def work() -> Work:
    return Work()


@pytest.fixture
async def jobs(work: Work) -> AsyncIterator[Jobs]:
    jobs = Jobs(work.run, 3, work.count)
    jobs.start()
    yield jobs
    await jobs.stop()


async def _end(job: Job) -> list[dict[str, Any]]:
    async with asyncio.timeout(5):
        return [view async for view in job.follow()]


async def _until(job: Job, state: str) -> None:
    async with asyncio.timeout(5):
        async for view in job.follow():
            if view["state"] == state:
                return


async def test_a_job_is_followed_from_waiting_to_done(jobs: Jobs, work: Work) -> None:
    job = jobs.add("hpo", None, "")
    follower = asyncio.create_task(_end(job))
    await _until(job, "running")
    await asyncio.sleep(0.01)
    work.go.set()
    views = await follower
    assert views[0]["state"] == "running"
    assert views[0]["report"] is None
    assert views[-1]["state"] == "done"
    assert views[-1]["report"]["records"] == 20
    assert {"document": "x:1", "records": 10, "bytes_read": 5, "bytes_total": 50} in [v["progress"] for v in views]
    assert work.states == {"waiting": 0, "running": 0, "done": 1, "failed": 0, "cancelled": 0}


async def test_one_runs_at_a_time_and_so_many_wait(jobs: Jobs, work: Work) -> None:
    first = jobs.add("a", None, "")
    await _until(first, "running")
    rest = [jobs.add("a", None, "") for _ in range(3)]
    with pytest.raises(BusyError, match="3 ingestions wait"):
        jobs.add("a", None, "")
    work.go.set()
    for job in (first, *rest):
        await _end(job)
        assert job.state == "done"
    assert [job.id for job in jobs.list()] == [job.id for job in reversed((first, *rest))]


async def test_cancel_running_and_waiting(jobs: Jobs, work: Work, tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.mkdir()
    (upload / "f.json").write_text("{}")
    running, waiting = jobs.add("a", None, ""), jobs.add("a", upload / "f.json", "f.json", upload=upload)
    await _until(running, "running")
    jobs.cancel(waiting.id)
    assert waiting.state == "cancelled"
    assert not upload.exists()
    jobs.cancel(running.id)
    await _end(running)
    assert running.state == "cancelled"
    with pytest.raises(ConflictError, match="ended already"):
        jobs.cancel(running.id)
    with pytest.raises(NotFoundError):
        jobs.cancel("nope")


async def test_an_error_becomes_a_problem_and_the_next_job_runs(jobs: Jobs, work: Work) -> None:
    work.go.set()
    work.error = InputError("not JSON", "f.json")
    job = jobs.add("a", None, "")
    await _end(job)
    assert job.state == "failed"
    assert job.problem is not None
    assert job.problem["place"] == "f.json"
    work.error = RuntimeError("secret internals")
    job = jobs.add("a", None, "")
    await _end(job)
    assert job.problem is not None
    assert job.problem["type"].endswith("unexpected")
    assert "secret" not in str(job.problem)
    work.error = None
    job = jobs.add("a", None, "")
    await _end(job)
    assert job.state == "done"


async def test_stop_ends_everything_and_followers_too(work: Work) -> None:
    jobs = Jobs(work.run, 3, work.count)
    jobs.start()
    running, waiting = jobs.add("a", None, ""), jobs.add("a", None, "")
    followers = [asyncio.create_task(_end(job)) for job in (running, waiting)]
    await _until(running, "running")
    await jobs.stop()
    assert [views[-1]["state"] for views in await asyncio.gather(*followers)] == ["cancelled", "cancelled"]
    with pytest.raises(BusyError):
        jobs.add("a", None, "")


async def test_old_jobs_are_forgotten(jobs: Jobs, work: Work) -> None:
    work.go.set()
    first = jobs.add("a", None, "")
    await _end(first)
    for _ in range(KEPT + 1):
        await _end(jobs.add("a", None, ""))
    with pytest.raises(NotFoundError):
        jobs.get(first.id)
    assert len(jobs.list()) <= KEPT + 1
