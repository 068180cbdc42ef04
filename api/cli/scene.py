"""`evigraph scene`, `train scene` and `evaluate scene`: what a driver may do, and why."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.common import EVALUATE, TRAIN, Json, err, group, out, print_json, table
from kg.errors import InputError

if TYPE_CHECKING:
    from reasoning.traffic.scene_evaluation import Measured
    from reasoning.traffic.scenes import JudgedScene

Knowledge = Annotated[
    list[Path] | None, typer.Option(help="Turtle files or folders with further rules; may be given several times.")
]
WeightsFolder = Annotated[
    Path | None, typer.Option("--weights", help="Folder that `train scene` wrote. Default: the shipped weights.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("scene")(scene)
    app.command("describe")(describe)
    group(app, "evaluate", EVALUATE).command("scene")(evaluate)
    group(app, "train", TRAIN).command("scene")(train)


def describe(
    picture: Annotated[Path, typer.Argument(help="A picture.")],
    caption: Annotated[str, typer.Option(help="English words beside it: a caption, a report.")] = "",
    detector: Annotated[
        str | None, typer.Option(help="Of the picture. Default: EVIGRAPH_DETECTOR.", envvar="EVIGRAPH_DETECTOR")
    ] = None,
    json: Json = False,
) -> None:
    """Describes a picture with its caption as facts, each from box, OCR or words."""
    from encoders.vision.load import load_reader

    if not detector:
        raise InputError("a detector is needed: --detector, or EVIGRAPH_DETECTOR")
    with err().status("Reading the picture …"):
        reader = load_reader(detector)
        from encoders.vision.description import describe as described
        from encoders.vision.pictures import read_picture

        facts = described(reader.encode([read_picture(picture)])[0], caption)
    if json:
        print_json(facts)
        return
    rows = table("what", "from", "belief")
    for fact in facts:
        rows.add_row(fact.text, " + ".join(fact.evidence), f"{fact.belief:.2f}")
    out().print(rows)


def scene(
    sentence: Annotated[str, typer.Argument(help="What is seen, in English or Chinese words.")] = "",
    flag: Annotated[
        list[str] | None, typer.Option(help="What is known to hold, such as `road is clear`; several times.")
    ] = None,
    detections: Annotated[
        Path | None,
        typer.Option(help="What a detector saw: a file of its format, or a list of label, confidence, box."),
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="What the camera sees, read by the detector and by OCR.")] = None,
    detector: Annotated[
        str | None, typer.Option(help="Of the picture. Default: EVIGRAPH_DETECTOR.", envvar="EVIGRAPH_DETECTOR")
    ] = None,
    language: Annotated[str, typer.Option(help="Of the instruction: en or zh.")] = "en",
    country: Annotated[str, typer.Option(help="ISO 3166 code, for its speed limit where no sign shows one.")] = "",
    road: Annotated[str, typer.Option(help="Kind of road, with the country: urban, rural or motorway.")] = "",
    knowledge: Knowledge = None,
    weights: WeightsFolder = None,
    json: Json = False,
) -> None:
    """Says what a driver may do in a scene, by which rules, on what evidence."""
    from api.pictures import boxes_of_picture
    from api.scene_boxes import boxes_of_file
    from encoders.vision.load import load_reader
    from reasoning.traffic.scenes import SceneJudge

    if not (sentence or flag or detections or picture):
        raise InputError("say what is seen: a sentence, --flag, --detections, or --picture")
    if picture and not detector:
        raise InputError("which model reads the picture? Name it, or set EVIGRAPH_DETECTOR", "--detector")
    judge = SceneJudge.load(knowledge or (), weights)
    boxes = boxes_of_file(detections) if detections else []
    if picture and detector:
        boxes += boxes_of_picture(load_reader(detector), picture)
    judged = judge.judge(flag or (), boxes, sentence, language, country, road)
    if json:
        print_json(asdict(judged))
    else:
        _print(judged)


def train(
    path: Annotated[Path, typer.Argument(help="Annotated scenes: BDD-OIA-shaped JSON, or BDD-X-shaped JSON lines.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder for the weights.")],
    name: Annotated[str | None, typer.Option(help="What the weights' card calls the data.")] = None,
    knowledge: Knowledge = None,
) -> None:
    """Learns from annotated scenes what drivers do: weights of concepts from flags, of words from sentences."""
    from reasoning.traffic.experience import SHIPPED
    from reasoning.traffic.experience_training import train_concepts, train_words
    from reasoning.traffic.rules import load_rules
    from reasoning.traffic.scene_cases import read_cases

    cases = read_cases(path)
    flagged = cases[0].flags is not None
    with err().status(f"Learning from {len(cases):,} scenes …"):
        data = name or path.name
        learned = train_concepts(load_rules(knowledge or ()), cases, data) if flagged else train_words(cases, data)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / SHIPPED["concepts" if flagged else "words"].name
    learned.save(target)
    out().print(f"{len(learned.names):,} weights from {len(cases):,} scenes: {target}")


def evaluate(
    path: Annotated[Path, typer.Argument(help="Annotated scenes: BDD-OIA-shaped JSON, or BDD-X-shaped JSON lines.")],
    knowledge: Knowledge = None,
    weights: WeightsFolder = None,
    json: Json = False,
) -> None:
    """Judges scenes whose actions are known, by the rules alone and with experience."""
    from reasoning.traffic.scene_cases import read_cases
    from reasoning.traffic.scene_evaluation import evaluate_scenes
    from reasoning.traffic.scenes import SceneJudge

    judge = SceneJudge.load(knowledge or (), weights)
    report = evaluate_scenes(judge.book, read_cases(path), judge.concepts, judge.words)
    if json:
        print_json({**asdict(report.joined), **asdict(report)})
        return
    shown = table("", "macro F1", "exact", *report.joined.per_action)
    for what, measured in (("with experience", report.joined), ("rules alone", report.rules_alone)):
        shown.add_row(what, *_row(measured))
    out().print(shown)
    out().print(f"{report.n:,} scenes, {report.ms_p50:.2f} ms each, p99 {report.ms_p99:.2f} ms")
    out().print(f"{report.chains_complete:.1%} of what rules say traces to a rule with article and to evidence,")
    out().print(f"{report.terms_complete:.1%} of what experience allows to something seen.")


def _row(measured: Measured) -> list[str]:
    return [f"{value:.3f}" for value in (measured.macro_f1, measured.exact, *measured.per_action.values())]


def _print(judged: JudgedScene) -> None:
    answer = judged.answer
    out().print(answer.instruction or f"No instruction: {answer.abstains}", highlight=False, markup=False)
    if answer.speed_limit is not None:
        limit = answer.speed_limit
        kmh = "none any more" if limit.kmh is None else f"{limit.kmh:g} km/h"
        articles = "; ".join(limit.articles)
        out().print(f"Speed limit: {kmh} ({limit.belief:.2f}; {articles})", highlight=False, markup=False)
    for number, seen in enumerate(answer.evidence, 1):
        out().print(f"  [{number}] {seen.kind}: {seen.shown} ({seen.confidence:.2f})", highlight=False, markup=False)
    shown = table("rule", "says", "by", "belief", "evidence")
    for rule in answer.rules:
        articles = "; ".join(rule.articles)
        shown.add_row(rule.name, ", ".join(rule.effects), articles, f"{rule.belief:.2f}", str(rule.evidence))
    if answer.rules:
        out().print(shown)
    for conflict in answer.conflicts:
        out().print(f"{conflict.prevails} over {conflict.yields}: {conflict.because}", highlight=False, markup=False)
    done = table("in scenes like this", "probability", "because")
    for one in judged.experience or judged.in_words:
        because = ", ".join(f"{term.seen} {term.weight:+.1f}" for term in one.because)
        done.add_row(one.manoeuvre.removeprefix("manoeuvre/"), f"{one.probability:.2f}", because)
    if done.row_count:
        out().print(done)
