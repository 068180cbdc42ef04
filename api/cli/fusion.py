"""`evigraph fuse …`, and `evaluate fusion`, `tune fusion`: how right fused answers are where the truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.common import EVALUATE, Json, err, group, out, print_json, table, with_service

if TYPE_CHECKING:
    from ingestion.fuse_evaluation import Conflicts

Answers = Annotated[
    Path, typer.Argument(help="CSV of question, worker, answer; or a folder of *_answers.csv and *_truths.csv.")
]
Truths = Annotated[Path | None, typer.Argument(help="CSV of question, truth.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    fuse = group(app, "fuse", "Bring together what sources say; a run can be taken back like a document.")
    fuse.command("reliability")(fuse_reliability)
    fuse.command("boxes")(fuse_boxes)
    group(app, "evaluate", EVALUATE).command("fusion")(evaluate)
    group(app, "tune", "Search for better settings on cases whose truth is known.").command("fusion")(tune)


def fuse_reliability(
    context: typer.Context,
    relation: Annotated[str, typer.Argument(help="Functional, or disjoint with another, e.g. HAS_BRAND.")],
    json: Json = False,
) -> None:
    """Learns how reliable sources are from their disagreements, and weighs all that they say by it."""
    from ingestion import fuse_graph

    with err().status("Learning …"):
        found = with_service(context, lambda service: fuse_graph.fuse_reliability(service.store, relation))
    if json:
        print_json({"document": f"fusion:{relation}", "sources": found})
        return
    rows = table("source", "reliability", "questions")
    for source, learned in found.items():
        rows.add_row(source, f"{learned['reliability']:.3f}", f"{learned['questions']:,}")
    out().print(rows)
    out().print(f"`evigraph sources retract fusion:{relation}` takes it back")


def fuse_boxes(
    context: typer.Context,
    medium: Annotated[str | None, typer.Option(help="Only this picture or video.")] = None,
    json: Json = False,
) -> None:
    """Fuses the boxes that several detectors have on the same pictures, and adds the fused ones as detections."""
    from ingestion import fuse_graph

    with err().status("Fusing …"):
        found = with_service(context, lambda service: fuse_graph.fuse_graph_boxes(service.store, medium))
    if json:
        print_json(found)
    else:
        out().print(f"{found['boxes']:,} boxes on {found['images']:,} images are {found['fused']:,} fused ones")
        if found["left_out"]:
            out().print(f"{found['left_out']:,} boxes can't be compared with others, and are left out")


def evaluate(answers: Answers, truths: Truths = None, json: Json = False) -> None:
    """Fuses labelled conflicts by every strategy, and says how often each is right."""
    from ingestion import fuse_evaluation

    found: dict[str, dict[str, Any]] = {}
    for conflicts in _read(answers, truths):
        with err().status(f"Fusing {conflicts.name} …"):
            found[conflicts.name] = fuse_evaluation.evaluate(conflicts)
    if json:
        print_json(found.popitem()[1] if truths is not None else fuse_evaluation.summary(found))
        return
    for name, result in found.items():
        rows = table("strategy", *next(iter(result["strategies"].values())))
        for strategy, scores in result["strategies"].items():
            rows.add_row(strategy, *(f"{value:.4f}" for value in scores.values()))
        out().print(f"{name}: {result['n']:,} questions, {result['answers']:,} answers, {result['workers']:,} workers")
        out().print(rows)


def tune(
    answers: Answers,
    truths: Truths = None,
    trials: Annotated[int, typer.Option(min=1, max=100_000, help="How many weightings to try.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed and files give the same weights.")] = 0,
    json: Json = False,
) -> None:
    """Searches weights for the strategies on half of the questions, and measures them on the rest."""
    from ingestion import fuse_evaluation

    found: dict[str, dict[str, Any]] = {}
    for conflicts in _read(answers, truths):
        with err().status(f"Tuning {conflicts.name} …"):
            found[conflicts.name] = fuse_evaluation.tune(conflicts, trials, seed)
    if json:
        print_json(found.popitem()[1] if truths is not None else {"sets": found})
        return
    for name, result in found.items():
        measure = next(iter(result["rest"]["tuned"]))
        rows = table(measure, *(f"{part} ({many:,} questions)" for part, many in result["n"].items()))
        for which in ("best", "tuned"):
            rows.add_row(which, *(f"{result[part][which][measure]:.4f}" for part in result["n"]))
        weights = ", ".join(f"{strategy} {weight:.2f}" for strategy, weight in result["weights"].items())
        out().print(f"{name}: {weights}")
        out().print(rows)


def _read(answers: Path, truths: Path | None) -> list[Conflicts]:
    from ingestion.fuse_evaluation import read_conflicts

    return read_conflicts(answers, truths)
