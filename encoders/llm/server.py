"""A server of a language model on this machine, by llama.cpp as `xllamacpp` packs it; it speaks OpenAI's protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kg.errors import ConfigurationError, InputError
from kg.extras import needs_extra


def start_server(model: Path, *, host: str, port: int, context: int, at_once: int, threads: int, key: str = "") -> Any:  # noqa: ANN401
    """Starts it in threads of this process; the server has a `listening_address`, and ends when it is forgotten.

    Args:
        model: GGUF file.
        host: to listen on.
        port: to listen on; 0: any.
        context: tokens of prompt and answer of one call.
        at_once: calls at once.
        threads: for computing; 0: as many as there are cores.
        key: that clients must give; empty: none.

    Raises:
        InputError: the file is no model.
        ConfigurationError: the address can't be listened on.
    """
    with needs_extra("llm", "serving a language model"):
        import xllamacpp

    try:
        with model.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise InputError("is no GGUF file", str(model))
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", str(model)) from error
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(model)
    parameters.hostnames, parameters.port = [host], port
    parameters.n_ctx, parameters.n_parallel = context * at_once, at_once
    if threads:
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    if key:
        parameters.api_keys = [key]
    try:
        return xllamacpp.Server(parameters)
    except (RuntimeError, ValueError) as error:
        raise ConfigurationError(f"{host}:{port}: the model can't be served: {error}") from error
