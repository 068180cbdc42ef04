"""Statements of driving theory whose truth is known: read, set apart by topic, judged and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kg.errors import InputError
from reasoning.json_lines import json_lines
from reasoning.traffic.theory_judge import Statement, TheoryAnswer, TheoryJudge


@dataclass(frozen=True, slots=True)
class TheoryPart:
    """Of some statements.

    Attributes:
        n: how many.
        accuracy: share of right answers.
        from_graph: share that the graph's knowledge alone answered.
        accuracy_from_graph: share of right answers among these; NaN without any.
        accuracy_of_model: the same of the others.
    """

    n: int
    accuracy: float
    from_graph: float
    accuracy_from_graph: float
    accuracy_of_model: float


@dataclass(frozen=True, slots=True)
class TheoryReport:
    """What an evaluation found.

    Attributes:
        whole: of all statements.
        signs: of those with a picture.
        rest: of those without.
        categories: by category.
    """

    whole: TheoryPart
    signs: TheoryPart
    rest: TheoryPart
    categories: dict[str, TheoryPart]


def read_statements(path: Path) -> list[Statement]:
    """JSON lines with `category`, `topic`, `statement`, and where known `answer` and `img`.

    Raises:
        InputError: it can't be read, or a line lacks something; names file and line.
    """
    found = [_statement(place, item) for place, item in json_lines(path)]
    if not found:
        raise InputError("holds no statements", str(path))
    return found


def _statement(place: str, item: Mapping[str, Any]) -> Statement:
    for name in ("category", "topic", "statement"):
        if not isinstance(item.get(name), str) or not item[name].strip():
            raise InputError("must be a text", f"{place}: {name}")
    answer = item.get("answer")
    if answer is not None and not isinstance(answer, bool):
        raise InputError("must be true or false", f"{place}: answer")
    return Statement(place, f"{item['category']}.{item['topic']}", item["statement"], bool(item.get("img")), answer)


def split_by_topic(statements: Sequence[Statement], share: float, seed: int) -> tuple[list[Statement], list[Statement]]:
    """Those of the kept topics, and those of a random share of topics: no topic is in both.

    Raises:
        InputError: the share is not between 0 and 1.
    """
    if not 0 < share < 1:
        raise InputError(f"{share} is not between 0 and 1", "holdout")
    topics = sorted({statement.topic for statement in statements})
    chosen = np.random.default_rng(seed).choice(len(topics), max(1, round(share * len(topics))), replace=False)
    apart = {topics[number] for number in chosen}
    kept = [statement for statement in statements if statement.topic not in apart]
    return kept, [statement for statement in statements if statement.topic in apart]


def evaluate_theory(judge: TheoryJudge, statements: Sequence[Statement]) -> TheoryReport:
    """Judges every statement.

    Raises:
        InputError: one is without its truth, or of no known category; names it.
    """
    answers = []
    for statement in statements:
        if statement.true is None:
            raise InputError("the truth is missing: `answer`", statement.place)
        answers.append((statement, judge.judge(statement.text, statement.topic)))
    categories = sorted({statement.topic.partition(".")[0] for statement in statements})
    return TheoryReport(
        _part(answers),
        _part([each for each in answers if each[0].sign]),
        _part([each for each in answers if not each[0].sign]),
        {name: _part([each for each in answers if each[0].topic.partition(".")[0] == name]) for name in categories},
    )


def _part(answers: Sequence[tuple[Statement, TheoryAnswer]]) -> TheoryPart:
    right = np.array([answer.true == statement.true for statement, answer in answers], dtype=float)
    alone = np.array([answer.from_graph for _, answer in answers], dtype=bool)

    def mean(values: np.ndarray) -> float:
        return round(float(values.mean()), 4) if len(values) else float("nan")

    return TheoryPart(len(answers), mean(right), mean(alone.astype(float)), mean(right[alone]), mean(right[~alone]))
