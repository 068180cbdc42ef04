"""Names of entities, made comparable, and the index that finds what words mean: exactly, or nearly."""

from __future__ import annotations

import heapq
import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from opencc import OpenCC
from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA

SAME = 0.9
"""Share of right letters from which a misspelt name is the name meant."""
MAYBE = 0.7
"""Share of the words, weighed by rarity, from which a name may be the one meant, for a person to say."""

_WORD = re.compile(r"[^\W_]+")
_POSSESSIVE = re.compile(r"['’]s\b")
_GLOSS = re.compile(r"\s*[(\[]([^()\[\]]*)[)\]]\s*$")
_CJK = re.compile(r"[㐀-鿿豈-﫿]")
_STOP = frozenset(("a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "the", "to", "with"))
_SHORT = 4
"""Letters of a word below which it is not taken for misspelt."""
_LONG = 8
"""Letters from which a word may have two wrong ones."""
_OPPOSED = (("hyper", "hypo"), ("macro", "micro"), ("inter", "intra"), ("endo", "exo"), ("ante", "anti"))
"""Beginnings that are a slip apart, and opposites."""
_ALIKE = 0.8
"""Likeness from which two words count as forms of one."""
_MAX_NEAR = 5
_MAX_BLOCK = 2000
_MAX_SCORED = 60
_MAX_MAYBE = 3


@lru_cache(maxsize=1)
def _simplify() -> OpenCC:
    return OpenCC("t2s")


def fold(text: str) -> str:
    """The text without what is mere writing: width, case, traditional characters, blanks (Unicode NFKC, OpenCC)."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
        if _CJK.search(text):
            text = _simplify().convert(text)
    return " ".join(text.casefold().split())


def words(folded: str) -> list[str]:
    """The words of a folded text in order, in the singular, without those that only join others."""
    found = _WORD.findall(folded if folded.isalpha() else _POSSESSIVE.sub("", folded))
    return [_singular(w) for w in found if w not in _STOP] or found


@lru_cache(maxsize=200_000)
def _singular(word: str) -> str:
    """Harman's S stemmer (How effective is suffixing?, JASIS 42:7, 1991), and British spellings as American ones."""
    if len(word) > _SHORT and word.isalpha() and word.isascii():
        word = word.replace("ae", "e").replace("oe", "e")
    if len(word) < _SHORT or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies") and not word.endswith(("eies", "aies")):
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "shes", "tches", "nches")):
        return word[:-2]
    return word[:-1]


def key(folded: str) -> str:
    """What two names have in common that differ in plural, punctuation or the order of words only."""
    return " ".join(sorted(words(folded)))


@dataclass(frozen=True, slots=True)
class Match:
    """What words may mean.

    Attributes:
        id: the entity meant; empty if that is not sure.
        how: `name`, `synonym`, `words` (but for plural, punctuation, order), `gloss` (but for what is added in
            brackets, which means the same), `spelling`; never sure are `detail` (brackets that narrow it), `alike` and
            `ambiguous`.
        score: how alike the words and the name are, 0…1.
        candidates: (id, name, score) of those that may be meant, the likeliest first.
    """

    id: str
    how: str
    score: float
    candidates: tuple[tuple[str, str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class _Name:
    text: str
    id: str
    rank: int
    """0 a name, 1 a synonym"""


class NameIndex:
    """Finds entities by what they are called, among those of some classes.

    Args:
        same: share of right letters from which a misspelt name is the one meant.
        maybe: share of the words, weighed by rarity, from which a name may be the one meant.
    """

    def __init__(self, same: float = SAME, maybe: float = MAYBE) -> None:
        self._same = same
        self._maybe = maybe
        self._classes: dict[str, frozenset[str]] = {}
        self._called: dict[str, tuple[str, ...]] = {}
        """id → folded names"""
        self._folded: dict[str, list[_Name]] = {}
        self._keyed: dict[str, list[_Name]] = {}
        self._blocks: dict[str, list[str]] = {}
        """word, or Chinese character → keys of names that have it"""
        self._unblocked: list[str] = []
        self._rarities: dict[str, float] = {}
        self._by_initial: dict[str, list[str]] = {}
        self._found: dict[tuple[str, frozenset[str]], Match | None] = {}

    def __len__(self) -> int:
        return len(self._classes)

    def __contains__(self, id_: str) -> bool:
        return id_ in self._classes

    def add(self, id_: str, classes: frozenset[str], name: str, synonyms: Iterable[str] = ()) -> None:
        """Takes in an entity.

        Args:
            id_: of the entity.
            classes: its classes, superclasses included.
            name: empty if it has none.
            synonyms: other names.
        """
        self._classes[id_] = self._classes.get(id_, frozenset()) | classes
        self._found.clear()
        called = []
        for rank, text in ((0, name), *((1, s) for s in synonyms)):
            folded = fold(text)
            if not folded:
                continue
            called.append(folded)
            entry = _Name(text, id_, rank)
            self._folded.setdefault(folded, []).append(entry)
            names = self._keyed.setdefault(sorted_ := key(folded), [])
            names.append(entry)
            if len(names) == 1:
                self._unblocked.append(sorted_)
        if called:
            self._called[id_] = (*self._called.get(id_, ()), *called)

    def discard(self, id_: str) -> None:
        """Forgets an entity, if it is known: the index is as if it had never been added."""
        if self._classes.pop(id_, None) is None:
            return
        self._found.clear()
        called = frozenset(self._called.pop(id_, ()))
        for folded in called:
            _take_out(self._folded, folded, id_)
        self._fill_blocks()
        for sorted_ in {key(folded) for folded in called}:
            _take_out(self._keyed, sorted_, id_)
            if sorted_ not in self._keyed:
                self._unblock(sorted_)

    def classes(self, id_: str) -> frozenset[str]:
        """Classes of an entity, superclasses included; empty if it is unknown."""
        return self._classes.get(id_, frozenset())

    def find(self, text: str, wanted: frozenset[str]) -> Match | None:
        """What words mean among the members of these classes; None if nothing is like it.

        Names come before synonyms, exact ones before others. Entities of one name in several catalogues (ids with
        different prefixes) and of the same classes are entries of one thing, of which the first by id is taken; others
        are namesakes, and it is not said which one is meant.
        """
        asked = fold(text), wanted
        if asked not in self._found:
            self._found[asked] = self._find(*asked)
        return self._found[asked]

    def _find(self, folded: str, wanted: frozenset[str]) -> Match | None:
        if match := self._exactly(folded, wanted):
            return match
        if (gloss := _GLOSS.search(folded)) and (rest := folded[: gloss.start()]):
            match = self._exactly(rest, wanted)
            if match is None:
                return _doubted(self._nearly(rest, wanted))
            if not match.id:
                return match
            if self._says_the_same(gloss[1], rest, match.id, wanted):
                return Match(match.id, "gloss", match.score)
            return Match("", "detail", self._maybe, ((match.id, self._name(match.id, rest), self._maybe),))
        return self._nearly(folded, wanted)

    def _exactly(self, folded: str, wanted: frozenset[str]) -> Match | None:
        names = self._members(self._folded.get(folded, ()), wanted)
        for how, rank in (("name", 0), ("synonym", 1)):
            if fitting := [n for n in names if n.rank == rank]:
                return self._choose(fitting, how)
        names = self._members(self._keyed.get(key(folded), ()), wanted)
        if names:
            first = min(n.rank for n in names)
            return self._choose([n for n in names if n.rank == first], "words")
        return None

    def _members(self, names: Iterable[_Name], wanted: frozenset[str]) -> list[_Name]:
        anything = not wanted or "Entity" in wanted
        return [n for n in names if anything or self._classes[n.id] & wanted]

    def _choose(self, names: list[_Name], how: str, score: float = 1.0) -> Match:
        ids = sorted({n.id for n in names})
        catalogues, classes = {id_.partition(":")[0] for id_ in ids}, {self._classes[id_] for id_ in ids}
        if len(catalogues) == len(ids) and len(classes) == 1:
            return Match(ids[0], how, score)
        text = {n.id: n.text for n in sorted(names, key=lambda n: n.text, reverse=True)}
        return Match("", "ambiguous", score, tuple((id_, text[id_], score) for id_ in ids[:_MAX_MAYBE]))

    def _says_the_same(self, gloss: str, rest: str, id_: str, wanted: frozenset[str]) -> bool:
        """Whether what stands in brackets is an abbreviation of the words before, or means the same."""
        letters = "".join(w[0] for w in _WORD.findall(rest))
        if gloss.replace("-", "") in (letters, "".join(w[0] for w in words(rest))):
            return True
        match = self._exactly(gloss, wanted)
        return match is not None and match.id == id_

    def _name(self, id_: str, folded: str) -> str:
        names = (*self._folded.get(folded, ()), *self._keyed.get(key(folded), ()))
        return next((n.text for n in names if n.id == id_), id_)

    # ---- nearly ---------------------------------------------------------------------------------------------------

    def _nearly(self, folded: str, wanted: frozenset[str]) -> Match | None:
        """The likest names out of the blocks of those that share a word.

        Only a misspelt word, one that no name has, may be another one for *same*: words that both occur differ on
        purpose (hypertelorism, hypotelorism), and so do numbers and Chinese characters.
        """
        self._fill_blocks()
        asked = words(folded)
        near = {word: self._near(word) for word in asked}
        corrected = [_corrected(word, near[word]) for word in asked]
        sorted_ = " ".join(sorted(corrected))
        if asked != corrected and (members := self._members(self._keyed.get(sorted_, ()), wanted)):
            score = OSA.normalized_similarity(" ".join(sorted(asked)), sorted_)
            if score >= self._same:
                return self._choose(members, "spelling", round(score, 4))
        spelt = OSA.normalized_similarity(" ".join(asked), " ".join(corrected))
        parts = _parts(corrected)
        best: dict[str, tuple[float, int, str]] = {}
        for keyed in self._block([*corrected, *(other for others in near.values() for other, _ in others)]):
            score = round(spelt * self._likeness(parts, _parts(keyed.split())), 4)
            if score < self._maybe:
                continue
            for name in self._members(self._keyed[keyed], wanted):
                best[name.id] = max(best.get(name.id, (0.0, 0, "")), (score, -name.rank, name.text))
        ranked = sorted(best.items(), key=lambda item: (-item[1][0], -item[1][1], item[0]))[:_MAX_MAYBE]
        if not ranked:
            return None
        return Match("", "alike", ranked[0][1][0], tuple((id_, text, s) for id_, (s, _, text) in ranked))

    def _likeness(self, asked: list[str], named: list[str]) -> float:
        """Share of what two names say that they both say: words weigh by their rarity, words alike count in part.

        The Dice coefficient of SoftTFIDF (Cohen, Ravikumar and Fienberg, A comparison of string distance metrics for
        name-matching tasks, IIWeb 2003).
        """
        everything = sum(map(self._rarity, (*asked, *named)))
        left = list(named)
        common = 0.0
        others = []
        for word in asked:
            if word in left:
                left.remove(word)
                common += 2 * self._rarity(word)
            else:
                others.append(word)
        for word in others:
            alike, other = max(((fuzz.ratio(word, o) / 100, o) for o in left), default=(0.0, ""))
            if alike >= _ALIKE:
                left.remove(other)
                common += alike * (self._rarity(word) + self._rarity(other))
        return common / everything

    def _rarity(self, word: str) -> float:
        rarity = self._rarities.get(word)
        if rarity is None:
            rarity = self._rarities[word] = math.log1p(len(self._keyed) / len(self._blocks.get(word, (word,))))
        return rarity

    def _fill_blocks(self) -> None:
        if self._unblocked:
            self._rarities.clear()
        for sorted_ in self._unblocked:
            for part in set(_parts(sorted_.split())):
                if part not in self._blocks:
                    self._blocks[part] = []
                    self._by_initial.setdefault(part[0], []).append(part)
                self._blocks[part].append(sorted_)
        self._unblocked.clear()

    def _unblock(self, sorted_: str) -> None:
        """Undoes what `_fill_blocks` did for a name."""
        self._rarities.clear()
        for part in set(_parts(sorted_.split())):
            self._blocks[part].remove(sorted_)
            if not self._blocks[part]:
                del self._blocks[part]
                self._by_initial[part[0]].remove(part)

    def _near(self, word: str) -> list[tuple[str, float]]:
        """Words of names a slip or two away from an unknown one, with the number of slips, the nearest first."""
        if word in self._blocks or len(word) < _SHORT or not (word.isalpha() and word.isascii()):
            return []
        slips = 1 if len(word) < _LONG else 2
        like = self._by_initial.get(word[0], ())
        found = process.extract(word, like, scorer=OSA.distance, score_cutoff=slips, limit=None)
        nearest = heapq.nsmallest(_MAX_NEAR, ((distance, near) for near, distance, _ in found))
        return [(near, distance) for distance, near in nearest]

    def _block(self, asked: Iterable[str]) -> list[str]:
        """Keys of the names that have most in common with these words, by rarity; of equals, the shortest."""
        common: dict[str, float] = {}
        for part in sorted({p for p in _parts(asked) if p in self._blocks}, key=lambda p: (len(self._blocks[p]), p)):
            rarity = self._rarity(part)
            for keyed in self._blocks[part] if len(common) < _MAX_BLOCK else common.keys() & self._blocks[part]:
                common[keyed] = common.get(keyed, 0.0) + rarity
        ranked = heapq.nsmallest(_MAX_SCORED, ((-rarity, len(keyed), keyed) for keyed, rarity in common.items()))
        return [keyed for _, _, keyed in ranked]


def _take_out(names: dict[str, list[_Name]], called: str, id_: str) -> None:
    """Takes an entity's names out of those that are called so."""
    if rest := [n for n in names[called] if n.id != id_]:
        names[called] = rest
    else:
        del names[called]


def _corrected(word: str, near: list[tuple[str, float]]) -> str:
    """The one word that is nearest; the word itself if none, or more than one, or its opposite is."""
    if not near or (len(near) > 1 and near[0][1] == near[1][1]) or _opposed(word, near[0][0]):
        return word
    return near[0][0]


def _opposed(one: str, other: str) -> bool:
    return any(a.startswith(p) and b.startswith(q) for p, q in _OPPOSED for a, b in ((one, other), (other, one)))


def _parts(asked: Iterable[str]) -> list[str]:
    """Words, those in Chinese as their characters."""
    return [part for word in asked for part in ((word,) if word.isascii() or not _CJK.search(word) else word)]


def _doubted(match: Match | None) -> Match | None:
    """A match that something speaks against."""
    return Match("", "alike", match.score, ((match.id, match.id, match.score),)) if match and match.id else match
