"""Lines of a text file, of bounded length, strictly UTF-8."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from ingestion.readers.base import Document
from kg.model import Rejected

MAX_LINE = 8 << 20
"""Bytes of a line; the longest in any HPO release is below 20 kB."""

_SHOWN = 2000


def lines(document: Document, max_line: int = MAX_LINE) -> Iterator[tuple[int, str] | Rejected]:
    """Numbered lines from 1, without their ends; a byte order mark is dropped.

    A line beyond `max_line` bytes, or not UTF-8, is yielded as `Rejected`; memory stays bounded by `max_line`.
    """
    with document.open() as file:
        yield from numbered_lines(file, document.id, max_line=max_line)


def numbered_lines(
    file: IO[bytes], document: str, before: int = 0, max_line: int = MAX_LINE
) -> Iterator[tuple[int, str] | Rejected]:
    """The lines of a file from where it is; `before` lines of the document came earlier."""
    number = before
    while raw := file.readline(max_line + 1):
        number += 1
        if len(raw) > max_line and not raw.endswith(b"\n"):
            size = len(raw)
            while (rest := file.readline(1 << 20)) and not rest.endswith(b"\n"):
                size += len(rest)
            reason = f"line of {size + len(rest):,} bytes, longer than {max_line:,}"
            yield Rejected(reason, f"L{number}", raw[:_SHOWN].decode("utf-8", "replace"), document)
            continue
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            reason = f"not UTF-8: byte {raw[error.start]:#04x} at column {error.start + 1}"
            yield Rejected(reason, f"L{number}", raw[:_SHOWN].decode("utf-8", "replace"), document)
            continue
        yield number, (text.removeprefix("\ufeff") if number == 1 else text).rstrip("\r\n")
