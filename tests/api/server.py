"""Starts the real server, in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import httpx


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A running `evigraph serve`."""

    def __init__(self, graph: str, data: Path, settings: Mapping[str, str]) -> None:
        self.port = _free_port()
        self.log = data / "serve.log"
        data.mkdir(parents=True, exist_ok=True)
        fixed = {"EVIGRAPH_GRAPH": graph, "EVIGRAPH_DATA": str(data), "EVIGRAPH_LOG_FORMAT": "json"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).with_name("evigraph")), "serve", "--port", str(self.port)],
                env=os.environ | fixed | dict(settings),
                stderr=log,
            )
        self.url = f"http://127.0.0.1:{self.port}"

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/v1/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.25)
        raise AssertionError(self.log.read_text())


@contextmanager
def serving(graph: str, data: Path, settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[Server]:
    """A server that is ready, with more settings, if need be; it is killed afterwards, if it still runs."""
    server = Server(graph, data, settings)
    try:
        server.wait_ready()
        yield server
    finally:
        server.process.kill()
        server.process.wait()
