"""One order-free hash of a graph's content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

_BYTES = 16


class Digest:
    """The sum, modulo 2^128, of the BLAKE2b hashes of all sources, entities and facts.

    A sum does not depend on the order of its terms (Bellare and Micciancio, AdHash, EUROCRYPT 1997). Versions are left
    out: they say when something was written, not what.
    """

    def __init__(self) -> None:
        self._sum = 0
        self._count = 0

    def add_sources(self, rows: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """Rows (id, properties)."""
        for id_, properties in rows:
            self._add("source", id_, dict(properties))

    def add_entities(self, rows: Iterable[tuple[str, list[str], Mapping[str, Any]]]) -> None:
        """Rows (id, labels, properties)."""
        for id_, labels, properties in rows:
            self._add("entity", id_, sorted(labels), _unversioned(properties))

    def add_facts(self, rows: Iterable[tuple[str, str, str, Mapping[str, Any]]]) -> None:
        """Rows (subject, relation, object, properties)."""
        for subject, relation, object_, properties in rows:
            self._add("fact", subject, relation, object_, _unversioned(properties))

    def _add(self, *item: object) -> None:
        text = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
        self._sum += int.from_bytes(hashlib.blake2b(text, digest_size=_BYTES).digest(), "big")
        self._count += 1

    def hexdigest(self) -> str:
        """32 hexadecimal digits, a dash, and how many items there are."""
        return f"{self._sum % (1 << (8 * _BYTES)):0{2 * _BYTES}x}-{self._count}"


def _unversioned(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in properties.items() if name != "version"}
