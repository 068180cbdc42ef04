"""The diagnosis itself: all diseases ranked for a patient's findings, with calibrated probabilities.

Two stages: the parts of `features.Scan` score every disease and propose candidates; a learned ranker (LambdaMART:
Burges, From RankNet to LambdaRank to LambdaMART, MSR-TR-2010-82) orders these by what `features` sees of them. All
other diseases follow in the order of their likelihood. The trees add to what the first stage says already, so that
where they know nothing its order stands.

The posterior of candidate i with score s: pᵢ = Gᵢ · exp(sᵢ/T) / (Σⱼ Gⱼ · exp(sⱼ/T) + exp(u)), with temperature T and
the mass u of "none of these" fitted on cases that the ranker had not seen, and Gᵢ the likelihood ratio of stated genes
and inheritance, of which published cases teach nothing.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from copy import copy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import lightgbm
import numpy as np
import numpy.typing as npt

from kg.errors import ConfigurationError
from reasoning.diagnosis.annotations import Aspect, Bools, Floats, Ints, PhenotypeAnnotations
from reasoning.diagnosis.features import FEATURES, features
from reasoning.diagnosis.scan import Findings, Index, Parameters, Scan
from reasoning.diagnosis.solved import SolvedPatients

SHIPPED = Path(__file__).with_name("ranker")
"""The ranker that comes with the package."""

FIRST_STAGE_WEIGHT = 0.2
"""What one unit of the first stage's score is worth to the ranker before any tree; by folds."""

_GENE_MISSED = 0.1
"""Chance that the causal gene is not among the candidate genes that a user states."""
_INHERITANCE_DIFFERS = 0.05
"""Chance that a disease runs in a family in another way than all its annotations say."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How scores become probabilities; fitted on cases that the ranker had not seen.

    Attributes:
        temperature: of the softmax.
        none: logit of "none of these".
        threshold: top probability from which on at least half of the answers are right; below, the evidence does not
            suffice.
    """

    temperature: float = 1.0
    none: float = 0.0
    threshold: float = 0.0


class Ranker:
    """A gradient-boosted ranker and its card; kept as LightGBM's text and JSON, so that loading runs no code.

    Args:
        booster: trained on the columns `FEATURES`.
        calibration: of its scores.
        card: what it was trained on and how; any JSON.
        solved: calibration where the graph has solved patients.
    """

    def __init__(
        self, booster: lightgbm.Booster, calibration: Calibration, card: Mapping[str, Any], solved: Calibration
    ) -> None:
        self._booster = booster
        self.calibration = calibration
        self.solved_calibration = solved
        self.card = dict(card)

    def score(self, matrix: npt.NDArray[np.float32]) -> Floats:
        """Scores of candidates, (candidates, features) → (candidates,); only their differences within a query count."""
        return boosted(self._booster, matrix) if len(matrix) else np.zeros(0)

    def save(self, folder: Path) -> None:
        """Writes `model.txt.gz` and `card.json`; the same ranker gives the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        text = self._booster.model_to_string(importance_type="gain")
        (folder / "model.txt.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))
        card = self.card | {
            "features": list(FEATURES),
            "first_stage_weight": FIRST_STAGE_WEIGHT,
            "calibration": asdict(self.calibration),
            "solved_calibration": asdict(self.solved_calibration),
        }
        (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path | None = None) -> Ranker:
        """The ranker of a folder; None: the one shipped.

        Raises:
            ConfigurationError: it is missing or damaged, or was trained on other features than this version has.
        """
        folder = folder or SHIPPED
        try:
            card = json.loads((folder / "card.json").read_text())
            text = gzip.decompress((folder / "model.txt.gz").read_bytes()).decode()
            calibrations = (Calibration(**card[name]) for name in ("calibration", "solved_calibration"))
            calibration, solved = calibrations
            names = card["features"]
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise ConfigurationError(f"no usable ranker in {folder}: {error}") from error
        if card.get("first_stage_weight") != FIRST_STAGE_WEIGHT:
            raise ConfigurationError(f"the ranker in {folder} was trained by another version; train it again")
        if names != list(FEATURES):
            other = sorted(set(names) ^ set(FEATURES))
            raise ConfigurationError(
                f"the ranker in {folder} was trained on other features than this version has "
                f"({', '.join(other[:5]) or 'another order'}); train it again"
            )
        try:
            booster = lightgbm.Booster(model_str=text)
        except lightgbm.basic.LightGBMError as error:
            raise ConfigurationError(f"no usable ranker in {folder}: {error}") from error
        return cls(booster, calibration, card, solved)


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Ranked diseases.

    Attributes:
        candidates: positions of the diseases, best first; all that were asked for.
        score: of each, falling; only differences count.
        probability: of each; what is left to 1 is "none of these". 0 for those that the first stage left behind.
        scan: first-stage scores of all diseases, by position of the disease.
    """

    candidates: Ints
    score: Floats
    probability: Floats
    scan: Scan


class DiagnosisModel:
    """Annotations, solved patients, what is derived from them once, and a ranker."""

    def __init__(
        self,
        annotations: PhenotypeAnnotations,
        ranker: Ranker,
        parameters: Parameters | None = None,
        solved: SolvedPatients | None = None,
    ) -> None:
        self.annotations = annotations
        self.ranker = ranker
        self.index = Index(annotations, parameters or Parameters(), solved)
        self._diseases_of: dict[str, list[int]] = {}
        for disease, genes in enumerate(annotations.disease_genes):
            for gene in genes:
                self._diseases_of.setdefault(gene, []).append(disease)

    @property
    def calibration(self) -> Calibration:
        """The ranker's for such a graph."""
        return self.ranker.solved_calibration if len(self.index.solved) else self.ranker.calibration

    def with_solved(self, solved: SolvedPatients) -> Self:
        """The model of a graph with these solved patients instead; all else is shared."""
        model = copy(self)
        model.index = copy(self.index)
        model.index.solved = solved
        return model

    def allowed(self, catalogue: str | None) -> Bools:
        """Diseases with at least one finding, of one catalogue (the prefix of their ids) or of all."""
        mask: Bools = self.index.has_finding.copy()
        if catalogue is not None:
            mask &= self.index.catalogue == catalogue
        return mask

    def rank(
        self,
        findings: Findings,
        *,
        without: int | None = None,
        apart: Bools | None = None,
        catalogue: str | None = None,
    ) -> Ranking:
        """Ranks diseases for a patient.

        Args:
            findings: what is known of the patient.
            without: position of a source whose rows are to be left out.
            apart: solved patients that are to be left out; see `SolvedPatients.apart`.
            catalogue: OMIM, ORPHA or DECIPHER; None ranks all.
        """
        scan = Scan(self.index, self.index.profiles.view(without), findings, apart)
        allowed = self.allowed(catalogue)
        ratio = self.gene_ratio(findings) + self.inheritance_ratio(findings)
        candidates = scan.candidates(allowed)
        if findings.genes:
            named = np.flatnonzero(allowed & (ratio > 0))
            best = named[np.argsort(-scan.likelihood[named], kind="stable")[:50]]
            candidates = np.union1d(candidates, best)
        temperature = self.calibration.temperature
        own = self.ranker.score(features(scan, candidates)) + temperature * ratio[candidates]
        order = np.argsort(-own, kind="stable")
        candidates, own = candidates[order], own[order]

        allowed[candidates] = False
        rest = np.flatnonzero(allowed)
        behind = scan.likelihood[rest] + ratio[rest]
        order = np.argsort(-behind)  # not stable: thousands, and twice as quick
        behind = behind[order] - behind.max(initial=-np.inf) + own.min(initial=0.0) - 1.0
        return Ranking(
            np.concatenate((candidates, rest[order])),
            np.concatenate((own, behind)),
            np.concatenate((posterior(own, self.calibration), np.zeros(len(rest)))),
            scan,
        )

    def gene_ratio(self, findings: Findings) -> Floats:
        """Log-likelihood ratio of the stated genes for each disease, nats; 0 where no gene of a disease is known."""
        ratio = np.zeros(len(self.annotations.disease_ids))
        if findings.genes:
            stated = frozenset(findings.genes)
            ratio[self.index.has_gene] = np.log(_GENE_MISSED)
            hit = [disease for gene in stated for disease in self._diseases_of.get(gene, ())]
            ratio[hit] = np.log((1 - _GENE_MISSED) * max(len(self._diseases_of) / len(stated), 1.0))
        return ratio

    def inheritance_ratio(self, findings: Findings) -> Floats:
        """The same of the stated modes of inheritance: below 0 where all that a disease is known with differ."""
        annotations = self.annotations
        ratio = np.zeros(len(annotations.disease_ids))
        if len(findings.inheritance):
            fits = np.zeros(len(annotations.term_ids), np.bool_)
            fits[findings.inheritance] = True
            fits = np.logical_or.reduceat(fits[annotations.ancestors], annotations.ancestor_start[:-1])
            for term in findings.inheritance.tolist():
                fits[annotations.ancestors_of(term)] = True
            rows = annotations.rows
            at = np.flatnonzero((rows.aspect == Aspect.INHERITANCE) & ~rows.excluded)
            ratio[rows.disease[at]] = np.log(_INHERITANCE_DIFFERS)
            ratio[rows.disease[at[fits[rows.term[at]]]]] = 0.0
        return ratio


def boosted(booster: lightgbm.Booster, matrix: npt.NDArray[np.float32]) -> Floats:
    """What the first stage says, and what the trees add to it."""
    added = np.asarray(booster.predict(matrix, num_threads=1, raw_score=True), np.float64)
    return added + FIRST_STAGE_WEIGHT * matrix[:, FEATURES.index("first_stage_gap")]


def posterior(score: Floats, calibration: Calibration) -> Floats:
    """Probabilities of candidates; the rest to 1 is "none of these"."""
    if len(score) == 0:
        return score
    logits = score / calibration.temperature
    top = max(float(logits.max()), calibration.none)
    mass = np.exp(logits - top)
    probability: Floats = mass / (mass.sum() + np.exp(calibration.none - top))
    return probability
