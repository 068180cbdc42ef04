"""Texts in chunks, so that each is read once: the paragraphs, and of long ones their sentences in groups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST = 2000
"""Characters of a chunk; a sentence that is longer is cut at white space, or else there."""
_BLANK = re.compile(r"\n[^\S\n]*\n\s*")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[^\Wa-z])|(?<=[。！？])|\n+")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a text.

    Attributes:
        start: characters before it.
        text: as it stands there, without white space around it.
    """

    start: int
    text: str


def chunks_of(text: str, longest: int = LONGEST) -> Iterator[Chunk]:
    """The paragraphs of a text, in its order; they do not depend on one another.

    Args:
        text: paragraphs are apart by empty lines.
        longest: characters of a chunk.
    """
    at = 0
    for gap in (*_BLANK.finditer(text), None):
        end = len(text) if gap is None else gap.start()
        yield from _pieces(text, at, end, longest)
        at = len(text) if gap is None else gap.end()


def sentences_of(text: str) -> list[tuple[int, int]]:
    """Characters of each sentence of a text, without white space around it, end excluded."""
    ends = [gap.end() for gap in _SENTENCE.finditer(text)] + [len(text)]
    starts = [0, *ends[:-1]]
    pieces = (piece for start, end in zip(starts, ends, strict=True) for piece in _stripped(text, start, end))
    return [(piece.start, piece.start + len(piece.text)) for piece in pieces]


def _pieces(text: str, start: int, end: int, longest: int) -> Iterator[Chunk]:
    ends = [start + gap.end() for gap in _SENTENCE.finditer(text[start:end])] + [end]
    begun = start
    for number, here in enumerate(ends):
        ahead = ends[number + 1] if number + 1 < len(ends) else None
        while here - begun > longest:
            cut = text.rfind(" ", begun + longest // 2, begun + longest)
            cut = begun + longest if cut < 0 else cut + 1
            yield from _stripped(text, begun, cut)
            begun = cut
        if ahead is None or ahead - begun > longest:
            yield from _stripped(text, begun, here)
            begun = here


def _stripped(text: str, start: int, end: int) -> Iterator[Chunk]:
    piece = text[start:end]
    if kept := piece.strip():
        yield Chunk(start + len(piece) - len(piece.lstrip()), kept)
