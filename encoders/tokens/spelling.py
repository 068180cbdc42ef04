"""How words are written, which models that read lower case alone can't see: capitals, digits, and each character."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHAPES = 8
CHARACTERS = 224
LONGEST = 24
"""Characters of a word that are looked at: its first half and its last."""

_OTHER, _LOWER, _TITLE, _UPPER, _MIXED, _DIGITS, _WITH_DIGITS, _ONE_UPPER = range(SHAPES)


def shape_of(word: str) -> int:
    """Which of `SHAPES` ways of writing a word is: lower, Title, UPPER, miXed, 12.3, A4, A, or none of them."""
    letters = [character for character in word if character.isalpha()]
    if any(character.isdigit() for character in word):
        return _WITH_DIGITS if letters else _DIGITS
    if not letters:
        return _OTHER
    if all(not character.isupper() for character in letters):
        return _LOWER
    if len(letters) == 1:
        return _ONE_UPPER
    if all(character.isupper() for character in letters):
        return _UPPER
    if letters[0].isupper() and not any(character.isupper() for character in letters[1:]):
        return _TITLE
    return _MIXED


def characters_of(word: str) -> NDArray[np.int64]:
    """(`LONGEST`,): numbers of a word's characters, 0 where there is none; rare ones share a number."""
    half = LONGEST // 2
    kept = word if len(word) <= LONGEST else word[:half] + word[-half:]
    row = np.zeros(LONGEST, np.int64)
    for at, character in enumerate(kept):
        code = ord(character)
        row[at] = 1 + code if code < 127 else 128 + code % (CHARACTERS - 128)
    return row
