"""Text of files that users give."""

from __future__ import annotations

from kg.errors import InputError


def decoded(content: bytes, place: str) -> str:
    """Text of UTF-8; a byte order mark is dropped.

    Args:
        content: of a file.
        place: what errors name.

    Raises:
        InputError: it is none; names the byte.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"is no UTF-8 text: byte {error.start} is {content[error.start]:#04x}", place) from error
