"""Diseases that stand for one another: the same one in another catalogue, of the same gene, of the same series."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

import numpy as np

from reasoning.diagnosis.annotations import Floats, Ints, PhenotypeAnnotations, slices

_STOP = frozenset(
    "syndrome disease disorder type of and with or the due to a an in form deficiency autosomal".split()  # noqa: SIM905 # shorter to read
)
_ROMAN = {
    "i": "1",
    "ii": "2",
    "iii": "3",
    "iv": "4",
    "v": "5",
    "vi": "6",
    "vii": "7",
    "viii": "8",
    "ix": "9",
    "x": "10",
}
_SAME = 1.0
"""Least score of two entries that count as one disease: names alone, or name and gene together, reach it."""


def words(name: str) -> tuple[str, ...]:
    """Words of a name, lower case, hyphens and punctuation apart, Roman numerals as digits."""
    return tuple(_ROMAN.get(word, word) for word in re.findall(r"[a-z]+|\d+", name.lower().replace("'s", "")))


def series(name: str) -> str:
    """A name without its running number: one key for all members of a numbered series; empty if it has none."""
    found = re.match(r"(.{8,}?)[\s,]+(?:type\s+)?(?:\d+[A-Za-z]?|[IVX]+[A-Z]?)(?:,.*)?$", name)
    return " ".join(words(found[1])) if found else ""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """For each disease some others, as CSR."""

    start: Ints
    others: Ints

    def best(self, scores: Floats, default: float) -> Floats:
        """The highest score among each disease's others; `default` where it has none."""
        best = np.full(len(self.start) - 1, default)
        has = np.flatnonzero(np.diff(self.start))
        if len(has):
            best[has] = np.maximum.reduceat(scores[self.others], self.start[has])
        return best

    def best_of(self, diseases: Ints, scores: Floats, default: float) -> Floats:
        """`best` of some diseases only."""
        at, owner = slices(self.start, diseases)
        best = np.full(len(diseases), -np.inf)
        np.maximum.at(best, owner, scores[self.others[at]])
        best[np.isinf(best)] = default
        return best


def _neighbours(pairs: Iterable[tuple[int, int]], diseases: int) -> Neighbours:
    table = np.array(sorted(set(pairs)), np.int64).reshape(-1, 2)
    return Neighbours(np.searchsorted(table[:, 0], np.arange(diseases + 1)), table[:, 1].copy())


def _grouped(keys: Iterable[Iterable[Hashable]], largest: int) -> Iterable[tuple[int, int]]:
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for disease, of in enumerate(keys):
        for key in of:
            groups[key].append(disease)
    for members in groups.values():
        if 1 < len(members) <= largest:
            yield from ((one, other) for one in members for other in members if one != other)


def same_gene(annotations: PhenotypeAnnotations) -> Neighbours:
    """Diseases that share a gene."""
    return _neighbours(_grouped(annotations.disease_genes, 40), len(annotations.disease_ids))


def same_series(annotations: PhenotypeAnnotations) -> Neighbours:
    """Diseases whose names differ by a running number only."""
    keys = [[key] if (key := series(name)) else [] for name in annotations.disease_names]
    return _neighbours(_grouped(keys, 150), len(annotations.disease_ids))


def same_disease(annotations: PhenotypeAnnotations) -> Neighbours:
    """Entries of other catalogues for the same disease, found by names and genes.

    score = idf-weighted Dice overlap of the names' words + 0.5 × Jaccard overlap of the genes; pairs that reach
    `_SAME` and are the best of either side count.
    """
    catalogue = [id_.partition(":")[0] for id_ in annotations.disease_ids]
    bags = [frozenset(words(name)) - _STOP for name in annotations.disease_names]
    count: dict[str, int] = defaultdict(int)
    for bag in bags:
        for word in bag:
            count[word] += 1
    weight = {word: float(np.log(len(bags) / n)) for word, n in count.items()}
    size = [sum(weight[word] for word in bag) for bag in bags]
    genes = [frozenset(of) for of in annotations.disease_genes]

    by_key: dict[Hashable, list[int]] = defaultdict(list)
    omim = [d for d, kind in enumerate(catalogue) if kind == "OMIM"]
    for disease in omim:
        for key in (*bags[disease], *genes[disease]):
            by_key[key].append(disease)
    best: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for disease, kind in enumerate(catalogue):
        if kind == "OMIM":
            continue
        near = {other for key in (*bags[disease], *genes[disease]) if len(by_key[key]) < 60 for other in by_key[key]}
        for other in near:
            shared = sum(weight[word] for word in bags[disease] & bags[other])
            name_score = 2 * shared / max(size[disease] + size[other], 1e-9)
            union = genes[disease] | genes[other]
            gene_score = len(genes[disease] & genes[other]) / len(union) if union else 0.0
            if (score := name_score + 0.5 * gene_score) >= 0.55:
                best[disease].append((score, other))
                best[other].append((score, disease))
    top = {d: max(found)[0] for d, found in best.items()}
    pairs = [
        (d, other)
        for d, found in best.items()
        for score, other in found
        if (score >= min(top[d], top[other]) - 1e-9 and score >= 0.9) or score >= _SAME
    ]
    return _neighbours(pairs, len(annotations.disease_ids))
