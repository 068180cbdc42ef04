"""`evigraph evaluate links` and `train links`: missing links, on files of facts."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.common import EVALUATE, TRAIN, Json, Weights, err, group, out, print_json, table
from kg.errors import InputError

if TYPE_CHECKING:
    from rich.progress import Progress

    from encoders.graph.ranking import RankMetrics, Scorer
    from encoders.graph.triples import Triples


class By(StrEnum):
    """What ranks: the link predictor, or one of the ways that it is compared with."""

    ultra = "ultra"
    complex = "complex"
    rotate = "rotate"
    degree = "degree"


Facts = Annotated[Path, typer.Option("--graph", help="The graph: head, relation and tail a line, between tabs.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group(app, "evaluate", EVALUATE).command("links")(evaluate)
    group(app, "train", TRAIN).command("links")(train)


def evaluate(
    graph: Facts,
    test: Annotated[Path, typer.Option(help="Facts to find, in the same form.")],
    weights: Weights = None,
    known: Annotated[
        list[Path] | None, typer.Option(help="Further facts that are not to count as wrong answers.")
    ] = None,
    by: Annotated[
        By, typer.Option(help="The link predictor, ComplEx or RotatE trained on this graph first, or mere degree.")
    ] = By.ultra,
    json: Json = False,
) -> None:
    """Ranks the tail and the head of each hidden fact among all entities of a graph that the model need not know."""
    from rich.progress import Progress

    from encoders.graph.evaluation import evaluate_links
    from encoders.graph.predictor import load_predictor
    from encoders.graph.triple_files import read_triples

    if weights is not None and by is not By.ultra:
        raise InputError(f"--by {by} has no weights", "weights")
    facts, hidden, *others = read_triples([graph, test, *(known or ())])
    with Progress(console=err(), transient=True) as progress:
        if by is By.ultra:
            model = load_predictor(weights)
            task = progress.add_task("Ranking", total=2 * len(hidden))
            found = evaluate_links(model, facts, hidden, others, lambda done: progress.update(task, completed=done))
        else:
            found = _compared(by, facts, hidden, others, progress)
    _print(asdict(found), json=json)


def _compared(by: By, facts: Triples, hidden: Triples, known: list[Triples], progress: Progress) -> RankMetrics:
    from encoders.graph.factorisation import FactorisationSettings, fit_factorisation
    from encoders.graph.neighbours import Degree
    from encoders.graph.ranking import RankMetrics, filtered_ranks

    if by is By.degree:
        score: Scorer = Degree(facts)
    else:
        settings = FactorisationSettings()
        task = progress.add_task("Training", total=settings.epochs)
        score = fit_factorisation(by, facts, settings, report=lambda now: progress.update(task, completed=now.number))
    return RankMetrics.of(filtered_ranks(score, hidden, [facts, *known], batch=64))


def train(
    graph: Facts,
    valid: Annotated[Path, typer.Option(help="Facts of the same graph, to tell when to stop.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder for the weights and their card.")],
    weights: Weights = None,
    steps: Annotated[int, typer.Option(min=1, help="At most so many.")] = 1000,
    batch: Annotated[int, typer.Option(min=1, help="Facts asked for in a step.")] = 8,
    negatives: Annotated[int, typer.Option(min=1, help="Wrong answers drawn for each.")] = 128,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 5e-4,
    every: Annotated[int, typer.Option(min=1, help="Steps between two validations.")] = 100,
    patience: Annotated[int, typer.Option(min=1, help="Validations without a better one before the end.")] = 5,
    ranked: Annotated[int, typer.Option(min=1, help="Facts of --valid that a validation ranks.")] = 500,
    seed: Annotated[int, typer.Option(help="The same seed and files give the same weights.")] = 0,
    json: Json = False,
) -> None:
    """Fine-tunes the link predictor on a graph; a training that was cut off goes on where it was."""
    from rich.progress import Progress

    from encoders.graph import training
    from encoders.graph.predictor import load_predictor
    from encoders.graph.triple_files import read_triples

    settings = training.TrainingSettings(
        steps=steps, batch=batch, negatives=negatives, rate=rate, every=every, patience=patience, seed=seed
    )
    facts, hidden = read_triples([graph, valid])
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"can't be made: {error.strerror}", str(folder)) from error
    with training.process_group(), Progress(console=err(), transient=True) as progress:
        model = load_predictor(weights)
        task = progress.add_task("Training", total=steps)

        def report(now: training.TrainingProgress) -> None:
            progress.update(task, completed=now.step)
            progress.print(f"step {now.step:,}: loss {now.loss:.4f}, MRR {now.mrr:.4f} (best {now.best:.4f})")

        card = training.fine_tune(model, facts, hidden, settings, folder, ranked=ranked, report=report)
    _print(card, json=json)


def _print(result: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(result)
        return
    rows = table("what", "value")
    for name, value in result.items():
        rows.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    out().print(rows)
