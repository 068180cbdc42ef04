"""The guard of `POST /v1/cypher` and `evigraph cypher`: checks that a query only reads, and runs it within limits.

The query is parsed by a grammar of the reading part of Cypher, in which writing can't be said, and written anew from
what was parsed: names always in backticks, strings always as parameters, functions and procedures as listed. The
database never sees the user's text, so it can't read in it what the guard did not. `docs/read-cypher.md` tells users.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import orjson

from api.cypher.clauses import MAX_RESULTS, MAX_ROWS, Clauses
from api.cypher.refusal import CypherRefused
from api.cypher.values import to_json
from kg.errors import QueryTimeoutError

__all__ = ["CheckedQuery", "CypherRefused", "GuardedResult", "ReadStore", "check", "run_guarded"]

SERVER_TIMEOUT_S = 5.0
CLIENT_TIMEOUT_S = 6.0
MAX_RESULT_BYTES = 1_000_000
MAX_PARAMETER_BYTES = 100_000
MAX_PARAMETER_TEXT = 10_000
"""Characters of one string in the parameters."""


@dataclass(frozen=True, slots=True)
class CheckedQuery:
    """A query that only reads.

    Args:
        text: what to send to the database.
        strings: the query's strings, by the names of the parameters that stand for them in the text.
        parameters: names of the caller's parameters that the query uses, without `$`.
        counted: those of them that say how many results an index search gives.
        columns: names of the columns as the user wrote them, in order; empty where only the database knows them.
        names: the user's name of each variable in the text, which the columns of `RETURN *` have.
    """

    text: str
    strings: Mapping[str, str]
    parameters: frozenset[str]
    counted: frozenset[str]
    columns: tuple[str, ...]
    names: Mapping[str, str]

    def bind(self, parameters: Mapping[str, object]) -> dict[str, object]:
        """All parameters to send: those of the caller that the query uses, and its strings.

        Raises:
            CypherRefused: one is missing, or not JSON, or too large.
        """
        missing = sorted(self.parameters - parameters.keys())
        if missing:
            raise CypherRefused(f"no value for parameter ${missing[0]}")
        used = {name: parameters[name] for name in sorted(self.parameters)}
        try:
            size = len(orjson.dumps(used))
        except orjson.JSONEncodeError as error:
            raise CypherRefused(f"the parameters are not JSON: {error}") from error
        if size > MAX_PARAMETER_BYTES:
            raise CypherRefused(f"the parameters have more than {MAX_PARAMETER_BYTES:,} bytes as JSON")
        if _longest_text(used) > MAX_PARAMETER_TEXT:
            raise CypherRefused(f"a text of more than {MAX_PARAMETER_TEXT:,} characters in the parameters")
        for name in sorted(self.counted):
            value = used[name]
            if type(value) is not int or not 0 < value <= MAX_RESULTS:
                raise CypherRefused(f"${name}, a number of results, is not between 1 and {MAX_RESULTS:,}")
        return {**used, **self.strings}


@dataclass(frozen=True, slots=True)
class GuardedResult:
    """Rows as JSON values in the order of the columns; `truncated` says why there are no more, if so."""

    columns: tuple[str, ...]
    rows: list[list[object]]
    truncated: str = ""


class ReadStore(Protocol):
    """What the guard needs of a store."""

    def read(
        self, query: str, parameters: Mapping[str, object], timeout_s: float
    ) -> AsyncIterator[Mapping[str, object]]:
        """Gives the records of a query, run in a read session and stopped by the server after `timeout_s` seconds."""


def check(query: str) -> CheckedQuery:
    """Checks that a query only reads.

    Raises:
        CypherRefused: it is not in the grammar, or would go beyond a limit; names the construct, line and column.
    """
    parser = Clauses(query)
    text = parser.query()
    return CheckedQuery(
        text=text,
        strings=parser.strings,
        parameters=frozenset(parser.parameters),
        counted=frozenset(parser.counted),
        columns=parser.columns or (),
        names={sent: name for name, sent in parser.variables.items()},
    )


async def run_guarded(store: ReadStore, query: str, parameters: Mapping[str, object] | None = None) -> GuardedResult:
    """Checks and runs a query; a result beyond `MAX_ROWS` rows or `MAX_RESULT_BYTES` bytes of JSON is cut there.

    Raises:
        CypherRefused: the query does not only read, or its parameters are too large.
        QueryTimeoutError: it took longer than `SERVER_TIMEOUT_S`, or the store did not stop it in time.
    """
    checked = check(query)
    bound = checked.bind(parameters or {})
    try:
        async with asyncio.timeout(CLIENT_TIMEOUT_S):
            return await _collect(store, checked, bound)
    except TimeoutError:
        raise QueryTimeoutError(f"the query took longer than {SERVER_TIMEOUT_S:g} s") from None


async def _collect(store: ReadStore, checked: CheckedQuery, bound: Mapping[str, object]) -> GuardedResult:
    columns = checked.columns
    rows: list[list[object]] = []
    size = 0
    records = store.read(checked.text, bound, SERVER_TIMEOUT_S)
    try:
        async for record in records:
            columns = columns or tuple(checked.names.get(key, key) for key in record)
            if len(rows) == MAX_ROWS:
                return GuardedResult(columns, rows, f"cut after {MAX_ROWS:,} rows")
            row = [to_json(value) for value in record.values()]
            size += len(orjson.dumps(row)) + 1
            if size > MAX_RESULT_BYTES:
                return GuardedResult(columns, rows, f"cut after {len(rows):,} rows: the next would pass 1 MB")
            rows.append(row)
    finally:
        # A result that is cut must end its transaction now, not when the iterator is collected as garbage.
        close = getattr(records, "aclose", None)
        if close is not None:
            await close()
    return GuardedResult(columns, rows)


def _longest_text(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return max((max(len(str(key)), _longest_text(item)) for key, item in value.items()), default=0)
    if isinstance(value, list | tuple):
        return max(map(_longest_text, value), default=0)
    return 0
