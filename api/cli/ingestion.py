"""`evigraph ingest` and `evigraph readers`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from api.cli.common import Json, err, out, print_json, table, with_service
from api.errors import EXIT_PARTIAL
from kg.errors import InputError

if TYPE_CHECKING:
    from api.service import Service
    from ingestion.pipeline import IngestionReport

_SHOWN_LETTERS = 5


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(ingest)
    app.command()(readers)


def ingest(
    context: typer.Context,
    reader: Annotated[str, typer.Argument(help="Name of a reader, see `evigraph readers`.")],
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files or folders; none takes the reader's own data.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Stands for the path's own name in document ids.")] = None,
    json: Json = False,
) -> None:
    """Loads files into the graph. What is there is skipped; a run that was stopped goes on when started again."""
    if name is not None and paths and len(paths) > 1:
        raise InputError("takes one path at a time", "--name")

    async def work(service: Service) -> list[IngestionReport]:
        from ingestion.progress import show_progress

        reports = []
        for path in paths or [None]:
            before = _size(service.settings.dead_letters)
            with show_progress(err()) as show:
                report = await service.ingest(reader, path, name, show)
            reports.append(report)
            if report.failed:
                _show_letters(report, before)
        return reports

    reports = with_service(context, work)
    if json:
        from api.jobs import report_view

        views = [report_view(report) for report in reports]
        print_json(views if len(views) > 1 else views[0])
    else:
        for report in reports:
            out().print(_summary(report))
    if any(report.failed for report in reports):
        raise typer.Exit(EXIT_PARTIAL)


def _summary(report: IngestionReport) -> str:
    parts = [
        f"{report.loaded:,} documents loaded",
        f"{report.skipped:,} there already",
        f"{report.claims:,} claims in {report.seconds:.1f} s ({report.rate:,.0f}/s)",
        f"{report.entities:,} entities and {report.facts:,} facts created or changed",
    ]
    if report.changed:
        parts.insert(2, f"{report.changed:,} of them loaded anew")
    return f"{report.reader}: {', '.join(parts)}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _show_letters(report: IngestionReport, before: int) -> None:
    """The first of the records that this run refused."""
    console = err()
    console.print(
        f"{report.rejected:,} records refused, {report.failed_documents:,} documents not read to their end; "
        f"all of them are in {report.dead_letters}"
    )
    with report.dead_letters.open("rb") as file:
        file.seek(before)
        lines = [line for line in file.read(1 << 20).splitlines() if line]
    for line in lines[:_SHOWN_LETTERS]:
        letter = orjson.loads(line)
        place = f"{letter['file']}:{letter['place']}" if letter["place"] else letter["file"]
        console.print(f"  {place}: {letter['reason']}")
    if len(lines) > _SHOWN_LETTERS:
        console.print("  …")


def readers(json: Json = False) -> None:
    """Lists the formats that can be read."""
    from api.service import Service

    found = Service.readers()
    if json:
        print_json(found)
        return
    rows = table("name", "extensions", "example")
    for reader in found:
        rows.add_row(reader["name"], " ".join(reader["extensions"]), reader["example"])
    out().print(rows)
