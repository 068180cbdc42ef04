"""XML whose tags and texts are of bounded length: a parser holds each of them whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import iterparse

MAX_PIECE = 4 << 20
"""Bytes of one tag or text; expat reads an unfinished one again with every block."""


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int = ..., /) -> bytes:
        """The next bytes."""
        ...


class _Limited:
    """A file of which at most `MAX_PIECE` bytes are read between two events."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self.since = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self.since += len(data)
        if self.since > MAX_PIECE:
            raise ValueError(f"a tag or text of more than {MAX_PIECE:,} bytes")
        return data


def events(file: Readable, *, forbid_dtd: bool = False) -> Iterator[tuple[str, Element]]:
    """Each element with `start` and with `end`, as `iterparse` gives them.

    Raises:
        ParseError: it is not XML.
        DefusedXmlException: it holds what may not be read.
        ValueError: a tag or text is too long.
        LookupError: its encoding is unknown.
    """
    limited = _Limited(file)
    for event, element in iterparse(limited, events=("start", "end"), forbid_dtd=forbid_dtd):
        limited.since = 0
        yield event, element
