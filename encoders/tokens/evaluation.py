"""How well tags are told: by tag, as scikit-learn reports it, and by whole entity, as conlleval does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from encoders.tokens.conll import Sentence, tags_of

_MEANS = {"micro": "micro avg", "macro": "macro avg", "weighted": "weighted avg"}


def tag_report(truth: Sequence[Sequence[str]], told: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Precision, recall, F1 and support of each tag with `O`, their means, and F1 of whole entities by `seqeval`.

    Args:
        truth: tags of each sentence.
        told: as many, of as many words each.

    Returns:
        `micro`, `macro`, `weighted`: each `precision recall f1`; `labels`: the same and `support` by tag;
        `span_f1`, `spans` (by type), `tokens`, `sentences`.
    """
    from seqeval.metrics import classification_report as of_spans
    from sklearn.metrics import classification_report

    flat_truth, flat_told = list(chain.from_iterable(truth)), list(chain.from_iterable(told))
    labels = tags_of([Sentence((), tuple(flat_truth)), Sentence((), tuple(flat_told))])
    report = classification_report(flat_truth, flat_told, labels=labels, output_dict=True, zero_division=0)
    if "micro avg" not in report:  # scikit-learn calls it accuracy where all labels are listed
        report["micro avg"] = dict.fromkeys(("precision", "recall", "f1-score"), report["accuracy"])
    whole = of_spans([list(one) for one in truth], [list(one) for one in told], output_dict=True, zero_division=0)
    kinds = {name: _figures(of) for name, of in whole.items() if not name.endswith(" avg")}
    return {
        **{name: _figures(report[of]) for name, of in _MEANS.items()},
        "labels": {label: _figures(report[label]) for label in labels},
        "span_f1": float(whole["micro avg"]["f1-score"]) if kinds else 0.0,
        "spans": kinds,
        "tokens": len(flat_truth),
        "sentences": len(truth),
    }


def _figures(of: dict[str, float]) -> dict[str, float]:
    found = {"precision": float(of["precision"]), "recall": float(of["recall"]), "f1": float(of["f1-score"])}
    return found | ({"support": int(of["support"])} if "support" in of else {})
