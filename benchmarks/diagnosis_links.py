"""What links add to the diagnosis: embeddings of findings, predicted findings of a disease, and solved patients.

The first two are no part of the ranker; here they are added to what it sees. The third is, and is left out. Each line
is cross-validated by disease, over several seeds of folds and of drawn patients, with the settings of
`benchmarks.diagnosis_ablation`; gains are of the mean reciprocal rank, with 95 % intervals of a bootstrap over
diseases.

    python -m benchmarks.diagnosis_links [--cases PATH] [--seeds 0,1,2,3,4] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags, hstack

from benchmarks.diagnosis_ablation import CASES, QUICK
from benchmarks.diagnosis_data import installed_annotations, published_cases
from encoders.graph.entity_embeddings import NEIGHBOURS
from encoders.progress import quiet
from reasoning.diagnosis.annotations import Floats, Ints
from reasoning.diagnosis.features import FEATURES, PARTS, features
from reasoning.diagnosis.scan import Index, Parameters, Scan
from reasoning.diagnosis.solved import SolvedPatients
from reasoning.diagnosis.training import Query, cross_fit, judged, real_queries, simulated_queries

VOTERS = 10
"""Neighbours of a disease that tell what findings to expect, as in `encoders.graph.ways`."""
_MODES = ((False, False), (True, False), (False, True), (True, True))
"""Without own publication, with solved patients."""
_NAMES = ("own publication", "without it", "solved patients, own publication", "solved patients, without it")
_DRAWS = 2000
_HALVED = np.log(0.3)
"""What a prediction counts less than an annotation."""


class LinkFeatures:
    """Features of candidates by the graph around them.

    * embedding: cosine of the patient's embedding and the disease's, both made of findings as
      `encoders.graph.entity_embeddings` does, without the error of random projection; a disease never speaks for itself
      through the findings it has.
    * predicted: the likelihood of the findings by the ten diseases that share most annotations, weighted by likeness.

    Args:
        index: of the annotations.
    """

    names: tuple[str, ...] = (
        *("embedding", "embedding_gap"),
        *("predicted", "predicted_gap", "filled", "filled_gap", "predicted_gain", "likest"),
    )

    def __init__(self, index: Index) -> None:
        annotations, diseases, terms = index.annotations, index.profiles.diseases, len(index.annotations.term_ids)
        cells = index.profiles.exact.entries
        has = csr_matrix((np.ones(len(cells.doc)), (cells.doc, cells.term)), shape=(diseases, terms))
        parents = csr_matrix(
            (np.ones(len(annotations.parents)), annotations.parents, annotations.parent_start), shape=(terms, terms)
        )
        shared = np.asarray(has.sum(0)).ravel()
        facts = shared + np.diff(annotations.parent_start) + np.bincount(annotations.parents, minlength=terms)
        genes = np.array([len(of) for of in annotations.disease_genes])
        self._rare = np.log((diseases + terms) / np.maximum(facts, 1))
        rare_disease = np.log((diseases + terms) / np.maximum(np.asarray(has.sum(1)).ravel() + genes, 1))
        around = [has.T @ diags(rare_disease), parents @ diags(self._rare), parents.T @ diags(self._rare)]
        self._around = _unit(hstack(around).tocsr())
        self._in_disease = self._around[:, :diseases].tocsc()
        own = has @ diags(self._rare)
        self._norm = _squares(own) + NEIGHBOURS**2 * _squares(own @ self._around)

        self._idf = np.log(diseases / np.maximum(shared, 1))
        vectors = _unit(has @ diags(self._idf))
        self._columns = vectors.T.tocsr()
        parts = [
            self._nearest((vectors[start : start + 500] @ self._columns).toarray(), np.arange(start, start + 500))
            for start in range(0, diseases, 500)
        ]
        self._near, self._like = (np.concatenate(columns) for columns in zip(*parts, strict=True))

    def __call__(self, scan: Scan, candidates: Ints) -> NDArray[np.float32]:
        """float32 (candidates, `FEATURES` and `names`)."""
        mine = np.stack([*self._embedding(scan, candidates), *self._predicted(scan, candidates)], 1)
        return np.concatenate((features(scan, candidates), mine.astype(np.float32)), 1)

    def _embedding(self, scan: Scan, candidates: Ints) -> tuple[Floats, Floats]:
        patient = np.zeros(len(self._rare))
        patient[scan.findings.present] = self._rare[scan.findings.present]
        around = self._around.T @ patient
        kernel = patient + NEIGHBOURS**2 * (self._around @ around)
        own, holder = scan.view.exact_of_diseases(candidates)
        weight = self._rare[own.term]
        through = np.asarray(self._in_disease[own.term, candidates[holder]]).ravel()
        itself = np.bincount(holder, weight * through, len(candidates))
        dot = np.bincount(holder, weight * kernel[own.term], len(candidates))
        dot -= NEIGHBOURS**2 * around[candidates] * itself
        norm = self._norm[candidates].copy()
        for at in np.flatnonzero(np.isin(candidates, scan.view.touched)).tolist():
            disease = np.zeros(len(self._rare))
            disease[own.term[holder == at]] = weight[holder == at]
            norm[at] = disease @ disease + NEIGHBOURS**2 * ((self._around.T @ disease) ** 2).sum()
        norm = np.maximum(norm - NEIGHBOURS**2 * itself**2, 1e-9)
        cosine = dot / np.sqrt(norm * max(float(patient @ kernel), 1e-9))
        return cosine, cosine - cosine.max(initial=0.0)

    def _predicted(self, scan: Scan, candidates: Ints) -> tuple[Floats, ...]:
        near, like = self._near[candidates].copy(), self._like[candidates].copy()
        own, holder = scan.view.exact_of_diseases(candidates)
        for at in np.flatnonzero(np.isin(candidates, scan.view.touched)).tolist():
            terms = own.term[holder == at]
            vector = self._idf[terms]
            likeness = self._columns[terms].T @ (vector / max(float(np.sqrt(vector @ vector)), 1e-12))
            near[at], like[at] = (found[0] for found in self._nearest(likeness[None], candidates[[at]]))
        weight = like / np.maximum(like.sum(1, keepdims=True), 1e-12)
        ratios = scan.ratios[:, candidates].astype(np.float64)
        shared = (np.exp(scan.ratios[:, near].astype(np.float64)) * weight).sum(2)
        told = np.log(np.maximum(shared, scan.index.parameters.likelihood.noise))
        predicted, filled = told.sum(0), np.maximum(told + _HALVED, ratios).sum(0)
        many = max(len(told), 1)
        gaps = [of - of.max(initial=-np.inf) for of in (predicted, filled)]
        gain = np.maximum(told - ratios, 0).sum(0)
        return predicted / many, gaps[0], filled / many, gaps[1], gain, like.max(1)

    @staticmethod
    def _nearest(likeness: Floats, rows: Ints) -> tuple[Ints, Floats]:
        likeness[np.arange(len(likeness)), rows[: len(likeness)]] = 0.0
        at = np.argpartition(-likeness, VOTERS - 1, axis=1)[:, :VOTERS]
        return at, np.take_along_axis(likeness, at, 1)


def _squares(matrix: csr_matrix) -> Floats:
    return np.asarray(matrix.multiply(matrix).sum(1)).ravel()


def _unit(matrix: csr_matrix) -> csr_matrix:
    return (diags(1 / np.maximum(np.sqrt(_squares(matrix)), 1e-12)) @ matrix).tocsr()


def blanked(queries: Sequence[Query], columns: list[int]) -> list[Query]:
    """The queries with some columns at 0."""
    copies = []
    for query in queries:
        matrix = query.matrix.copy()
        matrix[:, columns] = 0
        copies.append(replace(query, matrix=matrix))
    return copies


def interval(difference: Floats, diseases: Ints) -> tuple[float, float, float]:
    """Mean, and the ends of its 95 % interval by a bootstrap over diseases (seed 0)."""
    _, of = np.unique(diseases, return_inverse=True)
    total, many = np.bincount(of, difference), np.bincount(of)
    drawn = np.random.default_rng(0).integers(len(many), size=(_DRAWS, len(many)))
    means = total[drawn].sum(1) / many[drawn].sum(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(difference.mean()), float(low), float(high)


def main() -> None:
    """Prints a line for each seed and variant, then the gains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, default=CASES, help="Phenopackets: a folder or an archive")
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--json", type=Path, help="write the gains to this file")
    options = parser.parse_args()
    if not options.cases.exists():
        print(f"skipped: no cases at {options.cases}; name some with --cases")
        return
    start = time.perf_counter()
    annotations = installed_annotations()
    cases = list(published_cases(options.cases))
    index = Index(annotations, Parameters(), SolvedPatients(cases, annotations))
    links = LinkFeatures(index)
    real = real_queries(index, cases, quiet, links)
    width = len(FEATURES)
    embedding, predicted = [width, width + 1], list(range(width + 2, width + len(links.names)))
    solved = [FEATURES.index(name) for name in PARTS["solved"]]
    # variant: the columns that are blanked
    variants = {
        "ranker": [*embedding, *predicted],
        "with embedding": predicted,
        "with predicted": embedding,
        "without solved": [*embedding, *predicted, *solved],
    }
    inverse: dict[str, list[Floats]] = {name: [] for name in variants}
    print(f"{'':22}{'':16}" + "  ".join(f"{name:>33}" for name in _NAMES))
    for seed in map(int, options.seeds.split(",")):
        simulated = simulated_queries(index, QUICK, seed, quiet, links)
        for name, columns in variants.items():
            scores = cross_fit(blanked(real, columns), blanked(simulated, columns), QUICK, seed, quiet)
            inverse[name].append(1 / np.array([q.rank(score) for q, score in zip(real, scores, strict=True)]))
            found = judged(real, scores)[0].values()
            cells = "  ".join(f"top1 {of['top1']:5.1f} MRR {of['mrr']:.3f} ECE {of['ece']:.3f}" for of in found)
            print(f"seed {seed} {name:16} {cells}   {time.perf_counter() - start:6.0f} s", flush=True)
    means = {name: np.mean(parts, axis=0) for name, parts in inverse.items()}
    disease = np.array([query.disease for query in real])
    table = {}
    for what, more, less in (
        ("embedding", "with embedding", "ranker"),
        ("predicted", "with predicted", "ranker"),
        ("solved", "ranker", "without solved"),
    ):
        for mode, name in zip(_MODES, _NAMES, strict=True):
            at = np.array([(query.without, query.solved) == mode for query in real])
            gain = interval((means[more] - means[less])[at], disease[at])
            table[f"{what}, {name}"] = gain
            print(f"{what:10} {name:34} gain of MRR {gain[0]:+.3f} ({gain[1]:+.3f} … {gain[2]:+.3f})", flush=True)
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
