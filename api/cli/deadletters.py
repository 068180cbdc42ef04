"""`evigraph deadletters`: what was refused, why, and once more."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Annotated

import typer

from api.cli.common import Json, err, group, out, print_json, settings_of, table, with_service
from api.errors import EXIT_PARTIAL
from kg.errors import NotFoundError


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
    json: Json = False,
) -> None:
    """Lists documents with refused records and why, or the letters of one document."""
    from ingestion.dead_letters import read_letters

    letters = list(dict.fromkeys(read_letters(settings_of(context).dead_letters)))
    if document is not None:
        found = [letter for letter in letters if letter.document == document][:limit]
        if json:
            print_json([asdict(letter) for letter in found])
            return
        rows = table("number", "place", "reason")
        for letter in found:
            rows.add_row(str(letter.number), letter.place, letter.reason)
        out().print(rows if found else "no dead letters")
        return
    counts = Counter((letter.document, letter.reason) for letter in letters).most_common(limit)
    if json:
        print_json([{"document": d, "reason": r, "letters": many} for (d, r), many in counts])
        return
    rows = table("document", "letters", "reason")
    for (id_, reason), many in counts:
        rows.add_row(id_, f"{many:,}", reason)
    out().print(rows if counts else "no dead letters")


def show(
    context: typer.Context,
    document: Annotated[str, typer.Argument(help="Id of the document.")],
    number: Annotated[int, typer.Argument(min=0, help="Number of the record in it.")],
    json: Json = False,
) -> None:
    """Shows one dead letter whole.

    Raises:
        NotFoundError: there is none.
    """
    from ingestion.dead_letters import read_letters

    for letter in read_letters(settings_of(context).dead_letters):
        if (letter.document, letter.number) == (document, number):
            if json:
                print_json(asdict(letter))
            else:
                out().print("\n".join(f"{name}: {value}" for name, value in asdict(letter).items()))
            return
    raise NotFoundError(f"no dead letter {number} of {document!r}")


def replay(
    context: typer.Context,
    documents: Annotated[list[str] | None, typer.Argument(help="Ids of documents; none tries all.")] = None,
    json: Json = False,
) -> None:
    """Tries refused records again; those that are accepted now are written, and their letters go."""
    from ingestion.replay import replay as try_again

    settings = settings_of(context)
    report = with_service(
        context,
        lambda service: try_again(service.store, settings.dead_letters, documents or (), uploads=settings.uploads),
    )
    if json:
        print_json(asdict(report))
    else:
        out().print(
            f"{report.written:,} written, {report.refused:,} refused again, {len(report.left):,} documents left"
        )
        for id_, reason in report.left:
            err().print(f"  {id_}: {reason}")
    if report.refused or report.left:
        raise typer.Exit(EXIT_PARTIAL)
