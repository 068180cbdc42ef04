"""`evigraph train text`: vectors of texts that know what the graph's concepts are called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.cli.common import TRAIN, Json, Progress, group, make_folder, out, print_json, table, with_service
from kg.extras import needs_extra


def register(app: typer.Typer) -> None:
    """Adds the command."""
    group(app, "train", TRAIN).command("text")(train)


def train(
    context: typer.Context,
    folder: Annotated[Path, typer.Option("--out", help="Folder for the model; made if it is not there.")],
    model: Annotated[
        str | None, typer.Option(help="To begin with: a folder, or a hub's name. Default: all-MiniLM-L6-v2.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over all concepts, at most.")] = 3,
    batch: Annotated[int, typer.Option(min=2, help="Pairs of names that are compared at once.")] = 64,
    rate: Annotated[float, typer.Option(help="Greatest learning rate.")] = 5e-5,
    seed: Annotated[int, typer.Option(help="The same seed and names give the same model.")] = 0,
    json: Json = False,
) -> None:
    """Trains vectors of texts on the names and synonyms of the graph's concepts; a stopped run goes on when repeated.

    Of a tenth of the concepts a synonym is held out, to tell how often the nearest name is one of its concept's.
    """
    from ingestion.extraction.concepts import vocabulary

    with needs_extra("models", "models that train"):
        from encoders.backbone import default_backbone
        from encoders.text_training import TextTrainingSettings, train_text
    make_folder(folder)
    names, _ = with_service(context, lambda service: vocabulary(service.store, service.store.ontology))
    settings = TextTrainingSettings(epochs, batch=batch, rate=rate, seed=seed)
    with Progress() as progress:
        encoder = train_text(names, model or default_backbone(), settings, progress, folder / "checkpoint")
    encoder.save(folder)
    if json:
        print_json(encoder.card)
        return
    rows = table("epoch", "nearest", "among ten", "MRR", "s")
    for row in encoder.card["history"]:
        figures = (f"{row[name]:.3f}" for name in ("hits1", "hits10", "mrr"))
        rows.add_row(str(row["epoch"]), *figures, f"{row['seconds']:.0f}")
    out().print(rows)
    out().print(f"the model of epoch {encoder.card['best_epoch']} is in {folder}; EVIGRAPH_TEXT_MODEL={folder} uses it")
