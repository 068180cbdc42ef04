"""Is a statement of driving theory true: from what the graph's knowledge says, or, where that is not clear, by a model.

The model is a logistic regression of the likeness to the knowledge and of the statement's own wording (character
n-grams, hashed); it learns from statements whose truth is known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import orjson
from scipy.sparse import csr_matrix, hstack

from kg.errors import InputError
from reasoning.traffic.theory import TheoryBook, load_theory
from reasoning.traffic.theory_facts import Settled, settled
from reasoning.traffic.theory_likeness import NAMES, Likeness, LikenessMeasure

SHIPPED = Path(__file__).parent / "theory_weights.json"
"""Learned from the public part of `quizpatente` (MIT)."""
NEAR, MARGIN = 0.5, 0.2
"""How near the nearest sentence must be, and by how much nearer than the nearest that says the contrary, for the graph
to answer alone; chosen by cross-validation by topic on the part that was learned from."""
_HASHED = 2**13
_SHARE = 0.1
"""Of a standard deviation of likeness against the unit length of a statement's n-grams, and `_STRENGTH`: chosen by
cross-validation by topic among 6 pairs."""
_STRENGTH = 1.0


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement to judge.

    Attributes:
        place: where it stands, for messages.
        topic: `category.topic`.
        sign: whether a picture is shown with it.
        true: the truth, or None where it is not told.
    """

    place: str
    topic: str
    text: str
    sign: bool = False
    true: bool | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """A sentence of the graph that an answer rests on.

    Attributes:
        topic: id of the entity in the graph, `theory:…`.
        holds: whether the sentence is true of its topic.
        supports: whether it speaks for the statement.
        likeness: 0…1, of the sentence and the statement.
        articles: where it is laid down.
    """

    topic: str
    name: str
    sentence: str
    holds: bool
    supports: bool
    likeness: float
    articles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TheoryAnswer:
    """What is said of a statement.

    Attributes:
        true: the answer.
        probability: the model's, that the statement is true.
        from_graph: whether the knowledge alone settled it; else the model did.
        citations: what speaks for and against it, the nearest first.
    """

    true: bool
    probability: float
    from_graph: bool
    citations: tuple[Citation, ...]


@dataclass(frozen=True)
class TheoryWeights:
    """Of the model.

    Attributes:
        mean, scale: of the likeness' numbers.
        likeness: weight of each, per standard deviation.
        rarity, wording: of each hashed n-gram, its inverse document frequency and weight.
        card: what was learned from, and how.
    """

    mean: np.ndarray
    scale: np.ndarray
    likeness: np.ndarray
    rarity: np.ndarray
    wording: np.ndarray
    bias: float
    card: Mapping[str, object]

    def save(self, path: Path) -> None:
        """Writes a JSON file."""
        body = {name: np.round(getattr(self, name), 4).tolist() for name in _ARRAYS}
        path.write_bytes(orjson.dumps({"card": self.card, "names": NAMES, "bias": round(self.bias, 4), **body}))

    @classmethod
    def load(cls, path: Path = SHIPPED) -> TheoryWeights:
        """Reads what `save` wrote.

        Raises:
            InputError: the file can't be read, or is none of them.
        """
        try:
            body = orjson.loads(path.read_bytes())
            arrays = {name: np.array(body[name], dtype=float) for name in _ARRAYS}
            sizes = [arrays[name].shape for name in _ARRAYS]
            bias, card = float(body["bias"]), body["card"]
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"holds no weights of driving theory: {error}", str(path)) from error
        if sizes != [(len(NAMES),)] * 3 + [(_HASHED,)] * 2 or body["names"] != list(NAMES):
            raise InputError("holds weights of another version", str(path))
        return cls(**arrays, bias=bias, card=card)


_ARRAYS = ("mean", "scale", "likeness", "rarity", "wording")


class TheoryJudge:
    """Judges statements by a book and weights."""

    def __init__(self, book: TheoryBook, weights: TheoryWeights) -> None:
        self._book = book
        self._weights = weights

    @classmethod
    def load(cls, weights: Path = SHIPPED) -> TheoryJudge:
        """With the knowledge that comes along.

        Raises:
            InputError: the weights can't be read.
        """
        return cls(load_theory(), TheoryWeights.load(weights))

    @cached_property
    def _measure(self) -> LikenessMeasure:
        return LikenessMeasure(self._book)

    def judge(self, text: str, topic: str) -> TheoryAnswer:
        """Whether a statement is true of a topic.

        Raises:
            InputError: it is empty, or its category is not known; names those that are.
        """
        if not text.strip():
            raise InputError("is empty", "statement")
        if topic.partition(".")[0] not in self._book.categories:
            known = ", ".join(self._book.categories)
            raise InputError(f"{topic!r} is in no category of driving theory; there are {known}", "topic")
        likeness = self._measure.of(text, topic)
        weights = self._weights
        numbers = (likeness.numbers - weights.mean) / weights.scale
        wording = weighed(hashed([text]), weights.rarity) @ weights.wording
        logit = float(numbers @ weights.likeness + wording[0]) + weights.bias
        probability = 1 / (1 + math.exp(-logit))
        fact = settled(self._book, text, topic)
        if fact is not None:
            return TheoryAnswer(fact.true, probability, True, (self._fact(fact),))
        alone = by_graph(likeness)
        true = probability >= 0.5 if alone is None else alone
        return TheoryAnswer(true, probability, alone is not None, _citations(likeness))

    def _fact(self, fact: Settled) -> Citation:
        topic = self._book.topics.get(fact.topic) or self._book.categories[fact.topic]
        return Citation(f"theory:{topic.id}", topic.name, fact.fact, True, fact.true, 1.0, topic.articles)


def by_graph(likeness: Likeness) -> bool | None:
    """What the nearest sentences say; None where they are not near, or do not agree."""
    true = likeness.true[1] if likeness.true else 0.0
    false = likeness.false[1] if likeness.false else 0.0
    return true > false if max(true, false) >= NEAR and abs(true - false) >= MARGIN else None


def train_theory(book: TheoryBook, statements: Sequence[Statement], data: str) -> TheoryWeights:
    """Learns the model's weights.

    Args:
        book: the knowledge.
        statements: with their truth.
        data: what the card calls them.

    Raises:
        InputError: a statement is without truth, or all have the same; names it.
    """
    from sklearn.linear_model import LogisticRegression

    measure = LikenessMeasure(book)
    for statement in statements:
        if statement.true is None:
            raise InputError("the truth is missing: `answer`", statement.place)
    truth = np.array([bool(statement.true) for statement in statements])
    if len(set(truth.tolist())) < 2:
        raise InputError("nothing to learn: there must be true and false statements", data)
    numbers = np.stack([measure.of(statement.text, statement.topic).numbers for statement in statements])
    mean, scale = numbers.mean(0), numbers.std(0)
    scale[scale == 0] = 1.0
    counts = hashed([statement.text for statement in statements])
    rarity = np.log((1 + len(statements)) / (1 + np.bincount(counts.indices, minlength=_HASHED))) + 1.0
    columns = hstack([csr_matrix((numbers - mean) / scale * _SHARE), weighed(counts, rarity)]).tocsr()
    model = LogisticRegression(C=_STRENGTH, max_iter=1000).fit(columns, truth)
    weights = model.coef_[0]
    card = {
        "data": data,
        "statements": len(statements),
        "method": f"logistic regression, L2, C={_STRENGTH}; likeness at {_SHARE}, character 2…5-grams in {_HASHED}",
    }
    likeness, wording = weights[: len(NAMES)] * _SHARE, weights[len(NAMES) :]
    return TheoryWeights(mean, scale, likeness, rarity, wording, float(model.intercept_[0]), card)


def hashed(texts: Sequence[str]) -> csr_matrix:
    """Counts of hashed character 2…5-grams, (texts, 8192)."""
    from sklearn.feature_extraction.text import HashingVectorizer

    vectors = HashingVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), n_features=_HASHED, alternate_sign=False, norm=None, lowercase=True
    )
    return csr_matrix(vectors.transform(texts))


def weighed(counts: csr_matrix, rarity: np.ndarray) -> csr_matrix:
    """(1 + log count) times rarity, each row of length 1."""
    from sklearn.feature_extraction.text import TfidfTransformer

    transformer = TfidfTransformer(sublinear_tf=True)
    transformer.idf_ = rarity
    return csr_matrix(transformer.transform(counts))


def _citations(likeness: Likeness) -> tuple[Citation, ...]:
    both = ((likeness.true, True), (likeness.false, False))
    found = [(nearest, supports) for nearest, supports in both if nearest is not None and nearest[1] > 0]
    return tuple(
        Citation(
            f"theory:{sentence.topic.id}",
            sentence.topic.name,
            sentence.text,
            sentence.holds,
            supports,
            round(near, 4),
            sentence.topic.articles,
        )
        for (sentence, near), supports in sorted(found, key=lambda each: -each[0][1])
    )
