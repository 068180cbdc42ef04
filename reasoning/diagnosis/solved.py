"""Patients of the graph whose diagnosis is known: who of them is like the patient asked about?

Likeness is the cosine of the findings present, each carried up to the terms above and weighted by its information
content. What looks alike is told by disease: the best patient, the mean of the best three, and how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from reasoning.diagnosis.annotations import Bools, Floats, Ints, PhenotypeAnnotations, slices
from reasoning.diagnosis.cases import Case

_LEAST_INFORMATION = 1.0
"""Terms of less information content (nats) don't tell patients apart."""
_BEST = 3


@dataclass(frozen=True, slots=True, eq=False)
class Likeness:
    """How like the solved patients of each disease are; all (diseases,).

    Attributes:
        best: of the likest patient, 0…1; 0 where there is none.
        mean: of the likest three; those that are missing count as 0.
        many: how many patients there are.
    """

    best: Floats
    mean: Floats
    many: Ints


class SolvedPatients:
    """Patients with a disease that the annotations know, and findings.

    Args:
        cases: patients; those without such a disease or finding are left out.
        annotations: whose diseases and terms are meant.
    """

    def __init__(self, cases: Sequence[Case], annotations: PhenotypeAnnotations) -> None:
        self._information = np.where(annotations.information >= _LEAST_INFORMATION, annotations.information, 0.0)
        self._annotations = annotations
        self._diseases = len(annotations.disease_ids)
        index, finding = annotations.term_index, annotations.is_finding
        ids, publications, disease, rows = [], [], [], []
        for case in cases:
            known = [annotations.disease_index[id_] for id_ in case.diseases if id_ in annotations.disease_index]
            terms = sorted({index[id_] for id_ in case.present if id_ in index and finding[index[id_]]})
            for of in known if terms else ():
                ids.append(case.id)
                publications.append(case.publication)
                disease.append(of)
                rows.append(np.array(terms, np.int64))
        self._ids = np.array(ids, np.str_)
        self._publications = np.array(publications, np.str_)
        order = np.argsort(np.array(disease, np.int64), kind="stable")
        self.disease: Ints = np.array(disease, np.int64)
        self._order = order
        vectors = [self._vector(terms) for terms in rows]
        start = np.concatenate(([0], np.cumsum([len(at) for at, _ in vectors])))
        at = np.concatenate([at for at, _ in vectors]) if vectors else np.zeros(0, np.int64)
        values = np.concatenate([value for _, value in vectors]) if vectors else np.zeros(0)
        self._matrix = csr_matrix((values, at, start), shape=(len(vectors), len(self._information))).tocsc()

    def __len__(self) -> int:
        """How many pairs of a patient and a disease there are."""
        return len(self.disease)

    def same(self, other: SolvedPatients) -> bool:
        """Whether another one knows the same of the same patients, by the same annotations' numbers."""
        return (
            np.array_equal(self._ids, other._ids)
            and np.array_equal(self._publications, other._publications)
            and np.array_equal(self.disease, other.disease)
            and np.array_equal(self._matrix.indptr, other._matrix.indptr)
            and np.array_equal(self._matrix.indices, other._matrix.indices)
        )

    def apart(self, patient: str, publication: str | None) -> Bools:
        """Which of them are not to be looked at for a patient: himself, and those of a publication (None: of none).

        Args:
            patient: id; the empty one is nobody's.
            publication: id of a source; the empty one is that of no patient.
        """
        mask: Bools = (self._ids == patient) & bool(patient)
        if publication:
            mask |= self._publications == publication
        return mask

    def similarity(self, present: Ints) -> Floats:
        """(patients,) likeness of each to one with these findings, 0…1; `present` are positions of terms."""
        at, value = self._vector(present)
        return np.asarray(self._matrix[:, at] @ value) if len(at) else np.zeros(len(self))

    def best_of(self, disease: int, similarity: Floats, many: int = _BEST) -> list[tuple[str, float]]:
        """The likest patients of a disease that have anything in common with the one asked about: ids, likeness."""
        at = np.flatnonzero((self.disease == disease) & (similarity > 0))
        best = at[np.argsort(-similarity[at], kind="stable")[:many]]
        return [(str(self._ids[patient]), float(similarity[patient])) for patient in best.tolist()]

    def likeness(self, present: Ints, apart: Bools | None = None) -> Likeness:
        """How like each disease's patients are to one with these findings.

        Args:
            present: positions of terms.
            apart: (patients,), those that are not to be looked at.
        """
        like = self.similarity(present)
        keep = np.ones(len(self), np.bool_) if apart is None else ~apart
        order = self._order[keep[self._order]]
        disease, like = self.disease[order], like[order]
        order = np.lexsort((-like, disease))
        disease, like = disease[order], like[order]
        many = np.bincount(disease, minlength=self._diseases)
        place = np.arange(len(disease)) - np.repeat(np.cumsum(many) - many, many)
        best = np.zeros(self._diseases)
        best[disease[place == 0]] = like[place == 0]
        top = place < _BEST
        return Likeness(best, np.bincount(disease[top], like[top], self._diseases) / _BEST, many)

    def _vector(self, terms: Ints) -> tuple[Ints, Floats]:
        """Terms and those above, and their weights; of length 1."""
        above, _ = slices(self._annotations.ancestor_start, terms)
        at = np.unique(self._annotations.ancestors[above])
        value = self._information[at]
        at, value = at[value > 0], value[value > 0]
        return at, value / max(float(np.sqrt(value @ value)), 1e-12)
