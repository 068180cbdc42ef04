"""Link prediction by factorisation: each node and relation of one graph gets a vector, good for that graph alone.

What the link predictor is compared with where there is time to train on a graph. Both models are trained alike, on
the cross-entropy of a fact's tail among all nodes, with relations of their own for the inverses (Lacroix et al. 2018).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from encoders.graph.ranking import Answers, RankMetrics, Scorer, filtered_ranks
from encoders.graph.triples import Triples
from kg.errors import InputError

_HELD_OUT = 1000
"""Facts that tell when to stop, at most."""


@dataclass(frozen=True, slots=True)
class FactorisationSettings:
    """How to train.

    Attributes:
        width: complex numbers a vector.
        epochs: at most so many; in one, each (head, relation) is asked for its tails once.
        batch: of these.
        rate: learning rate of Adagrad.
        penalty: weight of N3, for ComplEx.
        patience: epochs without a better MRR of held-out facts, after which training ends.
        bfloat16: make scores in bfloat16 while training: several times as fast where the processor computes in it.
        seed: of all that is drawn.
    """

    width: int = 100
    epochs: int = 50
    batch: int = 256
    rate: float = 0.1
    penalty: float = 0.05
    patience: int = 3
    bfloat16: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Epoch:
    """After an epoch: its mean loss, the MRR of held-out facts, and the best one so far."""

    number: int
    loss: float
    mrr: float
    best: float


class _Factorisation(nn.Module):
    """Vectors of complex numbers, kept as (…, width, 2) real ones in rows of 2 × width."""

    def __init__(self, nodes: int, relations: int, width: int) -> None:
        super().__init__()
        self.nodes = nn.Embedding(nodes, 2 * width)
        self.relations = nn.Embedding(2 * relations, 2 * width)
        for embedding in (self.nodes, self.relations):
            nn.init.normal_(embedding.weight, std=1e-3)

    def forward(self, head: Tensor, relation: Tensor) -> Tensor:
        """(queries, nodes) scores of the (queries,) heads and relations."""
        raise NotImplementedError

    def penalty(self, head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:  # noqa: ARG002 (of those that have one)
        """Mean penalty of (facts,)."""
        return torch.zeros(())

    def _complex(self, embedding: nn.Embedding, rows: Tensor) -> Tensor:
        return torch.view_as_complex(embedding(rows).unflatten(1, (-1, 2)))


class ComplEx(_Factorisation):
    """Re ⟨h ∘ r, t⟩ (Trouillon et al. 2016), with the nuclear 3-norm (Lacroix et al. 2018, §4)."""

    def forward(self, head: Tensor, relation: Tensor) -> Tensor:
        """Σ Re(h r t̄), which is the product of h ∘ r and t as real vectors."""
        query = self._complex(self.nodes, head) * self._complex(self.relations, relation)
        scores: Tensor = torch.view_as_real(query).flatten(1) @ self.nodes.weight.T
        return scores

    def penalty(self, head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
        """N3: the sum of the cubed moduli of h, r and t."""
        parts = ((self.nodes, head), (self.relations, relation), (self.nodes, tail))
        return sum((self._complex(*part).abs().pow(3).sum(1).mean() for part in parts), torch.zeros(()))


class RotatE(_Factorisation):
    """−‖h ∘ r − t‖₂, where r turns each number of h by an angle (Sun et al. 2019, §3.2; norm as in torch-geometric)."""

    def __init__(self, nodes: int, relations: int, width: int) -> None:
        super().__init__(nodes, relations, width)
        self.relations = nn.Embedding(2 * relations, width)  # angles
        nn.init.uniform_(self.relations.weight, 0, 2 * math.pi)
        nn.init.xavier_uniform_(self.nodes.weight)

    def forward(self, head: Tensor, relation: Tensor) -> Tensor:
        """By ‖q − t‖² = ‖q‖² + ‖t‖² − 2 ⟨q, t⟩: one product for all tails."""
        angle = self.relations(relation)
        query = torch.view_as_real(
            self._complex(self.nodes, head) * torch.polar(torch.ones_like(angle), angle)
        ).flatten(1)
        tails = self.nodes.weight
        square = query.square().sum(1)[:, None] + tails.square().sum(1) - 2 * (query @ tails.T)
        return -square.clamp(min=1e-9).sqrt()


MODELS: dict[str, type[_Factorisation]] = {"complex": ComplEx, "rotate": RotatE}


def fit_factorisation(
    name: str,
    facts: Triples,
    settings: FactorisationSettings | None = None,
    *,
    ranked: int = 500,
    report: Callable[[Epoch], None] = lambda _: None,
) -> Scorer:
    """Trains a model on a graph, of which a tenth, but at most 1,000 facts, is held out to tell when to stop.

    Args:
        name: of `MODELS`.
        facts: the graph; nodes without facts keep the vectors they were drawn with.
        settings: how; None: the defaults.
        ranked: held-out facts that a validation ranks, at most.
        report: told after each epoch.

    Raises:
        InputError: fewer than ten facts, of which none can be held out.
    """
    settings = settings or FactorisationSettings()
    graph, held_out = hold_out(facts, settings.seed)
    judged = held_out.take(torch.arange(min(ranked, len(held_out))))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(settings.seed)
        model = MODELS[name](facts.nodes, facts.relations, settings.width)
    draw = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.Adagrad(model.parameters(), lr=settings.rate)
    answers, asked = Answers(graph.with_inverses()), _queries(graph)
    best, best_weights, bad = 0.0, copy.deepcopy(model.state_dict()), 0

    def score(head: Tensor, relation: Tensor) -> Tensor:
        with torch.no_grad():
            scores: Tensor = model(head, relation)
            return scores

    for number in range(1, settings.epochs + 1):
        losses = []
        for rows in torch.randperm(len(asked), generator=draw).split(settings.batch):
            head, relation = asked[rows].T
            query, tail = answers.of(head, relation)
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
                logits = model(head, relation).float()
            loss = (logits.logsumexp(1)[query] - logits[query, tail]).mean()
            losses.append(loss.item())
            loss = loss + settings.penalty * model.penalty(head[query], relation[query], tail)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        mrr = RankMetrics.of(filtered_ranks(score, judged, [graph, held_out], batch=64)).mrr
        bad = 0 if mrr > best else bad + 1
        if mrr > best:
            best, best_weights = mrr, copy.deepcopy(model.state_dict())
        report(Epoch(number, sum(losses) / len(losses), mrr, best))
        if bad == settings.patience:
            break
    model.load_state_dict(best_weights)
    return score


def hold_out(facts: Triples, seed: int) -> tuple[Triples, Triples]:
    """A graph without a tenth of its facts, at most 1,000, and these.

    Raises:
        InputError: fewer than ten facts.
    """
    count = min(len(facts) // 10, _HELD_OUT)
    if not count:
        raise InputError(f"{len(facts)} facts are too few to hold some out", "graph")
    rows = torch.randperm(len(facts), generator=torch.Generator().manual_seed(seed))
    return facts.take(rows[count:]), facts.take(rows[:count])


def _queries(facts: Triples) -> Tensor:
    """int64 (queries, 2), each (head, relation) of the facts and their inverses once."""
    both = facts.with_inverses()
    queries: Tensor = torch.stack((both.head, both.relation), 1).unique(dim=0)
    return queries
