"""Fixtures that more than one folder of tests needs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import structlog

from tests.support.backends import backend, database, embedded_backend, neo4j_backend  # noqa: F401 (fixtures)
from tests.support.neo4j_server import Neo4jServer, Neo4jUnavailableError


@dataclass(frozen=True)
class Neo4jEndpoint:
    uri: str
    user: str
    password: str


@pytest.fixture(scope="session")
def neo4j_server() -> Iterator[Neo4jServer]:
    """A Neo4j server of our own, which a test may kill if it restarts it. In CI it must not be missing."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(Neo4jServer())
        except Neo4jUnavailableError as error:
            if os.environ.get("CI") == "true":
                pytest.fail(str(error))
            pytest.skip(str(error))
        yield server


@pytest.fixture(scope="session")
def neo4j_endpoint(request: pytest.FixtureRequest) -> Neo4jEndpoint:
    """The Neo4j of NEO4J_URI, NEO4J_USER and NEO4J_PASSWORD, else our own. Tests empty it."""
    if uri := os.environ.get("NEO4J_URI"):
        return Neo4jEndpoint(uri, os.environ.get("NEO4J_USER", "neo4j"), os.environ.get("NEO4J_PASSWORD", ""))
    server: Neo4jServer = request.getfixturevalue("neo4j_server")
    return Neo4jEndpoint(server.uri, server.user, server.password)


@pytest.fixture(autouse=True)
def logs_end_with_the_test() -> Iterator[None]:
    """A command run inside a test sets up logging to the stderr of that test, which is closed afterwards."""
    yield
    structlog.reset_defaults()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file goes first, so that no process is left with it when the others are through."""
    items.sort(key=lambda item: item.path.name != "test_docs.py")
