"""Search for the settings of a tagger's training, by short trainings (tree-structured Parzen estimator, optuna)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from encoders.progress import Progress
from encoders.tokens.conll import Sentence
from encoders.tokens.training import TaggerSettings, train_tagger
from kg.extras import needs_extra


def tune_tagger(
    sentences: Sequence[Sentence],
    valid: Sequence[Sentence],
    backbone: str,
    base: TaggerSettings,
    trials: int,
    progress: Progress = lambda _what, _done, _of: None,
) -> tuple[TaggerSettings, list[dict[str, Any]]]:
    """The best settings, and all that were tried with their F1 of entities.

    Args:
        sentences: to learn from.
        valid: to compare by; what is chosen is no measure of it.
        backbone: see `train_tagger`.
        base: settings that are not searched, and the seed.
        trials: trainings.
        progress: told as it goes.
    """
    with needs_extra("fusion", "tuning"):
        import optuna
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    tried: list[dict[str, Any]] = []

    def objective(trial: Any) -> float:  # noqa: ANN401 (of optuna)
        chosen = {
            "rate": trial.suggest_float("rate", 2e-5, 6e-4, log=True),
            "head_rate": trial.suggest_float("head_rate", 3e-4, 6e-3, log=True),
            "dropout": trial.suggest_float("dropout", 0.0, 0.4),
            "batch": trial.suggest_categorical("batch", [4, 8, 16]),
            "window": trial.suggest_categorical("window", [128, 192, 256]),
        }
        progress("Trials", trial.number, trials)
        tagger = train_tagger(sentences, valid, backbone, replace(base, **chosen))
        reached = max(row["span_f1"] for row in tagger.card["history"])
        tried.append({"settings": chosen, "span_f1": reached})
        return float(reached)

    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=base.seed))
    study.optimize(objective, n_trials=trials)
    return replace(base, **study.best_params), tried
