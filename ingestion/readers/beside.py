"""Documents that are read together with small files beside them: names of classes, a sequence's size."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from ingestion.readers.base import Document, unreadable
from kg.errors import InputError


class Accompanied(Document):
    """A document that is read together with small files beside it: it has changed when one of them has."""

    def __init__(self, document: Document, beside: tuple[Path, ...]) -> None:
        super().__init__(document.id, document.path, document.origin)
        self.beside = beside

    @cached_property
    def content(self) -> str:
        """SHA-256 of the bytes of all its files, hexadecimal.

        Raises:
            InputError: one can't be read.
        """
        own = Document(self.id, self.path).content
        if not self.beside:
            return own
        digest = hashlib.sha256(own.encode())
        for path in self.beside:
            digest.update(Document(self.id, path).content.encode())
        return digest.hexdigest()


def folders_above(file: Path, loaded: Path | None, most: int) -> list[Path]:
    """The folder of a file and up to `most` above it, innermost first; none above the file or folder that is loaded."""
    root = file if loaded is None else loaded.expanduser().resolve()
    above = [folder for folder in file.parent.parents[:most] if folder.is_relative_to(root)]
    return [file.parent, *above]


def read_beside(path: Path, limit: int = 1 << 20) -> str:
    """The text of a small file.

    Raises:
        InputError: it can't be read, is too large, or not UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise InputError(f"larger than {limit:,} bytes", path.name)
        return content.decode("utf-8-sig")
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8", path.name) from error
