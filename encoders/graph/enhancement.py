"""Missing links of a domain: predicted where the ontology allows them, calibrated on facts that were hidden.

A relation is asked for the objects of each subject; `^RELATION` (as in SPARQL's paths) for the subjects of each object.
Asked are entities that the graph says something of. How they are scored is one of `ways`. A belief is the share of
predictions with such a score that were right when some of the known facts were hidden, judged apart for

* entities that kept other facts of the relation: what the graph does not know counts as wrong, so that beliefs err on
  the low side where it has many holes;
* entities that lost all: they have an answer, so that the belief supposes that there is one to be found.

A way that learns does so from a half of the entities that lost facts; the others are judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from torch import Tensor

from encoders.calibration import expected_calibration_error
from encoders.graph.domain_graph import AllowedTails
from encoders.graph.enhancement_settings import EnhancementSettings
from encoders.graph.model import LinkPredictor
from encoders.graph.ranking import Answers
from encoders.graph.triples import Triples
from encoders.graph.ways import WAYS, Question, Steps, Way
from kg.errors import InputError
from kg.snapshot import Snapshot

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]
Bools = NDArray[np.bool_]
_FEWEST = 20
"""Facts of a relation below which nothing can be calibrated."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Belief by score, from facts that were hidden; each pair is of entities without and with a fact of the relation.

    Attributes:
        score: ascending.
        belief: not descending, 0…1.
        hidden: how many facts were hidden and asked for.
        found: the share of them among the first `top_k`.
        ece: expected calibration error, of beliefs fitted on the other half of the queries.
        precision: of the predictions that reach the least belief, judged in the same way; None if none does.
        learned: by the way, from hidden facts.
    """

    score: tuple[Floats, Floats]
    belief: tuple[Floats, Floats]
    hidden: int
    found: float
    ece: float
    precision: float | None
    learned: str = ""

    def of(self, score: Floats, known: Bools) -> Floats:
        """Belief of each score.

        Args:
            score: (entities, n).
            known: (entities,), whether the graph has a fact of the relation already.
        """
        curves = zip(self.score, self.belief, strict=True)
        without, with_ = (_belief(score, at, belief) for at, belief in curves)
        return np.where(known[:, None], with_, without)

    @classmethod
    def of_json(cls, value: dict[str, Any]) -> Self:
        """From what `asdict` makes JSON of."""
        curves = {name: tuple(np.array(part, np.float64) for part in value[name]) for name in ("score", "belief")}
        return cls(**value | curves)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A link that the graph does not know.

    Attributes:
        paths: ids and relations from subject to object, the weightiest first.
    """

    subject: str
    relation: str
    object: str
    belief: float
    paths: tuple[str, ...]


class Enhancement:
    """Predictions of one relation of a snapshot.

    Args:
        snapshot: of the domain.
        facts: its triples, without those that only an earlier enhancement says.
        allowed: which entities a relation may end at.
        model: of the ways that need it, on any device.
        asked: a relation's name, or `^` and its name; see `EnhancementSettings.check`.
        settings: what to predict, and by which way.

    Raises:
        InputError: too few facts of the relation.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        facts: Triples,
        allowed: AllowedTails,
        model: LinkPredictor,
        asked: str,
        settings: EnhancementSettings,
    ) -> None:
        self._snapshot, self._facts, self._settings = snapshot, facts, settings
        self._name = asked.removeprefix("^")
        number = snapshot.relations.index(self._name)
        self._rows = torch.nonzero(facts.relation == number).squeeze(1)
        if len(self._rows) < _FEWEST:
            found = f"{len(self._rows)} facts of {self._name}"
            raise InputError(f"there are {found}; beliefs can't be calibrated on fewer than {_FEWEST}", "relations")
        self._inverse = asked.startswith("^")
        self._relation = number + (facts.relations if self._inverse else 0)
        self._tails = allowed(self._relation)
        names = [snapshot.name(at) for at in range(len(snapshot))]
        self._question = Question(self._relation, self._tails, names, model)
        self._place = torch.full((facts.nodes,), -1, dtype=torch.int64)
        self._place[self._tails] = torch.arange(len(self._tails))
        linked = torch.zeros(facts.nodes, dtype=torch.bool)
        linked[facts.head] = linked[facts.tail] = True
        heads = allowed((self._relation + facts.relations) % (2 * facts.relations))
        self.heads = heads[linked[heads]]

    # ---- calibration ----------------------------------------------------------------------------------------------

    def calibrate(self, progress: Callable[[int, int], None] = lambda _done, _of: None) -> Calibration:
        """Hides facts, asks for them, and fits belief to score by isotonic regression.

        Raises:
            InputError: too few facts for the way to learn from.
        """
        settings = self._settings
        draw = torch.Generator().manual_seed(settings.seed)
        shuffled = self._rows[torch.randperm(len(self._rows), generator=draw)]
        hidden = shuffled[: max(1, int(len(shuffled) * settings.hidden))]
        mask = torch.ones(len(self._facts), dtype=torch.bool)
        mask[hidden] = False
        seen = self._view(self._facts.take(mask))
        lost, tail = self._ends(self._facts.take(hidden))
        taught = torch.zeros(self._facts.nodes, dtype=torch.bool)
        learned = ""
        if seen.way.learns:
            taught[_shuffled(lost.unique(), draw)[::2]] = True
            learned = self._learn(seen.way, lost[taught[lost]], tail[taught[lost]])
        keeps = seen.known
        lost_some = torch.zeros_like(keeps)
        lost_some[lost] = True
        groups = [self.heads[m[self.heads]] for m in (lost_some & ~keeps, lost_some & keeps, keeps & ~lost_some)]
        chosen = [_shuffled(heads[~taught[heads]], draw)[: seen.way.queries] for heads in groups]
        weights = [np.full(len(some), len(all_) / max(1, len(some))) for some, all_ in zip(chosen, groups, strict=True)]
        heads, weight = torch.cat(chosen), np.concatenate(weights)
        truth = lost * self._facts.nodes + tail
        parts, done = [], 0
        for part, tails, score in self._best(seen, heads):
            right = torch.isin(part[:, None] * self._facts.nodes + tails, truth)
            query = (done + torch.arange(len(part)))[:, None].expand_as(tails)
            ranked = torch.isfinite(score)
            parts.append([values[ranked].numpy() for values in (score, right.double(), query)])
            done += len(part)
            progress(done, len(heads))
        score_, right_, query_ = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        judged = _Judged(score_, right_, weight[query_], query_, query_ >= len(chosen[0]))
        found = judged.fit(int(torch.isin(lost, heads).sum()), settings.min_belief)
        return replace(found, learned=learned)

    def _learn(self, way: Way, head: Tensor, tail: Tensor) -> str:
        relation = torch.full_like(head, self._relation)
        hidden = Triples(head, relation, tail, self._facts.nodes, 2 * self._facts.relations)
        return way.learn(hidden, self._facts.with_inverses(), self._settings.seed)

    # ---- prediction -----------------------------------------------------------------------------------------------

    def predict(self, heads: Tensor, calibration: Calibration) -> Iterator[list[Prediction]]:
        """The predictions that reach the least belief, in parts, in the order of the entities asked."""
        if self._whole.way.learns:
            self._whole.way.recall(calibration.learned)
        for part, found, score in self._best(self._whole, heads):
            predictions = []
            believed = calibration.of(score.numpy(), self._whole.known[part].numpy())
            for head, tails, beliefs in zip(part.tolist(), found.tolist(), believed.tolist(), strict=True):
                for tail, belief in zip(tails, beliefs, strict=True):
                    if belief >= max(self._settings.min_belief, 1e-6):
                        predictions.append(self._prediction(head, tail, belief))
            yield predictions

    def still(self, predictions: list[Prediction], asked: Tensor) -> list[Prediction]:
        """Those of earlier predictions that are of other entities than those asked now, and of such as there are."""
        place = {self._snapshot.id(at): at for at in self.heads.tolist()}
        anew = {self._snapshot.id(at) for at in asked.tolist()}
        tails = {self._snapshot.id(at) for at in self._tails.tolist()}
        ends = [(p.object, p.subject) if self._inverse else (p.subject, p.object) for p in predictions]
        return [
            prediction for prediction, (head, tail) in zip(predictions, ends, strict=True)
            if head in place and head not in anew and tail in tails
        ]  # fmt: skip

    def _best(self, view: _View, heads: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Part by part: the heads, and (heads, top_k) best tails that are not known, with their scores."""
        for part in heads.split(view.way.at_once):
            scores = view.way.scores(part)
            query, known = view.answers.of(part, torch.full_like(part, self._relation))
            query, known = torch.cat((query, torch.arange(len(part)))), self._place[torch.cat((known, part))]
            scores[query[known >= 0], known[known >= 0]] = -torch.inf
            best = torch.topk(scores, min(self._settings.top_k, len(self._tails)), dim=1)
            yield part, self._tails[best.indices], best.values.double()

    def _prediction(self, head: int, tail: int, belief: float) -> Prediction:
        most = self._settings.paths
        paths = self._whole.way.paths(head, tail, most) if most else []
        subject, object_ = (tail, head) if self._inverse else (head, tail)
        ids = self._snapshot.id(subject), self._name, self._snapshot.id(object_)
        return Prediction(*ids, round(belief, 6), tuple(self._text(head, path) for path in paths))

    def _text(self, head: int, path: Steps) -> str:
        """`A ^R B S C`: A is the object of R, whose subject is B, the subject of S, whose object is C."""
        parts = [self._snapshot.id(head)]
        for relation, node in path:
            inverse, number = divmod(relation, self._facts.relations)
            parts += ["^" * inverse + self._snapshot.relations[number], self._snapshot.id(node)]
        return " ".join(parts)

    def _ends(self, facts: Triples) -> tuple[Tensor, Tensor]:
        """What is asked, and what is the answer."""
        return (facts.tail, facts.head) if self._inverse else (facts.head, facts.tail)

    def _view(self, facts: Triples) -> _View:
        known = torch.zeros(facts.nodes, dtype=torch.bool)
        known[self._ends(facts.take(facts.relation == self._relation % facts.relations))[0]] = True
        return _View(WAYS[self._settings.by](facts, self._question), Answers(facts.with_inverses()), known)

    @cached_property
    def _whole(self) -> _View:
        return self._view(self._facts)


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """Facts in the forms in which they are read again and again.

    Attributes:
        answers: their tails, in both directions.
        known: bool (nodes,): has a fact of the relation.
    """

    way: Way
    answers: Answers
    known: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """Predictions whose truth is known, in arrays of one length.

    Attributes:
        right: 1 or 0.
        weight: of how many entities theirs is one that was drawn.
        query: which entity was asked.
        known: whether it has a fact of the relation.
    """

    score: Floats
    right: Floats
    weight: Floats
    query: Longs
    known: Bools

    def fit(self, hidden: int, least: float) -> Calibration:
        """The calibration, and how good it is where it was not fitted."""
        groups = ~self.known, self.known
        curves = [self._curve(group) for group in groups]
        held_out = np.zeros(len(self.score))
        for group in groups:
            for half in (0, 1):
                own = group & (self.query % 2 == half)
                held_out[own] = _belief(self.score[own], *self._curve(group & ~own))
        chosen = held_out >= least
        return Calibration(
            (curves[0][0], curves[1][0]),
            (curves[0][1], curves[1][1]),
            hidden,
            float(self.right.sum() / max(1, hidden)),
            expected_calibration_error(held_out, self.right, self.weight),
            float(np.average(self.right[chosen], weights=self.weight[chosen])) if chosen.any() else None,
        )

    def _curve(self, chosen: Bools) -> tuple[Floats, Floats]:
        score, right, weight = self.score[chosen], self.right[chosen], self.weight[chosen]
        if not len(score):
            return score, right
        order = np.argsort(score, kind="stable")
        return score[order], isotonic_regression(right[order], weights=weight[order]).x


def _shuffled(values: Tensor, draw: torch.Generator) -> Tensor:
    return values[torch.randperm(len(values), generator=draw)]


def _belief(score: Floats, known: Floats, belief: Floats) -> Floats:
    """The belief of the next score below that is known; 0 below all."""
    if not len(known):
        return np.zeros(score.shape)
    at = np.searchsorted(known, score, side="right") - 1
    return np.where(at < 0, 0.0, belief[np.maximum(at, 0)])
