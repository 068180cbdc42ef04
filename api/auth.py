"""Who may call: API keys with roles, or, as long as there are none, programs of this machine.

A server on loopback without keys is open, but a web page in the user's browser is no program of the user's: it could
post to loopback across sites, or through a name of its own that it lets resolve to 127.0.0.1 (DNS rebinding). So in
this mode the peer and the `Host` header must be loopback, and an `Origin` must be the server's own.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

import structlog
from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from starlette.types import Message

from api.errors import ForbiddenError, RequestTimeoutError, UnauthenticatedError
from api.keys import KeyRing, Role
from api.settings import Settings
from kg.errors import ConfigurationError

ROLE = "x-evigraph-role"
"""OpenAPI extension that names a route's role."""


class Gate:
    """Decides on requests.

    Raises:
        ConfigurationError: the server would listen beyond loopback without a key.
    """

    def __init__(self, settings: Settings) -> None:
        secret = settings.admin_key.get_secret_value() if settings.admin_key else None
        self._keys = KeyRing(settings.keys_path, secret)
        self._origins = frozenset(settings.cors_origins)
        # A server that had keys when it started never opens, even if the last one is revoked.
        self._may_be_open = not self._keys
        if self._may_be_open and not settings.is_loopback:
            raise ConfigurationError(
                f"listening on {settings.host} needs a key: `evigraph keys create NAME --role admin`, "
                "or set EVIGRAPH_ADMIN_KEY"
            )

    def admit(self, request: Request, needed: Role) -> None:
        """Lets a request through, or not.

        Raises:
            UnauthenticatedError: no key, or not one of ours.
            ForbiddenError: the key's role is too low, or an open server was not called by a program of this machine.
        """
        if self._may_be_open and not self._keys:
            self._admit_local(request)
            return
        token = _token(request)
        found = self._keys.role_of(token) if token else None
        if found is None:
            raise UnauthenticatedError(
                "this key is not known" if token else "send a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`"
            )
        id_, role = found
        structlog.contextvars.bind_contextvars(key=id_)
        if role < needed:
            raise ForbiddenError(f"this needs role {needed.name.lower()}, the key has {role.name.lower()}")

    def _admit_local(self, request: Request) -> None:
        host = request.headers.get("host", "")
        peer = request.client.host if request.client else ""
        if not _is_loopback(peer) or not _is_loopback(_hostname(f"//{host}")):
            raise ForbiddenError("without keys only this machine may call, at localhost or 127.0.0.1")
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host and origin not in self._origins:
            raise ForbiddenError("web pages of other origins may not call; see EVIGRAPH_CORS_ORIGINS")


def _token(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")


def _hostname(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class GuardedRoute(APIRoute):
    """Asks the gate before the body is read, and limits time and body; needs role reader, or what `needs` says."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler behind the gate."""
        handle = super().get_route_handler()
        role = Role.of((self.openapi_extra or {}).get(ROLE, "reader"))

        async def guarded(request: Request) -> Response:
            state = request.app.state
            state.gate.admit(request, role)
            seconds, size = self.limits(state.settings)
            try:
                async with asyncio.timeout(seconds):
                    return await handle(_limited(request, size))
            except TimeoutError as error:
                raise RequestTimeoutError(f"this took longer than {seconds:g} s") from error

        return guarded

    @staticmethod
    def limits(settings: Settings) -> tuple[float, int]:
        """(seconds, bytes): until an answer begins, and of the body."""
        return settings.request_timeout_s, settings.max_request_bytes


class LongRoute(GuardedRoute):
    """A guarded route that may take as long as an upload."""

    @staticmethod
    def limits(settings: Settings) -> tuple[float, int]:
        """(seconds, bytes): until an answer begins, and of the body."""
        return settings.upload_timeout_s, settings.max_request_bytes


class PictureRoute(GuardedRoute):
    """A guarded route whose body may hold a picture."""

    @staticmethod
    def limits(settings: Settings) -> tuple[float, int]:
        """(seconds, bytes): until an answer begins, and of the body."""
        return settings.request_timeout_s, settings.max_picture_bytes


class UploadRoute(GuardedRoute):
    """A guarded route that may take longer, and larger bodies."""

    @staticmethod
    def limits(settings: Settings) -> tuple[float, int]:
        """(seconds, bytes): until an answer begins, and of the body."""
        return settings.upload_timeout_s, settings.max_upload_bytes


def _limited(request: Request, size: int) -> Request:
    """The request with a body that breaks off beyond so many bytes, whether or not it says its length.

    Raises:
        HTTPException: 413, at once where the length is said, else from `receive`.
    """
    too_large = HTTPException(413, f"more than {size:,} bytes")
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > size:
        raise too_large
    read = 0

    async def receive() -> Message:
        nonlocal read
        message = await request.receive()
        read += len(message.get("body", b""))
        if read > size:
            raise too_large
        return message

    return Request(request.scope, receive)


def needs(role: Role) -> dict[str, Any]:
    """`openapi_extra` of a route that needs this role."""
    return {ROLE: role.name.lower()}
