"""Learns the weights of experience from annotated scenes, by logistic regression."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import csr_matrix

from kg.errors import InputError
from reasoning.traffic.experience import (
    MANOEUVRES,
    Weights,
    concept_groups,
    concept_values,
    document_frequencies,
    word_spans,
)
from reasoning.traffic.rules import RuleBook
from reasoning.traffic.scene_cases import SceneCase
from reasoning.traffic.scene_evaluation import observe
from reasoning.traffic.sentence import SentenceReader

_THRESHOLD = {"concepts": 0.45, "words": 0.5}
"""From which probability on something is allowed: best for exact match at .5, for F1 at about half the F1 (Lipton et
al. 2014); chosen by cross-validation on the training parts of BDD-OIA and BDD-X."""
_RARE = 2
_STRENGTH = {"concepts": 1.0, "words": 5.0}


def train_concepts(book: RuleBook, cases: Sequence[SceneCase], data: str) -> Weights:
    """Weights of concepts.

    Raises:
        InputError: a case lacks flags or truth, or a flag has no concept.
    """
    groups, reader = concept_groups(book), SentenceReader(book)
    if any(case.flags is None for case in cases):
        raise InputError("weights of concepts are learned from flags, and these scenes are in words", data)
    rows = [concept_values(groups, observe(book, reader, case)) for case in cases]
    names = sorted({name for row in rows for name in row})
    return _fit("concepts", names, rows, np.ones(len(names)), cases, data)


def train_words(cases: Sequence[SceneCase], data: str) -> Weights:
    """Weights of one to three words in a row.

    Raises:
        InputError: a case lacks words or truth.
    """
    if any(case.flags is not None for case in cases):
        raise InputError("weights of words are learned from sentences, and these scenes are flags", data)
    counts = document_frequencies(case.sentence for case in cases)
    names = sorted(name for name, count in counts.items() if count >= _RARE)
    idf = {name: math.log((1 + len(cases)) / (1 + counts[name])) + 1.0 for name in names}
    rows = []
    for case in cases:
        found = {name: len(spans) for name, spans in word_spans(case.sentence).items() if name in idf}
        values = {name: (1.0 + math.log(count)) * idf[name] for name, count in found.items()}
        length = math.sqrt(sum(value * value for value in values.values())) or 1.0
        rows.append({name: value / length for name, value in values.items()})
    return _fit("words", names, rows, np.array([idf[name] for name in names]), cases, data)


def _fit(
    kind: str,
    names: Sequence[str],
    rows: Sequence[Mapping[str, float]],
    idf: np.ndarray,
    cases: Sequence[SceneCase],
    data: str,
) -> Weights:
    from sklearn.linear_model import LogisticRegression

    truth = []
    for case in cases:
        if case.actions is None:
            raise InputError("the truth is missing: `actions`", case.place)
        truth.append(case.actions)
    labels = np.array(truth)
    for column, manoeuvre in enumerate(MANOEUVRES):
        if len(set(labels[:, column])) < 2:
            raise InputError(f"nothing to learn of {manoeuvre}: it is always {labels[0, column]}", data)
    index = {name: column for column, name in enumerate(names)}
    entries = [(number, index[name], value) for number, row in enumerate(rows) for name, value in row.items()]
    at, columns, values = zip(*entries, strict=True)
    matrix = csr_matrix((values, (at, columns)), shape=(len(rows), len(names)))
    models = [
        LogisticRegression(C=_STRENGTH[kind], solver="liblinear", max_iter=500).fit(matrix, labels[:, column])
        for column in range(len(MANOEUVRES))
    ]
    card = {"data": data, "scenes": len(cases), "kind": kind, "method": f"logistic regression, L2, C={_STRENGTH[kind]}"}
    weights = np.stack([model.coef_[0] for model in models], 1)
    return Weights(names, weights, np.array([model.intercept_[0] for model in models]), idf, _THRESHOLD[kind], card, "")
