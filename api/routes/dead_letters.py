"""Dead letters: what was refused, why, and once more."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import Query

from api.auth import LongRoute, needs
from api.keys import Role
from api.responses import JSON
from api.routes.parts import Limit, Offset, ServiceDep, guarded_router
from api.schemas import MAX_ID
from api.schemas_ingestion import (
    DeadLetterAnswer,
    DeadLetterCountsAnswer,
    DeadLettersAnswer,
    ReplayAnswer,
    ReplayRequest,
)

router = guarded_router("dead letters")
replays = guarded_router("dead letters", LongRoute)
"""What may take minutes."""

_HIDDEN = ("file", "topic", "holds")
"""Where a letter's file lies on the server, and how it is tried again, is no business of clients."""


@router.get("/dead-letters", response_model=DeadLettersAnswer, openapi_extra=needs(Role.WRITER))
async def dead_letters(
    service: ServiceDep,
    document: Annotated[str | None, Query(max_length=MAX_ID, description="Only of this document.")] = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> JSON:
    """Records that were refused, and why; the oldest first."""
    found = await service.dead_letters(document, limit, offset)
    shown = ("id", "document", "number", "place", "reason")
    return JSON({"letters": [{name: getattr(letter, name) for name in shown} for letter in found]})


# Before the route of one letter.
@router.get("/dead-letters/counts", response_model=DeadLetterCountsAnswer, openapi_extra=needs(Role.WRITER))
async def counts(service: ServiceDep, limit: Limit = 100, offset: Offset = 0) -> JSON:
    """How many records of each document were refused for each reason, the most first."""
    found = await service.dead_letter_counts(limit, offset)
    return JSON({"counts": [{"document": d, "reason": r, "letters": many} for d, r, many in found]})


@router.get("/dead-letters/{letter_id}", response_model=DeadLetterAnswer, openapi_extra=needs(Role.WRITER))
async def dead_letter(letter_id: str, service: ServiceDep) -> JSON:
    """One refused record, with its text."""
    found = await service.dead_letter(letter_id)
    return JSON({"id": found.id} | {name: value for name, value in asdict(found).items() if name not in _HIDDEN})


@replays.post("/dead-letters/replay", response_model=ReplayAnswer, openapi_extra=needs(Role.WRITER))
async def replay(body: ReplayRequest, service: ServiceDep) -> JSON:
    """Tries refused records again; those that are accepted now are written, and their letters go."""
    return JSON((await service.replay(body.documents)).view())
