from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from api.errors import BusyError
from api.jobs import KEPT, Job, Jobs, Result
from kg.errors import ConflictError, InputError, NotFoundError


class Hand:
    """Lets work go, or makes it fail."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.error: Exception | None = None
        self.states: dict[str, int] = {}
        self.running = 0

    def count(self, states: dict[str, int]) -> None:
        self.states = states


@dataclass
class Work:
    """Runs until it is let go or cancelled."""

    hand: Hand
    kind: str = "ingestion"
    cleaned: int = 0

    def asked(self) -> dict[str, Any]:
        return {"what": "this"}

    async def run(self, job: Job) -> Result:
        hand = self.hand
        hand.running += 1
        assert hand.running == 1, "two jobs ran at once"
        try:
            job.report_progress({"records": 10})
            waits = [asyncio.create_task(hand.go.wait()), asyncio.create_task(job.cancel.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            if hand.error is not None:
                raise hand.error
            return Result({"records": 20}, cancelled=job.cancel.is_set())
        finally:
            hand.running -= 1

    def clean(self) -> None:
        self.cleaned += 1


@pytest.fixture
async def hand() -> Hand:
    return Hand()


@pytest.fixture
async def jobs(hand: Hand) -> AsyncIterator[Jobs]:
    jobs = Jobs(3, hand.count)
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


async def test_a_job_is_followed_from_waiting_to_done(jobs: Jobs, hand: Hand) -> None:
    job = jobs.add(Work(hand))
    follower = asyncio.create_task(_end(job))
    await _until(job, "running")
    await asyncio.sleep(0.01)
    hand.go.set()
    views = await follower
    assert views[0]["state"] == "running"
    assert views[0]["report"] is None
    assert views[-1]["state"] == "done"
    assert views[-1]["report"]["records"] == 20
    assert views[-1]["what"] == "this"
    assert {"records": 10} in [v["progress"] for v in views]
    assert hand.states == {"waiting": 0, "running": 0, "done": 1, "failed": 0, "cancelled": 0}


async def test_a_slow_follower_misses_no_end(jobs: Jobs, hand: Hand) -> None:
    job = jobs.add(Work(hand))
    await _until(job, "running")
    states = []
    async for view in job.follow():
        states.append(view["state"])
        hand.go.set()
        await _end(job)  # while the first view is on its way
    assert states == ["running", "done"]


async def test_one_runs_at_a_time_whatever_its_kind_and_so_many_wait(jobs: Jobs, hand: Hand) -> None:
    first = jobs.add(Work(hand))
    await _until(first, "running")
    rest = [jobs.add(Work(hand, kind)) for kind in ("enhancement", "ingestion", "enhancement")]
    with pytest.raises(BusyError, match="3 jobs wait"):
        jobs.add(Work(hand))
    hand.go.set()
    for job in (first, *rest):
        await _end(job)
        assert job.state == "done"
    assert jobs.list("ingestion") == [rest[1], first]
    assert jobs.list("enhancement") == [rest[2], rest[0]]
    assert jobs.get("enhancement", rest[0].id) is rest[0]
    with pytest.raises(NotFoundError, match="no ingestion"):
        jobs.get("ingestion", rest[0].id)


async def test_cancel_running_and_waiting(jobs: Jobs, hand: Hand) -> None:
    works = Work(hand), Work(hand)
    running, waiting = (jobs.add(work) for work in works)
    await _until(running, "running")
    jobs.cancel(waiting)
    assert waiting.state == "cancelled"
    assert [work.cleaned for work in works] == [0, 1]
    jobs.cancel(running)
    await _end(running)
    assert running.state == "cancelled"
    assert [work.cleaned for work in works] == [1, 1]
    with pytest.raises(ConflictError, match="ended already"):
        jobs.cancel(running)


async def test_an_error_becomes_a_problem_and_the_next_job_runs(jobs: Jobs, hand: Hand) -> None:
    hand.go.set()
    hand.error = InputError("not JSON", "f.json")
    job = jobs.add(Work(hand))
    await _end(job)
    assert job.state == "failed"
    assert job.problem is not None
    assert job.problem["place"] == "f.json"
    hand.error = RuntimeError("secret internals")
    job = jobs.add(Work(hand))
    await _end(job)
    assert job.problem is not None
    assert job.problem["type"].endswith("unexpected")
    assert "secret" not in str(job.problem)
    hand.error = None
    job = jobs.add(Work(hand))
    await _end(job)
    assert job.state == "done"


async def test_stop_ends_everything_and_followers_too(hand: Hand) -> None:
    jobs = Jobs(3, hand.count)
    jobs.start()
    running, waiting = jobs.add(Work(hand)), jobs.add(Work(hand))
    followers = [asyncio.create_task(_end(job)) for job in (running, waiting)]
    await _until(running, "running")
    await jobs.stop()
    assert [views[-1]["state"] for views in await asyncio.gather(*followers)] == ["cancelled", "cancelled"]
    with pytest.raises(BusyError):
        jobs.add(Work(hand))


async def test_old_jobs_are_forgotten(jobs: Jobs, hand: Hand) -> None:
    hand.go.set()
    first = jobs.add(Work(hand))
    await _end(first)
    for _ in range(KEPT + 1):
        await _end(jobs.add(Work(hand)))
    with pytest.raises(NotFoundError):
        jobs.get("ingestion", first.id)
    assert len(jobs.list("ingestion")) <= KEPT + 1
