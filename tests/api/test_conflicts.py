"""Conflicts and labelled conflicts, by HTTP and command line."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from api.cli import main
from api.schemas import ConflictsAnswer
from kg.ontology import Ontology
from kg.store import open_store
from tests.api.conftest import assert_problem
from tests.kg.test_conflicts import A, B, sample

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")


@pytest_asyncio.fixture
async def contradictory(graph_url: str) -> AsyncIterator[None]:
    store = await open_store(graph_url, Ontology.load())
    try:
        await store.write(sample())
        yield
        for source in (A, B):
            await store.retract(source.id)
    finally:
        await store.close()


async def test_http(contradictory: None, http: httpx.AsyncClient) -> None:
    answer = (await http.get("/v1/conflicts")).raise_for_status().json()
    ConflictsAnswer.model_validate(answer)
    assert [c["kind"] for c in answer["conflicts"]] == ["functional", "disjoint-relations", "disjoint-classes"]
    one = (await http.get("/v1/conflicts", params={"relation": "HAS_BRAND", "limit": 1})).json()["conflicts"]
    assert one == answer["conflicts"][:1]
    assert_problem(await http.get("/v1/conflicts", params={"relation": "KNOWS"}), 422, "ontology")


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0), capfd.readouterr().out


async def test_command(
    contradictory: None, graph_url: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out = await asyncio.to_thread(run, capfd, "--graph", graph_url, "conflicts", "--json")
    assert code == 0
    assert [c["subject"]["id"] for c in json.loads(out)] == ["E:1", "E:2", "E:2"]
    code, out = await asyncio.to_thread(run, capfd, "--graph", graph_url, "conflicts")
    assert code == 0
    assert "HAS_BRAND B:2" in out
    assert "is a Gene" in out


def test_evaluate_and_tune(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = [f"q{q},w{w},{(q + (w == 3)) % 2}" for q in range(40) for w in range(4)]
    answers, truths = tmp_path / "x_answers.csv", tmp_path / "x_truths.csv"
    answers.write_text("question,worker,answer\n" + "\n".join(rows))
    truths.write_text("question,truth\n" + "\n".join(f"q{q},{q % 2}" for q in range(40)))
    code, out = run(capfd, "evaluate", "fusion", str(answers), str(truths), "--json")
    assert code == 0
    found = json.loads(out)
    assert found["n"] == 40
    assert found["strategies"]["dawid-skene"] == {"accuracy": 1.0}
    code, out = run(capfd, "evaluate", "fusion", str(tmp_path), "--json")
    assert json.loads(out)["sets"] == {"x": found}
    assert "majority-vote" in run(capfd, "evaluate", "fusion", str(tmp_path))[1]
    code, out = run(capfd, "tune", "fusion", str(answers), str(truths), "--trials", "3", "--json")
    assert code == 0
    assert json.loads(out)["rest"]["tuned"] == {"accuracy": 1.0}
    assert "tuned" in run(capfd, "tune", "fusion", str(tmp_path), "--trials", "3")[1]
    assert run(capfd, "evaluate", "fusion", str(answers))[0] == 3
