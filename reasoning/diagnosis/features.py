"""What the ranker sees of a candidate disease: how well it explains the findings, in several independent ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from reasoning.diagnosis.annotations import Aspect, Floats, Ints, slices
from reasoning.diagnosis.profiles import Entries
from reasoning.diagnosis.scan import Scan

PARTS: Mapping[str, tuple[str, ...]] = {
    "likelihood": ("likelihood", "likelihood_gap", "likelihood_gain", "unmatched_share"),
    "similarity": ("resnik_share", "cosine", "cosine_gap", "sim_gic"),
    "expected": ("back_share", "missing", "frequent_missing", "frequent_found"),
    "excluded": ("absent_hits", "absent_share", "absent_loss", "absent_frequent"),
    "cohort": (
        "cohort_score",
        "cohort_gap",
        "cohort_gain",
        "cohort_found",
        "cohort_barred",
        "cohort_absent",
        "cohort_absent_loss",
        "cohort_asked",
        "cohort_used",
        "cohort_missing",
        "cohort_cells",
        "cohort_patients",
        "cohort_published",
    ),
    "annotation": ("cells", "sources_per_cell", "counted_share", "patients", "has_gene"),
    "relatives": ("merged", "merged_gap", "same_gene", "same_gene_gap", "same_series", "same_series_gap"),
    "solved": ("solved_best", "solved_gap", "solved_mean", "solved_mean_gap", "solved_many"),
    "course": ("onset_gap", "age_before_onset", "x_linked"),
    "rivals": ("rival_gap", "rival_share", "alone", "alone_gain", "first_stage_gap"),
}
"""Part → its features, in the order in which they are computed."""

FEATURES = tuple(name for names in PARTS.values() for name in names)
"""All features in the order of the matrix's columns."""

Columns = dict[str, npt.NDArray[Any]]


def features(scan: Scan, candidates: Ints) -> npt.NDArray[np.float32]:
    """Features of candidates for the query of a scan, float32 (candidates, `FEATURES`)."""
    columns: Columns = {}
    own, holder = scan.view.exact_of_diseases(candidates)
    ratios = scan.ratios[:, candidates]
    _similarity(scan, candidates, columns)
    _likelihood(scan, candidates, ratios, columns)
    _own_cells(scan, candidates, own, holder, columns)
    _cohort(scan, candidates, columns)
    _relatives(scan, candidates, columns)
    _solved(scan, candidates, columns)
    _course(scan, candidates, columns)
    _rivals(scan, candidates, ratios, columns)
    return np.stack([np.asarray(columns[name], np.float32) for name in FEATURES], 1)


def _sum(owner: Ints, values: npt.ArrayLike, size: int) -> Floats:
    return np.bincount(owner, np.asarray(values, np.float64), size).astype(np.float64)


def _max(owner: Ints, values: Floats, size: int) -> Floats:
    best = np.full(size, -np.inf)
    np.maximum.at(best, owner, values)
    return best


def _places(scan: Scan, candidates: Ints) -> Ints:
    place = np.full(scan.index.profiles.diseases, -1)
    place[candidates] = np.arange(len(candidates))
    return place


def _nearest(scan: Scan, terms: Ints) -> Floats:
    """Information content of the most informative ancestor that each term shares with the findings present."""
    annotations = scan.index.annotations
    value = np.zeros(len(annotations.term_ids))
    near = np.array(list(scan.near), np.int64)
    value[near] = annotations.information[near]
    asked = np.zeros(len(value), np.bool_)
    asked[terms] = True
    some = np.flatnonzero(asked)
    at, owner = slices(annotations.ancestor_start, some)
    best = np.zeros(len(value))
    if len(some):
        best[some] = np.maximum.reduceat(value[annotations.ancestors[at]], np.searchsorted(owner, np.arange(len(some))))
    nearest: Floats = best[terms]
    return nearest


def _similarity(scan: Scan, candidates: Ints, out: Columns) -> None:
    """Similarity from the query to the disease."""
    annotations, present = scan.index.annotations, scan.findings.present
    information = annotations.information
    size = len(candidates)
    place = _places(scan, candidates)
    spot = {term: at for at, term in enumerate(scan.near)}
    shown = np.zeros((len(spot), size))
    for term, (diseases, _) in scan.near.items():
        at = place[diseases]
        shown[spot[term], at[at >= 0]] = information[term]
    resnik = np.zeros(size)
    for finding in present.tolist():
        above = [spot[term] for term in annotations.ancestors_of(finding).tolist() if term in spot]
        resnik += shown[above].max(0)
    out["resnik_share"] = resnik / max(information[present].sum(), 1e-9)
    out["shared"] = shown.sum(0)
    out["cosine"] = scan.cosine[candidates]
    out["cosine_gap"] = out["cosine"] - out["cosine"].max(initial=0.0)


def _likelihood(scan: Scan, candidates: Ints, ratios: npt.NDArray[np.float32], out: Columns) -> None:
    noise = float(np.log(scan.index.parameters.likelihood.noise))
    total = scan.likelihood[candidates]
    out["likelihood"] = total
    out["likelihood_gap"] = total - total.max(initial=-np.inf)
    out["likelihood_gain"] = np.maximum(ratios, 0).sum(0)
    out["unmatched_share"] = (ratios <= noise + 1e-3).sum(0) / max(len(ratios), 1)


def _own_cells(scan: Scan, candidates: Ints, own: Entries, holder: Ints, out: Columns) -> None:
    """The disease's own findings: how many, which of them the patient shows, which were looked for in vain."""
    excluded, size = scan.findings.excluded, len(candidates)
    information = scan.index.annotations.information
    count = np.bincount(holder, minlength=size)
    some = np.maximum(count, 1)
    best = _nearest(scan, own.term)
    value = information[own.term] * own.frequency
    match = np.minimum(best / np.maximum(information[own.term], 1e-9), 1.0)
    mass = np.maximum(_sum(holder, value, size), 1e-9)
    frequent = own.frequency > 0.5
    out["back_share"] = _sum(holder, value * match, size) / mass
    out["missing"] = _sum(holder, value * (match < 0.5), size)
    out["frequent_missing"] = _sum(holder, frequent & (match < 0.5), size)
    out["frequent_found"] = _sum(holder, frequent & (match > 0.999), size)
    asked = information[np.array(list(scan.near), np.int64)].sum()
    out["sim_gic"] = out["shared"] / np.maximum(asked + mass - out["shared"], 1e-9)

    said = np.zeros(len(information), np.bool_)
    said[excluded] = True
    barred = said[own.term]
    out["absent_hits"] = _sum(holder, barred, size)
    out["absent_share"] = out["absent_hits"] / max(len(excluded), 1)
    out["absent_loss"] = _sum(holder, barred * np.log(1 - own.frequency), size)
    out["absent_frequent"] = _sum(holder, barred & frequent, size)

    out["cells"] = count
    out["sources_per_cell"] = _sum(holder, own.sources, size) / some
    out["counted_share"] = _sum(holder, own.patients > 0, size) / some
    out["patients"] = np.log1p(np.where(count, _max(holder, own.patients, size), 0.0))
    out["has_gene"] = scan.index.has_gene[candidates]


def _cohort(scan: Scan, candidates: Ints, out: Columns) -> None:
    """The best single source."""
    profiles, findings = scan.index.profiles, scan.findings
    cohort = scan.best_cohort[candidates]
    cells = np.diff(profiles.cohorts.doc_start)[cohort]
    found, absent = scan.cohort_hits[cohort], scan.cohort_absent[cohort]
    present, excluded = max(len(findings.present), 1), max(len(findings.excluded), 1)
    out["cohort_score"] = scan.cohort_score[cohort]
    out["cohort_gap"] = out["cohort_score"] - out["cohort_score"].max(initial=-np.inf)
    out["cohort_gain"] = scan.cohort_gain[cohort]
    out["cohort_found"] = found / present
    out["cohort_barred"] = scan.cohort_barred[cohort]
    out["cohort_absent"] = absent / excluded
    out["cohort_absent_loss"] = scan.cohort_absent_loss[cohort]
    out["cohort_asked"] = (found + absent) / (present + len(findings.excluded))
    out["cohort_used"] = (found + absent) / cells
    own, holder = profiles.cohorts.of_docs(cohort)
    said = np.zeros(profiles.terms, np.bool_)
    said[findings.present] = said[findings.excluded] = True
    out["cohort_missing"] = _sum(holder, ~said[own.term] * own.frequency, len(candidates))
    out["cohort_cells"] = cells
    out["cohort_patients"] = profiles.cohort_patients[cohort]
    out["cohort_published"] = scan.index.is_publication[profiles.cohort_source[cohort]]


def _relatives(scan: Scan, candidates: Ints, out: Columns) -> None:
    many = max(len(scan.findings.present), 1)
    merged = scan.merged[candidates]
    top = merged.max(initial=-np.inf)
    out["merged"] = merged / many
    out["merged_gap"] = merged - top
    noise = len(scan.findings.present) * float(np.log(scan.index.parameters.likelihood.noise))
    series = scan.index.same_series.best_of(candidates, scan.likelihood, noise)
    for name, score in (("same_gene", scan.same_gene[candidates]), ("same_series", series)):
        out[name] = score / many
        out[f"{name}_gap"] = score - top


def _solved(scan: Scan, candidates: Ints, out: Columns) -> None:
    """Solved patients of the graph; all 0 where there are none."""
    solved = scan.solved
    for name, of in (("solved_best", solved.best), ("solved_mean", solved.mean)):
        out[name] = of[candidates]
        out[f"{name.removesuffix('_best')}_gap"] = out[name] - of.max(initial=0.0)
    out["solved_many"] = np.log1p(solved.many[candidates])


def _course(scan: Scan, candidates: Ints, out: Columns) -> None:
    """Onset, age and sex against what the disease's rows say of onset and inheritance."""
    index, view, findings, size = scan.index, scan.view, scan.findings, len(candidates)
    rows = index.annotations.rows
    at, holder = slices(index.annotations.row_start, candidates)
    course = rows.aspect[at] != Aspect.PHENOTYPE
    if view.without is not None:
        course &= rows.source[at] != view.without
    at, holder = at[course], holder[course]
    terms = rows.term[at]
    years = index.onset_years[terms]
    known = ~np.isnan(years)
    first = _log_age(-_max(holder[known], -years[known], size))
    last = _log_age(_max(holder[known], years[known], size))
    onset, age = _log_age(np.array([findings.onset_years, findings.age_years]))
    out["onset_gap"] = np.maximum(np.maximum(first - onset, onset - last), 0.0)
    out["age_before_onset"] = first - age
    linked = _sum(holder, index.x_linked[terms], size) > 0
    out["x_linked"] = linked * {"MALE": 1.0, "FEMALE": -1.0}.get(findings.sex, 0.0)


def _log_age(years: Floats) -> Floats:
    """ln(age since about conception); NaN where unknown or unbounded."""
    logs: Floats = np.log(np.where(np.isfinite(years), np.maximum(years, -0.7) + 1.0, np.nan))
    return logs


def _rivals(scan: Scan, candidates: Ints, ratios: npt.NDArray[np.float32], out: Columns) -> None:
    """Against the ten best others: does any of them explain the same findings better?"""
    size = len(candidates)
    total = scan.merged[candidates]
    fused = scan.first_stage[candidates]
    out["first_stage_gap"] = fused - fused.max(initial=-np.inf)
    mass = np.exp(total - total.max(initial=-np.inf))
    out["rival_share"] = mass / max(mass.sum(), 1e-9)
    order = np.argsort(-fused, kind="stable")[:10]
    best = np.sort(ratios[:, order], 1)[:, ::-1]
    top = np.full(size, fused.max(initial=0.0))
    if len(order) > 1:
        top[order[0]] = fused[order[1]]
    out["rival_gap"] = fused - top
    first = best[:, 0] if best.shape[1] else np.zeros(len(ratios))
    second = best[:, 1] if best.shape[1] > 1 else first
    # What this candidate explains better than the best of the ten others.
    is_first = ratios >= first[:, None] - 1e-6
    other = np.where(is_first, second[:, None], first[:, None])
    out["alone"] = (ratios - other >= 0).sum(0) / max(len(ratios), 1)
    out["alone_gain"] = np.maximum(ratios - other, 0).sum(0)
