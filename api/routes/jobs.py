"""How the jobs of a kind are listed, followed and cancelled."""
# No postponed annotations here: FastAPI could not find what they name inside a function.

from collections.abc import AsyncIterable
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel

from api.auth import needs
from api.jobs import Job
from api.keys import Role
from api.responses import JSON
from api.routes.parts import JobsDep


def accepted(job: Job) -> JSON:
    """The answer to who started a job."""
    return JSON(job.view(), 202, {"Location": f"/v1/{job.work.kind}s/{job.id}"})


def add_job_routes(router: APIRouter, kind: str, one: type[BaseModel], all_: type[BaseModel], cancelling: str) -> None:
    """Adds the routes.

    Args:
        router: whose routes ask the gate.
        kind: of work.
        one: shape of a job.
        all_: shape of the list of jobs.
        cancelling: what becomes of the work of a job that is cancelled.
    """
    role = needs(Role.WRITER)
    path = f"/{kind}s/{{job_id}}"

    async def find(job_id: str, jobs: JobsDep) -> Job:
        return jobs.get(kind, job_id)

    @router.get(
        f"/{kind}s",
        name=f"{kind}s",
        description=f"The {kind}s since the server started, the newest first.",
        response_model=all_,
        openapi_extra=role,
    )
    async def list_jobs(jobs: JobsDep) -> JSON:
        return JSON({f"{kind}s": [job.view() for job in jobs.list(kind)]})

    @router.get(
        path, name=kind, description=f"How far an {kind} is, and what it did.", response_model=one, openapi_extra=role
    )
    async def get_job(job: Annotated[Job, Depends(find)]) -> JSON:
        return JSON(job.view())

    @router.get(f"{path}/events", response_class=EventSourceResponse, openapi_extra=role)
    async def events(job: Annotated[Job, Depends(find)]) -> AsyncIterable[ServerSentEvent]:
        """Server-Sent Events named by the job's state, each with the job as it then is, until it has ended."""
        async for view in job.follow():
            yield ServerSentEvent(event=view["state"], data=view)

    @router.delete(
        path,
        description=f"Cancels an {kind} after the step at work; {cancelling}",
        status_code=202,
        response_model=one,
        openapi_extra=role,
    )
    async def cancel(job: Annotated[Job, Depends(find)], jobs: JobsDep) -> JSON:
        jobs.cancel(job)
        return JSON(job.view(), 202)
