"""What is known of diseases and their findings, as arrays: the one input of every part of the diagnosis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from kg.errors import InputError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PHENOTYPE_ROOT = "HP:0000118"
"""Phenotypic abnormality: the branch of HPO that findings are of."""

FREQUENCY_SHARES = {
    "HP:0040280": 1.0,  # obligate, 100 %
    "HP:0040281": 0.9,  # very frequent, 80–99 %
    "HP:0040282": 0.545,  # frequent, 30–79 %
    "HP:0040283": 0.17,  # occasional, 5–29 %
    "HP:0040284": 0.025,  # very rare, 1–4 %
    "HP:0040285": 0.0,  # excluded
}
"""Frequency term → middle of its range."""


class Aspect(IntEnum):
    """What an annotation row speaks of; the letters are those of HPO's annotation file."""

    PHENOTYPE = 0  # P
    INHERITANCE = 1  # I
    COURSE = 2  # C: onset, mortality, pace


@dataclass(frozen=True, slots=True, eq=False)
class AnnotationRows:
    """Annotation rows as parallel arrays; one row is what one source says of one disease and one term.

    Attributes:
        disease: position of the disease.
        term: position of the term.
        source: position of the source (a publication, OMIM, Orphanet...).
        aspect: `Aspect`.
        numerator: patients that had the finding, where the source counted; else 0.
        denominator: patients looked at; 0 where the source did not count.
        share: frequency 0…1 where the source gives one without counting (percentage, frequency term); else NaN.
        excluded: the source says that the disease does not show the finding.
    """

    disease: Ints
    term: Ints
    source: Ints
    aspect: Ints
    numerator: Floats
    denominator: Floats
    share: Floats
    excluded: Bools

    def __len__(self) -> int:
        return len(self.disease)

    def select(self, at: Ints | Bools) -> AnnotationRows:
        """The rows at these positions, or where a mask of the length of the table is true."""
        return AnnotationRows(*(getattr(self, name)[at] for name in self.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class PhenotypeAnnotations:
    """Terms, diseases and annotation rows; made by `build_annotations` alone.

    Attributes:
        term_ids: ids of the living terms; a term is its position here.
        term_names: their names.
        term_index: id → position, obsolete ids included (as the term that replaces them).
        parent_start: CSR bounds of `parents`, (terms + 1,).
        parents: is_a, direct.
        ancestor_start: CSR bounds of `ancestors`, (terms + 1,).
        ancestors: each term's ancestors and itself, ascending.
        is_finding: terms below `PHENOTYPE_ROOT`.
        information: information content −ln(share of annotated diseases that have the term or one below it), nats;
            a term of no disease counts as one of half a disease (Resnik 1995).
        disease_ids: ids of the diseases; a disease is its position here.
        disease_names: their names.
        disease_genes: ids of the genes of each disease.
        source_ids: ids of the sources; a source is its position here.
        rows: sorted by disease, then source, then term.
        row_start: CSR bounds of the rows of each disease, (diseases + 1,).
    """

    term_ids: tuple[str, ...]
    term_names: tuple[str, ...]
    term_index: Mapping[str, int]
    parent_start: Ints
    parents: Ints
    ancestor_start: Ints
    ancestors: Ints
    is_finding: Bools
    information: Floats
    disease_ids: tuple[str, ...]
    disease_names: tuple[str, ...]
    disease_index: Mapping[str, int]
    disease_genes: tuple[tuple[str, ...], ...]
    source_ids: tuple[str, ...]
    source_index: Mapping[str, int]
    rows: AnnotationRows
    row_start: Ints

    def ancestors_of(self, term: int) -> Ints:
        """Ancestors of a term, itself included, ascending."""
        return self.ancestors[self.ancestor_start[term] : self.ancestor_start[term + 1]]

    def below(self, root: str) -> Bools:
        """(terms,): which are a term, or below it; none if there is no such term."""
        found = np.zeros(len(self.term_ids), np.bool_)
        if root in self.term_index:
            counts = np.diff(self.ancestor_start)
            found[np.repeat(np.arange(len(found)), counts)[self.ancestors == self.term_index[root]]] = True
        return found

    def rows_of(self, disease: int) -> AnnotationRows:
        """Annotation rows of a disease."""
        return self.rows.select(np.arange(self.row_start[disease], self.row_start[disease + 1]))


def stated_frequency(qualifiers: Mapping[str, object], *, excluded: bool) -> tuple[float, float, float, bool]:
    """What a claim's qualifiers say of frequency: numerator, denominator, share, excluded; see `AnnotationRows`."""
    share = float("nan")
    if (percent := qualifiers.get("frequency_percent")) is not None:
        share = float(str(percent)) / 100
    elif (term := str(qualifiers.get("frequency_term", ""))) in FREQUENCY_SHARES:
        share = FREQUENCY_SHARES[term]
    numerator = float(str(qualifiers.get("frequency_numerator", 0)))
    denominator = float(str(qualifiers.get("frequency_denominator", 0)))
    return numerator, denominator, share, excluded or share == 0


def slices(start: Ints, at: Ints) -> tuple[Ints, Ints]:
    """Positions of the elements of some CSR rows, and for each which of `at` it belongs to."""
    lengths = start[at + 1] - start[at]
    owner = np.repeat(np.arange(len(at)), lengths)
    offset = np.arange(len(owner)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return start[at][owner] + offset, owner


def build_annotations(
    *,
    terms: Sequence[tuple[str, str]],
    is_a: Iterable[tuple[str, str]],
    replaced_by: Mapping[str, str],
    diseases: Sequence[tuple[str, str]],
    genes: Iterable[tuple[str, str]],
    sources: Sequence[str],
    rows: AnnotationRows,
) -> PhenotypeAnnotations:
    """The annotations from plain lists.

    Args:
        terms: (id, name) of the living terms.
        is_a: (child, parent) ids of terms; acyclic.
        replaced_by: obsolete id → id of the living term that stands for it.
        diseases: (id, name).
        genes: (disease, gene) ids.
        sources: ids of the sources.
        rows: `disease`, `term` and `source` are positions in the three lists above; in any order.

    Raises:
        InputError: is_a names an unknown term, or runs in a cycle.
    """
    term_ids = tuple(id_ for id_, _ in terms)
    term_index = {id_: position for position, id_ in enumerate(term_ids)}
    parent_start, parents = _parents(term_index, is_a)
    ancestor_start, ancestors = _ancestors(term_ids, parent_start, parents)
    owner = np.repeat(np.arange(len(term_ids)), np.diff(ancestor_start))
    is_finding = np.zeros(len(term_ids), np.bool_)
    if PHENOTYPE_ROOT in term_index:
        is_finding[owner[ancestors == term_index[PHENOTYPE_ROOT]]] = True
    for old, new in replaced_by.items():
        if new in term_index:
            term_index.setdefault(old, term_index[new])

    rows = rows.select(np.lexsort((rows.term, rows.source, rows.disease)))
    disease_ids = tuple(id_ for id_, _ in diseases)
    disease_index = {id_: position for position, id_ in enumerate(disease_ids)}
    disease_genes: list[list[str]] = [[] for _ in disease_ids]
    for disease, gene in genes:
        if disease in disease_index:
            disease_genes[disease_index[disease]].append(gene)
    return PhenotypeAnnotations(
        term_ids=term_ids,
        term_names=tuple(name for _, name in terms),
        term_index=term_index,
        parent_start=parent_start,
        parents=parents,
        ancestor_start=ancestor_start,
        ancestors=ancestors,
        is_finding=is_finding,
        information=_information(rows, ancestor_start, ancestors),
        disease_ids=disease_ids,
        disease_names=tuple(name for _, name in diseases),
        disease_index=disease_index,
        disease_genes=tuple(tuple(sorted(set(of))) for of in disease_genes),
        source_ids=tuple(sources),
        source_index={id_: position for position, id_ in enumerate(sources)},
        rows=rows,
        row_start=np.searchsorted(rows.disease, np.arange(len(disease_ids) + 1)),
    )


def _parents(term_index: Mapping[str, int], is_a: Iterable[tuple[str, str]]) -> tuple[Ints, Ints]:
    edges = []
    for child, parent in is_a:
        for id_ in (child, parent):
            if id_ not in term_index:
                raise InputError(f"is_a names an unknown term: {id_}")
        edges.append((term_index[child], term_index[parent]))
    table = np.array(sorted(set(edges)), np.int64).reshape(-1, 2)
    return np.searchsorted(table[:, 0], np.arange(len(term_index) + 1)), table[:, 1].copy()


def _ancestors(term_ids: Sequence[str], parent_start: Ints, parents: Ints) -> tuple[Ints, Ints]:
    of: list[frozenset[int] | None] = [None] * len(term_ids)
    for first in range(len(term_ids)):
        path = [first]
        while path:
            term = path[-1]
            above = parents[parent_start[term] : parent_start[term + 1]].tolist()
            waiting = [parent for parent in above if of[parent] is None]
            if not waiting:
                of[term] = frozenset((term,)).union(*(of[parent] or () for parent in above))
                path.pop()
            elif waiting[0] in path:
                raise InputError(f"is_a runs in a cycle through {term_ids[term]}")
            else:
                path.append(waiting[0])
    sets = [sorted(found or ()) for found in of]
    start = np.cumsum([0, *(len(found) for found in sets)], dtype=np.int64)
    return start, np.array([term for found in sets for term in found], np.int64)


def _information(rows: AnnotationRows, ancestor_start: Ints, ancestors: Ints) -> Floats:
    shown = rows.select((rows.aspect == Aspect.PHENOTYPE) & ~rows.excluded)
    at, owner = slices(ancestor_start, shown.term)
    terms = len(ancestor_start) - 1
    # np.unique hashes integers, which takes ten times as long as sorting these.
    pairs = np.sort(shown.disease[owner] * terms + ancestors[at], kind="stable")
    first = np.concatenate((pairs[:1] >= 0, pairs[1:] != pairs[:-1]))
    counts = np.bincount(pairs[first] % terms, minlength=terms)
    annotated = max(len(np.unique(shown.disease)), 1)
    information: Floats = -np.log(np.maximum(counts, 0.5) / annotated)
    return information
