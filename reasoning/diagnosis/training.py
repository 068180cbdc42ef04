"""Training of the ranker, on published cases and on patients drawn from annotation rows.

Every patient is asked with the rows of the publication that describes him, and without; a user is in the first
situation when his patient's disease has been described in patients like him, else in the second, and does not know in
which; so one ranker learns from both, and is not told which is which. And either with the other patients as solved ones
of the graph (without own publication: those of other publications), or with no solved patients at all.

Folds are by disease, and a patient of a disease, drawn or real, never trains a ranker that is judged on the disease.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from encoders.calibration import expected_calibration_error
from encoders.progress import Progress, quiet
from kg.errors import InputError
from reasoning.diagnosis.annotations import Bools, Floats, Ints, PhenotypeAnnotations
from reasoning.diagnosis.cases import Case
from reasoning.diagnosis.features import FEATURES, features
from reasoning.diagnosis.ranking import FIRST_STAGE_WEIGHT, Calibration, Ranker, boosted, posterior
from reasoning.diagnosis.scan import Findings, Index, Parameters, Scan, findings_of
from reasoning.diagnosis.simulation import simulate
from reasoning.diagnosis.solved import SolvedPatients

CATALOGUE = "OMIM"
"""Catalogue whose diseases are ranked in training and in evaluation."""


_BOOSTING: dict[str, Any] = {
    "num_leaves": 15,
    "learning_rate": 0.05,
    "feature_fraction": 0.25,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "min_data_in_leaf": 50,
    "min_sum_hessian_in_leaf": 0.1,
    "lambda_l2": 2.0,
    "max_bin": 63,
    "feature_pre_filter": False,  # else a handful of cases leaves no feature at all, which is an error
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train.

    Attributes:
        rounds: trees.
        simulated: patients drawn from annotation rows.
        simulated_weight: weight of all of them together, in that of all real ones.
        best: of a case, so many candidates that the first stage likes best are learned from...
        simulated_best: ...of a drawn patient, so many...
        others: ...and of either, so many of the rest.
        folds: for calibration and the figures on the card.
    """

    rounds: int = 250
    simulated: int = 5000
    simulated_weight: float = 2.0
    best: int = 200
    simulated_best: int = 40
    others: int = 20
    folds: int = 5


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """The candidates of one patient.

    Attributes:
        disease: the truth.
        matrix: features of the candidates.
        truth: row of the truth; -1 if it is not among them.
        behind: rank of the truth by the first stage.
        without: whether the rows of the patient's own publication were left out, and his fellows in it.
        solved: whether there were solved patients.
    """

    disease: int
    matrix: npt.NDArray[np.float32]
    truth: int
    behind: float
    without: bool
    solved: bool = False

    def rank(self, score: Floats) -> float:
        """Rank of the truth by the scores of the candidates; equal ones share the middle rank."""
        if self.truth < 0:
            return max(self.behind, len(score) + 1.0)
        own = score[self.truth]
        return float((score > own).sum() + ((score == own).sum() + 1) / 2)


Columns = Callable[[Scan, Ints], npt.NDArray[np.float32]]
"""Features of candidates, as `features.features`."""


def ask(
    index: Index,
    findings: Findings,
    disease: int,
    source: int | None,
    *,
    without: bool,
    apart: Bools | None = None,
    columns: Columns = features,
) -> Query:
    """Candidates for a patient of a known disease.

    Args:
        index: of the annotations, and of solved patients.
        findings: of the patient.
        disease: the truth.
        source: the patient's publication (None: it has no rows).
        without: whether to leave its rows out.
        apart: the solved patients that are not to be looked at; None: all.
        columns: what the matrix is made by.
    """
    apart = np.ones(len(index.solved), np.bool_) if apart is None else apart
    scan = Scan(index, index.profiles.view(source if without else None), findings, apart)
    allowed = index.has_finding & (index.catalogue == CATALOGUE)
    candidates = scan.candidates(allowed)
    first = scan.first_stage[allowed]
    own = scan.first_stage[disease]
    behind = float((first > own).sum() + ((first == own).sum() + 1) / 2)
    truth = np.flatnonzero(candidates == disease)
    at = int(truth[0]) if len(truth) else -1
    return Query(disease, columns(scan, candidates), at, behind, without, not apart.all())


def real_queries(index: Index, cases: Sequence[Case], progress: Progress, columns: Columns = features) -> list[Query]:
    """Every case with a disease that is annotated: with its own publication and without, as of a graph without solved
    patients and, where the index has some, as of one with them.

    Raises:
        InputError: no case has a disease that the annotations know.
    """
    annotations = index.annotations
    queries = []
    for done, case in enumerate(cases):
        progress("published cases", done, len(cases))
        disease = known_disease(index, case)
        if disease is None:
            continue
        findings = findings_of(case, annotations)
        source = annotations.source_index.get(case.publication)
        for without in (False, True):
            queries.append(ask(index, findings, disease, source, without=without, columns=columns))
            apart = index.solved.apart(case.id, case.publication if without else None)
            if not apart.all():
                queries.append(ask(index, findings, disease, source, without=without, apart=apart, columns=columns))
    if not queries:
        raise InputError("no case to train on: none has a disease that the annotations know")
    return queries


def known_disease(index: Index, case: Case) -> int | None:
    """Position of the first of a case's diseases of `CATALOGUE` that has findings."""
    at = [index.annotations.disease_index.get(id_, -1) for id_ in case.diseases if id_.startswith(f"{CATALOGUE}:")]
    return next((place for place in at if place >= 0 and index.has_finding[place]), None)


def simulated_queries(
    index: Index, settings: Settings, seed: int, progress: Progress, columns: Columns = features
) -> list[Query]:
    """Drawn patients, with and without the rows that they were drawn from; those whose disease is a candidate."""
    rng = np.random.default_rng(seed)
    queries = []
    for done, patient in enumerate(simulate(index, settings.simulated, seed)):
        progress("simulated patients", done, settings.simulated)
        for without in (False, True):
            query = ask(index, patient.findings, patient.disease, patient.source, without=without, columns=columns)
            if query.truth >= 0:
                queries.append(_thin(query, settings.simulated_best, settings.others, rng))
    return queries


def _thin(query: Query, best: int, others: int, rng: np.random.Generator) -> Query:
    """The query with the best few candidates by the first stage, some others, and the truth."""
    order = np.argsort(-query.matrix[:, FEATURES.index("first_stage_gap")], kind="stable")
    rest = order[best:]
    drawn = rng.choice(rest, min(others, len(rest)), replace=False)
    kept = np.unique(np.concatenate((order[:best], drawn, [query.truth])))
    truth = int(np.searchsorted(kept, query.truth))
    return replace(query, matrix=query.matrix[kept], truth=truth)


def fit(real: Iterable[Query], simulated: Sequence[Query], settings: Settings, seed: int) -> lightgbm.Booster:
    """Trains a ranker.

    All cases of a disease weigh as much as all of any other, so that often published ones do not rule.

    Raises:
        InputError: there is nothing to learn from.
    """
    rng = np.random.default_rng(seed)
    usable = [_thin(query, settings.best, settings.others, rng) for query in real if query.truth >= 0]
    queries = [*usable, *simulated]
    if not queries:
        raise InputError("no case to train on: none has a disease that the annotations know")
    _, of, count = np.unique([query.disease for query in usable], return_inverse=True, return_counts=True)
    weights = np.ones(len(queries))
    if usable:
        weights[: len(usable)] = 1 / count[of]
        total = weights[: len(usable)].sum()
        weights[len(usable) :] = settings.simulated_weight * total / max(len(simulated), 1)
    sizes = [len(query.matrix) for query in queries]
    truth = np.zeros(sum(sizes), np.int8)
    truth[np.cumsum(sizes) - sizes + [query.truth for query in queries]] = 1
    matrix = np.concatenate([query.matrix for query in queries])
    prior = FIRST_STAGE_WEIGHT * matrix[:, FEATURES.index("first_stage_gap")].astype(np.float64)
    names = [*FEATURES, *(f"more_{at}" for at in range(matrix.shape[1] - len(FEATURES)))]  # a benchmark may have more
    data = lightgbm.Dataset(matrix, truth, init_score=prior, feature_name=names)
    objective = _softmax(np.array(sizes), truth, np.repeat(weights / weights.mean(), sizes))
    return lightgbm.train(_BOOSTING | {"seed": seed, "objective": objective}, data, settings.rounds)


def _softmax(sizes: Ints, truth: npt.NDArray[np.int8], weight: Floats) -> Callable[..., tuple[Floats, Floats]]:
    """Cross entropy of the softmax over each query's candidates (ListNet with one true item: Cao et al., ICML 2007).

    The scores that maximise it are log-probabilities, up to a constant for each query.
    """
    start = np.cumsum(sizes) - sizes
    owner = np.repeat(np.arange(len(sizes)), sizes)

    def gradient(score: Floats, _: lightgbm.Dataset) -> tuple[Floats, Floats]:
        mass = np.exp(score - np.maximum.reduceat(score, start)[owner])
        probability = mass / np.add.reduceat(mass, start)[owner]
        return (probability - truth) * weight, np.maximum(probability * (1 - probability), 0.01) * weight

    return gradient


def folds_by_disease(diseases: Ints, folds: int, seed: int) -> Ints:
    """Fold of each case: a disease is in one fold, folds are about equally large."""
    members, of, count = np.unique(diseases, return_inverse=True, return_counts=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(members))
    load = np.zeros(folds)
    fold = np.zeros(len(members), np.int64)
    for disease in order[np.argsort(-count[order], kind="stable")]:
        fold[disease] = lightest = int(np.argmin(load + rng.random(folds)))
        load[lightest] += count[disease]
    return fold[of]


def cross_fit(
    real: Sequence[Query], simulated: Sequence[Query], settings: Settings, seed: int, progress: Progress
) -> list[Floats]:
    """Scores of each real query's candidates by a ranker that has seen no patient of its disease."""
    diseases = np.array([query.disease for query in real], np.int64)
    fold = folds_by_disease(diseases, settings.folds, seed)
    scores: list[Floats] = [np.zeros(0)] * len(real)
    for held in range(settings.folds):
        progress("folds", held, settings.folds)
        judged = np.flatnonzero(fold == held)
        hidden = set(diseases[judged].tolist())
        ranker = fit(
            [query for query, of in zip(real, fold, strict=True) if of != held],
            [query for query in simulated if query.disease not in hidden],
            settings,
            seed,
        )
        for at in judged.tolist():
            scores[at] = boosted(ranker, real[at].matrix)
    return scores


def calibrate(queries: Sequence[Query], scores: Sequence[Floats]) -> Calibration:
    """Temperature and mass of "none of these" by maximum likelihood, on scores of cross-fitted rankers."""
    temperatures = np.geomspace(0.2, 3.0, 28)
    nones = np.linspace(-6, 6, 49)
    best = (np.inf, 1.0, 0.0)
    for temperature in temperatures.tolist():
        total = np.array([_log_sum(score / temperature) for score in scores])
        hit = np.array(
            [score[q.truth] / temperature if q.truth >= 0 else np.nan for q, score in zip(queries, scores, strict=True)]
        )
        for none in nones.tolist():
            own = np.where(np.isnan(hit), none, hit)
            loss = float((np.logaddexp(total, none) - own).mean())
            best = min(best, (loss, temperature, none))
    calibration = Calibration(best[1], best[2])
    top, right = _tops(queries, scores, calibration)
    return Calibration(best[1], best[2], _threshold(top, right))


def _log_sum(logits: Floats) -> float:
    top = float(logits.max())
    return top + float(np.log(np.exp(logits - top).sum()))


def _tops(queries: Sequence[Query], scores: Sequence[Floats], calibration: Calibration) -> tuple[Floats, Floats]:
    """Probability of each query's best candidate, and whether it is the truth."""
    top = np.array([posterior(score, calibration).max() for score in scores])
    right = np.array([float(query.rank(score) <= 1) for query, score in zip(queries, scores, strict=True)])
    return top, right


def _threshold(top: Floats, right: Floats) -> float:
    """Top probability at which half of the answers are right, by isotonic regression (pool adjacent violators)."""
    order = np.argsort(top, kind="stable")
    blocks: list[tuple[float, float, int]] = []
    for at, value in zip(top[order].tolist(), right[order].tolist(), strict=True):
        blocks.append((at, value, 1))
        while len(blocks) > 1 and blocks[-2][1] >= blocks[-1][1]:
            (first, a, m), (_, b, n) = blocks[-2:]
            blocks[-2:] = [(first, (a * m + b * n) / (m + n), m + n)]
    return next((at for at, value, _ in blocks if value >= 0.5), 1.0)


def figures(queries: Sequence[Query], scores: Sequence[Floats], calibration: Calibration) -> dict[str, float]:
    """The metric of the diagnosis over queries: top-k in per cent, mean reciprocal rank, calibration error."""
    rank = np.array([query.rank(score) for query, score in zip(queries, scores, strict=True)])
    top, right = _tops(queries, scores, calibration)
    found = {f"top{k}": round(100 * float((rank <= k).mean()), 1) for k in (1, 3, 10)}
    return found | {"mrr": round(float((1 / rank).mean()), 3), "ece": round(expected_calibration_error(top, right), 3)}


def train(
    annotations: PhenotypeAnnotations,
    cases: Sequence[Case],
    seed: int = 0,
    progress: Progress = quiet,
    settings: Settings | None = None,
) -> Ranker:
    """Trains the ranker; its card carries the cross-validated figures.

    Raises:
        InputError: no case has a disease that the annotations know.
    """
    settings = settings or Settings()
    index = Index(annotations, Parameters(), SolvedPatients(cases, annotations))
    real = real_queries(index, cases, progress)
    simulated = simulated_queries(index, settings, seed, progress)
    booster = fit(real, simulated, settings, seed)
    scores = cross_fit(real, simulated, settings, seed, progress)
    figures, calibrations = judged(real, scores)
    asked = {query.disease for query in real}
    card: dict[str, Any] = {
        "task": "diagnosis",
        "data": {
            "cases": sum(not query.solved for query in real) // 2,
            "diseases": len(asked),
            "simulated_queries": len(simulated),
            "simulated_diseases": len({query.disease for query in simulated}),
        },
        "metric": f"{settings.folds} folds by disease, on the published cases",
        **figures,
        "seed": seed,
        "settings": asdict(settings),
        "boosting": _BOOSTING,
        "versions": {"lightgbm": lightgbm.__version__, "numpy": np.__version__},
    }
    return Ranker(booster, calibrations[0], card, calibrations[1])


def judged(
    queries: Sequence[Query], scores: Sequence[Floats]
) -> tuple[dict[str, dict[str, float]], tuple[Calibration, Calibration]]:
    """Figures of cross-fitted scores, and the calibrations of graphs without and with solved patients.

    The calibrations are fitted on the same scores, each by three numbers.

    Returns:
        Figures by `with_own_publication`, `without_own_publication` and, where there are solved patients,
        `with_own_publication_and_solved_patients`, `without_own_publication_and_solved_patients`; both calibrations,
        the first one twice where there are none.
    """
    found: dict[str, dict[str, float]] = {}
    calibrations = []
    for solved, more in ((False, ""), (True, "_and_solved_patients")):
        all_ = [at for at, query in enumerate(queries) if query.solved == solved]
        if not all_:
            continue
        calibrations.append(calibrate([queries[at] for at in all_], [scores[at] for at in all_]))
        for without, name in ((False, "with_own_publication"), (True, "without_own_publication")):
            part = [at for at in all_ if queries[at].without == without]
            of = figures([queries[at] for at in part], [scores[at] for at in part], calibrations[-1])
            found[name + more] = {"n": float(len(part))} | of
    return found, (calibrations[0], calibrations[-1])
