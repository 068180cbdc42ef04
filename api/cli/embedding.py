"""`evigraph embed` and `similar`: embeddings of a domain's entities, and what is like an entity."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.common import Json, Progress, out, print_json, table, with_service

if TYPE_CHECKING:
    from api.service import Service


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("embed")(embed)
    app.command("index-names")(index_names)
    app.command("similar")(similar)


def embed(
    context: typer.Context,
    domain: Annotated[str, typer.Argument(help="Domain of the ontology, e.g. medical.")],
    anew: Annotated[
        bool, typer.Option("--anew", help="Count anew how rare words are; all vectors change then.")
    ] = False,
    json: Json = False,
) -> None:
    """Gives every entity of a domain its embedding; run again, it writes what is new or has changed."""
    with Progress() as progress:
        done = with_service(context, lambda service: service.embed(domain, progress, anew=anew))
    if json:
        print_json(asdict(done))
        return
    rows = table("what", "value")
    for name, value in asdict(done).items():
        rows.add_row(name, f"{value:,}" if isinstance(value, int) else str(value))
    out().print(rows)


def index_names(
    context: typer.Context,
    anew: Annotated[bool, typer.Option("--anew", help="Read all names, not only those that have changed.")] = False,
    json: Json = False,
) -> None:
    """Gives every named entity the vector of its names, for search by meaning; set EVIGRAPH_TEXT_MODEL."""
    with Progress() as progress:
        done = with_service(context, lambda service: service.meaning.index(service.store, progress, anew=anew))
    if json:
        print_json(asdict(done))
    else:
        out().print(f"{done.entities:,} entities have vectors of {done.model}, as of version {done.graph_version:,}")


def similar(
    context: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="ID", help="Of an entity.")],
    label: Annotated[list[str] | None, typer.Option(help="Only entities of these classes.")] = None,
    domain: Annotated[str | None, typer.Option(help="Of these embeddings.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 10,
    json: Json = False,
) -> None:
    """Shows the entities whose embeddings are most like one's; a new entity gets its embedding now."""

    async def work(service: Service) -> dict[str, Any]:
        return await service.similar(id_, limit, label, domain)

    found = with_service(context, work)
    if json:
        print_json(found)
        return
    rows = table("id", "name", "class", "similarity")
    for one in found["results"]:
        rows.add_row(one["id"], one["name"], ", ".join(one["labels"]), f"{one['similarity']:.3f}")
    out().print(rows)
