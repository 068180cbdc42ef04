"""How right strategies are on conflicts whose truth is known, and the search for better weights of them."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ingestion.fuse import BEST, CATEGORICAL, NUMERIC, Floats, Ints, Strategy, Votes
from kg.errors import InputError
from kg.extras import needs_extra

_MOST_CATEGORIES = 20
"""Answers that are all numbers are averaged if there are more different ones, or if one is no integer."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Conflicts:
    """Votes, and the truth of those questions for which it is known.

    Attributes:
        numeric: answers are numbers to be averaged, not names of kinds.
        known: positions of the questions with a truth.
        truth: of each of these the position of the true answer (−1: nobody gave it), or the number.
        unanswered: how many questions have a truth and no votes.
    """

    name: str
    votes: Votes
    numeric: bool
    known: Ints
    truth: Floats
    unanswered: int

    @property
    def strategies(self) -> Mapping[str, Strategy]:
        """Those that make sense for such answers."""
        return NUMERIC if self.numeric else CATEGORICAL

    def score(self, fused: Floats, part: Mask | None = None) -> dict[str, float]:
        """`accuracy`, or `mae` and `rmse` of numbers, on the questions with a truth or a part of them."""
        known, truth = (self.known, self.truth) if part is None else (self.known[part], self.truth[part])
        if self.numeric:
            error = fused[known] - truth
            return {"mae": float(np.abs(error).mean()), "rmse": float(np.sqrt((error**2).mean()))}
        return {"accuracy": float((fused[known].argmax(axis=1) == truth).mean())}


# ---- reading ------------------------------------------------------------------------------------------------------


def read_conflicts(answers: Path, truths: Path | None = None) -> list[Conflicts]:
    """Reads `question,worker,answer` and `question,truth`, or all pairs `*_answers.csv`, `*_truths.csv` of a folder.

    Raises:
        InputError: a file is missing, or a line makes no sense; names it.
    """
    if truths is not None:
        return [_read_pair(answers.stem.removesuffix("_answers"), answers, truths)]
    if not answers.is_dir():
        raise InputError("give the file of truths too, or a folder of *_answers.csv and *_truths.csv", str(answers))
    found = sorted(answers.glob("*_answers.csv"))
    if not found:
        raise InputError("no *_answers.csv in it", str(answers))
    names = [path.name.removesuffix("_answers.csv") for path in found]
    return [_read_pair(n, path, path.with_name(f"{n}_truths.csv")) for n, path in zip(names, found, strict=True)]


def _read_pair(name: str, answers: Path, truths: Path) -> Conflicts:
    rows = [(row[0], row[1], row[2]) for row in _rows(answers, ("question", "worker", "answer"))]
    if not rows:
        raise InputError("no answers in it", str(answers))
    votes = Votes.of(rows)
    true = {row[0]: row[1] for row in _rows(truths, ("question", "truth"))}
    position = {question: number for number, question in enumerate(votes.questions)}
    known = [question for question in true if question in position]
    if not known:
        raise InputError(f"no truth of a question that {answers.name} has answers to", str(truths))
    numeric = _are_numbers({*votes.answers, *true.values()})
    if numeric:
        truth = [float(true[question]) for question in known]
    else:
        answer = {text: number for number, text in enumerate(votes.answers)}
        truth = [float(answer.get(true[question], -1)) for question in known]
    at = np.array([position[question] for question in known])
    return Conflicts(name, votes, numeric, at, np.array(truth), len(true) - len(known))


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            if missing := [column for column in columns if column not in (reader.fieldnames or ())]:
                raise InputError(f"no column {missing[0]!r} in the first line", str(path))
            for row in reader:
                values = tuple((row[column] or "").strip() for column in columns)
                if not all(values):
                    empty = columns[values.index("")]
                    raise InputError(f"{empty} is empty", f"{path}:{reader.line_num}")
                yield values
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"can't be read: {error}", str(path)) from error


def _are_numbers(answers: set[str]) -> bool:
    try:
        values = [float(answer) for answer in answers]
    except ValueError:
        return False
    if not np.isfinite(values).all():
        return False
    return len(answers) > _MOST_CATEGORIES or any(value != int(value) for value in values)


# ---- measuring ----------------------------------------------------------------------------------------------------


def evaluate(conflicts: Conflicts) -> dict[str, Any]:
    """Every strategy's score: `n` questions with a truth, `strategies` by name."""
    return {
        "n": len(conflicts.known),
        "answers": len(conflicts.votes.question),
        "workers": len(conflicts.votes.workers),
        "unanswered": conflicts.unanswered,
        "strategies": {name: conflicts.score(fuse(conflicts.votes)) for name, fuse in conflicts.strategies.items()},
    }


def summary(found: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What `evaluate` found of several sets: each, all of their `n`, and each strategy's mean score over the sets."""
    scores: dict[str, dict[str, list[float]]] = {}
    for result in found.values():
        for strategy, measured in result["strategies"].items():
            for measure, value in measured.items():
                scores.setdefault(strategy, {}).setdefault(measure, []).append(value)
    return {
        "n": sum(result["n"] for result in found.values()),
        "strategies": {s: {m: float(np.mean(v)) for m, v in measures.items()} for s, measures in scores.items()},
        "sets": dict(found),
    }


def tune(conflicts: Conflicts, trials: int, seed: int = 0) -> dict[str, Any]:
    """Searches the weights by which the strategies' results are pooled, on half of the questions with a truth.

    Which half a question is in, its name decides. All strategies see all votes; only the weights see truths.

    Returns:
        `weights` by strategy, and the scores of the pool and of `best` on the `dev` half and on the `rest`.

    Raises:
        InputError: too few questions with a truth.
        ConfigurationError: `optuna` is not installed.
    """
    with needs_extra("fusion", "tuning"):
        import optuna

    names = [conflicts.votes.questions[at] for at in conflicts.known]
    dev = np.array([hashlib.blake2b(name.encode()).digest()[0] % 2 == 0 for name in names])
    if not dev.any() or dev.all():
        raise InputError("too few questions with a truth to search on a part of them", conflicts.name)
    fused = {name: fuse(conflicts.votes) for name, fuse in conflicts.strategies.items()}
    default = fused.pop("best")
    measure = "mae" if conflicts.numeric else "accuracy"

    def pool(weights: Mapping[str, float]) -> Floats:
        total: Floats = sum((weights[name] * fused[name] for name in fused), np.zeros_like(default))
        return total / sum(weights.values())

    def judge(trial: optuna.Trial) -> float:
        weights = {name: trial.suggest_float(name, 0.0, 1.0) for name in fused}
        if not any(weights.values()):
            raise optuna.TrialPruned
        return conflicts.score(pool(weights), dev)[measure]

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed)
    study = optuna.create_study(direction="minimize" if conflicts.numeric else "maximize", sampler=sampler)
    study.enqueue_trial({name: float(name in BEST) for name in fused})  # never worse than `best` on the dev half
    study.optimize(judge, n_trials=trials)
    found = pool(study.best_params)
    return {
        "n": {"dev": int(dev.sum()), "rest": int((~dev).sum())},
        "trials": trials,
        "weights": study.best_params,
        "dev": {"tuned": conflicts.score(found, dev), "best": conflicts.score(default, dev)},
        "rest": {"tuned": conflicts.score(found, ~dev), "best": conflicts.score(default, ~dev)},
    }
