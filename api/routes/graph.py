"""Entities, search, Cypher."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from api.responses import JSON
from api.routes.parts import IdPath, Limit, Offset, ServiceDep, guarded_router
from api.schemas import (
    CypherAnswer,
    CypherRequest,
    EntityAnswer,
    NeighbourhoodAnswer,
    SearchAnswer,
    SimilarAnswer,
)

router = guarded_router("graph")


# Before the route of the entity itself, whose id takes everything that is left of the path.
@router.get("/entities/{id:path}/neighbourhood", response_model=NeighbourhoodAnswer)
async def neighbourhood(
    id: IdPath,  # noqa: A002 (the parameter's name in the API)
    service: ServiceDep,
    relation: Annotated[list[str] | None, Query(description="Only these relation types.", max_length=50)] = None,
    limit: Limit = 50,
    offset: Offset = 0,
) -> JSON:
    """The facts about an entity, in and out, each with its belief and claims; the strongest of a relation first."""
    return JSON(await service.neighbourhood(id, relation, limit, offset))


@router.get("/entities/{id:path}/similar", response_model=SimilarAnswer)
async def similar(
    id: IdPath,  # noqa: A002
    service: ServiceDep,
    label: Annotated[list[str] | None, Query(description="Only these classes.", max_length=50)] = None,
    domain: Annotated[str | None, Query(description="Of these embeddings.", max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> JSON:
    """Entities whose embeddings are most like this one's; one that is new gets its embedding now, without training."""
    return JSON(await service.similar(id, limit, label, domain))


@router.get("/entities/{id:path}", response_model=EntityAnswer)
async def entity(id: IdPath, service: ServiceDep) -> JSON:  # noqa: A002
    """An entity, and what each source says of it."""
    return JSON(await service.entity(id))


@router.get("/search", response_model=SearchAnswer)
async def search(
    service: ServiceDep,
    q: Annotated[str, Query(min_length=1, max_length=500, description="Id, name, synonym or words.")],
    label: Annotated[list[str] | None, Query(description="Only these classes.", max_length=50)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> JSON:
    """Finds entities: exact ids, names and synonyms first, then by their words, and, where set, by their meaning."""
    return JSON({"results": await service.search(q, label, limit)})


@router.post("/cypher", response_model=CypherAnswer)
async def cypher(body: CypherRequest, service: ServiceDep) -> JSON:
    """Runs a reading query; what could write, call out or run away is refused with the reason."""
    return JSON(await service.cypher(body.query, body.parameters))
