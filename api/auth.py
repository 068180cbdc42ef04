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
from fastapi import Request, Response
from fastapi.routing import APIRoute

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
    """Has a time limit, and asks the gate before the body is read; needs role reader, or what `needs` says."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler behind the gate."""
        handle = super().get_route_handler()
        role = Role.of((self.openapi_extra or {}).get(ROLE, "reader"))

        async def guarded(request: Request) -> Response:
            state = request.app.state
            state.gate.admit(request, role)
            limit = self.time_limit(state.settings)
            try:
                async with asyncio.timeout(limit):
                    return await handle(request)
            except TimeoutError as error:
                raise RequestTimeoutError(f"this took longer than {limit:g} s") from error

        return guarded

    @staticmethod
    def time_limit(settings: Settings) -> float:
        """Seconds until the request is given up; a stream of events that has begun is not."""
        return settings.request_timeout_s


class UploadRoute(GuardedRoute):
    """A guarded route that may take longer."""

    @staticmethod
    def time_limit(settings: Settings) -> float:
        """Seconds until the request is given up."""
        return settings.upload_timeout_s


def needs(role: Role) -> dict[str, Any]:
    """`openapi_extra` of a route that needs this role."""
    return {ROLE: role.name.lower()}
