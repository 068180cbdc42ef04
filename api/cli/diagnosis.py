"""`evigraph diagnose`, `evaluate diagnosis` and `train diagnosis`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.common import Json, err, print_json, with_service
from kg.errors import InputError

if TYPE_CHECKING:
    from reasoning.diagnosis.query import Query


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(diagnose)
    for name, command, text in (
        ("evaluate", evaluate, "Measure an answer's quality on cases whose truth is known."),
        ("train", train, "Train what answers are made with."),
    ):
        group = typer.Typer(no_args_is_help=True, help=text)
        group.callback()(_group)
        group.command("diagnosis")(command)
        app.add_typer(group, name=name)


def _group() -> None:
    """Keeps the group's only command a command of its own name."""


def diagnose(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A Phenopacket; options replace what it says.")] = None,
    present: Annotated[
        list[str] | None, typer.Option(metavar="HP:…", help="Finding; repeat, or join by commas.")
    ] = None,
    excluded: Annotated[
        list[str] | None, typer.Option(metavar="HP:…", help="Finding that was looked for and is not there.")
    ] = None,
    onset: Annotated[str | None, typer.Option(help="HPO onset term, or age such as P3Y6M.")] = None,
    age: Annotated[str | None, typer.Option(help="Age such as P3Y6M.")] = None,
    sex: Annotated[str | None, typer.Option(help="FEMALE or MALE.")] = None,
    gene: Annotated[list[str] | None, typer.Option(help="Candidate gene, by symbol or id.")] = None,
    without_genes: Annotated[bool, typer.Option("--without-genes", help="Leave out the Phenopacket's genes.")] = False,
    inheritance: Annotated[
        list[str] | None, typer.Option(metavar="HP:…", help="Mode of inheritance that the family suggests.")
    ] = None,
    catalogue: Annotated[str | None, typer.Option(help="OMIM, ORPHA or DECIPHER; ranks its diseases alone.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many diseases to explain.")] = 10,
    json: Json = False,
) -> None:
    """Ranks diseases for a patient's findings, with the evidence and what to ask next."""
    given: dict[str, Any] = {
        "present": _split(present),
        "excluded": _split(excluded),
        "onset": onset,
        "age": age,
        "sex": sex and sex.upper(),
        "genes": () if without_genes else _split(gene),
        "inheritance": _split(inheritance),
        "catalogue": catalogue and catalogue.upper(),
        "limit": limit,
    }
    if file is None and not (present or excluded or gene):
        raise InputError("give a Phenopacket, or findings by --present HP:…")
    query = _query(file, {name: value for name, value in given.items() if value is not None})
    with err().status("Reading the graph …"):
        answer = with_service(context, lambda service: service.with_reasoner(lambda reasoner: reasoner.diagnose(query)))
    if json:
        print_json(answer)
    else:
        from api.cli.diagnosis_report import print_report

        print_report(answer)


def _split(items: Sequence[str] | None) -> tuple[str, ...] | None:
    if items is None:
        return None
    return tuple(part.strip() for item in items for part in item.split(",") if part.strip())


def _query(file: Path | None, given: dict[str, Any]) -> Query:
    from reasoning.diagnosis.query import Query

    if file is None:
        return Query(**given, places={"genes": "--gene"})
    from api.phenopacket import case_of_file, query_of

    base = query_of(case_of_file(file), f"{file}: ")
    places = {place: name for place, name in base.places.items() if place.partition("[")[0] not in given}
    return replace(base, **given, places=places)


# ---- evaluate, train


def evaluate(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="Phenopackets: a file, a folder, a .tar.xz.")],
    json: Json = False,
) -> None:
    """Ranks cases whose diagnosis is known, and says how often it comes first."""


def train(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="Phenopackets: a file, a folder, a .tar.xz.")],
    out_: Annotated[Path, typer.Option("--out", help="Folder for the ranker.")],
) -> None:
    """Trains a ranker on cases whose diagnosis is known."""
