"""What rows say together: frequencies of findings by disease and by publication, as sparse tables read both ways.

Three tables: *exact* (all rows of a disease pooled), *carried* (the same, carried up to the terms above) and *cohorts*
(the rows that one source gives for one disease: mostly the patients of one publication). A `View` is these tables as
they would be without one source.
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

    frequency = (patients with it + weight · prior + share_weight · Σ shares)
        / (patients + weight + share_weight · number of shares)

    Attributes:
        weight: strength of the prior, in patients.
        prior: mean of the prior.
        share_weight: patients that a percentage or frequency term is worth.
    """

    weight: float = 6.0
    prior: float = 0.35
    share_weight: float = 10.0


class Entries(NamedTuple):
    """Cells of a sparse table, parallel arrays.

    Attributes:
        doc: the disease or cohort.
        term: the term.
        frequency: smoothed, 0…1.
        had: patients with it, as far as counted.
        patients: how many were looked at; 0 if nobody counted.
        sources: how many sources say so; 0 where they only exclude it.
    """

    doc: Ints
    term: Ints
    frequency: Floats
    had: Floats
    patients: Floats
    sources: Floats

    def select(self, at: Ints | Bools) -> Entries:
        """The cells at these positions, or where a mask is true."""
        return Entries._make(column[at] for column in self)

    @classmethod
    def join(cls, parts: list[Entries]) -> Entries:
        """Cells of several tables one after the other."""
        return cls._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


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

    def of_term(self, term: int) -> tuple[Ints, Floats]:
        """Docs that have a term, ascending, and their frequencies; no copies."""
        at = slice(self.term_start[term], self.term_start[term + 1])
        return self.by_term.doc[at], self.by_term.frequency[at]


def pool(doc: Ints, rows: AnnotationRows, terms: int, smoothing: Smoothing) -> Entries:
    """One cell for each doc and term from its rows."""
    key, cell = np.unique(doc * terms + rows.term, return_inverse=True)

    def total(values: Floats | Bools) -> Floats:
        return np.bincount(cell, values, len(key)).astype(np.float64)

    counted = total(rows.denominator)
    had = total(rows.numerator)
    shared = ~np.isnan(rows.share) & ~rows.excluded
    weight = smoothing.share_weight * total(shared)
    shares = smoothing.share_weight * total(np.where(shared, rows.share, 0.0))
    frequency = (had + shares + smoothing.weight * smoothing.prior) / (counted + weight + smoothing.weight)
    return Entries(key // terms, key % terms, frequency, had, counted, total(~rows.excluded))


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
    """Tables of an annotation set, and views of it without a source.

    Attributes:
        exact: by disease; findings that are only excluded are left out.
        carried: `exact` carried up.
        cohorts: by cohort, excluded findings included.
        cohort_disease: disease of each cohort; ascending.
        cohort_source: source of each cohort.
        cohort_start: bounds of the cohorts of each disease that has any.
        cohort_patients: most patients that any of its rows counts.
        background: mean frequency of each term over all annotated diseases, carried up.
    """

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
        first = np.flatnonzero(np.diff(self.cohort_disease, prepend=-1))
        self.cohort_start = np.append(first, len(cohort_key))
        self.cohorts = Table(pool(cohort, shown, self.terms, Smoothing(1.0, 0.5)), len(cohort_key), self.terms)
        self.cohort_patients = np.zeros(len(cohort_key))
        np.maximum.at(self.cohort_patients, cohort, shown.denominator)
        self.source_order = np.argsort(shown.source, kind="stable")
        self.source_start = np.searchsorted(shown.source[self.source_order], np.arange(sources + 1))
        total = np.bincount(self.carried.entries.term, self.carried.entries.frequency, self.terms)
        self.background: Floats = np.maximum(total, 0.25) / max(len(np.unique(shown.disease)), 1)

    def _tables(self, rows: AnnotationRows) -> tuple[Table, Table]:
        cells = pool(rows.disease, rows, self.terms, self.smoothing)
        exact = cells.select(cells.sources > 0)
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
        return View(self, without, touched, *self._tables(rows.select(at[rows.source[at] != without])))


class View:
    """`Profiles` without one source: cells of the diseases it speaks of are made anew, the rest is shared."""

    def __init__(
        self, profiles: Profiles, without: int | None, touched: Ints, exact: Table | None, carried: Table | None
    ) -> None:
        self.profiles = profiles
        self.without = without
        self.touched = touched
        self._is_touched = np.zeros(profiles.diseases, np.bool_)
        self._is_touched[touched] = True
        self._exact = (profiles.exact, exact)
        self._carried = (profiles.carried, carried)

    def exact_of_terms(self, terms: Ints) -> tuple[Entries, Ints]:
        """Cells of these terms by disease, and for each the position in `terms`."""
        whole, patch = self._exact
        return self._patched(whole.of_terms(terms), patch.of_terms(terms) if patch else None)

    def exact_of_diseases(self, diseases: Ints) -> tuple[Entries, Ints]:
        """Cells of these diseases, and for each the position in `diseases`."""
        whole, patch = self._exact
        return self._patched(whole.of_docs(diseases), patch.of_docs(diseases) if patch else None)

    def carried_of_diseases(self, diseases: Ints) -> tuple[Entries, Ints]:
        """Cells of these diseases carried up, and for each the position in `diseases`."""
        whole, patch = self._carried
        return self._patched(whole.of_docs(diseases), patch.of_docs(diseases) if patch else None)

    def carried_of_term(self, term: int) -> tuple[Ints, Floats]:
        """Diseases with a term or one below it, and how frequent it is in them."""
        whole, patch = self._carried
        doc, frequency = whole.of_term(term)
        if patch is None:
            return doc, frequency
        keep = ~self._is_touched[doc]
        new, new_frequency = patch.of_term(term)
        return np.concatenate((doc[keep], new)), np.concatenate((frequency[keep], new_frequency))

    def cohorts_of_terms(self, terms: Ints) -> tuple[Entries, Ints]:
        """Cells of these terms by cohort, and for each the position in `terms`."""
        cells, owner = self.profiles.cohorts.of_terms(terms)
        if self.without is None:
            return cells, owner
        keep = self.profiles.cohort_source[cells.doc] != self.without
        return cells.select(keep), owner[keep]

    def _patched(self, whole: tuple[Entries, Ints], patch: tuple[Entries, Ints] | None) -> tuple[Entries, Ints]:
        if patch is None:
            return whole
        keep = ~self._is_touched[whole[0].doc]
        return Entries.join([whole[0].select(keep), patch[0]]), np.concatenate((whole[1][keep], patch[1]))
