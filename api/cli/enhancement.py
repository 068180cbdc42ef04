"""`evigraph enhance`: predicts missing links of a domain, and writes them into the graph."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.common import Json, Weights, err, out, print_json, table, with_service
from encoders.graph.enhancement_settings import DEFAULT_WAY, EnhancementSettings
from kg.errors import InputError

if TYPE_CHECKING:
    from api.service import Service
    from encoders.graph.enhance_graph import Enhanced


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("enhance")(enhance)


def enhance(
    context: typer.Context,
    domain: Annotated[str, typer.Argument(help="Domain of the ontology, e.g. medical.")],
    relations: Annotated[
        str,
        typer.Option(
            help="Relations to predict, joined by commas: the objects of each subject; after ^ subjects of each object."
        ),
    ],
    by: Annotated[
        str,
        typer.Option(
            help="Way to predict: neighbours (the links of those most alike), joined (trees learn how much neighbours "
            "of several sorts are worth), or ultra (a graph neural network: slow without a GPU)."
        ),
    ] = DEFAULT_WAY,
    top_k: Annotated[int, typer.Option(min=1, max=1000, help="Predictions an entity and relation, at most.")] = 5,
    min_belief: Annotated[float, typer.Option(min=0, max=1, help="Belief below which nothing is written.")] = 0.5,
    paths: Annotated[int, typer.Option(min=0, max=20, help="Paths kept with each prediction, to say why.")] = 3,
    only_changed: Annotated[
        bool,
        typer.Option(
            "--only-changed",
            help="Ask only what has changed since the last such run, and keep what that said of the others.",
        ),
    ] = False,
    weights: Weights = None,
    seed: Annotated[int, typer.Option(help="The same seed and graph give the same predictions.")] = 0,
    json: Json = False,
) -> None:
    """Predicts links that the graph does not have, and writes them as facts that answers mark as predicted."""
    from rich.progress import Progress

    asked = tuple(dict.fromkeys(name.strip() for name in relations.split(",") if name.strip()))
    if weights is not None and by != "ultra":
        raise InputError("only --by ultra predicts by weights", "weights")
    settings = EnhancementSettings(asked, top_k, min_belief, paths=paths, seed=seed, by=by, only_changed=only_changed)
    with Progress(console=err(), transient=True) as progress:
        tasks = {}

        def report(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what)
            progress.update(tasks[what], completed=done, total=of)

        async def work(service: Service) -> Enhanced:
            return await service.enhance(domain, settings, weights, report)

        done = with_service(context, work)
    if json:
        print_json(asdict(done))
        return
    rows = table("relation", "asked", "written", "hidden facts asked for", "found", "ECE", "precision")
    for name, many in done.written.items():
        of = done.calibration[name]
        precision = "" if of["precision"] is None else f"{of['precision']:.3f}"
        asked_of = f"{done.asked[name]:,}"
        rows.add_row(
            name, asked_of, f"{many:,}", f"{of['hidden']:,}", f"{of['found']:.3f}", f"{of['ece']:.3f}", precision
        )
    out().print(rows)
    out().print(f"`evigraph sources retract {done.source}` takes it back")
