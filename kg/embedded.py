"""The embedded store: one ArcadeDB server a data folder, shared by all processes that use the folder.

The server is a process of its own (`kg/embedded_server.py`), so that neither a crash nor a garbage collection of the
one disturbs the other. File locks decide who starts it and when it ends, and the operating system releases them
whatever kills a process:

* `server.lock`  held by the running server;
* `start.lock`   held by the client that looks for, or starts, the server;
* `clients.lock` held, shared, by every client: when nobody holds it any more, the server stops.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kg.errors import StoreUnavailableError

DATABASE = "evigraph"
USER = "root"
_START_TIMEOUT_S = 90.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the embedded server of a folder listens, on loopback, and its password."""

    bolt: str
    http: str
    password: str
    pid: int


class EmbeddedServer:
    """A client's hold on the embedded server of one data folder; the server lives while somebody holds it.

    Args:
        folder: data folder; made if it is not there, readable by its owner only.
        heap: memory limit of the database's JVM, e.g. `2g`.
    """

    def __init__(self, folder: Path, heap: str = "2g") -> None:
        self.folder = folder.resolve()
        self._heap = heap
        self._lease: int | None = None

    def connect(self) -> Endpoint:
        """Joins the running server, or starts one. May be called again: it revives a server that died.

        Raises:
            StoreUnavailableError: the folder can't be used, or the server does not start.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._lease is None:
                self._lease = os.open(self.folder / "clients.lock", os.O_RDWR | os.O_CREAT, 0o600)
                fcntl.flock(self._lease, fcntl.LOCK_SH)
            with _locked(self.folder / "start.lock"):
                return self._join() or self._start()
        except OSError as error:
            raise StoreUnavailableError(f"embedded store {self.folder}: {error}") from error

    def close(self) -> None:
        """Lets go; the server stops by itself once nobody holds it."""
        if self._lease is not None:
            os.close(self._lease)
            self._lease = None

    def sql(self, command: str) -> None:
        """Runs one SQL command of ArcadeDB: what its Cypher lacks (full-text and vector indexes).

        Raises:
            StoreUnavailableError: the server refuses it or is not there.
        """
        endpoint = self.connect()
        request = urllib.request.Request(  # noqa: S310 (a loopback address that we made)
            f"{endpoint.http}/api/v1/command/{DATABASE}",
            data=json.dumps({"language": "sql", "command": command}).encode(),
            headers={"Content-Type": "application/json", "Authorization": _basic(USER, endpoint.password)},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                response.read()
        except urllib.error.HTTPError as error:
            raise StoreUnavailableError(f"embedded store refused {command!r}: {error.read().decode()}") from error
        except OSError as error:
            raise StoreUnavailableError(f"embedded store: {error}") from error

    def _join(self) -> Endpoint | None:
        if not _is_locked(self.folder / "server.lock"):
            return None
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
                endpoint = _read_endpoint(self.folder)
                if _listens(endpoint.bolt):  # else it is just being killed, and its lock will be free in a moment
                    return endpoint
            if not _is_locked(self.folder / "server.lock"):
                return None
            time.sleep(0.05)
        raise StoreUnavailableError(f"embedded store {self.folder}: a server holds the folder but does not answer")

    def _start(self) -> Endpoint:
        (self.folder / "endpoint.json").unlink(missing_ok=True)
        password = self.folder / "password"
        if not password.exists():
            with os.fdopen(os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(secrets.token_urlsafe(24))
        log = self.folder / "server.log"
        with log.open("ab") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "kg.embedded_server", str(self.folder), self._heap],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                cwd=self.folder,  # ArcadeDB writes its log below the working directory
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
                return _read_endpoint(self.folder)
            if process.poll() is not None:
                break
            time.sleep(0.05)
        raise StoreUnavailableError(f"embedded store {self.folder}: the server did not start, see {log}")


def _read_endpoint(folder: Path) -> Endpoint:
    data = json.loads((folder / "endpoint.json").read_text())
    return Endpoint(
        bolt=f"bolt://127.0.0.1:{data['bolt']}",
        http=f"http://127.0.0.1:{data['http']}",
        password=(folder / "password").read_text(),
        pid=data["pid"],
    )


def _listens(bolt: str) -> bool:
    host, _, port = bolt.removeprefix("bolt://").partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1.0).close()
    except OSError:
        return False
    return True


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _is_locked(path: Path) -> bool:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
