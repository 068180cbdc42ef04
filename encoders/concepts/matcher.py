"""Finds the concepts of a vocabulary in text: by their names, in any order of words, form and number.

A name is the multiset of its words' stems, hashed so that a window over the text is hashed by a difference of running
sums; all windows of one length are looked up at once. Names of one word are looked up by their lemma, abbreviations as
they are written. What the vocabulary's own synonyms show to be interchangeable (tumor and neoplasm, nasal and nose) is
interchanged in other names, too.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from encoders.concepts.names import ConceptName
from encoders.concepts.words import EMPTY, TOKEN, content_words, lemma, stem

LONGEST = 9
"""Words of a name that are compared, at most."""
INTERCHANGED = 5
"""Concepts whose synonyms differ by just two words, for these to be interchanged in other names."""
_ABBREVIATION, _SHORT = 6, 3
_SUBSTITUTED = 2
_LEAST_INTERCHANGED = 3
"""Words of a name in which one may be interchanged: of two, every other was wrong on annotated texts."""
_MASK = (1 << 64) - 1
_AND = frozenset({"and", "or"})
_JOINS = frozenset("-–‐‑")
_REMEMBERED = 200_000
"""Words of texts that are looked up once."""
_TAIL = 3
"""Words that are shared in a list such as `palmar and plantar pits`, at most."""


@dataclass(frozen=True, slots=True)
class Mention:
    """Words that name a concept.

    Attributes:
        start, end: characters of the text, end excluded; where a list shares words, from the first to the last.
        concept: its id.
        rank: 0 its name, 1 a synonym, 2 or 3 these with a word interchanged.
        words: how many words of a name were found.
        listed: whether it shares words with another in a list, such as `palmar` and `plantar pits`.
        others: concepts that the words name as well.
    """

    start: int
    end: int
    concept: str
    rank: int
    words: int
    listed: bool = False
    others: tuple[str, ...] = ()


_Found = tuple[int, tuple[str, ...]]
_NOTHING: _Found = (9, ())
"""Of a rank behind all."""
_Key = TypeVar("_Key")


@dataclass(frozen=True, slots=True)
class _Word:
    """What is known of a word of texts: 0 as hash where no name has it; whether names are alike without it."""

    hash: int
    alone: _Found | None = None
    empty: bool = False


class ConceptMatcher:
    """The names of a vocabulary, ready to be found."""

    def __init__(self, names: Iterable[ConceptName], interchanged: int = INTERCHANGED) -> None:
        """Takes in the names.

        Args:
            names: of all concepts; where two concepts have one name, the first that it is the name of counts.
            interchanged: see `INTERCHANGED`; 0 interchanges nothing.
        """
        self._random = np.random.default_rng(0)
        self._hash_of: dict[str, int] = {}
        self._as_written: dict[str, _Found] = {}
        self._alone: dict[str, _Found] = {}
        self._windows: dict[int, dict[int, _Found]] = defaultdict(dict)
        self._words: dict[str, _Word] = {}
        several: list[tuple[list[str], int, str]] = []
        by_concept: dict[str, list[Counter[str]]] = defaultdict(list)
        for name in names:
            words = content_words(name.text)
            if not words or len(words) > LONGEST:
                continue
            rank = 0 if name.preferred else 1
            if len(words) == 1:
                self._put_one(words[0], rank, name.concept)
                continue
            stems = [stem(word) for word in words]
            _put(self._windows[len(stems)], self._key(stems), rank, name.concept)
            several.append((stems, rank, name.concept))
            by_concept[name.concept].append(Counter(stems))
        if interchanged:
            others = _interchangeable(by_concept, interchanged)
            for stems, rank, concept in several:
                if len(stems) < _LEAST_INTERCHANGED:
                    continue
                for at, word in enumerate(stems):
                    for other in others.get(word, ()):
                        key = self._key([*stems[:at], other, *stems[at + 1 :]])
                        _put(self._windows[len(stems)], key, rank + _SUBSTITUTED, concept)
        self._sorted = {
            length: np.array(sorted(windows), np.uint64) for length, windows in sorted(self._windows.items())
        }

    def find(self, text: str, *, nested: bool = False) -> list[Mention]:
        """The concepts that a text names, in their order.

        Args:
            text: of any length.
            nested: also those whose words are a part of the words of another; crossing ones never.
        """
        found = self._all(text)
        found.sort(key=lambda mention: (-mention.words, mention.rank, mention.start - mention.end, mention.start))
        kept: list[Mention] = []
        taken: dict[int, list[Mention]] = defaultdict(list)
        for mention in found:
            cells = range(mention.start >> 6, (mention.end >> 6) + 1)
            if any(_clash(mention, other, nested=nested) for cell in cells for other in taken[cell]):
                continue
            kept.append(mention)
            for cell in cells:
                taken[cell].append(mention)
        return sorted(kept, key=lambda mention: (mention.start, mention.end))

    def _all(self, text: str) -> list[Mention]:
        found: list[Mention] = []
        starts: list[int] = []
        ends: list[int] = []
        hashes: list[int] = []
        lists: list[int] = []
        for token in TOKEN.finditer(text):
            written = token.group()
            word = self._words.get(written) or self._meet(written)
            if word.empty:
                continue
            if written in _AND:
                lists.append(len(hashes))
            starts.append(token.start())
            ends.append(token.end())
            hashes.append(word.hash)
            if word.alone is not None:
                found.append(_mention(token.start(), token.end(), word.alone, 1))
        if len(hashes) > 1:
            array = np.array(hashes, np.uint64)
            found += self._of_windows(array, starts, ends)
            whole_starts, whole_ends = {one.start for one in found}, {one.end for one in found}
            for at in lists:
                if 0 < at < len(hashes) - 1:
                    ended, begun = ends[at - 1] in whole_ends, starts[at + 1] in whole_starts
                    found += self._of_list(hashes, at, starts, ends, ended=ended, begun=begun)
        return found

    def _of_windows(self, hashes: np.ndarray, starts: Sequence[int], ends: Sequence[int]) -> list[Mention]:
        """Names whose words stand side by side."""
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(hashes)])  # modulo 2⁶⁴
        unknown = np.concatenate([np.zeros(1, np.int64), np.cumsum(hashes == 0)])
        found = []
        for length, keys in self._sorted.items():
            if length > len(hashes):
                break
            of_windows = sums[length:] - sums[:-length]
            places = np.searchsorted(keys, of_windows)
            same = keys[np.minimum(places, len(keys) - 1)] == of_windows
            windows = self._windows[length]
            found += [
                _mention(starts[at], ends[at + length - 1], windows[int(of_windows[at])], length)
                for at in np.flatnonzero(same & (unknown[length:] == unknown[:-length])).tolist()
            ]
        return found

    def _of_list(
        self, hashes: Sequence[int], at: int, starts: Sequence[int], ends: Sequence[int], *, ended: bool, begun: bool
    ) -> list[Mention]:
        """`palmar and plantar pits` names palmar pits; `pits of the palms and soles` names pits of the soles.

        Where a name has ended before the `and`, the word there needs none from behind it, and the other way round.
        """
        found: list[Mention] = []
        before, after = at - 1, at + 1
        if not hashes[before] or not hashes[after]:
            return found
        for tail in range(1, _TAIL + 1):
            windows = self._windows.get(tail + 1, {})
            ways = (
                (not ended, before, range(after + 1, after + 1 + tail), before, after + tail),
                (not begun, after, range(before - tail, before), before - tail, after),
            )
            for may, alone, shared, first, last in ways:
                if not may or first < 0 or last >= len(hashes) or not all(hashes[each] for each in shared):
                    continue
                hit = windows.get((hashes[alone] + sum(hashes[each] for each in shared)) & _MASK)
                if hit and hit[0] < _SUBSTITUTED:
                    found.append(_mention(starts[first], ends[last], hit, tail + 1, listed=True))
        return found

    def _meet(self, written: str) -> _Word:
        """What is known of a word or mark that comes for the first time."""
        if written in _JOINS or written.casefold() in EMPTY:
            word = _Word(0, empty=True)
        elif written[0].isalnum():
            alone = self._as_written.get(written) or self._alone.get(lemma(written))
            word = _Word(self._hash_of.get(stem(written), 0), alone)
        else:
            word = _Word(0)
        if len(self._words) >= _REMEMBERED:
            self._words.clear()
        self._words[written] = word
        return word

    def _put_one(self, word: str, rank: int, concept: str) -> None:
        if len(word) <= _SHORT or (word.isupper() and len(word) <= _ABBREVIATION):
            _put(self._as_written, word, rank, concept)
        else:
            _put(self._alone, lemma(word), rank, concept)

    def _key(self, stems: Sequence[str]) -> int:
        return sum(self._hash(each) for each in stems) & _MASK

    def _hash(self, each: str) -> int:
        if each not in self._hash_of:
            self._hash_of[each] = int(self._random.integers(1, _MASK, dtype=np.uint64, endpoint=True))
        return self._hash_of[each]


def _put(table: dict[_Key, _Found], key: _Key, rank: int, concept: str) -> None:
    """The lower rank stays; of one rank all do, the first before others, but where a word was interchanged."""
    known, concepts = table.get(key, _NOTHING)
    if rank < known:
        table[key] = (rank, (concept,))
    elif rank == known < _SUBSTITUTED and concept not in concepts:
        table[key] = (rank, (*concepts, concept))


def _mention(start: int, end: int, found: _Found, words: int, *, listed: bool = False) -> Mention:
    rank, (concept, *others) = found
    return Mention(start, end, concept, rank, words, listed, tuple(others))


def _clash(one: Mention, other: Mention, *, nested: bool) -> bool:
    """Whether words of one belong to the other; in a list, words may belong to several."""
    if one.end <= other.start or other.end <= one.start:
        return False
    if one.listed or other.listed:
        same = (one.start, one.end, one.listed) == (other.start, other.end, other.listed)
        return same or one.concept == other.concept
    inside = other.start <= one.start and one.end <= other.end
    return not (nested and inside and (one.start, one.end) != (other.start, other.end))


def _interchangeable(names: Mapping[str, Sequence[Counter[str]]], least: int) -> dict[str, list[str]]:
    """Stems that stand for each other in names of at least so many concepts, all else equal."""
    concepts: dict[tuple[str, str], set[str]] = defaultdict(set)
    for concept, words in names.items():
        for one, other in itertools.combinations(words, 2):
            left, right = one - other, other - one
            if left.total() == 1 and right.total() == 1:
                (first,), (second,) = left, right
                concepts[first, second].add(concept)
                concepts[second, first].add(concept)
    found: dict[str, list[str]] = defaultdict(list)
    for (one_word, other_word), among in sorted(concepts.items()):
        if len(among) >= least:
            found[one_word].append(other_word)
    return found
