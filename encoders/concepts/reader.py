"""Concepts that a text names, and what it says of them: English names in any order and form, Chinese as written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from encoders.concepts.ambiguity import ContextChoice, VectorEncoder
from encoders.concepts.chinese import IDEOGRAPH, ChineseNames, chinese_statuses
from encoders.concepts.context import Status, statuses
from encoders.concepts.matcher import ConceptMatcher, Mention
from encoders.concepts.names import ConceptName

_LEAST_CHINESE = 2
"""Characters of a Chinese name: one alone stands in too many words."""


@dataclass(frozen=True, slots=True)
class FoundConcept:
    """Words of a text that name a concept.

    Attributes:
        start, end: characters of the text, end excluded.
        concept: its id.
        status: what the text says of it.
    """

    start: int
    end: int
    concept: str
    status: Status


class ConceptReader:
    """The names of a vocabulary, ready to be found in texts."""

    def __init__(self, names: Iterable[ConceptName], encoder: VectorEncoder | None = None) -> None:
        """Takes in the names; of HPO's forty thousand, two seconds.

        Args:
            names: of all concepts; where two have one name, the first that it is the name of counts.
            encoder: tells by the text around which of several concepts is meant that have a name as their name, or as
                a synonym; None: the first.
        """
        names = list(names)
        self._choice = ContextChoice(encoder, names) if encoder is not None else None
        latin: list[ConceptName] = []
        chinese: dict[str, tuple[bool, str]] = {}
        for name in names:
            if not IDEOGRAPH.search(name.text):
                latin.append(name)
            elif len(name.text) >= _LEAST_CHINESE:
                known = chinese.setdefault(name.text, (name.preferred, name.concept))
                if name.preferred and not known[0]:
                    chinese[name.text] = True, name.concept
        self._matcher = ConceptMatcher(latin)
        self._concepts = [concept for _, concept in chinese.values()]
        self._chinese = ChineseNames(list(chinese)) if chinese else None

    def find(self, text: str, *, nested: bool = False) -> list[FoundConcept]:
        """The concepts that a text names, in its order.

        Args:
            text: English or Chinese.
            nested: also those whose words are a part of the words of another; in English.
        """
        mentions = self._matcher.find(text, nested=nested)
        said = statuses(text, [(mention.start, mention.end) for mention in mentions])
        found = [
            FoundConcept(m.start, m.end, self._meant(m, text), status) for m, status in zip(mentions, said, strict=True)
        ]
        if self._chinese is not None and IDEOGRAPH.search(text):
            hits = self._chinese.find(text)
            of = chinese_statuses(text, [(start, end) for _, start, end in hits])
            found += [
                FoundConcept(start, end, self._concepts[number], status)
                for (number, start, end), status in zip(hits, of, strict=True)
            ]
            found.sort(key=lambda one: (one.start, one.end))
        return found

    def _meant(self, mention: Mention, text: str) -> str:
        if self._choice is None or not mention.others:
            return mention.concept
        return self._choice.best(text, mention.start, mention.end, (mention.concept, *mention.others))
