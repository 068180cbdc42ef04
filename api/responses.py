"""JSON and problem responses, and the handlers that turn errors into them."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.errors import HTTP_KINDS, Kind, problem, problem_of
from kg.errors import EvigraphError

PROBLEM_JSON = "application/problem+json"
_RETRY_AFTER_S = {429: "5", 503: "2"}


class JSON(Response):
    """A JSON answer; the content is anything that orjson writes."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401 (any JSON)
        """UTF-8 JSON."""
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def problem_response(error: BaseException) -> Response:
    """The answer to an error."""
    return _respond(problem_of(error))


def _respond(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    status = body["status"]
    headers = dict(headers or {})
    if status in _RETRY_AFTER_S:
        headers["Retry-After"] = _RETRY_AFTER_S[status]
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="evigraph"'
    return Response(orjson.dumps(body), status, headers, PROBLEM_JSON)


async def _on_evigraph_error(_: Request, error: Exception) -> Response:
    return problem_response(error)


async def _on_http_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    kind = HTTP_KINDS.get(error.status_code) or Kind(error.status_code, "http", "The request was refused", 0)
    return _respond(problem(kind, str(error.detail)), dict(error.headers or {}))


async def _on_invalid(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    fields = [{"field": _field(item["loc"]), "reason": item["msg"]} for item in error.errors()]
    detail = "; ".join(f"{item['field']}: {item['reason']}" for item in fields[:3])
    return _respond(problem(HTTP_KINDS[422], detail, errors=fields))


def _field(location: tuple[str | int, ...]) -> str:
    """`("body", "present", 2)` → `body.present[2]`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def add_error_handlers(app: FastAPI) -> None:
    """Registers the handlers; what is left is an unexpected error, which the outermost middleware answers."""
    app.add_exception_handler(EvigraphError, _on_evigraph_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
