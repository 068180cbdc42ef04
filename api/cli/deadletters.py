"""`evigraph deadletters`: what was refused, why, and once more."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from api.cli.common import Json, err, group, out, print_json, settings_of, table, with_service
from api.errors import EXIT_PARTIAL


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    commands = group(app, "deadletters", "Records that were refused: list them, look at one, try them again.")
    commands.command("list")(list_letters)
    commands.command("show")(show)
    commands.command("replay")(replay)


def list_letters(
    context: typer.Context,
    document: Annotated[str | None, typer.Option(help="Only of this document; then each of its letters.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 100,
    offset: Annotated[int, typer.Option(min=0)] = 0,
    json: Json = False,
) -> None:
    """Lists documents with refused records and why, or the letters of one document."""
    from ingestion.dead_letters import count_letters
    from ingestion.dead_letters import list_letters as letters_of

    path = settings_of(context).dead_letters
    if document is not None:
        found = letters_of(path, document, limit, offset)
        if json:
            print_json([{"id": letter.id} | asdict(letter) for letter in found])
            return
        rows = table("id", "number", "place", "reason")
        for letter in found:
            rows.add_row(letter.id, str(letter.number), letter.place, letter.reason)
        out().print(rows if found else "no dead letters")
        return
    counts = count_letters(path, limit, offset)
    if json:
        print_json([{"document": id_, "reason": reason, "letters": many} for id_, reason, many in counts])
        return
    rows = table("document", "letters", "reason")
    for id_, reason, many in counts:
        rows.add_row(id_, f"{many:,}", reason)
    out().print(rows if counts else "no dead letters")


def show(
    context: typer.Context,
    letter: Annotated[str, typer.Argument(metavar="ID", help="Id of the letter, as `list --document` shows it.")],
    json: Json = False,
) -> None:
    """Shows one dead letter whole."""
    from ingestion.dead_letters import find_letter

    found = asdict(find_letter(settings_of(context).dead_letters, letter))
    if json:
        print_json({"id": letter} | found)
    else:
        out().print("\n".join(f"{name}: {value}" for name, value in found.items()))


def replay(
    context: typer.Context,
    documents: Annotated[list[str] | None, typer.Argument(help="Ids of documents; none tries all.")] = None,
    json: Json = False,
) -> None:
    """Tries refused records again; those that are accepted now are written, and their letters go."""
    report = with_service(context, lambda service: service.replay(documents or ()))
    if json:
        print_json(report.view())
    else:
        out().print(
            f"{report.written:,} written, {report.refused:,} refused again, {len(report.left):,} documents left"
        )
        for id_, reason in report.left:
            err().print(f"  {id_}: {reason}")
    if report.refused or report.left:
        raise typer.Exit(EXIT_PARTIAL)
