"""Link prediction without training: what is most linked to, and what the likes of the asked one are linked to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, vstack
from sklearn.feature_extraction.text import TfidfTransformer, TfidfVectorizer
from sklearn.preprocessing import normalize
from torch import Tensor

from encoders.graph.ranking import Scorer
from encoders.graph.triples import Triples

Longs = NDArray[np.int64]
Floats = NDArray[np.float64]
_ROWS = 512
"""Rows of a matrix of likeness that are made at once."""


class Degree:
    """Scores a tail by how many facts of the asked relation it has already."""

    def __init__(self, facts: Triples) -> None:
        self._both = facts.with_inverses()

    def __call__(self, _head: Tensor, relation: Tensor) -> Tensor:
        """(queries, nodes) scores."""
        counts = {
            asked: torch.bincount(self._both.tail[self._both.relation == asked], minlength=self._both.nodes)
            for asked in set(relation.tolist())
        }
        return torch.stack([counts[asked] for asked in relation.tolist()]).float()


class Neighbours:
    """Scores a tail by the likeness of the asked one to nodes that have it as a tail: the k nearest such nodes vote.

    Args:
        vectors: (nodes, columns), rows of length 1 or 0; likeness is their product.
        facts: the graph.
        k: how many vote.
    """

    def __init__(self, vectors: csr_matrix, facts: Triples, k: int = 10) -> None:
        self._vectors = vectors
        self._facts = facts.with_inverses()
        self._k = k
        self._electorates: dict[int, _Electorate] = {}

    def __call__(self, head: Tensor, relation: Tensor) -> Tensor:
        """(queries, nodes) scores."""
        scores = torch.zeros(len(head), self._facts.nodes)
        for asked in relation.unique().tolist():
            rows = torch.nonzero(relation == asked).squeeze(1)
            electorate = self._electorate(asked)
            voter, vote = electorate.nearest(self._vectors, head[rows].numpy(), self._k)
            start = np.arange(len(rows) + 1) * voter.shape[1]
            votes = csr_matrix((vote.ravel(), voter.ravel(), start), shape=(len(rows), len(electorate.nodes)))
            scores[rows] = torch.from_numpy((votes @ electorate.links).toarray()).float()
        return scores

    def voters(self, head: int, relation: int, tail: int) -> list[tuple[int, float]]:
        """Who voted for a tail, and how much each added to its score, the greatest first."""
        electorate = self._electorate(relation)
        voter, vote = electorate.nearest(self._vectors, np.array([head]), self._k)
        votes = vote[0] * electorate.links[voter[0], tail].toarray().ravel()
        return [(int(electorate.nodes[voter[0, at]]), float(votes[at])) for at in np.flatnonzero(votes > 0)]

    def _electorate(self, asked: int) -> _Electorate:
        if asked not in self._electorates:
            facts = self._facts.take(self._facts.relation == asked)
            nodes, row = np.unique(facts.head.numpy(), return_inverse=True)
            shape = (len(nodes), self._facts.nodes)
            links = csr_matrix((np.ones(len(facts)), (row, facts.tail.numpy())), shape=shape)
            self._electorates[asked] = _Electorate(nodes, self._vectors[nodes].T.tocsr(), links)
        return self._electorates[asked]


@dataclass(frozen=True, slots=True, eq=False)
class _Electorate:
    """Nodes that have a tail of a relation.

    Attributes:
        nodes: (voters,) positions in the graph, ascending.
        vectors: (columns, voters).
        links: (voters, nodes), 1 where a voter has the tail.
    """

    nodes: Longs
    vectors: csr_matrix
    links: csr_matrix

    def nearest(self, vectors: csr_matrix, heads: Longs, k: int) -> tuple[Longs, Floats]:
        """The k voters most like each head, and their likeness, both (heads, k), the most alike first."""
        likeness = (vectors[heads] @ self.vectors).toarray()
        likeness[heads[:, None] == self.nodes] = 0.0
        best = np.argsort(-likeness, axis=1, kind="stable")[:, :k]
        return best, np.take_along_axis(likeness, best, axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class FactVectors:
    """What nodes are linked to, as vectors of length 1 (0 for a node that is linked to nothing).

    Attributes:
        vectors: (nodes, places), weighted by TF-IDF.
        relation: (places,), of the facts that a place stands for; beyond the graph's relations are inverses.
        node: (places,), which their other end is.
    """

    vectors: csr_matrix
    relation: Longs
    node: Longs

    @classmethod
    def of(cls, facts: Triples) -> FactVectors:
        """Of a graph. Facts of the relation that is asked for count, too: who shares some tails shares more of them."""
        both = facts.with_inverses()
        keys, place = np.unique((both.relation * both.nodes + both.tail).numpy(), return_inverse=True)
        counts = csr_matrix((np.ones(len(both)), (both.head.numpy(), place)), shape=(both.nodes, max(1, len(keys))))
        used = np.flatnonzero(counts.getnnz(1))
        if len(used):
            counts = TfidfTransformer(smooth_idf=False).fit(counts[used]).transform(counts)
        return cls(normalize(counts), keys // both.nodes, keys % both.nodes)

    def shared(self, one: int, other: int) -> Longs:
        """Places that two nodes share, those that add most to their likeness first."""
        common = self.vectors[one].multiply(self.vectors[other]).tocoo()
        order = np.lexsort((common.col, -common.data))
        places: Longs = common.col[order]
        return places


class Spread:
    """Scores a tail by the scores of the tails that are most like it, times their likeness.

    Args:
        score: that is spread.
        tails: int64 (tails,), the nodes that are scored; the others get 0.
        likeness: (tails, tails), what each takes of the others; see `most_alike`.
    """

    def __init__(self, score: Scorer, tails: Tensor, likeness: csr_matrix) -> None:
        self._score, self._tails, self._likeness = score, tails, likeness

    def __call__(self, head: Tensor, relation: Tensor) -> Tensor:
        """(queries, nodes) scores."""
        scores = self._score(head, relation)
        spread = torch.zeros_like(scores)
        spread[:, self._tails] = torch.from_numpy((self._likeness @ scores[:, self._tails].numpy().T).T).float()
        return spread


def most_alike(vectors: csr_matrix, k: int = 20) -> csr_matrix:
    """The likeness of each of n nodes to the k others that are most like it, (n, n); takes n² multiplications.

    Args:
        vectors: (n, columns), rows of length 1 or 0.
        k: how many.
    """
    turned = vectors.T.tocsr()
    parts = []
    for start in range(0, vectors.shape[0], _ROWS):
        likeness = (vectors[start : start + _ROWS] @ turned).toarray()
        row = np.arange(len(likeness))
        likeness[row, start + row] = 0.0
        best = np.argpartition(-likeness, min(k, vectors.shape[0]) - 1, axis=1)[:, :k]
        row = row[:, None].repeat(best.shape[1], 1)
        parts.append(csr_matrix((likeness[row, best].ravel(), (row.ravel(), best.ravel())), shape=likeness.shape))
    return vstack(parts, "csr")


def name_vectors(names: Sequence[str]) -> csr_matrix:
    """Words and pairs of words of names, weighted by TF-IDF: (nodes, places)."""
    vectors: csr_matrix = TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        token_pattern=r"(?u)\w+",  # noqa: S106 (of words)
    ).fit_transform(names)
    return vectors


def spelling_vectors(names: Sequence[str]) -> csr_matrix:
    """Two to four letters in a row of names, weighted by TF-IDF: (nodes, places); symbols of a family are alike."""
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    vectors: csr_matrix = letters.fit_transform(names)
    return vectors
