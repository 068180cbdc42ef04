"""Rows of a statement, for as many at a time as a database takes in one message."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import orjson

from kg.errors import InputError

T = TypeVar("T")

_CHUNK = 10_000
_MESSAGE = 12_000_000
"""Bytes of rows in one message, as JSON: ArcadeDB takes 16 MiB, and answers nothing to more."""


def parts(parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Parameters of a statement, with `rows` or `ids`, if it unwinds them, as `chunks`."""
    name = next((name for name in ("rows", "ids") if name in parameters), None)
    if name is None:
        yield parameters
        return
    for part in chunks(parameters[name]):
        yield {**parameters, name: part}


def chunks(rows: Sequence[T]) -> Iterator[list[T]]:
    """The rows in lists of at most `_CHUNK`, none longer than a database takes as one message.

    Raises:
        InputError: one row alone is longer.
    """
    for start in range(0, len(rows), _CHUNK):
        yield from _small(list(rows[start : start + _CHUNK]))


def _small(rows: list[T]) -> Iterator[list[T]]:
    if len(orjson.dumps(rows)) <= _MESSAGE:
        yield rows
    elif len(rows) > 1:
        yield from _small(rows[: len(rows) // 2])
        yield from _small(rows[len(rows) // 2 :])
    else:
        raise InputError(f"one entity or fact of more than {_MESSAGE:,} bytes: {str(rows[0])[:200]}")
