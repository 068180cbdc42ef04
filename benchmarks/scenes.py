"""Scenes → actions, on the validation parts of BDD-OIA and BDD-X: rules alone, experience, and learners beside them.

The learners see the same: a decision tree and logistic regression the flags, logistic regression the words' TF-IDF.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.tree import DecisionTreeClassifier

from reasoning.traffic.experience import SHIPPED
from reasoning.traffic.experience_training import train_concepts, train_words
from reasoning.traffic.scene_cases import SceneCase, read_cases
from reasoning.traffic.scene_evaluation import evaluate_scenes
from reasoning.traffic.scenes import SceneJudge

_DATA = Path(__file__).parents[2] / "shared" / "data" / "traffic"
_SETS = {
    "BDD-OIA": ("bddoia/gt_4a_21r_train.json", "bddoia/gt_4a_21r_val.json"),
    "BDD-X": ("bddx/train.jsonl", "bddx/val.jsonl"),
}


def main() -> None:
    """Prints macro F1 and exact match of each way to judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=_DATA, help="folder with bddoia/ and bddx/")
    parser.add_argument("--json", type=Path, help="write the results here, too")
    given = parser.parse_args()
    results: dict[str, dict[str, dict[str, float]]] = {}
    for name, (train, test) in _SETS.items():
        learned, hidden = read_cases(given.data / train), read_cases(given.data / test)
        results[name] = _measured(learned, hidden, name)
        print(f"\n{name}, {len(hidden):,} scenes, learned from {len(learned):,}")
        for way, scores in results[name].items():
            print(f"{way:28}" + "  ".join(f"{what} {value:.3f}" for what, value in scores.items()))
    if given.json:
        given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


def _measured(train: Sequence[SceneCase], test: Sequence[SceneCase], name: str) -> dict[str, dict[str, float]]:
    judge = SceneJudge.load()
    with tempfile.TemporaryDirectory() as folder:
        if train[0].flags is not None:
            train_concepts(judge.book, train, f"{name}, train").save(Path(folder) / SHIPPED["concepts"].name)
        else:
            train_words(train, f"{name}, train").save(Path(folder) / SHIPPED["words"].name)
        judge = SceneJudge.load(weights=Path(folder))
    report = evaluate_scenes(judge.book, test, judge.concepts, judge.words)
    results = {
        "rules alone": {"macro F1": report.rules_alone.macro_f1, "exact": report.rules_alone.exact},
        "rules and experience": {"macro F1": report.joined.macro_f1, "exact": report.joined.exact},
        "chains": {"complete": report.chains_complete, "ms p50": report.ms_p50, "ms p99": report.ms_p99},
    }
    truth = np.array([case.actions for case in test])
    for way, given in _learners(train, test).items():
        macro = float(f1_score(truth, given, average="macro"))
        results[way] = {"macro F1": macro, "exact": float((truth == given).all(1).mean())}
    return results


def _learners(train: Sequence[SceneCase], test: Sequence[SceneCase]) -> dict[str, np.ndarray]:
    labels = np.array([case.actions for case in train])
    if train[0].flags is None:
        words = TfidfVectorizer()
        seen, asked = (
            words.fit_transform([case.sentence for case in train]),
            words.transform([case.sentence for case in test]),
        )
        return {"TF-IDF, logistic regression": _each(seen, labels, asked)}
    names = sorted({flag for case in train for flag in case.flags or ()})
    seen, asked = (
        np.array([[name in (case.flags or ()) for name in names] for case in cases], dtype=float)
        for cases in (train, test)
    )
    tree = DecisionTreeClassifier(random_state=0).fit(seen, labels)
    return {"decision tree": tree.predict(asked), "logistic regression": _each(seen, labels, asked)}


def _each(seen: object, labels: np.ndarray, asked: object) -> np.ndarray:
    models = (LogisticRegression(max_iter=1000).fit(seen, labels[:, column]) for column in range(labels.shape[1]))
    return np.stack([model.predict(asked) for model in models], 1)


if __name__ == "__main__":
    main()
