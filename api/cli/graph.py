"""Commands that look into the graph: `search`, `cypher`, `status`, `digest`, `export rdf`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from api.cli.common import Json, err, out, print_json, table, with_service
from kg.errors import InputError

if TYPE_CHECKING:
    from api.service import Service


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(search)
    app.command()(cypher)
    app.command()(status)
    app.command()(digest)
    export = typer.Typer(no_args_is_help=True, help="Write the graph in other formats.")
    export.command("rdf")(export_rdf)
    app.add_typer(export, name="export")


def search(
    context: typer.Context,
    text: Annotated[list[str], typer.Argument(help="Id, name, synonym or words.")],
    label: Annotated[list[str] | None, typer.Option(help="Only this class; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    json: Json = False,
) -> None:
    """Finds entities."""
    found = with_service(context, lambda service: service.search(" ".join(text), label, limit))
    if json:
        print_json(found)
        return
    rows = table("id", "name", "class", "found by")
    for hit in found:
        classes = ", ".join(name for name in hit["labels"] if name != "Entity")
        rows.add_row(hit["id"], hit["name"] or "", classes, hit["match"])
    out().print(rows if found else "nothing found")


def cypher(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="A reading query.")],
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", "-p", help="NAME=VALUE, the value as JSON or text.")
    ] = None,
    json: Json = False,
) -> None:
    """Runs a reading Cypher query."""
    parameters = dict(_parameter(text) for text in parameter or [])
    answer = with_service(context, lambda service: service.cypher(query, parameters))
    if json:
        print_json(answer)
        return
    rows = answer["rows"]
    if not rows:
        out().print("no rows")
        return
    shown = table(*answer["columns"])
    for row in rows:
        shown.add_row(*(v if isinstance(v, str) else orjson.dumps(v).decode() for v in row))
    out().print(shown)
    if answer["truncated"]:
        err().print(answer["truncated"])


def _parameter(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise InputError("takes NAME=VALUE", f"--parameter {text}")
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value


def status(context: typer.Context, json: Json = False) -> None:
    """Shows what is in the graph."""

    async def work(service: Service) -> dict[str, Any]:
        return await service.status()

    found = with_service(context, work)
    if json:
        print_json(found)
        return
    rows = table("what", "count")
    for kind in ("entities", "facts"):
        for name, number in sorted(found[kind].items()):
            rows.add_row(name, f"{number:,}")
    rows.add_row("sources", f"{found['sources']:,}")
    rows.add_row("documents", f"{found['documents']:,}")
    out().print(f"{found['graph']} ({found['store']}), version {found['version']}")
    out().print(rows)


def digest(context: typer.Context, json: Json = False) -> None:
    """Prints one order-free hash of the whole content of the graph."""
    value = with_service(context, lambda service: service.digest())
    if json:
        print_json({"digest": value})
    else:
        typer.echo(value)


def export_rdf(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="File to write; .ttl is Turtle, .nq N-Quads.")],
    json: Json = False,
) -> None:
    """Writes the graph with its provenance as RDF."""
    done = with_service(context, lambda service: service.export_rdf(file))
    if json:
        print_json(done)
    else:
        out().print(f"{done['statements']:,} statements written to {file}")
