"""Sentences in the form of CoNLL-2003: a token and its tag a line, an empty line after each sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kg.errors import InputError
from kg.utf8 import decoded

_DOCUMENT = "-DOCSTART-"
OUTSIDE = "O"


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words of one sentence.

    Attributes:
        words: as they are written.
        tags: one a word, such as `B-PER`, `I-PER` or `O`; empty where they are not known.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...] = ()


def read_conll(path: Path, tags: Sequence[str] = ()) -> list[Sentence]:
    """The sentences of a file, in its order; lines `-DOCSTART-` are left out, and so is what follows the tag.

    Args:
        path: lines of token, tag and anything, apart by white space.
        tags: those that are known; none: any.

    Raises:
        InputError: a line without tag, a tag that is not known, no UTF-8, no sentence; names file and line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", str(path)) from error
    text = decoded(content, str(path))
    found: list[Sentence] = []
    words: list[str] = []
    said: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], 1):
        parts = line.split()
        if parts and parts[0] != _DOCUMENT:
            if len(parts) < 2:
                raise InputError(f"no tag after {parts[0]!r}", f"{path}:{number}")
            if tags and parts[1] not in tags:
                raise InputError(f"tag {parts[1]!r} is none of {', '.join(tags)}", f"{path}:{number}")
            words.append(parts[0])
            said.append(parts[1])
        elif words:
            found.append(Sentence(tuple(words), tuple(said)))
            words, said = [], []
    if not found:
        raise InputError("holds no sentence", str(path))
    return found


def tags_of(sentences: Iterable[Sentence]) -> list[str]:
    """All tags of sentences, `O` first, then by name."""
    seen = {tag for sentence in sentences for tag in sentence.tags}
    return [OUTSIDE, *sorted(seen - {OUTSIDE})]


def spans(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """Entities of a sentence's tags, as conlleval counts them: first word, word after the last, type.

    An `I-` that follows no entity of its type begins one; tags without prefix count as `I-`.
    """
    found: list[tuple[int, int, str]] = []
    before = ""
    for at, tag in enumerate(tags):
        prefix, _, kind = tag.rpartition("-") if tag != OUTSIDE else ("", "", "")
        if kind:
            if kind == before and prefix not in ("B", "S") and found:
                found[-1] = (found[-1][0], at + 1, kind)
            else:
                found.append((at, at + 1, kind))
        before = kind
    return found
