"""How good the diagnosis is on patients whose disease is known.

Metric: the rank of the true disease among all OMIM diseases with at least one finding; equal scores share the middle
rank.
Patients whose disease has no finding annotated are counted, and in nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from encoders.calibration import expected_calibration_error
from reasoning.diagnosis.annotations import PhenotypeAnnotations
from reasoning.diagnosis.cases import Case
from reasoning.diagnosis.ranking import DiagnosisModel, Ranking
from reasoning.diagnosis.scan import Index, Parameters, findings_of
from reasoning.diagnosis.training import (
    CATALOGUE,
    Progress,
    Query,
    Settings,
    calibrate,
    cross_fit,
    figures,
    known_disease,
    quiet,
    real_queries,
    simulated_queries,
)


def rank_of(ranking: Ranking, disease: int) -> float:
    """Rank of a disease from 1; equal scores share the middle rank."""
    own = ranking.score[ranking.candidates == disease]
    if len(own) == 0:
        return float(len(ranking.candidates) + 1)
    return float((ranking.score > own[0]).sum() + ((ranking.score == own[0]).sum() + 1) / 2)


def evaluate(
    model: DiagnosisModel,
    cases: Sequence[Case],
    *,
    without_own_publication: bool = False,
    progress: Progress = quiet,
) -> dict[str, float]:
    """Figures of a model: n, n_unknown, top1, top3, top10 (per cent), mrr, ece, ms_p50, ms_p99.

    A model that was trained on the same cases is flattered by them: see `cross_validate`. The genes of a case are not
    used.

    Args:
        model: what to judge.
        cases: patients of known disease.
        without_own_publication: leave out, for each case, the rows whose source is its own publication.
        progress: told how far it is.
    """
    annotations = model.annotations
    ranks, top, seconds = [], [], []
    for done, case in enumerate(cases):
        progress("cases", done, len(cases))
        disease = known_disease(model.index, case)
        if disease is None:
            continue
        findings = findings_of(case, annotations)
        without = annotations.source_index.get(case.publication) if without_own_publication else None
        start = time.perf_counter()
        ranking = model.rank(findings, without=without, catalogue=CATALOGUE)
        seconds.append(time.perf_counter() - start)
        ranks.append(rank_of(ranking, disease))
        top.append(float(ranking.probability[0]))
    rank = np.array(ranks)
    found: dict[str, float] = {"n": len(rank), "n_unknown": len(cases) - len(rank)}
    if not len(rank):
        return found | dict.fromkeys(("top1", "top3", "top10", "mrr", "ece", "ms_p50", "ms_p99"), 0.0)
    found |= {f"top{k}": round(100 * float((rank <= k).mean()), 2) for k in (1, 3, 10)}
    found["mrr"] = round(float((1 / rank).mean()), 4)
    found["ece"] = round(expected_calibration_error(np.array(top), (rank <= 1).astype(np.float64)), 4)
    found["ms_p50"], found["ms_p99"] = (round(1000 * float(np.percentile(seconds, at)), 2) for at in (50, 99))
    return found


def cross_validate(
    annotations: PhenotypeAnnotations,
    cases: Sequence[Case],
    seed: int = 0,
    progress: Progress = quiet,
    settings: Settings | None = None,
) -> dict[str, dict[str, float]]:
    """Honest figures on the cases that a ranker is trained on: each case is ranked by one that saw none of its disease.

    Returns:
        `with_own_publication` and `without_own_publication`, each with n, n_unknown, top1, top3, top10, mrr, ece.
    """
    settings = settings or Settings()
    index = Index(annotations, Parameters())
    real = real_queries(index, cases, progress)
    simulated = simulated_queries(index, settings, seed, progress)
    scores = cross_fit(real, simulated, settings, seed, progress)
    return cross_validated(real, scores, len(cases))


def cross_validated(
    queries: Sequence[Query], scores: Sequence[np.ndarray[tuple[int], np.dtype[np.float64]]], cases: int
) -> dict[str, dict[str, float]]:
    """The figures of cross-fitted scores; the calibration is fitted on them too, by three numbers."""
    calibration = calibrate(queries, scores)
    result = {}
    for name, without in (("with_own_publication", False), ("without_own_publication", True)):
        chosen = [at for at, query in enumerate(queries) if query.without == without]
        found = figures([queries[at] for at in chosen], [scores[at] for at in chosen], calibration)
        result[name] = {"n": float(len(chosen)), "n_unknown": float(cases - len(chosen))} | found
    return result
