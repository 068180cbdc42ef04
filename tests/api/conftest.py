from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.service import Service
from api.settings import Settings
from tests.api.samples import write_sample


@pytest.fixture(scope="session")
def graph_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A small graph in an embedded store; what a test adds it takes back."""
    folder = tmp_path_factory.mktemp("graph")
    sample = write_sample(tmp_path_factory.mktemp("sample"))
    settings = Settings(graph=f"embedded:{folder}", data=folder / "data")

    async def load() -> None:
        async with Service(settings) as service:
            await service.ingest("hpo", sample)

    asyncio.run(load())
    yield settings.graph


@pytest.fixture
def settings(graph_url: str, tmp_path: Path) -> Settings:
    return Settings(graph=graph_url, data=tmp_path / "data", refresh_s=0.1, log_level="error")


class Client(Protocol):
    def __call__(self, settings: Settings, **options: object) -> AbstractAsyncContextManager[httpx.AsyncClient]: ...


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[FastAPI]:
    """The app with its lifespan, ready."""
    async with app.router.lifespan_context(app):
        async with asyncio.timeout(60):
            await app.state.service.wait_ready()
        yield app


@pytest.fixture
def client() -> Client:
    """Makes a client of an app with these settings, which lives as long as the context."""

    @asynccontextmanager
    async def open_client(
        settings: Settings,
        *,
        base_url: str = "http://localhost:8000",
        peer: str = "127.0.0.1",
        headers: dict[str, str] | None = None,
    ) -> AsyncIterator[httpx.AsyncClient]:
        async with running(create_app(settings)) as app:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(peer, 50000))
            async with httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers, timeout=60) as made:
                made.app = app  # type: ignore[attr-defined]
                yield made

    return open_client


@pytest.fixture
async def http(settings: Settings, client: Client) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an open app on loopback."""
    async with client(settings) as made:
        yield made


def assert_problem(response: httpx.Response, status: int, name: str) -> dict[str, object]:
    """The response is this problem."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = response.json()
    assert body["type"] == f"urn:evigraph:problem:{name}"
    assert body["status"] == status
    assert set(body) >= {"type", "title", "status", "detail"}
    return body


async def follow(http: httpx.AsyncClient, started: httpx.Response) -> list[tuple[str, dict[str, Any]]]:
    """(event, data) of a job that was started, until it has ended."""
    assert started.status_code == 202, started.text
    events = []
    async with asyncio.timeout(60), http.stream("GET", f"{started.headers['location']}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        name = ""
        async for line in response.aiter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                events.append((name, json.loads(line[6:])))
    return events
