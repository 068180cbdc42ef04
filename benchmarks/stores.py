"""The two databases that benchmarks run on, each on a fresh graph, and how to kill them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kg.dialect import ArcadeDialect, Dialect, Neo4jDialect
from kg.embedded import USER, EmbeddedServer
from kg.ontology import Ontology
from kg.store import GraphStore, open_store
from tests.support.neo4j_server import Neo4jServer

STORES = ("embedded", "neo4j")


@dataclass(frozen=True)
class Database:
    """One running database.

    Attributes:
        kill: ends the server as a power cut would, and starts it again where it does not do so by itself.
        bolt: (URI, user, password) of now.
    """

    name: str
    url: str
    password: str | None
    dialect: Dialect
    kill: Callable[[], None]
    bolt: Callable[[], tuple[str, str, str]]

    async def open(self) -> GraphStore:
        """The graph in it."""
        return await open_store(self.url, Ontology.load(), password=self.password)


@contextlib.contextmanager
def database(name: str, *, apoc: bool = False) -> Iterator[Database]:
    """A database of one kind in a temporary folder, empty; `apoc` gives Neo4j that plugin."""
    with tempfile.TemporaryDirectory(prefix=f"evigraph-{name}-") as folder:
        if name == "neo4j":
            with Neo4jServer(Path(folder), apoc=apoc) as server:
                access = (server.uri, server.user, server.password)

                def crash() -> None:
                    server.kill()
                    server.start()

                yield Database(name, server.uri, server.password, Neo4jDialect(), crash, lambda: access)
            return
        held = EmbeddedServer(Path(folder))
        held.connect()

        def bolt() -> tuple[str, str, str]:
            now = held.connect()
            return now.bolt, USER, now.password

        def kill() -> None:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it is down already
                os.kill(json.loads((Path(folder) / "endpoint.json").read_text())["pid"], signal.SIGKILL)

        try:
            yield Database(name, f"embedded:{folder}", None, ArcadeDialect(), kill, bolt)
        finally:
            pid = held.connect().pid
            held.close()
            os.kill(pid, signal.SIGTERM)
            _wait_for_end(pid)


def _wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
