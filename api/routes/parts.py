"""What routes share: how they get at the service, and their parameters."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from api.auth import GuardedRoute
from api.jobs import Jobs
from api.schemas import MAX_ID
from api.service import Service


def guarded_router(tag: str, route: type[GuardedRoute] = GuardedRoute) -> APIRouter:
    """A router below /v1 whose routes ask the gate; the kind of route says what else they may."""
    return APIRouter(prefix="/v1", tags=[tag], route_class=route)


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


ServiceDep = Annotated[Service, Depends(_service)]
JobsDep = Annotated[Jobs, Depends(_jobs)]
IdPath = Annotated[str, Path(min_length=1, max_length=MAX_ID, description="CURIE, percent-encoded where URLs need it.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="At most so many.")]
Offset = Annotated[int, Query(ge=0, le=10_000_000, description="Leaves out so many at the start.")]
