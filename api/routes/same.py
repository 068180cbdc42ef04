"""Entities that may be one, and those that were merged."""

from __future__ import annotations

from api.auth import needs
from api.keys import Role
from api.responses import JSON
from api.routes.parts import IdPath, Limit, Offset, ServiceDep, guarded_router
from api.schemas import MergeAnswer, MergeRequest, MergesAnswer, SamePairsAnswer

router = guarded_router("entities")


@router.get("/possibly-same", response_model=SamePairsAnswer)
async def possibly_same(service: ServiceDep, limit: Limit = 100, offset: Offset = 0) -> JSON:
    """Pairs of entities that may be one, the likeliest first."""
    return JSON({"pairs": await service.possibly_same(limit, offset)})


@router.get("/merges", response_model=MergesAnswer)
async def merges(service: ServiceDep) -> JSON:
    """The merges in force, the latest first."""
    return JSON({"merges": await service.merges()})


@router.post("/merges", response_model=MergeAnswer, openapi_extra=needs(Role.ADMIN))
async def merge(body: MergeRequest, service: ServiceDep) -> JSON:
    """Files all that is said of one entity, now and later, under another."""
    return JSON(await service.merge(body.id, body.into, body.by))


@router.delete("/merges/{id:path}", response_model=MergeAnswer, openapi_extra=needs(Role.ADMIN))
async def unmerge(id: IdPath, service: ServiceDep) -> JSON:  # noqa: A002
    """Takes the merge of an entity back: the graph is as if it had never been."""
    return JSON(await service.unmerge(id))
