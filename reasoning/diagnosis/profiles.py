"""What rows say together: frequencies of findings by disease and by publication, as sparse tables read both ways.

Two tables: *diseases* (all rows of a disease pooled) and *cohorts* (the rows that one source gives for one disease:
mostly the patients of one publication). A `View` is both tables as they would be without one source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from reasoning.diagnosis.annotations import (
    AnnotationRows,
    Aspect,
    Bools,
    Floats,
    Ints,
    PhenotypeAnnotations,
    slices,
)


@dataclass(frozen=True, slots=True)
class Smoothing:
    """How counts become frequencies: the mean of a Beta posterior.

    frequency = (patients with it + weight · prior + share_weight · Σ shares) / (patients + weight + share_weight · shares)

    Attributes:
        weight: strength of the prior, in patients.
        prior: mean of the prior.
        share_weight: patients that a percentage or frequency term is worth.
    """

    weight: float = 2.0
    prior: float = 0.45
    share_weight: float = 10.0


class Entries(NamedTuple):
    """Cells of a sparse table, parallel arrays.

    Attributes:
        doc: the disease or cohort.
        term: the term; `owner` of a gather tells which of those asked for.
        frequency: smoothed, 0…1.
        patients: how many were looked at; 0 if nobody counted.
        sources: how many sources say so.
    """

    doc: Ints
    term: Ints
    frequency: Floats
    patients: Floats
    sources: Floats

    def select(self, at: Ints | Bools) -> Entries:
        """The cells at these positions, or where a mask is true."""
        return Entries(*(column[at] for column in self))

    @classmethod
    def join(cls, parts: list[Entries]) -> Entries:
        """Cells of several tables one after the other."""
        return parts[0] if len(parts) == 1 else cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class Table:
    """Cells sorted by (doc, term), and an index by term."""

    def __init__(self, entries: Entries, docs: int, terms: int) -> None:
        self.entries = entries
        self.doc_start = np.searchsorted(entries.doc, np.arange(docs + 1))
        order = np.argsort(entries.term, kind="stable")
        self.by_term = entries.select(order)
        self.term_start = np.searchsorted(self.by_term.term, np.arange(terms + 1))

    def of_terms(self, terms: Ints) -> tuple[Entries, Ints]:
        """Cells of these terms, and for each the position in `terms`."""
        at, owner = slices(self.term_start, terms)
        return self.by_term.select(at), owner

    def of_docs(self, docs: Ints) -> tuple[Entries, Ints]:
        """Cells of these docs, and for each the position in `docs`."""
        at, owner = slices(self.doc_start, docs)
        return self.entries.select(at), owner


def pool(doc: Ints, rows: AnnotationRows, terms: int, smoothing: Smoothing) -> Entries:
    """One cell for each doc and term from its rows; a pair that rows only exclude has none."""
    key, cell = np.unique(doc * terms + rows.term, return_inverse=True)

    def total(values: Floats | Bools) -> Floats:
        return np.bincount(cell, values, len(key))

    counted = total(rows.denominator)
    shared = ~np.isnan(rows.share) & ~rows.excluded
    weight = smoothing.share_weight * total(shared)
    had = total(rows.numerator) + smoothing.share_weight * total(np.where(shared, rows.share, 0.0))
    frequency = (had + smoothing.weight * smoothing.prior) / (counted + weight + smoothing.weight)
    shown = total(~rows.excluded)
    cells = Entries(key // terms, key % terms, frequency, counted, shown)
    return cells.select(shown > 0)


def spread(cells: Entries, ancestor_start: Ints, ancestors: Ints) -> Entries:
    """Cells carried up: a doc has a term as often as the most frequent one at or below it."""
    at, owner = slices(ancestor_start, cells.term)
    terms = len(ancestor_start) - 1
    term = ancestors[at]
    key = cells.doc[owner] * terms + term
    # The first of a (doc, term) run in this order is the most frequent one.
    order = np.lexsort((-cells.frequency[owner], key))
    key = key[order]
    first = order[np.concatenate(([True], key[1:] != key[:-1]))] if len(key) else order
    return cells.select(owner[first])._replace(term=term[first])


class Profiles:
    """Tables of an annotation set, and views of it without a source."""

    def __init__(self, annotations: PhenotypeAnnotations, smoothing: Smoothing) -> None:
        self.annotations = annotations
        self.smoothing = smoothing
        rows = annotations.rows
        self.finding_rows = np.flatnonzero((rows.aspect == Aspect.PHENOTYPE) & annotations.is_finding[rows.term])
        shown = rows.select(self.finding_rows)
        self.diseases = len(annotations.disease_ids)
        self.terms = len(annotations.term_ids)
        self.exact, self.carried = self._tables(shown)
        sources = len(annotations.source_ids)
        cohort_key, cohort = np.unique(shown.disease * sources + shown.source, return_inverse=True)
        self.cohort_disease = cohort_key // sources
        self.cohort_source = cohort_key % sources
        self.cohorts = Table(
            pool(cohort, shown, self.terms, smoothing), len(cohort_key), self.terms
        )
        self.cohort_patients = np.zeros(len(cohort_key))
        np.maximum.at(self.cohort_patients, cohort, shown.denominator)
        self.source_order = np.argsort(shown.source, kind="stable")
        self.source_start = np.searchsorted(shown.source[self.source_order], np.arange(sources + 1))
        self.background = np.maximum(
            np.bincount(self.carried.entries.term, self.carried.entries.frequency, self.terms), 0.25
        ) / max(len(np.unique(shown.disease)), 1)

    def _tables(self, rows: AnnotationRows) -> tuple[Table, Table]:
        exact = pool(rows.disease, rows, self.terms, self.smoothing)
        carried = spread(exact, self.annotations.ancestor_start, self.annotations.ancestors)
        return Table(exact, self.diseases, self.terms), Table(carried, self.diseases, self.terms)

    def view(self, without: int | None = None) -> View:
        """The tables, or what they would be without the rows of one source."""
        if without is None:
            return View(self, None, np.zeros(0, np.int64), None, None)
        touched_rows = self.source_order[self.source_start[without] : self.source_start[without + 1]]
        rows = self.annotations.rows
        touched = np.unique(rows.disease[self.finding_rows[touched_rows]])
        at, _ = slices(self.annotations.row_start, touched)
        at = at[(rows.aspect[at] == Aspect.PHENOTYPE) & self.annotations.is_finding[rows.term[at]]]
        kept = rows.select(at[rows.source[at] != without])
        exact, carried = self._tables(kept)
        return View(self, without, touched, exact, carried)


class View:
    """`Profiles` without one source: the pooled cells of the diseases it speaks of are made anew, the rest is shared."""

    def __init__(
        self, profiles: Profiles, without: int | None, touched: Ints, exact: Table | None, carried: Table | None
    ) -> None:
        self.profiles = profiles
        self.without = without
        self.touched = touched
        self._is_touched = np.zeros(profiles.diseases, np.bool_)
        self._is_touched[touched] = True
        self._patch = {"exact": exact, "carried": carried}

    def of_terms(self, table: str, terms: Ints) -> tuple[Entries, Ints]:
        """Cells of these terms in the table `exact` or `carried`, and for each the position in `terms`."""
        whole: Table = getattr(self.profiles, table)
        cells, owner = whole.of_terms(terms)
        patch = self._patch[table]
        if patch is None:
            return cells, owner
        keep = ~self._is_touched[cells.doc]
        new, new_owner = patch.of_terms(terms)
        return Entries.join([cells.select(keep), new]), np.concatenate((owner[keep], new_owner))

    def of_diseases(self, table: str, diseases: Ints) -> tuple[Entries, Ints]:
        """Cells of these diseases, and for each the position in `diseases`."""
        whole: Table = getattr(self.profiles, table)
        cells, owner = whole.of_docs(diseases)
        patch = self._patch[table]
        if patch is None:
            return cells, owner
        keep = ~self._is_touched[cells.doc]
        new, new_owner = patch.of_docs(diseases)
        return Entries.join([cells.select(keep), new]), np.concatenate((owner[keep], new_owner))

    def cohorts_of_terms(self, terms: Ints) -> tuple[Entries, Ints]:
        """Cells of these terms by cohort."""
        cells, owner = self.profiles.cohorts.of_terms(terms)
        if self.without is None:
            return cells, owner
        keep = self.profiles.cohort_source[cells.doc] != self.without
        return cells.select(keep), owner[keep]
