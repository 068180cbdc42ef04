"""`evigraph train tokens`, `evaluate ner` and `tune tokens`: taggers of named entities."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from api.cli.common import EVALUATE, TRAIN, Json, Progress, group, make_folder, out, print_json, table
from kg.errors import InputError
from kg.extras import needs_extra

TUNE = "Search for the settings of a training."
_WHAT = "models that train and tag"


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group(app, "train", TRAIN).command("tokens")(train)
    group(app, "evaluate", EVALUATE).command("ner")(evaluate)
    group(app, "tune", TUNE).command("tokens")(tune)


def train(
    train_: Annotated[Path, typer.Option("--train", help="CoNLL lines to learn from: token, tag, and anything.")],
    valid: Annotated[Path, typer.Option(help="More of them, to tell when to stop.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder for the tagger; made if it is not there.")],
    backbone: Annotated[
        str | None, typer.Option(help="Transformer: a folder, or a hub's name. Default: all-MiniLM-L6-v2.")
    ] = None,
    method: Annotated[str, typer.Option(help="`full`, `lora`, or `head` alone.")] = "full",
    epochs: Annotated[int, typer.Option(min=1, help="Passes over all sentences, at most.")] = 12,
    patience: Annotated[int, typer.Option(min=1, help="Epochs without gain after which to stop.")] = 4,
    batch: Annotated[int, typer.Option(min=1, help="Windows of a step.")] = 8,
    rate: Annotated[float | None, typer.Option(help="Greatest learning rate of the transformer.")] = None,
    language: Annotated[str, typer.Option(help="Of the texts, e.g. en or zh; for how they are split in words.")] = "en",
    seed: Annotated[int, typer.Option(help="The same seed and sentences give the same tagger.")] = 0,
    json: Json = False,
) -> None:
    """Trains a tagger of named entities; a run that was stopped goes on when started again with the same folder."""
    from encoders.tokens.conll import read_conll, tags_of

    learned = read_conll(train_)
    judged = read_conll(valid, tags_of(learned))
    with needs_extra("models", _WHAT):
        from encoders.backbone import default_backbone
        from encoders.tokens.tagger import check_language
        from encoders.tokens.training import METHODS, TaggerSettings, train_tagger
    if method not in METHODS:
        raise InputError(f"{method!r} is none of {', '.join(METHODS)}", "--method")
    check_language(language, "--language")
    settings = TaggerSettings(method, epochs, patience, batch, language=language, seed=seed)
    if rate is not None:
        settings = replace(settings, rate=rate)
    make_folder(folder)
    with Progress() as progress:
        tagger = train_tagger(
            learned, judged, backbone or default_backbone(), settings, progress, checkpoint=folder / "checkpoint"
        )
    tagger.save(folder)
    card = tagger.card
    if json:
        print_json(card)
        return
    rows = table("epoch", "span F1", "micro F1", "macro F1", "s")
    for row in card["history"]:
        rows.add_row(
            str(row["epoch"]), *(f"{row[name]:.4f}" for name in ("span_f1", "micro", "macro")), f"{row['seconds']:.0f}"
        )
    out().print(rows)
    out().print(
        f"a tagger of {len(card['tags']):,} tags, {card['trained']:,} of {card['parameters']:,} numbers trained, "
        f"is in {folder}; EVIGRAPH_TAGGER={folder} uses it"
    )


def evaluate(
    path: Annotated[Path, typer.Argument(help="CoNLL lines whose tags are known.")],
    model: Annotated[Path, typer.Option(help="Folder of a tagger that `train tokens` made.")],
    json: Json = False,
) -> None:
    """Tags sentences whose tags are known: precision, recall and F1 by tag with O, their means, and by entity."""
    from encoders.tokens.conll import read_conll

    with needs_extra("models", _WHAT):
        from encoders.tokens.evaluation import tag_report
        from encoders.tokens.tagger import TokenTagger
    sentences = read_conll(path)
    tagger = TokenTagger.load(model)
    report = tag_report([one.tags for one in sentences], tagger.tag(sentences))
    if json:
        print_json(report)
        return
    rows = table("tag", "precision", "recall", "F1", "support")
    for name, of in {**report["labels"], **{name: report[name] for name in ("micro", "macro", "weighted")}}.items():
        numbers = (f"{of[figure]:.4f}" for figure in ("precision", "recall", "f1"))
        rows.add_row(name, *numbers, f"{of.get('support', report['tokens']):,}")
    out().print(rows)
    out().print(f"whole entities: F1 {report['span_f1']:.4f}")


def tune(
    train_: Annotated[Path, typer.Option("--train", help="CoNLL lines to learn from.")],
    valid: Annotated[Path, typer.Option(help="More of them, by which settings are compared.")],
    backbone: Annotated[
        str | None, typer.Option(help="Transformer: a folder, or a hub's name. Default: all-MiniLM-L6-v2.")
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Trainings.")] = 20,
    epochs: Annotated[int, typer.Option(min=1, help="Of each.")] = 3,
    sentences: Annotated[int, typer.Option(min=10, help="That each learns from, the first ones.")] = 3000,
    seed: Annotated[int, typer.Option(help="Of the search and of each training.")] = 0,
    json: Json = False,
) -> None:
    """Searches for learning rates, batch, dropout and window by short trainings (TPE of optuna)."""
    from encoders.tokens.conll import read_conll, tags_of

    learned = read_conll(train_)
    judged = read_conll(valid, tags_of(learned))
    with needs_extra("models", _WHAT):
        from encoders.backbone import default_backbone
        from encoders.tokens.training import TaggerSettings
        from encoders.tokens.tuning import tune_tagger
    base = TaggerSettings(epochs=epochs, seed=seed)
    with Progress() as progress:
        best, tried = tune_tagger(learned[:sentences], judged, backbone or default_backbone(), base, trials, progress)
    if json:
        print_json({"best": asdict(best), "trials": tried})
        return
    rows = table("span F1", "settings")
    for one in sorted(tried, key=lambda trial: -trial["span_f1"]):
        rows.add_row(
            f"{one['span_f1']:.4f}", ", ".join(f"{name} {value:.3g}" for name, value in one["settings"].items())
        )
    out().print(rows)
