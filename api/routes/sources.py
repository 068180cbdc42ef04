"""Sources, and their retraction."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from api.auth import LongRoute, needs
from api.keys import Role
from api.responses import JSON
from api.routes.parts import IdPath, Limit, Offset, ServiceDep, guarded_router
from api.schemas import RetractionAnswer, SourceAnswer, SourcesAnswer, TrustRequest

router = guarded_router("sources")
retractions = guarded_router("sources", LongRoute)
"""What may take minutes."""


@router.get("/sources", response_model=SourcesAnswer)
async def sources(
    service: ServiceDep,
    kind: Annotated[str | None, Query(max_length=100, description="Only of this kind, e.g. `publication`.")] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> JSON:
    """Who says something, by id."""
    return JSON({"sources": await service.sources(kind, limit, offset)})


@router.get("/sources/{id:path}", response_model=SourceAnswer)
async def source(id: IdPath, service: ServiceDep) -> JSON:  # noqa: A002
    """One source."""
    return JSON(await service.source(id))


@retractions.put("/sources/{id:path}/trust", response_model=RetractionAnswer, openapi_extra=needs(Role.ADMIN))
async def trust(id: IdPath, body: TrustRequest, service: ServiceDep) -> JSON:  # noqa: A002
    """Says how far a source is trusted, or quarantines it; what is left out stays. All that it says is weighed anew."""
    return JSON(await service.trust(id, **body.model_dump(exclude_unset=True)))


@retractions.delete("/sources/{id:path}", response_model=RetractionAnswer, openapi_extra=needs(Role.ADMIN))
async def retract(id: IdPath, service: ServiceDep) -> JSON:  # noqa: A002
    """Retracts all claims of a source or document: what only it supported goes, the belief of the rest falls."""
    return JSON(await service.retract(id))
