"""Both databases, started once for all tests; each test that asks for `backend` gets an empty graph."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from neo4j import GraphDatabase

from kg.embedded import DATABASE, USER, EmbeddedServer
from kg.ontology import Ontology
from kg.store import GraphStore, open_store
from tests.support.neo4j_server import Neo4jServer

ONTOLOGY = Ontology.load()


@dataclass(frozen=True)
class Backend:
    """One database: how to open its graph, to empty it, and to kill it."""

    name: str
    url: str
    password: str | None
    bolt: Callable[[], tuple[str, str, str]]
    database: str
    kill: Callable[[], None]
    """Ends the server as a power cut would; the embedded store starts it again by itself."""
    start: Callable[[], None]

    async def open(self) -> GraphStore:
        return await open_store(self.url, ONTOLOGY, password=self.password, heap="512m")

    def empty(self) -> None:
        uri, user, password = self.bolt()
        with (
            GraphDatabase.driver(uri, auth=(user, password), notifications_min_severity="OFF") as driver,
            driver.session(database=self.database) as session,
        ):
            session.run("MATCH (n) DETACH DELETE n").consume()


@pytest.fixture(scope="session")
def embedded_backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    folder: Path = tmp_path_factory.mktemp("graph")
    held = EmbeddedServer(folder, heap="512m")
    held.connect()

    def bolt() -> tuple[str, str, str]:
        endpoint = held.connect()
        return endpoint.bolt, USER, endpoint.password

    def kill() -> None:
        os.kill(json.loads((folder / "endpoint.json").read_text())["pid"], signal.SIGKILL)

    yield Backend("embedded", f"embedded:{folder}", None, bolt, DATABASE, kill, lambda: None)
    held.close()


@pytest.fixture(scope="session")
def neo4j_backend(request: pytest.FixtureRequest) -> Backend:
    end = request.getfixturevalue("neo4j_endpoint")

    def server() -> Neo4jServer:
        if "NEO4J_URI" in os.environ:
            pytest.skip("the Neo4j of NEO4J_URI is not ours to kill")
        found: Neo4jServer = request.getfixturevalue("neo4j_server")
        return found

    return Backend(
        name="neo4j",
        url=end.uri,
        password=end.password,
        bolt=lambda: (end.uri, end.user, end.password),
        database="neo4j",
        kill=lambda: server().kill(),
        start=lambda: server().start(),
    )


@pytest.fixture(scope="session", params=["embedded", "neo4j"])
def database(request: pytest.FixtureRequest) -> Backend:
    found: Backend = request.getfixturevalue(f"{request.param}_backend")
    return found


@pytest.fixture
def backend(database: Backend) -> Iterator[Backend]:
    """The database, emptied."""
    database.empty()
    yield database
