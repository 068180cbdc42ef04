"""Statements of Italian driving theory, true or false: accuracy on topics that nothing was learned from.

A fifth of the topics is set aside, once for each seed; beside it character n-grams alone, which know nothing.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from reasoning.traffic.theory import load_theory
from reasoning.traffic.theory_evaluation import evaluate_theory, read_statements, split_by_topic
from reasoning.traffic.theory_judge import TheoryJudge, train_theory

_DATA = Path(__file__).parents[2] / "shared" / "data" / "traffic" / "quizpatente" / "public.jsonl"
_SEEDS = (7, 8, 9)
_APART = 0.2


def main() -> None:
    """Prints accuracy, and what share the graph answered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=_DATA, help="JSON lines: category, topic, statement, answer")
    parser.add_argument("--json", type=Path, help="write the results here, too")
    given = parser.parse_args()
    statements, book, results = read_statements(given.data), load_theory(), []
    print(f"{'seed':>4} {'':14} {'n':>5} {'n-grams':>8} {'joined':>7} {'by graph':>9} {'right there':>12}")
    for seed in _SEEDS:
        kept, apart = split_by_topic(statements, _APART, seed)
        report = evaluate_theory(TheoryJudge(book, train_theory(book, kept, given.data.name)), apart)
        vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True)
        ngrams = make_pipeline(vectors, LogisticRegression(C=3.0, max_iter=1000))
        ngrams.fit([each.text for each in kept], [each.true for each in kept])
        right = ngrams.predict([each.text for each in apart]) == np.array([each.true for each in apart])
        sign = np.array([each.sign for each in apart])
        baseline = {"whole": right.mean(), "signs": right[sign].mean(), "rest": right[~sign].mean()}
        for name, part in (("whole", report.whole), ("signs", report.signs), ("rest", report.rest)):
            print(
                f"{seed:4} {name:14} {part.n:5} {baseline[name]:8.3f} {part.accuracy:7.3f} {part.from_graph:9.3f} "
                f"{part.accuracy_from_graph:12.3f}"
            )
        results.append({"seed": seed, "n-grams": {k: float(v) for k, v in baseline.items()}, **asdict(report)})
    if given.json:
        given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
