"""`evigraph stream`: messages of a broker into the graph, until it is stopped."""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from typing import Annotated, Any

import typer

from api.cli.common import settings_of


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(stream)


def stream(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="nats://, kafka://, amqp://, redis:// or mqtt://HOST:PORT.")],
    topic: Annotated[str, typer.Argument(help="Topic, subject, queue or stream key.")],
    reader: Annotated[str, typer.Option(help="frigate, deepstream, onvif, claims, or any other reader.")] = "claims",
    group: Annotated[str, typer.Option(help="Name under which the broker keeps how far we are.")] = "evigraph",
    batch: Annotated[int, typer.Option(min=1, max=100_000, help="Messages in one transaction, at most.")] = 1000,
    buffer: Annotated[int, typer.Option(min=1, max=60_000, help="Messages that may wait here.")] = 4000,
    resend_s: Annotated[
        float, typer.Option(min=0.5, help="Seconds after which NATS and Redis send again what is not acknowledged.")
    ] = 10.0,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON lines: how it goes, every 10 s, and what was done at the end.")
    ] = False,
) -> None:
    """Loads messages from a broker until it is stopped; each message once in effect, whatever crashes."""
    import orjson

    from api.logs import configure_logging
    from api.service import Service
    from ingestion.stream import Consumer
    from ingestion.stream_brokers import open_feed

    settings = settings_of(context)
    configure_logging(settings)

    def tell(event: str, counts: dict[str, Any]) -> None:
        if json:
            typer.echo(orjson.dumps({"event": event} | counts))

    async def run() -> None:
        stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        feed = open_feed(url, topic, group=group, buffer=buffer, resend_s=resend_s)
        async with Service(settings) as service:
            consumer = Consumer(
                service.store,
                feed,
                reader,
                settings.dead_letters,
                batch=batch,
                buffer=buffer,
                told=partial(tell, "progress"),
            )
            report = await consumer.run(stop)
        tell("end", report.view())
        typer.echo(
            f"{report.messages:,} messages, {report.repeated:,} of them sent again; "
            f"{report.claims:,} claims, {report.refused:,} records refused",
            err=True,
        )

    asyncio.run(run())
