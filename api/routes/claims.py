"""Claims, pushed."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Request
from pydantic import BaseModel, Field

from api.auth import LongRoute, needs
from api.keys import Role
from api.responses import JSON
from api.routes.parts import ServiceDep, guarded_router
from api.settings import Settings
from ingestion.claims import ClaimsMessage, MessageId
from ingestion.push import Pusher

_MAX_BYTES = 32_000_000
"""Of a body: 10,000 claims with long qualifiers, and their entities."""


class PushRoute(LongRoute):
    """A guarded route for bodies of many claims."""

    @staticmethod
    def limits(settings: Settings) -> tuple[float, int]:
        """(seconds, bytes): until an answer begins, and of the body."""
        return settings.upload_timeout_s, max(settings.max_request_bytes, _MAX_BYTES)


router = guarded_router("claims", PushRoute)


class RefusedItem(BaseModel):
    """A part of the message that was refused."""

    place: str = Field(examples=["claims[3]"])
    reason: str


class PushAnswer(BaseModel):
    """What became of a message."""

    id: str
    document: str = Field(description="What the message is called in the graph; retract it by this.")
    repeated: bool = Field(description="It was there already; nothing was written now.")
    sources: int = Field(description="Accepted.")
    entities: int = Field(description="Accepted.")
    claims: int = Field(description="Accepted.")
    refused: list[RefusedItem] = Field(description="The rest; the server's dead-letter file has them whole.")
    version: int
    entities_changed: int = Field(description="Created or changed in the graph.")
    facts_changed: int = Field(description="Created or changed in the graph.")


async def _pusher(request: Request, service: ServiceDep) -> Pusher:
    """One for the life of the graph that the service has open."""
    state = request.app.state
    held: tuple[object, Pusher] | None = getattr(state, "pusher", None)
    if held is None or held[0] is not service.store:
        held = service.store, Pusher(service.store, service.settings.dead_letters)
        state.pusher = held
    return held[1]


PusherDep = Annotated[Pusher, Depends(_pusher)]


@router.post("/claims", response_model=PushAnswer, openapi_extra=needs(Role.WRITER))
async def push(
    body: ClaimsMessage,
    service: ServiceDep,
    pusher: PusherDep,
    idempotency_key: Annotated[MessageId | None, Header(description="Id of the message, if it has none.")] = None,
) -> JSON:
    """Writes up to 10,000 claims in one transaction; what is refused is listed with its reason, the rest is written.

    The same message again, known by its id and content, writes nothing; another content under its id is a conflict.
    """
    report = await pusher.push(body, idempotency_key)
    service.look_again()
    return JSON(report.view())
