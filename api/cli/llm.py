"""`evigraph llm serve`: a language model on this machine."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from api.cli.common import err, group
from kg.errors import ConfigurationError

_HELP = "A language model on this machine, for those who have no server of one."


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group(app, "llm", _HELP).command("serve")(serve)


def serve(
    model: Annotated[Path, typer.Argument(help="GGUF file of a model, such as Qwen2.5-1.5B-Instruct.")],
    host: Annotated[str, typer.Option(help="Address to listen on; beyond loopback only with a key.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = 8080,
    context: Annotated[int, typer.Option(min=512, help="Tokens of prompt and answer of one call.")] = 4096,
    at_once: Annotated[int, typer.Option(min=1, max=64, help="Calls at once.")] = 2,
    threads: Annotated[int, typer.Option(min=0, help="For computing; 0: one a core.")] = 0,
    key: Annotated[
        str, typer.Option(envvar="EVIGRAPH_LLM_KEY", show_default=False, help="That clients must give.")
    ] = "",
) -> None:
    """Serves a model by OpenAI's protocol until it is stopped."""
    from api.settings import is_loopback
    from encoders.llm.server import start_server

    if not is_loopback(host) and not key:
        raise ConfigurationError("beyond loopback a key is needed: set EVIGRAPH_LLM_KEY")

    with err().status(f"Loading {model} …"):
        server = start_server(model, host=host, port=port, context=context, at_once=at_once, threads=threads, key=key)
    address = server.listening_address
    err().print(f"{model.name} answers at {address}/v1; EVIGRAPH_LLM_URL={address}/v1 uses it. Ctrl-C ends it.")
    done = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: done.set())
    done.wait()
