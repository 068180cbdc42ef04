"""Refuses PDF whose streams unpack to more than a page can need, before anything draws them: so-called zip bombs.

What a stream's dictionary says of it is not relied on: it can be written in many ways, and far from the stream.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib

from kg.errors import InputError

MOST_CONTENT = 8_000_000
"""Bytes of one stream that is no picture, unpacked: a crowded map has less, and drawing more takes half a minute."""
MOST_CONTENT_IN_ALL = 100_000_000
MOST_PICTURE = 200_000_000
"""Of a picture: 50 megapixels and some."""
_STREAM = re.compile(rb"(?<!end)stream\r?\n")
_PICTURE = re.compile(rb"/Subtype\s*/Image\b")
_HEAD = 4096
"""Bytes before a stream in which its dictionary stands."""
_STEP = 1 << 20
_NESTED = 64
"""Bytes that what was unpacked yields when it is unpacked again, for it to count as packed twice."""
_TEXT = re.compile(rb"[\x00\t\n\f\r -~]*")


def check_streams(content: bytes, place: str) -> None:
    """Unpacks every stream as far as allowed, and forgets it.

    Args:
        content: of a PDF.
        place: what errors name.

    Raises:
        InputError: a stream, or all together, would be too large, or is packed twice.
    """
    whole = 0
    for found in _STREAM.finditer(content):
        head = content[max(0, found.start() - _HEAD) : found.start()]
        picture = bool(_PICTURE.search(head[head.rfind(b"obj") + 3 :]))
        end = content.find(b"endstream", found.end())
        start, packed = found.end(), content
        if (decoded := _from_text(content[start : end if end >= 0 else len(content)])) is not None:
            start, packed = 0, decoded
        size = _unpacked(packed, start, MOST_PICTURE if picture else MOST_CONTENT, place)
        if size is None:
            raise InputError("has a stream that unpacks to more than any page needs", place)
        whole += 0 if picture else size
        if whole > MOST_CONTENT_IN_ALL:
            raise InputError(f"unpacks to more than {MOST_CONTENT_IN_ALL // 1_000_000} MB", place)


def _from_text(raw: bytes) -> bytes | None:
    """The bytes that a stream in hexadecimal or base 85 stands for, if it is one."""
    if not _TEXT.fullmatch(raw[:_HEAD]):
        return None
    plain = b"".join(raw.split())
    try:
        return binascii.unhexlify(plain.rstrip(b">"))
    except binascii.Error:
        pass
    try:
        return base64.a85decode(plain.removeprefix(b"<~").removesuffix(b"~>"))
    except ValueError:
        return None


def _unpacked(content: bytes, start: int, most: int, place: str) -> int | None:
    """Bytes of a stream when it is unpacked, as far as it can be; None if that is more than allowed.

    Raises:
        InputError: what comes out is packed once more.
    """
    unpack, size, rest = zlib.decompressobj(), 0, content[start : start + _STEP]
    while rest and not unpack.eof:
        try:
            part = unpack.decompress(rest, _STEP)
        except zlib.error:
            return size
        if not size and _is_packed(part):
            raise InputError("has a stream that is packed twice", place)
        size += len(part)
        if size > most:
            return None
        rest = unpack.unconsumed_tail
        if not rest:
            start += _STEP
            rest = content[start : start + _STEP]
    return size


def _is_packed(content: bytes) -> bool:
    """Whether bytes begin as what zlib packs, or as text that stands for such."""
    decoded = _from_text(content[:_HEAD] if len(content) > _HEAD else content) if content[:1].isalnum() else None
    for each in (content, decoded or b""):
        try:
            if len(zlib.decompressobj().decompress(each, _NESTED)) >= _NESTED:
                return True
        except zlib.error:
            continue
    return False
