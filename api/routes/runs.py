"""Ingestion runs, as the ledger has them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from api.auth import LongRoute, needs
from api.keys import Role
from api.responses import JSON
from api.routes.parts import Limit, Offset, ServiceDep, guarded_router
from api.schemas_ingestion import RunsAnswer, RunsRetractionAnswer

router = guarded_router("runs")
retractions = guarded_router("runs", LongRoute)
"""What may take minutes."""


@router.get("/runs", response_model=RunsAnswer)
async def runs(service: ServiceDep, limit: Limit = 100, offset: Offset = 0) -> JSON:
    """Runs whose documents are in the graph, the latest first."""
    return JSON({"runs": await service.runs(limit, offset)})


@retractions.delete("/runs", response_model=RunsRetractionAnswer, openapi_extra=needs(Role.ADMIN))
async def retract(
    service: ServiceDep,
    run: Annotated[str | None, Query(min_length=1, max_length=100, description="Id of a run.")] = None,
    since: Annotated[
        str | None,
        Query(max_length=100, description="Documents written at or after this time, such as 2026-03-01T12:00:00Z."),
    ] = None,
    until: Annotated[str | None, Query(max_length=100, description="Documents written before this time.")] = None,
) -> JSON:
    """Retracts the documents of a run, or of a time; at least one of the three is needed. Streams are left."""
    documents, streams = await service.retract_runs(run, since, until)
    return JSON({"documents": documents, "streams_left": streams})
