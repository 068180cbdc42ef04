"""A belief that is a frequency: learned from facts whose truth is known, what each source's word is worth.

Where labelled facts exist (a curated catalogue that covers a part of what models talk about), noisy-or's reliabilities
need not be assumed. A logistic regression weighs who says a fact, how it is said, and how claims about the same object
fared before; its output is calibrated by construction (Platt, Probabilistic outputs for SVMs, 1999).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from scipy.special import expit, logit

from kg.errors import InputError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_STEPS = 50
_STILL = 1e-8


@dataclass(frozen=True, slots=True)
class Vote:
    """One source says a fact.

    Attributes:
        manner: how: its words of certainty, the kind of match that led to the object, …
    """

    source: str
    manner: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """A fact as its sources state it.

    Attributes:
        object: what the fact is about, whose earlier record counts.
        circumstances: what else speaks for or against it, such as a source that says something wider.
    """

    object: str
    votes: tuple[Vote, ...]
    circumstances: tuple[str, ...] = ()

    @property
    def marks(self) -> list[str]:
        """All that is weighed, by name."""
        sources = sorted({vote.source for vote in self.votes})
        together = [f"{len(sources)} sources"] if len(sources) > 1 else []
        manners = (f"{vote.source}: {manner}" for vote in self.votes for manner in vote.manner)
        return list(dict.fromkeys((*sources, *together, *manners, *self.circumstances)))


@dataclass
class CalibratedFusion:
    """Weights of marks; `fit` learns them, `belief` applies them.

    Args:
        ridge: variance of a weight a priori, inverted.
        doubt: claims of average truth that an object's own record is mixed with.
    """

    ridge: float = 1.0
    doubt: float = 3.0
    _weights: dict[str, float] = field(default_factory=dict)
    _record: dict[str, tuple[int, int]] = field(default_factory=dict)
    """object → how many facts about it were learned from, and how many of them were true"""
    _base: float = 0.5

    def fit(self, statements: Sequence[Statement], true: Bools) -> CalibratedFusion:
        """Learns from facts whose truth is known; an object's record leaves out the fact that is learned from."""
        self._base = float(np.clip(true.mean(), 1e-3, 1.0 - 1e-3))
        said = Counter(s.object for s in statements)
        held = Counter(s.object for s, holds in zip(statements, true, strict=True) if holds)
        self._record = {object_: (many, held[object_]) for object_, many in said.items()}
        marks = Counter(mark for s in statements for mark in s.marks)
        self._weights = dict.fromkeys(["", "record", *sorted(marks)], 0.0)
        x = self._matrix(statements, true)
        target = true.astype(float)
        weights = np.zeros(x.shape[1])
        penalty = np.full(x.shape[1], self.ridge)
        penalty[0] = 0.0
        for _ in range(_STEPS):  # Newton's method
            p = expit(x @ weights)
            gradient = x.T @ (target - p) - penalty * weights
            curvature = (x * (p * (1.0 - p))[:, None]).T @ x + np.diag(penalty + 1e-9)
            step = np.linalg.solve(curvature, gradient)
            weights += step
            if np.abs(step).max() < _STILL:
                break
        self._weights = dict(zip(self._weights, map(float, weights), strict=True))
        return self

    def belief(self, statements: Sequence[Statement]) -> Floats:
        """The chance in 0…1 that each fact is true; marks never seen weigh nothing."""
        if not self._weights:
            raise RuntimeError("nothing was learned yet")
        weights = np.array(list(self._weights.values()))
        found: Floats = expit(self._matrix(statements, None) @ weights)
        return found

    def _matrix(self, statements: Sequence[Statement], own: Bools | None) -> Floats:
        column = {mark: at for at, mark in enumerate(self._weights)}
        x = np.zeros((len(statements), len(column)))
        x[:, 0] = 1.0
        for row, statement in enumerate(statements):
            many, held = self._record.get(statement.object, (0, 0))
            if own is not None:
                many, held = many - 1, held - int(own[row])
            x[row, 1] = logit((held + self.doubt * self._base) / (many + self.doubt)) - logit(self._base)
            for mark in statement.marks:
                if (at := column.get(mark)) is not None:
                    x[row, at] = 1.0
        return x

    # ---- keeping ------------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Writes what was learned as JSON."""
        content = {"base": self._base, "doubt": self.doubt, "weights": self._weights, "record": self._record}
        path.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))

    @classmethod
    def load(cls, path: Path) -> CalibratedFusion:
        """Reads what `save` wrote.

        Raises:
            InputError: it is none of it.
        """
        try:
            content: Mapping[str, Any] = orjson.loads(path.read_bytes())
            made = cls(doubt=float(content["doubt"]))
            made._base = float(content["base"])
            made._weights = {str(k): float(v) for k, v in content["weights"].items()}
            made._record = {str(k): (int(n), int(h)) for k, (n, h) in content["record"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"no calibrated fusion: {error}", str(path)) from error
        return made

    def weights(self) -> Iterable[tuple[str, float]]:
        """What was learned, the heaviest first: mark → log odds."""
        return sorted(self._weights.items(), key=lambda item: -abs(item[1]))


def best_threshold(belief: Floats, true: Bools, missed: int = 0) -> float:
    """The belief from which facts are to be taken for true so that F1 is greatest.

    Args:
        belief: of each fact.
        true: whether it is.
        missed: true facts that nobody stated.
    """
    order = np.argsort(-belief, kind="stable")
    hits = np.cumsum(true[order])
    f1 = 2.0 * hits / (np.arange(1, len(hits) + 1) + true.sum() + missed)
    last_of_equals = np.append(belief[order][1:] != belief[order][:-1], True)
    return float(belief[order][np.argmax(np.where(last_of_equals, f1, -1.0))])
