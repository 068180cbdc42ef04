"""What drivers did in scenes like this one: log-linear weights of what is seen, learned from annotated scenes.

Rules say what the law is; experience says what people who saw many scenes would let a driver do. Each manoeuvre has a
probability σ(bias + Σ weight · value), and each term of that sum names its evidence: a concept that is seen, several
that speak for or against the same manoeuvre, or words of the sentence. What has no term in its favour is not allowed by
experience, whatever the bias.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import orjson

from kg.errors import InputError
from reasoning.traffic.rules import RuleBook
from reasoning.traffic.scene import Observation

MANOEUVRES = ("manoeuvre/forward", "manoeuvre/slow-or-stop", "manoeuvre/left", "manoeuvre/right")
"""The actions that annotated scenes have, in their order."""
SHIPPED = {kind: Path(__file__).parent / f"experience_{kind}.json" for kind in ("concepts", "words")}
LONGEST = 3
"""Words that are weighed together, at most."""
_WORD = re.compile(r"\w+")
_MOST = 3
_TOP = 5


@dataclass(frozen=True, slots=True)
class Term:
    """A part of the sum.

    Attributes:
        seen: concept, or words.
        weight: what it adds, nats; above 0 it speaks for the manoeuvre.
        evidence: numbers of the evidence that it rests on, from 1; empty for words.
        spans: first and last character of the words in the sentence.
    """

    seen: str
    weight: float
    evidence: tuple[int, ...] = ()
    spans: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Experience:
    """What experience says of one manoeuvre.

    Attributes:
        probability: 0…1, that it was done or allowed in scenes like this.
        allowed: whether that is enough, and something speaks for it.
        because: the weightiest terms.
        model: hash of the weights.
    """

    manoeuvre: str
    probability: float
    allowed: bool
    because: list[Term]
    model: str


@dataclass(frozen=True)
class Weights:
    """A log-linear model.

    Attributes:
        names: what is weighed: ids of concepts, `2 for manoeuvre/left`, or words.
        weights: one row each, one column a manoeuvre of `MANOEUVRES`.
        bias: by manoeuvre.
        idf: factor of each row's value; 1 for concepts.
        card: where the weights are from.
    """

    names: Sequence[str]
    weights: np.ndarray
    bias: np.ndarray
    idf: np.ndarray
    threshold: float
    card: Mapping[str, object]
    hash: str

    @classmethod
    def load(cls, path: Path) -> Weights:
        """Reads weights that `save` wrote.

        Raises:
            InputError: the file holds none.
        """
        try:
            content = path.read_bytes()
            read = orjson.loads(content)
            rows = read["weights"]
            return cls(
                list(rows),
                np.array([row[1:] for row in rows.values()], dtype=float).reshape(-1, len(MANOEUVRES)),
                np.array(read["bias"], dtype=float),
                np.array([row[0] for row in rows.values()], dtype=float),
                float(read["threshold"]),
                read["card"],
                hashlib.sha256(content).hexdigest()[:16],
            )
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"holds no weights of scenes: {error}", str(path)) from error

    def save(self, path: Path) -> None:
        """Writes one line a row: factor, then a weight for each manoeuvre."""
        rows = {
            name: [round(float(factor), 4), *(round(float(value), 3) for value in row)]
            for name, factor, row in zip(self.names, self.idf, self.weights, strict=True)
        }
        head = {"card": self.card, "manoeuvres": MANOEUVRES, "threshold": self.threshold}
        content = {**head, "bias": [round(float(value), 4) for value in self.bias], "weights": rows}
        path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 if len(rows) < 1000 else 0) + b"\n")

    def judge(self, values: Mapping[str, float], terms: Mapping[str, Term]) -> list[Experience]:
        """Weighs what is seen; `terms` says of each name what its evidence is."""
        found = [(self._rows[name], name) for name in values if name in self._rows]
        judged = []
        for column, manoeuvre in enumerate(MANOEUVRES):
            parts = [(float(self.weights[row, column]) * values[name], name) for row, name in found]
            parts.sort(key=lambda part: (-abs(part[0]), part[1]))
            probability = 1.0 / (1.0 + math.exp(-float(self.bias[column]) - sum(part for part, _ in parts)))
            because = [
                Term(terms[name].seen, round(part, 3), terms[name].evidence, terms[name].spans)
                for part, name in parts[:_TOP]
            ]
            allowed = probability >= self.threshold and any(part > 0 for part, _ in parts)
            judged.append(Experience(manoeuvre, probability, allowed, because, self.hash))
        return judged

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.names)}


class ConceptExperience:
    """Weighs concepts, and how many of them speak for or against a manoeuvre by the rules."""

    def __init__(self, book: RuleBook, weights: Weights) -> None:
        self._groups = concept_groups(book)
        self._book = book
        self._weights = weights

    def judge(self, observations: Sequence[Observation]) -> list[Experience]:
        """What experience says of a scene that shows this; nothing seen, nothing said."""
        if not observations:
            return []
        values = concept_values(self._groups, observations)
        terms: dict[str, Term] = {}
        for name in values:
            members = self._groups[name.partition(" ")[2]] if " " in name else {name}
            numbers = tuple(number for number, seen in enumerate(observations, 1) if seen.shows in members)
            concept = self._book.concepts.get(name)
            terms[name] = Term(concept.name if concept else name.replace("manoeuvre/", ""), 0.0, numbers)
        return self._weights.judge(values, terms)


class WordExperience:
    """Weighs the words of a sentence, one to three at a time, by TF-IDF."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._idf = dict(zip(weights.names, weights.idf.tolist(), strict=True))

    def judge(self, sentence: str) -> list[Experience]:
        """What experience says of a scene that is described so; unknown words only, nothing said."""
        spans = word_spans(sentence)
        values = {name: (1.0 + math.log(len(at))) * self._idf[name] for name, at in spans.items() if name in self._idf}
        if not values:
            return []
        length = math.sqrt(sum(value * value for value in values.values()))
        terms = {name: Term(name, 0.0, (), tuple(spans[name])) for name in values}
        return self._weights.judge({name: value / length for name, value in values.items()}, terms)


def concept_groups(book: RuleBook) -> dict[str, set[str]]:
    """`for manoeuvre/left` → concepts whose rules permit or require it; `against …` → whose rules forbid it."""
    groups: dict[str, set[str]] = {}
    for rule in book.rules:
        members = {name for name in book.concepts if set(book.general[name]) & {*rule.when}}
        excluded = [book.contraries[name] for name in rule.requires if name in book.contraries]
        for manoeuvre in MANOEUVRES:
            done = any(manoeuvre in book.general[name] for name in (*rule.permits, *rule.requires))
            if (done and manoeuvre != "manoeuvre/forward") or manoeuvre in rule.permits:
                groups.setdefault(f"for {manoeuvre}", set()).update(members)
            if any(name in book.general[manoeuvre] for name in (*rule.forbids, *excluded)):
                groups.setdefault(f"against {manoeuvre}", set()).update(members)
    return groups


def concept_values(groups: Mapping[str, set[str]], observations: Iterable[Observation]) -> dict[str, float]:
    """Belief in each concept, and that one, two, three of a group's are right: `2 for manoeuvre/left`."""
    beliefs: dict[str, float] = {}
    for seen in observations:
        beliefs[seen.shows] = 1.0 - (1.0 - beliefs.get(seen.shows, 0.0)) * (1.0 - seen.belief)
    values = dict(beliefs)
    for group, members in groups.items():
        for count, chance in enumerate(_at_least([beliefs[name] for name in members if name in beliefs]), 1):
            values[f"{count} {group}"] = chance
    return values


def _at_least(beliefs: Sequence[float]) -> list[float]:
    """Chances that 1, 2, 3 of independent things hold, as far as there are so many."""
    exactly = [1.0]
    for belief in beliefs:
        exactly = [
            (exactly[count] if count < len(exactly) else 0.0) * (1.0 - belief)
            + (exactly[count - 1] * belief if count else 0.0)
            for count in range(len(exactly) + 1)
        ]
    return [sum(exactly[count:]) for count in range(1, min(_MOST, len(beliefs)) + 1)]


def word_spans(sentence: str) -> dict[str, list[tuple[int, int]]]:
    """Each one to three words in a row, in lower case, and where they stand."""
    words = list(_WORD.finditer(sentence.casefold()))
    spans: dict[str, list[tuple[int, int]]] = {}
    for first in range(len(words)):
        for last in range(first, min(first + LONGEST, len(words))):
            name = " ".join(word[0] for word in words[first : last + 1])
            spans.setdefault(name, []).append((words[first].start(), words[last].end()))
    return spans


def document_frequencies(sentences: Iterable[str]) -> Counter[str]:
    """In how many sentences each one to three words in a row stand."""
    return Counter(name for sentence in sentences for name in word_spans(sentence))
