"""How well scenes are judged, by the rules alone and with experience, and whether each effect has its chain."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kg.errors import InputError
from reasoning.traffic.experience import MANOEUVRES, ConceptExperience, Experience, WordExperience
from reasoning.traffic.rules import RuleBook
from reasoning.traffic.scene import Observation, SceneAnswer, judge
from reasoning.traffic.scene_cases import SceneCase, flag_observation
from reasoning.traffic.sentence import SentenceReader


@dataclass(frozen=True, slots=True)
class Measured:
    """Scores of one way to judge.

    Attributes:
        macro_f1: mean of the F1 of the four actions.
        exact: share of scenes all of whose actions are right.
        per_action: F1 by manoeuvre.
        abstained: share of scenes of which nothing was said.
    """

    macro_f1: float
    exact: float
    per_action: dict[str, float]
    abstained: float


@dataclass(frozen=True, slots=True)
class SceneReport:
    """What an evaluation found.

    Attributes:
        n: scenes.
        joined: experience: what is seen, weighed.
        rules_alone: nothing learned.
        chains_complete: share of the rules' effects that trace to a rule with article and to evidence.
        terms_complete: share of what experience allows that traces to something seen.
        ms_p50, ms_p99: milliseconds a scene.
    """

    n: int
    joined: Measured
    rules_alone: Measured
    chains_complete: float
    terms_complete: float
    ms_p50: float
    ms_p99: float


def evaluate_scenes(
    book: RuleBook,
    cases: Sequence[SceneCase],
    concepts: ConceptExperience,
    words: WordExperience,
) -> SceneReport:
    """Judges every scene.

    Raises:
        InputError: a case is without its truth, or a flag has no concept; names it.
    """
    reader = SentenceReader(book)
    truth, by_rules, by_experience, seconds = [], [], [], []
    said, chained, learned, traced, silent = 0, 0, 0, 0, 0
    for case in cases:
        if case.actions is None:
            raise InputError("the truth is missing: `actions`", case.place)
        started = time.perf_counter()
        observations = observe(book, reader, case)
        answer = judge(book, observations)
        experience = _experience(case, observations, concepts, words)
        seconds.append(time.perf_counter() - started)
        truth.append(case.actions)
        effects = _effects(answer)
        by_rules.append([int(name in effects) for name in MANOEUVRES])
        by_experience.append([int(one.allowed) for one in experience] or [0] * len(MANOEUVRES))
        silent += not experience
        known = {rule.id for rule in answer.rules if rule.articles and rule.evidence}
        said += len(effects)
        chained += sum(any(rule in known for rule in rules) for rules in effects.values())
        allowed = [one for one in experience if one.allowed]
        learned += len(allowed)
        traced += sum(any(term.weight > 0 and (term.evidence or term.spans) for term in one.because) for one in allowed)
    return SceneReport(
        len(cases),
        _measure(truth, by_experience, silent / len(cases)),
        _measure(truth, by_rules, sum(not any(row) for row in by_rules) / len(cases)),
        chained / said if said else 1.0,
        traced / learned if learned else 1.0,
        *(float(value) * 1e3 for value in np.percentile(seconds, (50, 99))),
    )


def observe(book: RuleBook, reader: SentenceReader, case: SceneCase) -> list[Observation]:
    """What a case shows.

    Raises:
        InputError: a flag has no concept.
    """
    if case.flags is None:
        return reader.read(case.sentence)
    return [flag_observation(book, flag) for flag in case.flags]


def _experience(
    case: SceneCase,
    observations: Sequence[Observation],
    concepts: ConceptExperience,
    words: WordExperience,
) -> list[Experience]:
    if case.flags is None:
        return words.judge(case.sentence)
    return concepts.judge(observations)


def _effects(answer: SceneAnswer) -> dict[str, list[str]]:
    """What the rules would have the driver do: manoeuvre → rules that speak of it."""
    return {
        one.id: one.rules
        for one in answer.manoeuvres
        if one.id in MANOEUVRES and one.verdict in ("required", "allowed")
    }


def _measure(truth: Sequence[Sequence[int]], said: Sequence[Sequence[int]], abstained: float) -> Measured:
    right, given = np.array(truth, dtype=bool), np.array(said, dtype=bool)
    both = (right & given).sum(0)
    f1 = 2 * both / np.maximum(right.sum(0) + given.sum(0), 1)
    per_action = {name.removeprefix("manoeuvre/"): float(value) for name, value in zip(MANOEUVRES, f1, strict=True)}
    return Measured(float(f1.mean()), float((right == given).all(1).mean()), per_action, abstained)
