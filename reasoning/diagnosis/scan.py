"""First stage: quick scores of all diseases for a query, from which candidates are taken."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from reasoning.diagnosis.annotations import Bools, Floats, Ints, PhenotypeAnnotations
from reasoning.diagnosis.cases import ONSET_YEARS, Case
from reasoning.diagnosis.likelihood import LikelihoodParameters, Matrix, closure, likelihood_ratios
from reasoning.diagnosis.profiles import Profiles, Smoothing, View
from reasoning.diagnosis.relatives import same_disease, same_gene, same_series
from reasoning.diagnosis.solved import SolvedPatients

LEAST_INFORMATION = 1.0
"""Ancestors of less information content (nats) are left out: more than a third of all diseases have them."""

_X_LINKED = "HP:0001417"
_NO_TERMS = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Parameters:
    """All numbers that are chosen by folds, not learned by the ranker."""

    smoothing: Smoothing = field(default_factory=Smoothing)
    likelihood: LikelihoodParameters = field(default_factory=LikelihoodParameters)
    candidates: int = 200
    solved: int = 20


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """A query in positions of terms; `onset_years` and `age_years` are NaN, `sex` is empty where unknown.

    Attributes:
        genes: ids of candidate genes.
        inheritance: positions of modes of inheritance.
    """

    present: Ints
    excluded: Ints
    onset_years: float = float("nan")
    age_years: float = float("nan")
    sex: str = ""
    genes: tuple[str, ...] = ()
    inheritance: Ints = field(default_factory=_NO_TERMS.copy)


def findings_of(case: Case, annotations: PhenotypeAnnotations) -> Findings:
    """The findings of a patient that the annotations know as phenotypes; the genes are left out.

    A term that is said to be present and excluded counts as present.
    """

    def positions(ids: tuple[str, ...]) -> Ints:
        known = {annotations.term_index[id_] for id_ in ids if id_ in annotations.term_index}
        return np.array(sorted(term for term in known if annotations.is_finding[term]), np.int64)

    present = positions(case.present)
    excluded = np.setdiff1d(positions(case.excluded), present)
    return Findings(present, excluded, case.onset_years, case.age_years, case.sex)


class Index:
    """Everything that does not depend on the query; built once for an annotation set.

    Args:
        annotations: what is known of diseases.
        parameters: numbers of the first stage.
        solved: patients of the graph whose diagnosis is known.
    """

    def __init__(
        self, annotations: PhenotypeAnnotations, parameters: Parameters, solved: SolvedPatients | None = None
    ) -> None:
        self.annotations = annotations
        self.parameters = parameters
        self.solved = solved if solved is not None else SolvedPatients([], annotations)
        self.profiles = Profiles(annotations, parameters.smoothing)
        self.catalogue = np.array([id_.partition(":")[0] for id_ in annotations.disease_ids], np.str_)
        self.has_finding: Bools = np.diff(self.profiles.exact.doc_start) > 0
        self.has_gene: Bools = np.array([bool(of) for of in annotations.disease_genes], np.bool_)
        self.same_disease = same_disease(annotations)
        self.same_gene = same_gene(annotations)
        self.same_series = same_series(annotations)
        cells = self.profiles.carried.entries
        weight = annotations.information[cells.term] ** 2 * cells.frequency
        self.norm = np.bincount(cells.doc, weight, self.profiles.diseases)
        self.is_publication: Bools = np.array([id_.startswith("PMID:") for id_ in annotations.source_ids], np.bool_)
        below = annotations.term_index.get(_X_LINKED, -1)
        self.x_linked: Bools = np.zeros(len(annotations.term_ids), np.bool_)
        self.x_linked[
            np.repeat(np.arange(self.profiles.terms), np.diff(annotations.ancestor_start))[
                annotations.ancestors == below
            ]
        ] = True
        self.onset_years = np.full(len(annotations.term_ids), np.nan)
        for id_, at in ONSET_YEARS.items():
            if id_ in annotations.term_index:
                self.onset_years[annotations.term_index[id_]] = at


class Scan:
    """Scores of all diseases for a query.

    Attributes:
        near: the ancestors of the findings, with the diseases that have them.
        ratios: log-likelihood ratio of each finding present for each disease, (findings, diseases).
        likelihood: its sum over the findings.
        merged: the same, each finding at the best of the disease and its entries in other catalogues.
        cosine: between the findings and the disease's, both carried up, weighted by information content.
        solved: how like the solved patients of each disease are.
        cohort_best: score of the disease's best single source.
        first_stage: the sum by which candidates are taken.
    """

    def __init__(self, index: Index, view: View, findings: Findings, apart: Bools | None = None) -> None:
        """Scores them.

        Args:
            index: of the annotations.
            view: of their tables.
            findings: the query.
            apart: solved patients that are not to be looked at; see `SolvedPatients.apart`.
        """
        self.index, self.view, self.findings = index, view, findings
        parameters = index.parameters
        self.near = closure(view, findings.present, LEAST_INFORMATION)
        self.ratios: Matrix = likelihood_ratios(view, findings.present, self.near, parameters.likelihood)
        self.likelihood: Floats = self.ratios.sum(0, dtype=np.float64)
        self.merged: Floats = self.likelihood.copy()
        pairs = index.same_disease
        has = np.flatnonzero(np.diff(pairs.start))
        if len(has):
            best = np.maximum.reduceat(self.ratios[:, pairs.others], pairs.start[has], axis=1)
            self.merged[has] = np.maximum(best, self.ratios[:, has]).sum(0)
        self.cosine: Floats = self._cosine()
        self.solved = index.solved.likeness(findings.present, apart)
        self._cohorts()
        noise = len(findings.present) * float(np.log(parameters.likelihood.noise))
        self.same_gene = index.same_gene.best(self.likelihood, noise)
        self.first_stage = self.merged + 0.6 * self.cohort_best + 15 * self.cosine + 0.2 * self.same_gene

    def _cosine(self) -> Floats:
        information = self.index.annotations.information
        dot = np.zeros(self.index.profiles.diseases)
        for term, (diseases, frequency) in self.near.items():
            dot[diseases] += information[term] ** 2 * np.sqrt(frequency)
        norm = self.index.norm
        touched = self.view.touched
        if len(touched):
            cells, owner = self.view.carried_of_diseases(touched)
            norm = norm.copy()
            norm[touched] = np.bincount(owner, information[cells.term] ** 2 * cells.frequency, len(touched))
        own = sum(information[term] ** 2 for term in self.near)
        cosine: Floats = dot / np.sqrt(np.maximum(norm * own, 1e-9))
        return cosine

    def _cohorts(self) -> None:
        """Best single source of each disease: score of its own counts for the findings."""
        profiles = self.index.profiles
        noise = self.index.parameters.likelihood.noise
        count = len(profiles.cohort_disease)
        cells, _ = self.view.cohorts_of_terms(self.findings.present)
        shown = cells.sources > 0
        lift = np.log(noise + (1 - noise) * cells.frequency / profiles.background[cells.term]) - np.log(noise)
        self.cohort_gain = np.bincount(cells.doc, lift * shown, count)
        self.cohort_hits = np.bincount(cells.doc, shown, count)
        self.cohort_barred = np.bincount(cells.doc, ~shown, count)
        no, _ = self.view.cohorts_of_terms(self.findings.excluded)
        self.cohort_absent = np.bincount(no.doc, minlength=count)
        self.cohort_absent_loss = np.bincount(no.doc, np.log(1 - no.frequency), count)
        self.cohort_score = self.cohort_gain + 0.5 * self.cohort_absent + 0.5 * self.cohort_absent_loss
        self.best_cohort = np.full(profiles.diseases, -1)
        start = profiles.cohort_start  # cohorts are sorted by disease
        if count:
            best = np.maximum.reduceat(self.cohort_score, start[:-1])
            at = np.flatnonzero(self.cohort_score == np.repeat(best, np.diff(start)))
            self.best_cohort[profiles.cohort_disease[at]] = at  # of equal ones the last
        self.cohort_best: Floats = np.where(self.best_cohort >= 0, self.cohort_score[self.best_cohort], 0.0)

    def candidates(self, allowed: Bools) -> Ints:
        """Positions of the allowed diseases that are best by the scores together, or by a solved patient; ascending."""
        among = np.flatnonzero(allowed)
        many = self.index.parameters.candidates
        if len(among) <= many:
            return among
        best = among[np.argpartition(-self.first_stage[among], many - 1)[:many]]
        solved = among[self.solved.many[among] > 0]
        like = solved[np.argsort(-self.solved.best[solved], kind="stable")[: self.index.parameters.solved]]
        return np.union1d(best, like)
