"""`evigraph conflicts`: where sources contradict each other."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.common import Json, out, print_json, table, with_service


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(conflicts)


def conflicts(
    context: typer.Context,
    relation: Annotated[
        str | None, typer.Option(metavar="RELATION", help="Only conflicts that this relation has a part in.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    offset: Annotated[int, typer.Option(min=0)] = 0,
    json: Json = False,
) -> None:
    """Shows what can't be true together, how far each side is believed, and who says so."""
    found = with_service(context, lambda service: service.conflicts(relation, limit, offset))
    if json:
        print_json(found)
        return
    rows = table("subject", "says", "belief", "sources")
    for conflict in found:
        subject = conflict["subject"]
        shown = f"{subject['id']} {subject['name'] or ''}".strip()
        for fact in conflict.get("facts", ()):
            object_ = f"{fact['relation']} {fact['object']['id']} {fact['object']['name'] or ''}".strip()
            rows.add_row(shown, object_, f"{fact['belief']:.3f}", ", ".join(fact["sources"]))
            shown = ""
        for said in conflict.get("classes", ()):
            rows.add_row(shown, f"is a {said['class']}", "", ", ".join(said["sources"]))
            shown = ""
    out().print(rows if found else "no conflicts")
