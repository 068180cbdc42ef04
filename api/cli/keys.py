"""`evigraph keys`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.common import Json, err, out, print_json, settings_of, table

if TYPE_CHECKING:
    from api.keys import KeyRing


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    keys = typer.Typer(no_args_is_help=True, help="API keys.")
    keys.command()(create)
    keys.command("list")(list_keys)
    keys.command()(revoke)
    app.add_typer(keys, name="keys")


def _ring(context: typer.Context) -> KeyRing:
    from api.keys import KeyRing

    return KeyRing(settings_of(context).keys_path)


def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    role: Annotated[str, typer.Option(help="reader, writer or admin.")] = "reader",
    json: Json = False,
) -> None:
    """Makes a key and shows it, this once."""
    from api.keys import Role

    key, text = _ring(context).create(name, Role.of(role))
    if json:
        print_json({"id": key.id, "name": key.name, "role": key.role, "key": text})
    else:
        err().print(f"key {key.id} for {key.name}, role {key.role}; it is not shown again:")
        typer.echo(text)


def list_keys(context: typer.Context, json: Json = False) -> None:
    """Lists keys: ids, names, roles."""
    found = [{"id": k.id, "name": k.name, "role": k.role, "created": k.created} for k in _ring(context).keys()]  # noqa: SIM118 (no dict)
    if json:
        print_json(found)
        return
    rows = table("id", "name", "role", "created")
    for key in found:
        rows.add_row(key["id"], key["name"], key["role"], key["created"])
    out().print(rows if found else "no keys")


def revoke(
    context: typer.Context,
    id: Annotated[str, typer.Argument(help="Id of the key.")],  # noqa: A002
    json: Json = False,
) -> None:
    """Revokes a key at once."""
    key = _ring(context).revoke(id)
    if json:
        print_json({"id": key.id, "name": key.name, "role": key.role})
    else:
        out().print(f"key {key.id} of {key.name} is revoked")
