"""The process behind the embedded store: ArcadeDB with its Bolt plugin on loopback, until its last client has gone.

Started by `kg.embedded`, as `python -m kg.embedded_server FOLDER HEAP`; see there for the locks.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from arcadedb_embedded.server import ArcadeDBServer

from kg.embedded import DATABASE

_LINGER_S = 5.0
"""How long the server outlives its last client, so that a row of commands does not start it again each time."""
_POLL_S = 0.2
_TIME_LIMIT = re.compile(r"/\* at most (\d+) ms \*/")
"""Begins a query that must not run longer; see `ArcadeDialect.timed`. ArcadeDB ignores the limit that Bolt sends."""


def serve(folder: Path, heap: str) -> None:
    """Runs the server in the foreground until no client is left, or SIGTERM or SIGINT comes."""
    lock = os.open(folder / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"{folder}: another server runs here")
    bolt, http = _ports(folder)
    server = ArcadeDBServer(
        root_path=str(folder / "arcadedb"),
        root_password=(folder / "password").read_text(),
        config={
            "mode": "development",  # else it conceals why a query failed from its only clients: us
            "opencypher_loadCsv_allowFileUrls": False,
            "opencypher_loadCsv_allowRemoteUrls": False,
            "host": "127.0.0.1",
            "http_port": str(http),
            "server_plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
            "bolt_port": bolt,
            "bolt_defaultDatabase": DATABASE,
            "txWalFlush": 1,
            "server_metrics": False,
        },
        jvm_kwargs={"heap_size": heap},
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server.start()
    clients = os.open(folder / "clients.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        server.create_database(DATABASE)  # opens it if it is there
        text = json.dumps({"bolt": bolt, "http": http, "pid": os.getpid()})
        (folder / "endpoint.part").write_text(text)
        (folder / "endpoint.part").rename(folder / "endpoint.json")
        running = server._java_server.getRunningQueries()
        _watch(clients, stop, running)
    finally:
        (folder / "endpoint.json").unlink(missing_ok=True)
        server.stop()


def _watch(clients: int, stop: threading.Event, running: Any) -> None:  # noqa: ANN401 (a Java object)
    """Stops queries beyond their time, until nobody has held the clients' lock for a while; then holds the lock."""
    idle_since = time.monotonic()
    while not stop.wait(_POLL_S):
        _stop_overdue(running)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(clients, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.monotonic() - idle_since > _LINGER_S:
                return  # newcomers wait for the end
            fcntl.flock(clients, fcntl.LOCK_UN)
            continue
        idle_since = time.monotonic()


def _stop_overdue(running: Any) -> None:  # noqa: ANN401
    for query in running.getRunning():
        limit = _TIME_LIMIT.match(str(query.getText()))
        if limit and query.getElapsedMillis() > int(limit[1]):
            query.terminate("time limit")


def _ports(folder: Path) -> tuple[int, int]:
    """Bolt and HTTP ports of the last run if they are free, so that drivers find a revived server, else new ones."""
    remembered = folder / "ports.json"
    with contextlib.suppress(FileNotFoundError, ValueError):
        bolt, http = json.loads(remembered.read_text())
        if _free(bolt) and _free(http):
            return bolt, http
    ports = _free(0), _free(0)
    remembered.write_text(json.dumps(ports))
    return ports


def _free(port: int) -> int:
    """The port if it can be bound on loopback (any free one for 0), else 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2])
