"""The OpenAPI document: what FastAPI derives, plus problems and keys, said once for all routes."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.auth import ROLE
from api.responses import PROBLEM_JSON
from api.schemas import Problem

_PUBLIC = {500: "Unexpected error.", 503: "The server is starting, or the graph database cannot be reached."}
_GUARDED = {
    400: "The request cannot be parsed.",
    401: "A key is needed, or this one is not known.",
    403: "The key's role, or where the request comes from, does not allow this.",
    404: "There is no such thing.",
    409: "In conflict with what is there.",
    413: "The request is too large.",
    415: "The content type is not supported.",
    422: "The input is wrong; `detail`, `place` and `errors` say where.",
    429: "Too many jobs.",
    504: "It took too long.",
    **_PUBLIC,
}
_DOCUMENTED = {"get", "post", "put", "patch", "delete"}


def install_openapi(app: FastAPI) -> None:
    """Makes `app.openapi()` return the completed document, built once."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(
                get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            )
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for path, operations in document["paths"].items():
        public = path.startswith("/v1/") and path.endswith(("/healthz", "/readyz"))
        for method, operation in operations.items():
            if method not in _DOCUMENTED:
                continue
            responses = operation["responses"]
            responses.pop("422", None)
            for status, text in (_PUBLIC if public else _GUARDED).items():
                responses[str(status)] = {
                    "description": text,
                    "content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            if not public:
                operation.setdefault(ROLE, "reader")
                operation["security"] = [{"bearer": []}, {"apiKey": []}]
    return document
