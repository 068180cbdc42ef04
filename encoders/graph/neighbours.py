"""Link prediction without training: what is most linked to, and what the likes of the asked one are linked to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfTransformer, TfidfVectorizer
from sklearn.preprocessing import normalize
from torch import Tensor

from encoders.graph.triples import Triples


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
        self._linked: dict[int, csr_matrix] = {}

    def __call__(self, head: Tensor, relation: Tensor) -> Tensor:
        """(queries, nodes) scores."""
        scores = torch.zeros(len(head), self._facts.nodes)
        for asked in relation.unique().tolist():
            rows = torch.nonzero(relation == asked).squeeze(1)
            votes = self._votes(head[rows].numpy(), self._links(asked))
            scores[rows] = torch.from_numpy((votes @ self._links(asked)).toarray()).float()
        return scores

    def _votes(self, head: np.ndarray, links: csr_matrix) -> csr_matrix:
        likeness = (self._vectors[head] @ self._vectors.T).tocsr()
        votes = []
        for query, own in enumerate(head.tolist()):
            row = likeness[query]
            votes_here = np.where(links.getnnz(1)[row.indices] > 0, row.data, 0.0)
            votes_here[row.indices == own] = 0.0
            best = np.argsort(-votes_here, kind="stable")[: self._k]
            votes.append((row.indices[best], votes_here[best]))
        start = np.concatenate(([0], np.cumsum([len(at) for at, _ in votes])))
        columns, values = (np.concatenate(parts) for parts in zip(*votes, strict=True))
        return csr_matrix((values, columns, start), shape=(len(head), self._facts.nodes))

    def _links(self, asked: int) -> csr_matrix:
        if asked not in self._linked:
            facts = self._facts.take(self._facts.relation == asked)
            shape = (self._facts.nodes, self._facts.nodes)
            ones = np.ones(len(facts))
            self._linked[asked] = csr_matrix((ones, (facts.head.numpy(), facts.tail.numpy())), shape=shape)
        return self._linked[asked]


def fact_vectors(facts: Triples, without: int) -> csr_matrix:
    """A place for each (relation, neighbour), weighted by TF-IDF: (nodes, places).

    Args:
        facts: the graph.
        without: relation that does not count, since it is what is asked for.
    """
    both = facts.with_inverses()
    both = both.take(both.relation % facts.relations != without % facts.relations)
    _, place = torch.unique(both.relation * both.nodes + both.tail, return_inverse=True)
    shape = (both.nodes, int(place.max()) + 1 if len(place) else 1)
    counts = csr_matrix((np.ones(len(both)), (both.head.numpy(), place.numpy())), shape=shape)
    used = np.flatnonzero(counts.getnnz(1))
    weighted = TfidfTransformer(smooth_idf=False).fit(counts[used]).transform(counts)
    return normalize(weighted)


def name_vectors(names: Sequence[str]) -> csr_matrix:
    """Words and pairs of words of names, weighted by TF-IDF: (nodes, places)."""
    vectors: csr_matrix = TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        token_pattern=r"(?u)\w+",  # noqa: S106 (of words)
    ).fit_transform(names)
    return vectors
