"""What a sentence says of a scene: words → concepts, negation respected."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from reasoning.traffic.rules import RuleBook
from reasoning.traffic.scene import Observation, SceneEvidence

_CLAUSE = re.compile(
    "[.,;:!?\u3002\uff0c\uff1b\uff1a\uff01\uff1f\u3001]"
    r"|\b(?:and|but|so|because|since|as|while|then|that|which|who|before|after|if|whether)\b",
    re.I,
)
_OPEN = ("if", "whether")
"""What follows these is not said to be so."""
_QUESTION = ("?", "\uff1f")
_WORD = re.compile(r"[a-z]+(?:[-'’][a-z]+)*|[\d]+", re.I)
_NEGATIVE = re.compile(r"^(?:no|not|without|never|nobody|none|neither|nor|cannot|isn|aren|.*n['’]t)$", re.I)
_NEGATIVE_AFTER = re.compile(r"^(?:not|never|off|broken|forbidden|prohibited|banned|illegal|.*n['’]t)$", re.I)
_REACH = 3
"""Words before and after a phrase in which a negation turns it off."""
_NEGATIVE_HAN = ("没", "无", "不", "未", "禁止", "勿", "别", "等")
_NEGATIVE_HAN_AFTER = ("没", "不", "未", "变", "坏", "灭", "故障")
_REACH_HAN = 2
_ANY_LIGHT_HAN = "红绿灯"
"""A traffic light of any colour."""
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
        if sentence.rstrip().endswith(_QUESTION):
            return []
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
        negative = any(_NEGATIVE.match(word) for slot in self._slots for word in slot)
        self._negative = negative or any(part.startswith(_NEGATIVE_HAN) for slot in self._slots for part in slot)

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
        before, after = words[max(0, first - _REACH) : last], words[last + 1 : last + 1 + _REACH]
        left_behind = any(place and words[place - 1][0].casefold() == "from" for place in places)
        negated = left_behind or any(_NEGATIVE.match(word[0]) for word in before)
        if not self._negative and (negated or any(_NEGATIVE_AFTER.match(word[0]) for word in after)):
            return None
        return words[first].start(), words[last].end()

    def _find_han(self, text: str) -> tuple[int, int] | None:
        text = text.replace(_ANY_LIGHT_HAN, "\0" * len(_ANY_LIGHT_HAN))
        places = [
            [(found.start(), found.end()) for part in slot for found in re.finditer(re.escape(part), text)]
            for slot in self._slots
        ]
        for spans in product(*places):
            start, end = min(span[0] for span in spans), max(span[1] for span in spans)
            around = text[max(0, start - _REACH_HAN) : end]
            after = text[end : end + _REACH_HAN]
            negated = any(word in around for word in _NEGATIVE_HAN) or any(
                word in after for word in _NEGATIVE_HAN_AFTER
            )
            if self._negative or not negated:
                return start, end
        return None


def _fits(slot: Sequence[str], word: str) -> bool:
    word = word.casefold()
    return any(word.startswith(one[:-1]) if one.endswith("*") else word == one for one in slot)


def _clauses(sentence: str) -> Iterator[_Clause]:
    start, said = 0, True
    for end in _CLAUSE.finditer(sentence):
        if said:
            yield _Clause(start, sentence[start : end.start()])
        start, said = end.end(), end[0].casefold() not in _OPEN
    if said:
        yield _Clause(start, sentence[start:])
