"""What the ranker sees of a candidate disease: how well it explains the findings, in several independent ways."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from reasoning.diagnosis.annotations import Aspect, Floats, Ints, PhenotypeAnnotations, slices
from reasoning.diagnosis.likelihood import Closure, LikelihoodParameters, Matrix, closure, likelihood_ratios
from reasoning.diagnosis.profiles import Profiles, Smoothing, View
from reasoning.diagnosis.relatives import same_disease, same_gene, same_series

LEAST_INFORMATION = 1.0
"""Ancestors of less information content (nats) are left out: more than a third of all diseases have them."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """All numbers that are chosen by folds, not learned by the ranker."""

    smoothing: Smoothing = field(default_factory=lambda: Smoothing(6.0, 0.35, 10.0))
    likelihood: LikelihoodParameters = field(default_factory=LikelihoodParameters)
    candidates: int = 100


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """A query in positions; `onset_years` and `age_years` are NaN, `sex` is empty where unknown."""

    present: Ints
    excluded: Ints
    onset_years: float = float("nan")
    age_years: float = float("nan")
    sex: str = ""


class Index:
    """Everything that does not depend on the query; built once for an annotation set."""

    def __init__(self, annotations: PhenotypeAnnotations, parameters: Parameters) -> None:
        self.annotations = annotations
        self.parameters = parameters
        self.profiles = Profiles(annotations, parameters.smoothing)
        self.same_disease = same_disease(annotations)
        self.same_gene = same_gene(annotations)
        self.same_series = same_series(annotations)
        profiles = self.profiles
        cells = profiles.carried.entries
        self.norm = np.bincount(
            cells.doc, annotations.information[cells.term] ** 2 * cells.frequency, profiles.diseases
        )
        self.is_publication = np.array([id_.startswith("PMID:") for id_ in annotations.source_ids], np.bool_)
        below = annotations.term_index.get("HP:0001417", -1)  # X-linked inheritance
        self.x_linked_terms = np.array(
            [below >= 0 and below in annotations.ancestors_of(t) for t in range(len(annotations.term_ids))], np.bool_
        )
        self.onset_years = onset_years(annotations)


_ONSET = {
    "HP:0030674": -0.5, "HP:0011460": -0.6, "HP:0011461": -0.3, "HP:0034199": -0.2, "HP:0034198": -0.3, "HP:0034197": -0.1,
    "HP:0003577": 0.0, "HP:0003623": 0.04, "HP:0003593": 0.5, "HP:0011463": 3.0, "HP:0003621": 10.0, "HP:0410280": 8.0,
    "HP:0003581": 30.0, "HP:0011462": 28.0, "HP:0025708": 18.0, "HP:0025709": 22.0, "HP:0025710": 33.0,
    "HP:0003596": 50.0, "HP:0003584": 65.0,
}  # fmt: skip
"""Onset term → middle of its age range in years; before birth negative."""


def onset_years(annotations: PhenotypeAnnotations) -> Floats:
    """Typical age of each onset term in years; NaN for all other terms."""
    years = np.full(len(annotations.term_ids), np.nan)
    for id_, at in _ONSET.items():
        if id_ in annotations.term_index:
            years[annotations.term_index[id_]] = at
    return years


def _sum(owner: Ints, values: npt.ArrayLike, size: int) -> Floats:
    return np.bincount(owner, np.asarray(values, np.float64), size)


def _rank(score: Floats) -> Floats:
    """Rank from 0, best first; equal scores share the best one."""
    return np.searchsorted(np.sort(-score), -score).astype(np.float64)


class Scan:
    """First stage: scores of all diseases for a query."""

    def __init__(self, index: Index, view: View, findings: Findings) -> None:
        self.index, self.view, self.findings = index, view, findings
        profiles, annotations = index.profiles, index.annotations
        size = profiles.diseases
        self.closure: Closure = closure(view, findings.present, LEAST_INFORMATION)
        self.ratios: Matrix = likelihood_ratios(view, findings.present, self.closure, index.parameters.likelihood)
        self.likelihood: Floats = self.ratios.sum(0).astype(np.float64)
        information = annotations.information[self.closure.terms]
        norm = index.norm.copy()
        if view.without is not None and len(view.touched):
            cells, owner = view.of_diseases("carried", view.touched)
            norm[view.touched] = _sum(
                owner, annotations.information[cells.term] ** 2 * cells.frequency, len(view.touched)
            )
        dot = (information**2).astype(np.float32) @ np.sqrt(self.closure.carried)
        self.cosine: Floats = dot / np.sqrt(np.maximum(norm, 1e-9) * max((information**2).sum(), 1e-9))
        self._cohorts(size)
        noise = len(findings.present) * np.log(index.parameters.likelihood.noise)
        self.same_disease = index.same_disease.best(self.likelihood, noise)
        self.same_gene = index.same_gene.best(self.likelihood, noise)
        self.same_series = index.same_series.best(self.likelihood, noise)

    def _cohorts(self, size: int) -> None:
        """Best single source of each disease: score of its own counts for the findings."""
        profiles = self.index.profiles
        noise = self.index.parameters.likelihood.noise
        count = len(profiles.cohort_disease)
        cells, _ = self.view.cohorts_of_terms(self.findings.present)
        lift = np.log(noise + (1 - noise) * cells.frequency / profiles.background[cells.term]) - np.log(noise)
        self.cohort_gain = _sum(cells.doc, lift, count)
        self.cohort_hits = np.bincount(cells.doc, minlength=count)
        no, _ = self.view.cohorts_of_terms(self.findings.excluded)
        self.cohort_absent = np.bincount(no.doc, minlength=count)
        self.cohort_absent_loss = _sum(no.doc, np.log(1 - no.frequency), count)
        self.cohort_score = self.cohort_gain + 0.5 * self.cohort_absent
        # Cohorts are sorted by disease, so that each disease's best is found by one pass.
        order = np.lexsort((self.cohort_score, profiles.cohort_disease))
        last = np.flatnonzero(np.diff(profiles.cohort_disease[order], append=-1))
        self.best_cohort = np.full(size, -1)
        self.best_cohort[profiles.cohort_disease[order[last]]] = order[last]
        self.cohort_best: Floats = np.where(self.best_cohort >= 0, self.cohort_score[self.best_cohort], 0.0)

    def candidates(self, count: int) -> Ints:
        """The union of the best few of each score, ascending."""
        best = []
        scores = {
            "likelihood": (self.likelihood, count),
            "cosine": (self.cosine, count // 2),
            "cohort": (self.cohort_best, count // 2),
            "same_disease": (self.same_disease, count // 4),
            "same_gene": (self.same_gene, count // 5),
        }
        for score, many in scores.values():
            many = min(many, len(score))
            best.append(np.argpartition(-score, many - 1)[:many])
        return np.unique(np.concatenate(best))


def features(scan: Scan, candidates: Ints) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Features of candidates for the query of a scan.

    Returns:
        names, float32 (candidates, names).
    """
    index, view, findings = scan.index, scan.view, scan.findings
    annotations, profiles = index.annotations, index.profiles
    information = annotations.information
    size = len(candidates)
    present, excluded = findings.present, findings.excluded
    many = max(len(present), 1)
    out: dict[str, npt.ArrayLike] = {}

    # ---- the query itself
    out["query_present"] = np.full(size, len(present))
    out["query_excluded"] = np.full(size, len(excluded))
    out["query_information"] = np.full(size, information[present].mean() if len(present) else 0.0)

    # ---- likelihood ratios
    noise = float(np.log(index.parameters.likelihood.noise))
    ratios = scan.ratios[:, candidates]
    total = ratios.sum(0)
    out["likelihood"] = total
    out["likelihood_mean"] = total / many
    out["likelihood_gap"] = total - scan.likelihood.max()
    out["likelihood_rank"] = _rank(scan.likelihood)[candidates]
    out["likelihood_worst"] = ratios.min(0) if len(present) else np.zeros(size)
    out["likelihood_best"] = ratios.max(0) if len(present) else np.zeros(size)
    out["likelihood_gain"] = np.maximum(ratios, 0).sum(0)
    out["unmatched"] = (ratios <= noise + 1e-3).sum(0)
    out["unmatched_share"] = (ratios <= noise + 1e-3).sum(0) / many
    cells, owner = view.of_terms("exact", present)
    place = np.full(profiles.diseases, -1)
    place[candidates] = np.arange(size)
    keep = place[cells.doc] >= 0
    cells, owner = cells.select(keep), owner[keep]
    at = place[cells.doc]
    out["exact_share"] = np.bincount(at, minlength=size) / many
    weight = max(information[present].sum(), 1e-9)
    out["exact_information"] = _sum(at, information[cells.term], size) / weight
    out["exact_frequency"] = _sum(at, cells.frequency, size) / np.maximum(np.bincount(at, minlength=size), 1)
    out["exact_patients"] = np.log1p(_sum(at, cells.patients, size))
    out["exact_sources"] = _sum(at, cells.sources, size) / many

    # ---- similarity, query to disease and back
    near = scan.closure
    carried = near.carried[:, candidates]
    has = carried > 0
    resnik = np.zeros((len(present), size))
    for row, finding in zip(resnik, present.tolist(), strict=True):
        ancestors = annotations.ancestors_of(finding)
        spots = np.searchsorted(near.terms, ancestors)
        spots = spots[(spots < len(near.terms))]
        spots = spots[np.isin(near.terms[spots], ancestors)]
        row[:] = (has[spots] * information[near.terms[spots], None]).max(0) if len(spots) else 0.0
    out["resnik"] = resnik.mean(0) if len(present) else np.zeros(size)
    out["resnik_share"] = resnik.sum(0) / weight
    out["cosine"] = scan.cosine[candidates]
    out["cosine_rank"] = _rank(scan.cosine)[candidates]
    own, holder = view.of_diseases("exact", candidates)
    best = nearest(annotations, near.terms)
    value = information[own.term] * own.frequency
    match = np.minimum(best[own.term] / np.maximum(information[own.term], 1e-9), 1.0)
    mass = np.maximum(_sum(holder, value, size), 1e-9)
    out["back_share"] = _sum(holder, value * match, size) / mass
    cells_of = np.bincount(holder, minlength=size)
    out["back_mean"] = _sum(holder, best[own.term], size) / np.maximum(cells_of, 1)
    out["missing"] = _sum(holder, value * (match < 0.5), size)
    frequent = own.frequency > 0.5
    out["frequent_missing"] = _sum(holder, frequent & (match < 0.5), size)
    out["frequent_found"] = _sum(holder, frequent & (match > 0.999), size)
    shared = (has * information[near.terms, None]).sum(0)
    out["sim_gic"] = shared / np.maximum(information[near.terms].sum() + mass - shared, 1e-9)

    # ---- excluded findings
    said = np.zeros(profiles.terms, np.bool_)
    said[excluded] = True
    barred = said[own.term]
    out["absent_hits"] = _sum(holder, barred, size)
    out["absent_share"] = out["absent_hits"] / max(len(excluded), 1)
    out["absent_loss"] = _sum(holder, barred * np.log(1 - own.frequency), size)
    out["absent_information"] = _sum(holder, barred * information[own.term], size)
    out["absent_frequent"] = _sum(holder, barred & frequent, size)
    out["absent_cells"] = _sum(holder, barred, size) / np.maximum(cells_of, 1)
    above, near_absent = view.of_terms("carried", excluded)
    spot = place[above.doc]
    spot = spot[spot >= 0]
    out["absent_carried"] = np.bincount(spot, minlength=size) / max(len(excluded), 1)

    # ---- the best single source
    cohort = scan.best_cohort[candidates]
    cohort_cells = np.maximum(np.diff(profiles.cohorts.doc_start)[cohort], 1)
    out["cohort_score"] = scan.cohort_score[cohort]
    out["cohort_gap"] = scan.cohort_score[cohort] - scan.cohort_best.max()
    out["cohort_rank"] = _rank(scan.cohort_best)[candidates]
    out["cohort_gain"] = scan.cohort_gain[cohort]
    out["cohort_found"] = scan.cohort_hits[cohort] / many
    out["cohort_absent"] = scan.cohort_absent[cohort] / max(len(excluded), 1)
    out["cohort_absent_hits"] = scan.cohort_absent[cohort]
    out["cohort_absent_loss"] = scan.cohort_absent_loss[cohort]
    asked = len(present) + len(excluded)
    hits = scan.cohort_hits[cohort] + scan.cohort_absent[cohort]
    out["cohort_asked"] = hits / max(asked, 1)
    out["cohort_used"] = hits / cohort_cells
    out["cohort_present_used"] = scan.cohort_hits[cohort] / cohort_cells
    out["cohort_cells"] = cohort_cells
    out["cohort_patients"] = profiles.cohort_patients[cohort]
    out["cohort_published"] = index.is_publication[profiles.cohort_source[cohort]]

    # ---- what is known of the disease
    out["cells"] = cells_of
    out["sources_per_cell"] = _sum(holder, own.sources, size) / np.maximum(cells_of, 1)
    out["counted_share"] = _sum(holder, own.patients > 0, size) / np.maximum(cells_of, 1)
    out["patients"] = np.log1p(np.where(cells_of, _max(holder, own.patients, size), 0.0))

    # ---- relatives
    for name in ("same_disease", "same_gene", "same_series"):
        score = getattr(scan, name)
        out[name] = score[candidates] / many
        out[f"{name}_gap"] = score[candidates] - scan.likelihood.max()

    # ---- onset, age, sex
    rows = annotations.rows
    at_rows, holder = slices(annotations.row_start, candidates)
    course = (rows.aspect[at_rows] != Aspect.PHENOTYPE) & (rows.source[at_rows] != (-1 if view.without is None else view.without))
    at_rows, holder = at_rows[course], holder[course]
    years = index.onset_years[rows.term[at_rows]]
    known = ~np.isnan(years)
    first = -_max(holder[known], -years[known], size)
    last = _max(holder[known], years[known], size)
    has_onset = np.bincount(holder[known], minlength=size) > 0
    first, last = np.where(has_onset, first, np.nan), np.where(has_onset, last, np.nan)
    scale = lambda x: np.log(x + 1.0)  # noqa: E731
    gap = np.maximum(scale(first) - scale(findings.onset_years), scale(findings.onset_years) - scale(last))
    out["onset_gap"] = np.maximum(gap, 0.0)
    out["age_before_onset"] = np.maximum(scale(first) - scale(findings.age_years), -3.0)
    linked = _sum(holder, index.x_linked_terms[rows.term[at_rows]], size) > 0
    out["x_linked"] = linked * {"MALE": 1.0, "FEMALE": -1.0}.get(findings.sex, 0.0)

    names = list(out)
    return names, np.stack([np.asarray(out[name], np.float32) for name in names], 1)


def _max(owner: Ints, values: Floats, size: int) -> Floats:
    best = np.full(size, -np.inf)
    np.maximum.at(best, owner, values)
    return best


def nearest(annotations: PhenotypeAnnotations, near: Ints) -> Floats:
    """Information content of the most informative ancestor that each term shares with a query's closure."""
    value = np.zeros(len(annotations.term_ids))
    value[near] = annotations.information[near]
    best: Floats = np.maximum.reduceat(value[annotations.ancestors], annotations.ancestor_start[:-1])
    return best
