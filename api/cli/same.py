"""`evigraph same`: entities that may be one: proposed, reviewed, merged, and taken apart again."""

from __future__ import annotations

from getpass import getuser
from typing import Annotated

import typer

from api.cli.common import Json, out, print_json, table, with_service

By = Annotated[str | None, typer.Option(help="Who says so; the user of this machine unless it is said.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    same = typer.Typer(no_args_is_help=True, help="Entities that may be one.")
    same.command("list")(list_pairs)
    same.command()(find)
    same.command()(merge)
    same.command()(unmerge)
    same.command()(merges)
    same.command()(reject)
    app.add_typer(same, name="same")


def list_pairs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 100,
    offset: Annotated[int, typer.Option(min=0)] = 0,
    json: Json = False,
) -> None:
    """Lists pairs that may be one, the likeliest first."""
    found = with_service(context, lambda service: service.possibly_same(limit, offset))
    if json:
        print_json(found)
        return
    rows = table("belief", "entity", "name", "perhaps", "name")
    for column in rows.columns:
        column.overflow = "fold"  # ids are to be copied
    for pair in found:
        ends = (text for end in pair["entities"] for text in (end["id"], end["name"] or ""))
        rows.add_row(f"{pair['belief']:.3f}", *ends)
    out().print(rows if found else "nothing to review")


def find(
    context: typer.Context,
    class_: Annotated[str, typer.Argument(metavar="CLASS", help="Class of the entities, e.g. Patient.")],
    likely: Annotated[float, typer.Option(min=0.0, max=1.0, help="Probability from which a pair is proposed.")] = 0.5,
    json: Json = False,
) -> None:
    """Compares the entities of a class by their properties, and proposes those that may be one (extra `linkage`)."""
    many = with_service(context, lambda service: service.find_same(class_, likely))
    if json:
        print_json({"class": class_, "proposed": many})
    else:
        out().print(f"{many:,} pairs proposed; evigraph same list shows them" if many else "no two seem to be one")


def merge(
    context: typer.Context,
    entity: Annotated[str, typer.Argument(metavar="ID", help="Id of the entity that goes.")],
    into: Annotated[str, typer.Argument(metavar="INTO", help="Id of the one that stays.")],
    by: By = None,
    json: Json = False,
) -> None:
    """Says that two entities are one: all that is said of ID, now and later, is filed under INTO."""
    done = with_service(context, lambda service: service.merge(entity, into, by or getuser()))
    if json:
        print_json(done)
    else:
        out().print(f"{done.id} merged into {done.into}; evigraph same unmerge {done.id} takes it back")


def unmerge(
    context: typer.Context,
    entity: Annotated[str, typer.Argument(metavar="ID", help="Id of the entity that went.")],
    json: Json = False,
) -> None:
    """Takes a merge back: the graph is as if it had never been."""
    done = with_service(context, lambda service: service.unmerge(entity))
    if json:
        print_json(done)
    else:
        out().print(f"{done.id} is an entity of its own again")


def merges(context: typer.Context, json: Json = False) -> None:
    """Lists the merges in force, the latest first."""
    found = with_service(context, lambda service: service.merges())
    if json:
        print_json(found)
        return
    rows = table("entity", "into", "by", "at")
    for done in found:
        rows.add_row(done.id, done.into, done.by, done.at)
    out().print(rows if found else "nothing was merged")


def reject(
    context: typer.Context,
    entity: Annotated[str, typer.Argument(metavar="ID", help="Id of one entity.")],
    other: Annotated[str, typer.Argument(metavar="OTHER", help="Id of the other.")],
    by: By = None,
    json: Json = False,
) -> None:
    """Says that two entities are not one, so that they are not proposed again."""
    who = by or getuser()
    with_service(context, lambda service: service.reject_same(entity, other, who))
    if json:
        print_json({"id": entity, "other": other, "by": who})
    else:
        out().print(f"{entity} and {other} are different")
