"""`evigraph push`: claims as JSON, from a file or stdin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.common import Json, err, out, print_json, settings_of, with_service
from api.errors import EXIT_PARTIAL
from kg.errors import InputError

if TYPE_CHECKING:
    from api.service import Service
    from ingestion.claims import ClaimsMessage

_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(push)


def push(
    context: typer.Context,
    file: Annotated[str, typer.Argument(help="JSON or JSON lines; - for stdin.")],
    json: Json = False,
) -> None:
    """Writes messages of claims as `POST /v1/claims` does; what is there already is not written again."""
    letters = settings_of(context).dead_letters
    messages = _messages(file)

    async def work(service: Service) -> list[dict[str, Any]]:
        from ingestion.push import Pusher

        pusher = Pusher(service.store, letters)
        return [(await pusher.push(message)).view() for message in messages]

    views = with_service(context, work)
    refused = [item | {"document": view["document"]} for view in views for item in view["refused"]]
    if json:
        print_json(views if len(views) != 1 else views[0])
    else:
        written = sum(view["claims"] for view in views if not view["repeated"])
        repeated = sum(view["repeated"] for view in views)
        out().print(f"{len(views):,} messages, {repeated:,} there already; {written:,} claims written")
        for item in refused[:_SHOWN]:
            err().print(f"  {item['document']}:{item['place']}: {item['reason']}")
    if refused:
        if not json:
            err().print(f"{len(refused):,} records refused; all of them are in {letters}")
        raise typer.Exit(EXIT_PARTIAL)


def _messages(file: str) -> list[ClaimsMessage]:
    """One JSON text, or one in each line."""
    from ingestion.claims import parse

    try:
        text = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", file) from error
    lines = [(f"{file}:L{number}", line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    try:
        return [_message(parse(text), file)]
    except InputError as error:
        if len(lines) < 2 or error.place:
            raise
    found = []
    for place, line in lines:
        try:
            found.append(_message(parse(line), place))
        except InputError as error:
            raise InputError(error.reason, error.place or place) from error
    return found


def _message(value: Any, place: str) -> ClaimsMessage:  # noqa: ANN401 (any JSON)
    from pydantic import ValidationError

    from ingestion.claims import ClaimsMessage

    if isinstance(value, dict) and "subject" in value:
        value = {"claims": [value]}  # one claim by itself
    try:
        return ClaimsMessage.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)[0]
        raise InputError(f"{'.'.join(map(str, found['loc']))}: {found['msg']}", place) from error
