from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from api.service import Service
from api.settings import Settings
from tests.api.conftest import Client, assert_problem
from tests.encoders.test_entity_embeddings import family_of, named
from tests.support.backends import Backend

DISEASE = "OMIM:100001"


@pytest.fixture
async def graph(backend: Backend, client: Client, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an app whose graph is small families."""
    password = SecretStr(backend.password) if backend.password else None
    settings = Settings(graph=backend.url, graph_password=password, data=tmp_path / "data", log_level="error")
    store = await backend.open()
    try:
        await store.write(named())
    finally:
        await store.close()
    async with client(settings) as http:
        yield http


def nothing(_what: str, _done: int, _of: int) -> None:
    pass


async def test_similar_entities(graph: httpx.AsyncClient) -> None:
    path = f"/v1/entities/{DISEASE}/similar"
    missing = assert_problem(await graph.get(path), 404, "not-found")
    assert "evigraph embed" in str(missing["detail"])
    service: Service = graph.app.state.service  # type: ignore[attr-defined]
    done = await service.embed("medical", nothing)
    assert done.written == done.entities
    answer = (await graph.get(path, params={"label": "Disease", "limit": 3})).json()
    assert (answer["id"], answer["model"]) == (DISEASE, done.model)
    assert len(answer["results"]) == 3
    assert all("Disease" in result["labels"] for result in answer["results"])
    assert sum(family_of(result["id"]) == 0 for result in answer["results"]) >= 2
    assert_problem(await graph.get(path, params={"label": "Planet"}), 422, "ontology")
    assert_problem(await graph.get(path, params={"domain": "traffic"}), 404, "not-found")
    assert_problem(await graph.get("/v1/entities/OMIM:1/similar"), 404, "not-found")


async def test_the_commands(embedded_backend: Backend, tmp_path: Path) -> None:
    embedded_backend.empty()
    store = await embedded_backend.open()
    try:
        await store.write(named())
    finally:
        await store.close()

    def run(*arguments: str) -> str:
        command = [sys.executable, "-c", "from api.cli import main; main()", *arguments]
        environment = os.environ | {"EVIGRAPH_GRAPH": embedded_backend.url, "EVIGRAPH_DATA": str(tmp_path / "data")}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout

    assert json.loads(run("embed", "medical", "--json"))["written"] > 0
    assert json.loads(run("embed", "medical", "--json"))["written"] == 0
    assert "similarity" in run("similar", DISEASE, "--limit", "2")
