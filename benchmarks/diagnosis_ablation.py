"""What each part of the diagnosis is worth: the ranker without it, cross-validated by disease.

Every figure but those of the lines *alone* comes from rankers that saw no patient, real or drawn, of the diseases that
they are judged on; the lines *alone* have nothing to learn. A part is left out by blanking its features in training and
in judging. Smaller trainings than the shipped one's keep it short (`--full` for its size), so that the first line is a
little below the figures on the shipped ranker's card.

    python -m benchmarks.diagnosis_ablation [--cases PATH] [--json FILE] [--full] [--parts cohort,relatives]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.diagnosis_data import installed_annotations, published_cases
from encoders.progress import quiet
from reasoning.diagnosis.annotations import Floats
from reasoning.diagnosis.features import FEATURES, PARTS
from reasoning.diagnosis.scan import Index, Parameters
from reasoning.diagnosis.solved import SolvedPatients
from reasoning.diagnosis.training import Query, Settings, cross_fit, judged, real_queries, simulated_queries

CASES = Path(__file__).parents[2] / "shared" / "data" / "medical" / "phenopackets_dev.tar.xz"
QUICK = Settings(rounds=60, simulated=2500, best=30, simulated_best=20, others=10)
PRIOR = "first_stage_gap"
"""Feature that every ranker starts from; it is never blanked."""

Figures = dict[str, dict[str, float]]


def blanked(queries: Iterable[Query], part: str) -> list[Query]:
    """The queries with the features of a part at 0."""
    columns = [FEATURES.index(name) for name in PARTS[part] if name != PRIOR]
    copies = []
    for query in queries:
        matrix = query.matrix.copy()
        matrix[:, columns] = 0
        copies.append(replace(query, matrix=matrix))
    return copies


def alone(queries: Sequence[Query], feature: str) -> list[Floats]:
    """Scores by one feature."""
    return [query.matrix[:, FEATURES.index(feature)].astype(np.float64) for query in queries]


def ablation(
    real: list[Query], simulated: list[Query], settings: Settings, parts: Iterable[str], seed: int
) -> Iterator[tuple[str, Figures]]:
    """Figures of the whole, of the first stage and the likelihood alone, and of the whole without each part."""
    yield "likelihood ratios alone", judged(real, alone(real, "likelihood"))[0]
    yield "first stage alone", judged(real, alone(real, PRIOR))[0]
    yield "all parts", judged(real, cross_fit(real, simulated, settings, seed, quiet))[0]
    scores = cross_fit(real, [], settings, seed, quiet)
    yield "without simulated patients", judged(real, scores)[0]
    for part in parts:
        scores = cross_fit(blanked(real, part), blanked(simulated, part), settings, seed, quiet)
        yield f"without {part}", judged(real, scores)[0]


def main() -> None:
    """Prints the table, line by line as it comes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, default=CASES, help="Phenopackets: a folder or an archive")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--full", action="store_true", help="train as the shipped ranker was")
    parser.add_argument("--parts", default=",".join(PARTS), help="parts to leave out, one at a time")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    settings = Settings() if options.full else QUICK
    if not options.cases.exists():
        print(f"skipped: no cases at {options.cases}; name some with --cases")
        return

    start = time.perf_counter()
    annotations = installed_annotations()
    cases = list(published_cases(options.cases))
    index = Index(annotations, Parameters(), SolvedPatients(cases, annotations))
    real = real_queries(index, cases, quiet)
    simulated = simulated_queries(index, settings, options.seed, quiet)
    diseases = len({query.disease for query in real})
    many = sum(not query.solved for query in real) // 2
    print(f"{many} cases of {diseases} diseases, {settings.folds} folds by disease, seed {options.seed}")
    print(f"{'':28} own publication     without it          with solved patients, own publication, without it")
    print(f"{'':28}" + " top1   MRR   ECE    " * 4)
    table: dict[str, Figures] = {}
    for name, found in ablation(real, simulated, settings, options.parts.split(","), options.seed):
        table[name] = found
        cells = [f"{of['top1']:5.1f} {of['mrr']:5.3f} {of['ece']:5.3f}" for of in found.values()]
        print(f"{name:28}{'    '.join(cells)}   {time.perf_counter() - start:6.0f} s", flush=True)
        if options.json:
            options.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
