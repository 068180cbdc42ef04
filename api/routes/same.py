"""Entities that may be one, and those that were merged."""

from __future__ import annotations

from api.auth import LongRoute, needs
from api.keys import Role
from api.responses import JSON
from api.routes.parts import IdPath, Limit, Offset, ServiceDep, guarded_router
from api.schemas import (
    FindSameRequest,
    FoundSameAnswer,
    MergeAnswer,
    MergeRequest,
    MergesAnswer,
    RejectionAnswer,
    RejectSameRequest,
    SamePairsAnswer,
)

router = guarded_router("entities")
searches = guarded_router("entities", LongRoute)
"""What may take minutes."""


@router.get("/possibly-same", response_model=SamePairsAnswer)
async def possibly_same(service: ServiceDep, limit: Limit = 100, offset: Offset = 0) -> JSON:
    """Pairs of entities that may be one, the likeliest first."""
    return JSON({"pairs": await service.possibly_same(limit, offset)})


@searches.post("/possibly-same/find", response_model=FoundSameAnswer, openapi_extra=needs(Role.WRITER))
async def find(body: FindSameRequest, service: ServiceDep) -> JSON:
    """Compares the entities of a class by their properties, and proposes those that may be one (extra `linkage`)."""
    return JSON({"class": body.class_, "proposed": await service.find_same(body.class_, body.likely)})


@router.post("/possibly-same/reject", response_model=RejectionAnswer, openapi_extra=needs(Role.ADMIN))
async def reject(body: RejectSameRequest, service: ServiceDep) -> JSON:
    """Says that two entities are not one, so that they are not proposed again."""
    await service.reject_same(body.id, body.other, body.by)
    return JSON({"id": body.id, "other": body.other, "by": body.by})


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
