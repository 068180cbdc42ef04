"""Named entities of chunks, kept by hash, so that what a tagger has read is not read again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import orjson

from encoders.tokens.tagger import NamedEntity
from kg.errors import InputError


class Tagger(Protocol):
    """Finds named entities.

    Attributes:
        name: of it, `@` and its version.
    """

    name: str

    def encode(self, texts: Sequence[str]) -> list[list[NamedEntity]]:
        """Of each text, in its order; the texts do not depend on one another."""
        ...


class KeptTagger:
    """A tagger that remembers.

    Args:
        tagger: is asked about texts that are new.
        folder: has a JSON file for each text, in a folder for each tagger.
    """

    def __init__(self, tagger: Tagger, folder: Path) -> None:
        self.name = tagger.name
        self._tagger = tagger
        self._folder = folder / hashlib.sha256(tagger.name.encode()).hexdigest()[:16]

    def encode(self, texts: Sequence[str]) -> list[list[NamedEntity]]:
        """See `Tagger.encode`.

        Raises:
            InputError: a file is damaged.
        """
        known = {text: self._get(text) for text in texts}
        new = [text for text, found in known.items() if found is None]
        for text, found in zip(new, self._tagger.encode(new), strict=True):
            self._put(text, found)
            known[text] = found
        return [known[text] or [] for text in texts]

    def _get(self, text: str) -> list[NamedEntity] | None:
        path = self._path(text)
        try:
            return [NamedEntity(**one) for one in orjson.loads(path.read_bytes())]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"holds no entities: {error}", str(path)) from error

    def _put(self, text: str, found: Sequence[NamedEntity]) -> None:
        path = self._path(text)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(orjson.dumps([asdict(one) for one in found]))
        partial.replace(path)

    def _path(self, text: str) -> Path:
        key = hashlib.sha256(text.encode()).hexdigest()
        return self._folder / key[:2] / f"{key}.json"
