"""`evigraph ingest` and `evigraph readers`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.common import Json, err, out, print_json, table, with_service
from api.errors import EXIT_PARTIAL
from kg.errors import InputError

if TYPE_CHECKING:
    from api.outcome import Outcome
    from api.service import Service

_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(ingest)
    app.command()(readers)


def ingest(
    context: typer.Context,
    reader: Annotated[
        str, typer.Argument(help="Name of a reader, see `evigraph readers`; left out, it is guessed from each path.")
    ],
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders; none takes the reader's own data.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Stands for the path's own name in document ids.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what would change; nothing is written.")
    ] = False,
    json: Json = False,
) -> None:
    """Loads files into the graph. What is there is skipped; a run that was stopped goes on when started again."""
    if name is not None and paths and len(paths) > 1:
        raise InputError("takes one path at a time", "--name")

    todo = _todo(reader, paths or [])

    async def work(service: Service) -> list[Outcome]:
        from ingestion.progress import show_progress

        outcomes = []
        for known, path in todo:
            with show_progress(err()) as show:
                outcome = await service.ingest(known, path, name, show, dry_run=dry_run)
            outcomes.append(outcome)
            _warn(outcome)
        return outcomes

    outcomes = with_service(context, work)
    if json:
        views = [outcome.view() for outcome in outcomes]
        print_json(views if len(views) > 1 else views[0])
    else:
        for outcome in outcomes:
            out().print(("dry run, nothing is written: " if dry_run else "") + _summary(outcome))
            for note in outcome.notes:
                out().print(note)
    if any(outcome.report.failed for outcome in outcomes):
        raise typer.Exit(EXIT_PARTIAL)


def _todo(reader: str, paths: list[Path]) -> list[tuple[str, Path | None]]:
    """(reader, path) of each; what stands in the reader's place and is a path makes all readers a guess."""
    from ingestion.guess import guess_reader
    from ingestion.readers.base import READERS

    if reader not in READERS and Path(reader).exists():
        return [(guess_reader(path), path) for path in (Path(reader), *paths)]
    return [(reader, path) for path in paths] or [(reader, None)]


def _summary(outcome: Outcome) -> str:
    report = outcome.report
    parts = [
        f"{report.loaded:,} documents loaded",
        f"{report.skipped:,} there already",
        f"{report.claims:,} claims in {report.seconds:.1f} s ({report.rate:,.0f}/s)",
        f"{report.entities:,} entities and {report.facts:,} facts created or changed",
    ]
    if report.changed:
        parts.insert(
            2, f"{report.changed:,} had changed: {report.retracted:,} entities and facts taken back or replaced"
        )
    return f"{report.reader}: {', '.join(parts)}"


def _warn(outcome: Outcome) -> None:
    report = outcome.report
    if not report.failed:
        return
    console = err()
    console.print(
        f"{report.rejected:,} records refused, {report.failed_documents:,} documents not read to their end; "
        f"all of them are in {report.dead_letters}"
    )
    for document, place, reason in outcome.refused[:_SHOWN]:
        console.print(f"  {document}{f':{place}' if place else ''}: {reason}")
    if len(outcome.refused) > _SHOWN:
        console.print("  …")


def readers(json: Json = False) -> None:
    """Lists the formats that can be read."""
    from api.service import Service

    found = Service.readers()
    if json:
        print_json(found)
        return
    rows = table("name", "what", "extensions", "example")
    for reader in found:
        rows.add_row(reader["name"], reader["description"], " ".join(reader["extensions"]), reader["example"])
    out().print(rows)
