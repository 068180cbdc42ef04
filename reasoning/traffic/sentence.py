"""What a sentence says of a scene: words → concepts, negation respected."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reasoning.traffic.rules import RuleBook
from reasoning.traffic.scene import Observation, SceneEvidence

_CLAUSE = re.compile(
    r"[.,;:!?。,;:!?、]|\b(?:and|but|so|because|since|as|while|then|that|which|who|before|after|if)\b", re.I
)
_WORD = re.compile(r"[a-z]+(?:n't|n’t)?|[\d]+", re.I)
_NEGATIVE = re.compile(r"^(?:no|not|without|never|nobody|none|neither|nor|cannot|isn|aren|.*n['’]t)$", re.I)
_NEGATIVE_HAN = ("没有", "没", "无", "不", "未")
_BELIEF = 0.9
"""In what words say: the reliability of a document's claim."""


@dataclass(frozen=True, slots=True)
class _Clause:
    start: int
    text: str

    def words(self) -> list[re.Match[str]]:
        return list(_WORD.finditer(self.text))


class SentenceReader:
    """Finds the phrases of a rule book's concepts in sentences, English or Chinese."""

    def __init__(self, book: RuleBook) -> None:
        self._book = book
        self._phrases = [(concept, _Phrase(phrase)) for concept in book.concepts.values() for phrase in concept.phrases]

    def read(self, sentence: str, source: str | None = None) -> list[Observation]:
        """Each concept that the sentence says is there, once, with the words that say so."""
        found: dict[str, Observation] = {}
        for clause in _clauses(sentence):
            words = clause.words()
            for concept, phrase in self._phrases:
                if concept.id in found:
                    continue
                span = phrase.find(clause.text, words)
                if span is not None:
                    start, end = clause.start + span[0], clause.start + span[1]
                    evidence = SceneEvidence("words", sentence[start:end], _BELIEF, None, start, end, source)
                    found[concept.id] = Observation(concept.id, _BELIEF, evidence)
        return [found[name] for name in self._book.most_specific(list(found))]


class _Phrase:
    """Slots of alternatives that all have to be filled by words of one clause; `停+车`: parts of Chinese text."""

    def __init__(self, phrase: str) -> None:
        self._han = any("一" <= letter <= "鿿" for letter in phrase)
        slots = phrase.split("+" if self._han else " ")
        self._slots = [slot.casefold().split("|") for slot in slots]
        self._negative = any(_NEGATIVE.match(word) for slot in self._slots for word in slot)

    def find(self, text: str, words: Sequence[re.Match[str]]) -> tuple[int, int] | None:
        """Where the words that fill all slots begin and end; None where a slot stays empty, or they are negated."""
        return self._find_han(text) if self._han else self._find_words(words)

    def _find_words(self, words: Sequence[re.Match[str]]) -> tuple[int, int] | None:
        places = []
        for slot in self._slots:
            place = next((at for at, word in enumerate(words) if at not in places and _fits(slot, word[0])), None)
            if place is None:
                return None
            places.append(place)
        first, last = min(places), max(places)
        if not self._negative and any(_NEGATIVE.match(word[0]) for word in words[max(0, first - 3) : last]):
            return None
        return words[first].start(), words[last].end()

    def _find_han(self, text: str) -> tuple[int, int] | None:
        spans = []
        for slot in self._slots:
            at, part = max((text.find(part), part) for part in slot)
            if at < 0:
                return None
            spans.append((at, at + len(part)))
        start, end = min(span[0] for span in spans), max(span[1] for span in spans)
        before = text[max(0, start - 2) : start]
        return None if any(word in before for word in _NEGATIVE_HAN) else (start, end)


def _fits(slot: Sequence[str], word: str) -> bool:
    word = word.casefold()
    return any(word.startswith(one[:-1]) if one.endswith("*") else word == one for one in slot)


def _clauses(sentence: str) -> Iterator[_Clause]:
    start = 0
    for end in _CLAUSE.finditer(sentence):
        yield _Clause(start, sentence[start : end.start()])
        start = end.end()
    yield _Clause(start, sentence[start:])
