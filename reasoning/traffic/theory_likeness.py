"""How like a statement is to what driving theory says of its topic: the numbers that it is judged by, and its nearest.

A statement that is like a sentence that holds is likely true; one that is like a sentence that is false of its topic,
or like what holds of another topic of the category, is likely false.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from reasoning.traffic.theory import Sentence, TheoryBook

_OPENING = re.compile(
    r"^(il|i|la|in presenza del(la)?|incontrando il) (segnal\w+|pannell\w+)( \w+)? "
    r"((raffigurat|indicat)\w+|(rappresentat\w+ )?in figura)( è un segnale che)? ?,? ?"
)
_WORD = re.compile(r"[a-zàèéìòù0-9,]+")
_STEM = 5
"""First letters that stand for an Italian word with its endings."""
_EMPTY = frozenset(
    (  # noqa: SIM905 (a list of them would be a page)
        "di a da in con su per tra il lo la i gli le un una del della dei delle nel al alla alle ai e o che "
        "non si è segnale l d all dell"
    ).split()
)
_CUES = (
    *("non ", "solo", "soltanto", "sempre", "anche", "può", "deve", "obblig", "viet", "consent", "preannunc", "indica"),
    *("bisogna", "occorre", "di norma", "qualsiasi", "mai", "tutti", "se ", "purché"),
)
"""Words by which such statements are hedged or sharpened."""
_KINDS = ("pericolo", "precedenza", "divieto", "obbligo", "prescrizione", "indicazione")
_SOURCES = ("holds", "mistaken", "category holds", "category mistaken", "others hold", "others mistaken")
NAMES = (
    *(f"like {source}" for source in _SOURCES),
    *("category holds − mistaken", "holds − mistaken", "holds − others hold", "true − false", "true − others hold"),
    *("words of holds", "words of mistaken", "words of category mistaken", "words of true"),
    *("words: holds − mistaken", "words: category", "words of others", "words: holds − others"),
    *(f"has {cue!r}" for cue in _CUES),
    *("characters", "has a number"),
    *(f"says it is a sign of {kind}" for kind in _KINDS),
)
"""Of the numbers of `Likeness.numbers`, in their order."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a statement is like.

    Attributes:
        numbers: one for each of `NAMES`.
        true, false: the nearest sentence that speaks for it, and against it, with the cosine, 0…1.
    """

    numbers: np.ndarray
    true: tuple[Sentence, float] | None
    false: tuple[Sentence, float] | None


class LikenessMeasure:
    """Compares statements with a book's sentences: character n-grams, and rare words that they share."""

    def __init__(self, book: TheoryBook) -> None:
        self._book = book
        self._sentences = book.sentences
        texts = [sentence.text.casefold() for sentence in self._sentences]
        self._vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True).fit(texts)
        self._matrix = self._vectors.transform(texts)
        words_of = [_words(text) for text in texts]
        counts = Counter(word for words in words_of for word in words)
        self._rarity = {word: math.log(1 + len(texts) / (1 + count)) for word, count in counts.items()}
        self._unseen = math.log(1 + len(texts))
        self._rows: dict[str, list[int]] = defaultdict(list)
        for row, sentence in enumerate(self._sentences):
            self._rows[sentence.topic.id].append(row)
        self._words_of: dict[tuple[str, bool], set[str]] = defaultdict(set)
        for sentence, words in zip(self._sentences, words_of, strict=True):
            self._words_of[sentence.topic.id, sentence.holds] |= words
        self._in_category: dict[str, list[str]] = defaultdict(list)
        for topic in book.topics:
            self._in_category[topic.partition(".")[0]].append(topic)

    def of(self, statement: str, topic: str) -> Likeness:
        """How like a statement of this topic is to what is known.

        Args:
            statement: Italian.
            topic: `category.topic`; of an unknown topic the category's sentences still count.
        """
        text = statement.casefold()
        said = _OPENING.sub("", text)
        words = _words(said)
        likeness = np.asarray((self._vectors.transform([said]) @ self._matrix.T).todense())[0]
        category = topic.partition(".")[0]
        others = [other for other in self._in_category[category] if other != topic]
        own, general = self._split([topic] if topic in self._book.topics else []), self._split([category])
        other = self._split(others)
        groups = (*own, *general, *other)
        nearest = [(max(rows, key=lambda row: likeness[row]) if rows else None) for rows in groups]
        holds, mistaken, all_hold, all_mistaken, others_hold, others_mistaken = (
            0.0 if row is None else float(likeness[row]) for row in nearest
        )
        for_it, against = max(holds, all_hold), max(mistaken, others_hold, all_mistaken)
        covered, wrong = (self._covered(words, (topic, holds)) for holds in (True, False))
        generally, generally_wrong = (self._covered(words, (category, holds)) for holds in (True, False))
        elsewhere = max((self._covered(words, (each, True)) for each in others), default=0.0)
        numbers = [holds, mistaken, all_hold, all_mistaken, others_hold, others_mistaken]
        numbers += [all_hold - all_mistaken, holds - mistaken, holds - others_hold]
        numbers += [for_it - against, for_it - max(mistaken, others_hold)]
        numbers += [covered, wrong, generally_wrong, self._covered(words, (topic, True), (category, True))]
        numbers += [covered - wrong, generally - generally_wrong, elsewhere, covered - elsewhere]
        numbers += [float(cue in said) for cue in _CUES]
        numbers += [float(len(said)), float(any(letter.isdigit() for letter in said))]
        numbers += [float(f"segnale di {kind}" in text) for kind in _KINDS]
        return Likeness(
            np.array(numbers),
            self._best(likeness, (nearest[0], nearest[2])),
            self._best(likeness, (nearest[1], nearest[3], nearest[4])),
        )

    def _split(self, topics: Iterable[str]) -> tuple[list[int], list[int]]:
        rows = [row for topic in topics for row in self._rows[topic]]
        true = [row for row in rows if self._sentences[row].holds]
        return true, [row for row in rows if not self._sentences[row].holds]

    def _covered(self, words: set[str], *said: tuple[str, bool]) -> float:
        """Share of the words, weighed by rarity, that what holds, or is mistaken, of these topics has."""
        known = set().union(*(self._words_of.get(each, ()) for each in said))
        whole = sum(self._rarity.get(word, self._unseen) for word in words)
        return sum(self._rarity[word] for word in words & known) / whole if whole else 0.0

    def _best(self, likeness: np.ndarray, rows: Iterable[int | None]) -> tuple[Sentence, float] | None:
        found = max((row for row in rows if row is not None), key=lambda row: likeness[row], default=None)
        return None if found is None else (self._sentences[found], float(likeness[found]))


def _words(text: str) -> set[str]:
    return {word[:_STEM] for word in _WORD.findall(text) if word not in _EMPTY and (len(word) > 2 or word.isdigit())}
