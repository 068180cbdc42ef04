"""`evigraph serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.common import settings_of


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(serve)


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address; beyond loopback only with a key.")] = None,
    port: Annotated[int | None, typer.Option(help="Port.")] = None,
) -> None:
    """Serves the HTTP API until it is stopped."""
    import socket

    import uvicorn

    from api.app import create_app
    from api.logs import configure_logging

    settings = settings_of(context, host=host, port=port)
    configure_logging(settings)
    app = create_app(settings)

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # These end first: those who follow them would otherwise keep their connection, and the server, open.
            app.state.service.end_live()
            await app.state.jobs.stop()
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )
    server = Server(config)
    typer.echo(f"Evigraph listens on http://{settings.host}:{settings.port} (stop with Ctrl-C)", err=True)
    server.run()
    if not server.started:
        raise typer.Exit(1)
