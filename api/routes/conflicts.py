"""Where sources contradict each other."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from api.responses import JSON
from api.routes.parts import Limit, Offset, ServiceDep, guarded_router
from api.schemas import ConflictsAnswer

router = guarded_router("conflicts")


@router.get("/conflicts", response_model=ConflictsAnswer)
async def conflicts(
    service: ServiceDep,
    relation: Annotated[
        str | None, Query(max_length=100, description="Only conflicts that this relation has a part in.")
    ] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> JSON:
    """What can't be true together: objects of a functional relation, disjoint relations, disjoint classes."""
    return JSON({"conflicts": await service.conflicts(relation, limit, offset)})
