"""What a file is by how it begins: a PDF or a picture, or else a text."""

from __future__ import annotations

_MARKS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"II*\x00", b"MM\x00*")
"""JPEG, PNG, TIFF in both orders of bytes."""


def is_document(content: bytes) -> bool:
    """Whether these are the bytes of a PDF, JPEG, PNG, TIFF, WebP or BMP; a text may begin with `RIFF` or `BM`, too."""
    webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    bitmap = content[:2] == b"BM" and content[6:10] == bytes(4)
    return content.lstrip()[:5] == b"%PDF-" or content.startswith(_MARKS) or webp or bitmap
