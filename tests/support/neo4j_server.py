"""A real Neo4j Community on loopback, from its Maven artifacts: for tests and benchmarks.

From Python, where `kill` and `restart` keep the data, the port and the password:

    with Neo4jServer() as server:
        driver = GraphDatabase.driver(server.uri, auth=(server.user, server.password))

From a shell, one that runs until Ctrl-C:

    python -m tests.support.neo4j_server --port 7687 --home /tmp/neo4j
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from xml.etree import ElementTree

from neo4j import GraphDatabase
from neo4j.exceptions import DriverError, Neo4jError

_POMS = Path(__file__).with_name("neo4j")
_START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 60.0
_OPENS = ("java.nio", "sun.nio.ch", "java.io", "java.util.concurrent", "java.lang")

_CONFIGURATION = """\
server.default_listen_address=127.0.0.1
server.bolt.listen_address=127.0.0.1:{port}
server.http.enabled=false
server.https.enabled=false
server.memory.pagecache.size={page_cache}
db.transaction.timeout=120s
db.transaction.monitor.check.interval=100ms
db.tx_log.preallocate=false
db.logs.query.enabled=OFF
dbms.usage_report.enabled=false
# a stop need not wait for more connections
internal.dbms.bolt.netty_server_shutdown_quiet_period=0
internal.server.bolt.thread_pool_shutdown_wait_time=1s
"""


_APOC = """\
server.directories.plugins={plugins}
dbms.security.procedures.unrestricted=apoc.*
"""


class Neo4jUnavailableError(RuntimeError):
    """Neo4j can't be fetched or started here; the text says why."""


class Neo4jServer:
    """One Neo4j server, its process and its data folder.

    Args:
        home: its folder, kept after the end; without it a temporary one, removed at the end.
        port: Bolt port on loopback, 0 for a free one.
        heap: size of the JVM's heap.
        page_cache: memory for pages of the store files.
        apoc: whether it has the APOC plugin.

    Raises:
        Neo4jUnavailableError: on entering, if Java or Maven is missing or fails, or the server does not start.
    """

    user = "neo4j"

    def __init__(
        self,
        home: Path | None = None,
        port: int = 0,
        heap: str = "1g",
        page_cache: str = "256m",
        *,
        apoc: bool = False,
    ) -> None:
        self._temporary = home is None
        self.home = (home or Path(tempfile.mkdtemp(prefix="evigraph-neo4j-"))).resolve()
        self.password = ""
        self.port = port
        self._heap = heap
        self._page_cache = page_cache
        self._apoc = apoc
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Where the driver connects; the same after a restart."""
        return f"bolt://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The server's process."""
        if self._process is None:
            raise Neo4jUnavailableError("Neo4j is not running")
        return self._process.pid

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def start(self) -> None:
        """Starts the server and returns once a driver is let in."""
        java, jars = _java(), f"{library()}/*"
        conf = self.home / "conf"
        for folder in (conf, self.home / "data", self.home / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or _free_port()
        configuration = _CONFIGURATION.format(port=self.port, page_cache=self._page_cache)
        if self._apoc:
            configuration += _APOC.format(plugins=library("apoc"))
            jars += f":{library('apoc')}/*"  # it is an extension of the server, too
        (conf / "neo4j.conf").write_text(configuration)
        self._set_password(java, jars)
        log = self.home / "logs" / "neo4j.log"
        log.unlink(missing_ok=True)
        with (self.home / "logs" / "console.log").open("wb") as console:
            self._process = subprocess.Popen(
                [
                    *(java, f"-Xms{self._heap}", f"-Xmx{self._heap}", "-XX:+UseG1GC", "-cp", jars),
                    *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENS),
                    "org.neo4j.server.CommunityEntryPoint",
                    *(f"--home-dir={self.home}", f"--config-dir={conf}"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        self._wait_until_ready(log)

    def stop(self) -> None:
        """Ends the server in order; does nothing if it does not run."""
        if self._process is None:
            return
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None

    def kill(self) -> None:
        """Ends the server as a power cut would."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Stops the server, if it still runs, and starts it on the same folder, port and password."""
        self.stop()
        self.start()

    def _set_password(self, java: str, jars: str) -> None:
        kept = self.home / "password"
        if kept.exists():
            self.password = kept.read_text()
            return
        self.password = secrets.token_urlsafe(16)
        command = "org.neo4j.server.startup.Neo4jAdminCommand"
        _run(
            # "--" since the password may begin with a dash
            [
                java,
                "-XX:TieredStopAtLevel=1",
                "-cp",
                jars,
                command,
                "dbms",
                "set-initial-password",
                "--",
                self.password,
            ],
            env=os.environ | {"NEO4J_HOME": str(self.home), "NEO4J_CONF": str(self.home / "conf")},
        )
        kept.touch(mode=0o600)
        kept.write_text(self.password)

    def _wait_until_ready(self, log: Path) -> None:
        process = self._process
        assert process is not None
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
            if log.exists() and "Started." in log.read_text():
                with (
                    contextlib.suppress(DriverError, Neo4jError),
                    GraphDatabase.driver(self.uri, auth=(self.user, self.password)) as driver,
                ):
                    driver.verify_connectivity()
                    return
        self.kill()
        text = "\n".join(p.read_text() for p in (self.home / "logs" / "console.log", log) if p.exists())
        raise Neo4jUnavailableError(f"Neo4j did not start: {text[-3000:]}")

    def _end(self) -> None:
        if self._temporary:
            self.kill()  # nobody needs its data any more
            shutil.rmtree(self.home, ignore_errors=True)
        else:
            self.stop()


def library(name: str = "neo4j") -> Path:
    """The folder with the jars of `neo4j` or `apoc`, fetched with Maven the first time.

    It is `$EVIGRAPH_CACHE/<name>-<version>`. Several processes may ask at once: one fetches, the others wait.

    Raises:
        Neo4jUnavailableError: Maven is missing or fails.
    """
    pom = _POMS / ("pom.xml" if name == "neo4j" else f"{name}.pom.xml")
    version = ElementTree.parse(pom).findtext(f"{{*}}properties/{{*}}{name}.version")
    cache = Path(os.environ.get("EVIGRAPH_CACHE") or Path.home() / ".cache" / "evigraph").expanduser().resolve()
    folder = cache / f"{name}-{version}"
    if folder.exists():
        return folder
    if (maven := shutil.which("mvn")) is None:
        raise Neo4jUnavailableError(f"Maven (mvn) is not installed, and {name} is not in {folder}")
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "neo4j.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=cache) as part:
                goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={part}/lib"]
                _run([maven, "-q", "-B", "-f", str(pom), *goal])
                Path(part, "lib").rename(folder)
    return folder


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else None)
    if java is None:
        raise Neo4jUnavailableError("Java 17 or 21 (java) is not installed")
    return java


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(command: list[str], env: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Neo4jUnavailableError(f"{Path(command[0]).name} failed: {(done.stdout + done.stderr)[-3000:]}")


def main() -> None:
    """Runs a server in the foreground until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="Neo4j Community on loopback, until Ctrl-C")
    parser.add_argument("--port", type=int, default=7687, help="Bolt port, 0 for a free one (default 7687)")
    parser.add_argument("--home", type=Path, help="data folder to keep (default: a temporary one)")
    parser.add_argument("--heap", default="1g", help="heap of the JVM (default 1g)")
    arguments = parser.parse_args()
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with Neo4jServer(arguments.home, arguments.port, arguments.heap) as server:
        sys.stdout.write(f"NEO4J_URI={server.uri}\nNEO4J_USER={server.user}\nNEO4J_PASSWORD={server.password}\n")
        sys.stdout.flush()
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
