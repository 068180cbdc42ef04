"""`evigraph sources` and `evigraph runs`: who says what, how far it is trusted, and taking it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.common import Json, err, group, out, print_json, table, with_service

if TYPE_CHECKING:
    from kg.store import Retraction


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    commands = group(app, "sources", "Who says something: list, trust, quarantine, retract.")
    commands.command("list")(list_sources)
    commands.command("retract")(retract)
    commands.command("trust")(trust)
    commands.command("quarantine")(quarantine)
    commands.command("release")(release)
    runs = group(app, "runs", "Ingestion runs, as the ledger has them: list, retract.")
    runs.command("list")(list_runs)
    runs.command("retract")(retract_runs)


def list_sources(
    context: typer.Context,
    kind: Annotated[str | None, typer.Option(help="Only of this kind, e.g. publication.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 1000,
    offset: Annotated[int, typer.Option(min=0)] = 0,
    json: Json = False,
) -> None:
    """Lists sources by id."""
    found = with_service(context, lambda service: service.sources(kind, limit, offset))
    if json:
        print_json(found)
        return
    rows = table("id", "kind", "name", "reliability", "")
    for source in found:
        note = "quarantined" if source["quarantined"] else "" if source["trust"] is None else "as trusted"
        rows.add_row(source["id"], source["kind"], source["name"] or "", f"{source['reliability']:g}", note)
    out().print(rows if found else "no sources")


def retract(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="Id of a source or document.")],
    json: Json = False,
) -> None:
    """Takes back all that a source, or a document, says."""
    done = with_service(context, lambda service: service.retract(source))
    if json:
        print_json(done)
    else:
        out().print(f"{source} retracted: {done.entities:,} entities and {done.facts:,} facts removed or changed")


def trust(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="Id of a source.")],
    level: Annotated[float, typer.Argument(min=0.0, max=1.0, help="Chance that what it is sure of is true.")],
    json: Json = False,
) -> None:
    """Says how far a source is trusted, instead of its own reliability; one in quarantine stays there."""
    done = with_service(context, lambda service: service.trust(source, level=level))
    _print(done, f"{source} trusted by {level:g}", json=json)


def quarantine(
    context: typer.Context, source: Annotated[str, typer.Argument(help="Id of a source.")], json: Json = False
) -> None:
    """Keeps what a source says, but does not count it until it is released."""
    done = with_service(context, lambda service: service.trust(source, quarantined=True))
    _print(done, f"{source} quarantined", json=json)


def release(
    context: typer.Context, source: Annotated[str, typer.Argument(help="Id of a source.")], json: Json = False
) -> None:
    """Counts what a source says again, as far as it was trusted before."""
    done = with_service(context, lambda service: service.trust(source, quarantined=False))
    _print(done, f"{source} released", json=json)


def _print(done: Retraction, text: str, *, json: bool) -> None:
    if json:
        print_json(done)
    else:
        out().print(f"{text}: {done.entities:,} entities and {done.facts:,} facts weighed anew")


def list_runs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1)] = 1000,
    offset: Annotated[int, typer.Option(min=0)] = 0,
    json: Json = False,
) -> None:
    """Lists runs whose documents are in the graph, the latest first."""
    found = with_service(context, lambda service: service.runs(limit, offset))
    if json:
        print_json(found)
        return
    rows = table("run", "ended", "documents", "records", "readers")
    for run in found:
        rows.add_row(run["run"], run["at"], f"{run['documents']:,}", f"{run['records']:,}", " ".join(run["readers"]))
    out().print(rows if found else "no runs")


def retract_runs(
    context: typer.Context,
    run: Annotated[str | None, typer.Argument(help="Id of a run.")] = None,
    since: Annotated[str | None, typer.Option(help="Documents written at or after this time, ISO 8601.")] = None,
    until: Annotated[str | None, typer.Option(help="Documents written before this time, ISO 8601.")] = None,
    json: Json = False,
) -> None:
    """Takes back the documents of a run, or of a time; streams only by `sources retract`."""
    done, streams = with_service(context, lambda service: service.retract_runs(run, since, until))
    if json:
        print_json(done)
    else:
        out().print(f"{len(done):,} documents retracted")
        for document in done:
            out().print(f"  {document}")
    for document in streams:
        err().print(f"{document} is left: it is of other times, too; `evigraph sources retract {document}` takes all")
