"""Refuses PDF whose streams unpack to more than a page can need, before anything draws them: so-called zip bombs."""

from __future__ import annotations

import re
import zlib

from kg.errors import InputError

MOST_CONTENT = 8_000_000
"""Bytes of one stream that is no picture, unpacked: a crowded map has less, and drawing more takes half a minute."""
MOST_CONTENT_IN_ALL = 100_000_000
MOST_PICTURE = 200_000_000
"""Of a picture: 50 megapixels and some."""
_STREAM = re.compile(rb"(?<!end)stream\r?\n")
_HEAD = 4096
"""Bytes before a stream in which its dictionary stands."""
_STEP = 1 << 20


def check_streams(content: bytes, place: str) -> None:
    """Unpacks every stream as far as allowed, and forgets it.

    Args:
        content: of a PDF.
        place: what errors name.

    Raises:
        InputError: a stream, or all together, would be too large.
    """
    whole = 0
    for found in _STREAM.finditer(content):
        head = content[max(0, found.start() - _HEAD) : found.start()]
        head = head[head.rfind(b"obj") + 3 :]
        picture = b"/Image" in head
        if b"FlateDecode" not in head and b"/Fl" not in head and b"LZW" not in head:
            continue  # what is not packed is bounded by the file; JPEG's size is checked when it is opened
        size = _unpacked(content, found.end(), MOST_PICTURE if picture else MOST_CONTENT)
        if size is None:
            raise InputError("has a stream that unpacks to more than any page needs", place)
        whole += 0 if picture else size
        if whole > MOST_CONTENT_IN_ALL:
            raise InputError(f"unpacks to more than {MOST_CONTENT_IN_ALL // 1_000_000} MB", place)


def _unpacked(content: bytes, start: int, most: int) -> int | None:
    """Bytes of a stream when it is unpacked, as far as it can be; None if that is more than allowed."""
    unpack, size, rest = zlib.decompressobj(), 0, content[start : start + _STEP]
    while rest and not unpack.eof:
        try:
            size += len(unpack.decompress(rest, _STEP))
        except zlib.error:
            return size
        if size > most:
            return None
        rest = unpack.unconsumed_tail
        if not rest:
            start += _STEP
            rest = content[start : start + _STEP]
    return size
