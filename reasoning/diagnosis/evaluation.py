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
from encoders.progress import Progress, quiet
from reasoning.diagnosis.annotations import Ints, PhenotypeAnnotations
from reasoning.diagnosis.cases import Case
from reasoning.diagnosis.ranking import DiagnosisModel, Ranking
from reasoning.diagnosis.scan import Index, Parameters, findings_of
from reasoning.diagnosis.solved import SolvedPatients
from reasoning.diagnosis.training import (
    CATALOGUE,
    Settings,
    cross_fit,
    judged,
    known_disease,
    real_queries,
    simulated_queries,
)


def rank_of(ranking: Ranking, disease: int, among: Ints | None = None) -> float:
    """Rank of a disease from 1, among all that are ranked or some; equal scores share the middle rank."""
    own = ranking.score[ranking.candidates == disease]
    scores = ranking.score if among is None else ranking.score[np.isin(ranking.candidates, among)]
    if len(own) == 0:
        return float(len(scores) + 1)
    return float((scores > own[0]).sum() + ((scores == own[0]).sum() + 1) / 2)


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
        without_own_publication: leave out, for each case, the rows whose source is its own publication, and the solved
            patients of it; the case itself is left out anyway.
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
        apart = model.index.solved.apart(case.id, case.publication if without_own_publication else None)
        start = time.perf_counter()
        ranking = model.rank(findings, without=without, apart=apart, catalogue=CATALOGUE)
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
        As `training.judged`; each part with n, n_unknown, top1, top3, top10, mrr, ece.

    Raises:
        InputError: no case has a disease that the annotations know.
    """
    settings = settings or Settings()
    index = Index(annotations, Parameters(), SolvedPatients(cases, annotations))
    real = real_queries(index, cases, progress)
    simulated = simulated_queries(index, settings, seed, progress)
    found, _ = judged(real, cross_fit(real, simulated, settings, seed, progress))
    return {name: of | {"n_unknown": len(cases) - of["n"]} for name, of in found.items()}
