"""One table: each error class with its HTTP status, problem type, title and exit code of the command line.

Problems are RFC 9457 objects. A class not in the table takes the row of its nearest base; what is no `EvigraphError`
is an unexpected error, whose text stays in the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kg.errors import (
    ConfigurationError,
    ConflictError,
    EvigraphError,
    InputError,
    ModelUnavailableError,
    NotFoundError,
    OntologyError,
    QueryTimeoutError,
    StoreUnavailableError,
)

EXIT_PARTIAL = 1
"""Something was refused or could not be read; everything else is loaded."""


class UnauthenticatedError(EvigraphError):
    """The request has no key, or one that is not known."""


class ForbiddenError(EvigraphError):
    """The key's role, or where the request comes from, does not allow this."""


class UnsupportedMediaError(EvigraphError):
    """The body's content type is not one that the route reads."""


class BusyError(EvigraphError):
    """As many jobs as may wait are waiting."""


class NotReadyError(EvigraphError):
    """The server is still starting; the same request will work soon."""


class RequestTimeoutError(EvigraphError):
    """The request took longer than its limit."""


class UnexpectedError(EvigraphError):
    """A bug; the log has the details."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How an error class shows.

    Attributes:
        status: of the HTTP answer.
        name: ends the problem type, `urn:evigraph:problem:<name>`.
        exit_code: of the command line; 2 is left to wrong usage.
    """

    status: int
    name: str
    title: str
    exit_code: int

    @property
    def type(self) -> str:
        """The problem type."""
        return f"urn:evigraph:problem:{self.name}"


KINDS: dict[type[EvigraphError], Kind] = {
    InputError: Kind(422, "input", "The input is wrong", 3),
    OntologyError: Kind(422, "ontology", "The ontology does not allow this", 4),
    NotFoundError: Kind(404, "not-found", "Not found", 5),
    ConflictError: Kind(409, "conflict", "In conflict with what is there", 6),
    StoreUnavailableError: Kind(503, "store-unavailable", "The graph database cannot be reached", 7),
    QueryTimeoutError: Kind(504, "query-timeout", "The query took too long", 8),
    ConfigurationError: Kind(500, "configuration", "A setting is missing or unsafe", 9),
    UnauthenticatedError: Kind(401, "unauthenticated", "A key is needed", 10),
    ForbiddenError: Kind(403, "forbidden", "Not allowed", 11),
    UnsupportedMediaError: Kind(415, "unsupported-media-type", "The content type is not supported", 12),
    BusyError: Kind(429, "busy", "Too many jobs", 13),
    NotReadyError: Kind(503, "not-ready", "Still starting", 14),
    RequestTimeoutError: Kind(504, "request-timeout", "The request took too long", 15),
    ModelUnavailableError: Kind(503, "model-unavailable", "The model can't be asked", 16),
    EvigraphError: Kind(500, "error", "It did not work", 69),
    UnexpectedError: Kind(500, "unexpected", "Unexpected error", 70),
}
"""Exit codes 69 and 70 are `EX_UNAVAILABLE` and `EX_SOFTWARE` of sysexits.h."""

HTTP_KINDS: dict[int, Kind] = {
    400: Kind(400, "bad-request", "The request cannot be parsed", 0),
    404: Kind(404, "no-such-route", "There is no such route", 0),
    405: Kind(405, "method-not-allowed", "The route does not take this method", 0),
    413: Kind(413, "too-large", "The request is too large", 0),
    422: Kind(422, "validation", "The request does not fit the schema", 0),
}
"""What the HTTP layer itself refuses, by status."""


def kind_of(error: BaseException) -> Kind:
    """The row of an error."""
    for base in type(error).__mro__:
        if base in KINDS:
            return KINDS[base]
    return KINDS[UnexpectedError]


def problem(kind: Kind, detail: str, **members: Any) -> dict[str, Any]:  # noqa: ANN401 (RFC 9457 extension members)
    """A problem object; members that are None are left out."""
    body = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": detail}
    return body | {name: value for name, value in members.items() if value is not None}


def problem_of(error: BaseException) -> dict[str, Any]:
    """The problem object of an error; an unexpected error tells nothing of itself."""
    kind = kind_of(error)
    if not isinstance(error, EvigraphError):
        return problem(kind, "Something went wrong here; the log has the details.")
    place = error.place if isinstance(error, InputError) else ""
    return problem(kind, str(error), place=place or None)
