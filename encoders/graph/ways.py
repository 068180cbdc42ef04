"""The ways by which an enhancement predicts, by name: each scores the tails of one relation, and says why."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from scipy.sparse import csr_matrix
from torch import Tensor

from encoders.graph.explanation import explain
from encoders.graph.joined import NOT_LOOKED_AT, JoinedScorer
from encoders.graph.model import LinkPredictor, PreparedGraph, bytes_a_query, queries_at_once
from encoders.graph.neighbours import (
    Degree,
    FactVectors,
    Neighbours,
    Spread,
    most_alike,
    name_vectors,
    spelling_vectors,
)
from encoders.graph.ranking import Scorer
from encoders.graph.triples import Triples
from kg.errors import ConfigurationError, InputError

Steps = tuple[tuple[int, int], ...]
"""A path from a head: (relation, node) of each step; beyond the graph's relations are inverses."""

VOTERS = 10
"""How many neighbours vote."""
BY_NAMES = 0.5
"""Weight of a vote by names, beside one by facts. Both were chosen on HPO's facts that were hidden to learn from."""

_FEWEST = 20
"""Hidden facts from which trees can learn."""


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked, whichever facts are seen.

    Attributes:
        relation: whose tails are asked for; beyond the graph's relations are inverses.
        tails: int64 (tails,), the nodes that may answer, ascending.
        names: of all nodes.
        model: of the ways that read the graph by it.
    """

    relation: int
    tails: Tensor
    names: Sequence[str]
    model: LinkPredictor

    @cached_property
    def name_vectors(self) -> csr_matrix:
        """See `neighbours.name_vectors`."""
        return name_vectors(self.names)

    @cached_property
    def spelling_vectors(self) -> csr_matrix:
        """See `neighbours.spelling_vectors`."""
        return spelling_vectors(self.names)

    @cached_property
    def tails_spelt_alike(self) -> csr_matrix:
        """See `neighbours.most_alike`."""
        return most_alike(self.spelling_vectors[self.tails.numpy()])


class Way(ABC):
    """Scores the tails of a question by the facts that it was made of."""

    queries: ClassVar[int]
    """Entities of a sort that are asked to calibrate it, at most: the slower a way, the fewer."""
    learns: ClassVar[bool] = False
    """Whether it has to learn from hidden facts before it scores."""
    weights: ClassVar[bool] = False
    """Whether it reads the graph by the question's model."""
    at_once: int = 64
    """Heads that are scored at once."""

    def __init__(self, facts: Triples, question: Question) -> None:
        self.facts, self.question = facts, question

    @abstractmethod
    def scores(self, heads: Tensor) -> Tensor:
        """(heads, tails), the higher the likelier."""

    @abstractmethod
    def paths(self, head: int, tail: int, most: int) -> list[Steps]:
        """What speaks for a tail, the weightiest first."""

    def learn(self, hidden: Triples, known: Triples, seed: int) -> str:
        """Learns from facts that it has not seen, and returns what `recall` needs.

        Args:
            hidden: as they are asked: heads, the relation, tails.
            known: all facts, with inverses; what they say is no wrong answer.
            seed: of what is drawn.

        Raises:
            InputError: they teach nothing.
        """
        raise NotImplementedError

    def recall(self, learned: str) -> None:
        """Takes over what another of its kind learned."""
        raise NotImplementedError


class ByUltra(Way):
    """By the link predictor."""

    queries = 300
    weights = True

    def __init__(self, facts: Triples, question: Question) -> None:
        super().__init__(facts, question)
        self._model = question.model
        self._graph = PreparedGraph.of(facts.to(next(self._model.parameters()).device))
        self.at_once = queries_at_once(self._graph)

    def scores(self, heads: Tensor) -> Tensor:
        """(heads, tails); where memory does not suffice, fewer are scored at once from then on.

        Raises:
            ConfigurationError: it does not suffice for one.
        """
        parts = []
        rest = heads
        while len(rest):
            some = rest[: self.at_once]
            try:
                relation = torch.full_like(some, self.question.relation)
                parts.append(self._model.scores(some, relation, self._graph, self.question.tails))
            except torch.OutOfMemoryError:
                if len(some) == 1:
                    raise self._too_little_memory() from None
                self.at_once = len(some) // 2
                continue
            rest = rest[len(some) :]
        return torch.cat(parts)

    def paths(self, head: int, tail: int, most: int) -> list[Steps]:
        """Paths of the facts that the score depends on most; see `explain`."""
        facts = self._graph.facts
        try:
            found = explain(self._model, self._graph, head, self.question.relation, tail, paths=most)
        except torch.OutOfMemoryError:
            raise self._too_little_memory() from None
        return [tuple((int(facts.relation[fact]), int(facts.tail[fact])) for fact in path.facts) for path in found]

    def _too_little_memory(self) -> ConfigurationError:
        needed = f"{bytes_a_query(self._graph):,}"
        return ConfigurationError(f"too little memory: beside the graph, one prediction takes about {needed} bytes")


class ByNeighbours(Way):
    """By the tails of those that are most like the head, by their facts and by their names."""

    queries = 3000

    def __init__(self, facts: Triples, question: Question) -> None:
        super().__init__(facts, question)
        self.vectors = FactVectors.of(facts)
        self._by_facts = Neighbours(self.vectors.vectors, facts, VOTERS)
        self._by_names = Neighbours(question.name_vectors, facts, VOTERS)

    def __call__(self, head: Tensor, relation: Tensor) -> Tensor:
        """(queries, nodes) scores."""
        return self._by_facts(head, relation) + BY_NAMES * self._by_names(head, relation)

    def scores(self, heads: Tensor) -> Tensor:
        """(heads, tails): the share of all votes, which is great where voters agree; minus infinity for none."""
        votes = self(heads, torch.full_like(heads, self.question.relation))[:, self.question.tails]
        return (votes / votes.sum(1, keepdim=True)).masked_fill_(votes == 0, -torch.inf)

    def paths(self, head: int, tail: int, most: int) -> list[Steps]:
        """By each neighbour that voted for its facts: the fact that adds most to its likeness, then its vote."""
        found: list[Steps] = []
        relations = self.facts.relations
        for voter, _ in self._by_facts.voters(head, self.question.relation, tail)[:most]:
            place = self.vectors.shared(head, voter)[0]
            relation, node = int(self.vectors.relation[place]), int(self.vectors.node[place])
            back = (relation + relations) % (2 * relations)
            found.append(((relation, node), (back, voter), (self.question.relation, tail)))
        return found


class Joined(Way):
    """By trees that learn, from hidden facts, how much neighbours of several sorts are worth."""

    queries = 1000
    learns = True

    def __init__(self, facts: Triples, question: Question) -> None:
        super().__init__(facts, question)
        self._neighbours = ByNeighbours(facts, question)
        tails = torch.zeros(facts.nodes, dtype=torch.bool)
        tails[question.tails] = True
        self._joined = JoinedScorer(parts(facts, question, self._neighbours), tails)

    def learn(self, hidden: Triples, known: Triples, seed: int) -> str:
        """Fits the trees to at most `queries` facts; see `Way.learn`."""
        drawn = torch.randperm(len(hidden), generator=torch.Generator().manual_seed(seed))[: self.queries]
        if len(drawn) < _FEWEST:
            fewest = f"fewer than {_FEWEST} hidden facts to learn from"
            raise InputError(f"{len(drawn)} are {fewest}; predict by neighbours", "by")
        try:
            self._joined.fit(hidden.take(drawn), [known], seed=seed)
        except ValueError as error:
            raise InputError(f"nothing to learn from: {error}", "by") from None
        return self._joined.learned

    def recall(self, learned: str) -> None:
        """Takes over the trees."""
        self._joined.recall(learned)

    def scores(self, heads: Tensor) -> Tensor:
        """(heads, tails): logarithms of a softmax, since trees that rank have no scale that heads share.

        Minus infinity where no part has a tail among its best.
        """
        scores = self._joined(heads, torch.full_like(heads, self.question.relation))[:, self.question.tails]
        return torch.log_softmax(scores.masked_fill_(scores == NOT_LOOKED_AT, -torch.inf), 1)

    def paths(self, head: int, tail: int, most: int) -> list[Steps]:
        """Those by neighbours."""
        return self._neighbours.paths(head, tail, most)


def parts(facts: Triples, question: Question, neighbours: ByNeighbours) -> dict[str, Scorer]:
    """What `Joined` joins."""
    vectors = neighbours.vectors.vectors
    return {
        "facts": Neighbours(vectors, facts, VOTERS),
        "more by facts": Neighbours(vectors, facts, 5 * VOTERS),
        "names": Neighbours(question.name_vectors, facts, VOTERS),
        "spelling": Neighbours(question.spelling_vectors, facts, VOTERS),
        "tails spelt alike": Spread(neighbours, question.tails, question.tails_spelt_alike),
        "degree": Degree(facts),
    }


WAYS: dict[str, type[Way]] = {"joined": Joined, "neighbours": ByNeighbours, "ultra": ByUltra}
