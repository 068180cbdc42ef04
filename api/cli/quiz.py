"""`evigraph quiz`, `train quiz` and `evaluate quiz`: is a statement of driving theory true, and what says so."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.common import EVALUATE, TRAIN, Json, err, group, out, print_json, table

if TYPE_CHECKING:
    from reasoning.traffic.theory_evaluation import TheoryPart

Statements = Annotated[
    Path,
    typer.Argument(help="JSON lines with category, topic, statement, answer; img where a sign is shown."),
]
WeightsFile = Annotated[
    Path | None, typer.Option("--weights", help="File that `train quiz` wrote. Default: the shipped weights.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("quiz")(quiz)
    group(app, "evaluate", EVALUATE).command("quiz")(evaluate)
    group(app, "train", TRAIN).command("quiz")(train)


def quiz(
    statement: Annotated[str, typer.Argument(help="In Italian.")],
    topic: Annotated[
        str, typer.Option(help="What it is about: category.topic, such as segnali-pericolo.dosso, or a category.")
    ],
    weights: WeightsFile = None,
    json: Json = False,
) -> None:
    """Says whether a statement of Italian driving theory is true, with the sentences and articles that say so."""
    from reasoning.traffic.theory_judge import SHIPPED, TheoryJudge

    answer = TheoryJudge.load(weights or SHIPPED).judge(statement, topic)
    if json:
        print_json(asdict(answer))
        return
    how = "the graph's knowledge" if answer.from_graph else "the model"
    verdict = "True" if answer.true else "False"
    out().print(f"{verdict}, by {how} (model's probability that it is true: {answer.probability:.2f})", highlight=False)
    shown = table("", "of", "", "likeness", "article")
    for cited in answer.citations:
        speaks = "for" if cited.supports else "against"
        text = cited.sentence if cited.holds else f"false: {cited.sentence}"
        shown.add_row(speaks, cited.name, text, f"{cited.likeness:.2f}", "; ".join(cited.articles))
    out().print(shown)


def train(
    path: Statements,
    target: Annotated[Path, typer.Option("--out", help="File for the weights.")],
    name: Annotated[str | None, typer.Option(help="What the weights' card calls the data.")] = None,
) -> None:
    """Learns from statements whose truth is known how to weigh likeness to the knowledge, and wording."""
    from reasoning.traffic.theory import load_theory
    from reasoning.traffic.theory_evaluation import read_statements
    from reasoning.traffic.theory_judge import train_theory

    statements = read_statements(path)
    with err().status(f"Learning from {len(statements):,} statements …"):
        learned = train_theory(load_theory(), statements, name or path.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    learned.save(target)
    out().print(f"Learned from {len(statements):,} statements: {target}")


def evaluate(path: Statements, weights: WeightsFile = None, json: Json = False) -> None:
    """Judges statements whose truth is known. Those that the weights were learned from flatter them."""
    from reasoning.traffic.theory_evaluation import evaluate_theory, read_statements
    from reasoning.traffic.theory_judge import SHIPPED, TheoryJudge

    statements = read_statements(path)
    with err().status(f"Judging {len(statements):,} statements …"):
        report = evaluate_theory(TheoryJudge.load(weights or SHIPPED), statements)
    if json:
        print_json(
            {**asdict(report.whole), "signs": report.signs, "rest": report.rest, "categories": report.categories}
        )
        return
    shown = table("", "n", "accuracy", "answered from the graph", "accuracy there", "accuracy of the model")
    for what, part in (("all", report.whole), ("with a picture", report.signs), ("without", report.rest)):
        shown.add_row(what, *_row(part))
    for category, part in report.categories.items():
        shown.add_row(category, *_row(part))
    out().print(shown)


def _row(part: TheoryPart) -> list[str]:
    shares = (part.accuracy, part.from_graph, part.accuracy_from_graph, part.accuracy_of_model)
    return [f"{part.n:,}", *(f"{value:.3f}" for value in shares)]
