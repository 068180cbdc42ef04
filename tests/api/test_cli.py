from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from api.cli import main
from api.service import Service
from api.settings import Settings
from kg.model import Claim, Source
from kg.store import Batch, LedgerEntry
from tests.api.samples import packet

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(graph_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process: (exit code, stdout, stderr)."""
    monkeypatch.setenv("EVIGRAPH_GRAPH", graph_url)
    monkeypatch.setenv("EVIGRAPH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")

    def invoke(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capfd.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return invoke


def _json(result: tuple[int, str, str]) -> Any:
    code, out, err = result
    assert code == 0, err
    return json.loads(out)


def test_help_is_quick_and_names_all_commands() -> None:
    command = str(Path(sys.executable).with_name("evigraph"))
    text = subprocess.run([command, "--help"], check=True, capture_output=True, text=True).stdout
    names = ("serve", "ingest", "readers", "diagnose", "search", "cypher", "status", "digest", "sources", "export")
    names += ("evaluate", "train", "keys")
    assert all(name in text for name in names)
    imported = subprocess.run(
        [sys.executable, "-c", "import sys, api.cli; print('\\n'.join(sys.modules))"],
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    # what takes its time; seconds are not measured, since machines differ
    assert not {"numpy", "fastapi", "neo4j", "rdflib", "pydantic", "lightgbm", "polars", "torch"} & set(imported)


def test_readers(run: Run) -> None:
    found = _json(run("readers", "--json"))
    assert {reader["name"] for reader in found} >= {"hpo", "phenopackets"}
    assert all(reader["extensions"] and reader["example"] for reader in found)
    assert "phenopackets" in run("readers")[1]


def test_search(run: Run) -> None:
    assert _json(run("search", "fits", "--json"))[0]["id"] == "HP:0001250"
    code, out, _ = run("search", "Ataxia")
    assert code == 0
    assert "HP:0001251" in out
    assert "nothing found" in run("search", "zzzqqq")[1]


def test_cypher(run: Run) -> None:
    query = "MATCH (d:Disease {id: $id}) RETURN d.name AS name"
    answer = _json(run("cypher", query, "-p", "id=OMIM:100002", "--json"))
    assert answer == {"columns": ["name"], "rows": [["Heart-hand disease"]], "truncated": None}
    assert "Heart-hand disease" in run("cypher", query, "-p", 'id="OMIM:100002"')[1]
    code, _, err = run("cypher", "MATCH (n) DELETE n")
    assert code == 3
    assert "DELETE" in err


def test_enhancing_refuses_what_makes_no_sense(run: Run) -> None:
    for options, words in (
        (("--by", "magic"), "by: no way 'magic'; known: joined, neighbours, ultra"),
        (("--by", "neighbours", "--weights", "x.safetensors"), "weights: only --by ultra predicts by weights"),
        (("--by", "joined"), "9 facts of HAS_PHENOTYPE; beliefs can't be calibrated on fewer than 20"),
    ):
        code, _, err = run("enhance", "medical", "--relations", "HAS_PHENOTYPE", *options)
        assert code == 3
        assert words in " ".join(err.split())


def test_status_and_digest(run: Run) -> None:
    found = _json(run("status", "--json"))
    assert found["entities"]["Disease"] == 4
    assert found["facts"]["HAS_PHENOTYPE"] == 9
    digest = run("digest")[1].strip()
    assert "\n" not in digest
    assert _json(run("digest", "--json")) == {"digest": digest}


def test_ingest_and_retract_give_back_the_same_graph(run: Run, tmp_path: Path) -> None:
    before = run("digest")[1]
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(packet("cli-1")))
    bad.write_text('{"id": ')
    code, out, err = run("ingest", "phenopackets", str(good), str(bad))
    assert code == 1
    assert "1 documents loaded" in out
    assert "bad.json: not JSON" in err
    assert _json(run("ingest", "phenopackets", str(good), "--json"))["skipped"] == 1
    listed = _json(run("sources", "list", "--kind", "document", "--json"))
    assert "phenopackets:good.json" in {source["id"] for source in listed} | {"phenopackets:good.json"}
    assert run("digest")[1] != before
    assert _json(run("sources", "retract", "phenopackets:good.json", "--json"))["entities"] > 0
    run("sources", "retract", "phenopackets:bad.json")
    assert run("digest")[1] == before


def test_a_stream_is_not_taken_back_by_time(run: Run, graph_url: str, tmp_path: Path) -> None:
    """Its entry in the ledger is of its last message, and what it said before must not go with that."""

    async def write() -> None:
        async with Service(Settings(graph=graph_url, data=tmp_path / "data")) as service:
            for document in ("push:timed", "stream:timed"):
                source = Source(document, "sensor", document=document)
                claim = Claim("I:1", "HAS_BRAND", "B:1", document, document=document)
                entry = LedgerEntry(document, "", "", "claims@1", 1, complete=True, at="2031-05-01T12:00:00Z")
                await service.store.write(Batch([source], [], [claim], [entry]))

    before = run("digest")[1]
    asyncio.run(write())
    time = ("--since", "2031-05-01", "--until", "2031-05-02")
    code, out, error = run("runs", "retract", *time)
    assert code == 0
    assert "1 documents retracted" in out
    assert "stream:timed is left" in error
    code, _, error = run("runs", "retract", *time)
    assert code == 3
    assert "sources retract stream:timed" in error
    assert run("sources", "retract", "stream:timed")[0] == 0
    assert run("digest")[1] == before


@pytest.mark.parametrize(
    ("arguments", "code", "type_", "says"),
    [
        (("ingest", "excel"), 3, "input", "excel"),
        (("ingest", "phenopackets"), 3, "input", "needs a file"),
        (("ingest", "phenopackets", "/no/such/file.json"), 3, "input", "/no/such/file.json"),
        (("sources", "retract", "PMID:404"), 5, "not-found", "PMID:404"),
        (("--graph", "bolt://127.0.0.1:9", "status"), 7, "store-unavailable", "127.0.0.1:9"),
        (("--graph", "mysql://x", "status"), 9, "configuration", "EVIGRAPH_GRAPH"),
        (("search", "x", "--label", "Nonsense"), 4, "ontology", "Nonsense"),
    ],
)
def test_an_error_is_one_clear_line_or_a_problem(
    run: Run, arguments: tuple[str, ...], code: int, type_: str, says: str
) -> None:
    got, out, err = run(*arguments)
    assert got == code
    assert out == ""
    assert err.startswith("evigraph: ")
    assert err.count("\n") == 1
    assert says in err
    got, out, err = run(*arguments, "--json")
    assert got == code
    problem = json.loads(err)
    assert problem["type"] == f"urn:evigraph:problem:{type_}"
    assert says in problem["detail"]


def test_an_empty_folder_and_wrong_usage(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = run("ingest", "phenopackets", str(tmp_path / "empty"))
    assert code == 3
    assert str(tmp_path / "empty") in err
    assert run("nonsense")[0] == 2
    assert run("cypher", "RETURN 1", "-p", "novalue")[0] == 3


def test_export_rdf(run: Run, tmp_path: Path) -> None:
    import rdflib

    done = _json(run("export", "rdf", str(tmp_path / "g.nq"), "--json"))
    dataset = rdflib.Dataset()
    dataset.parse(tmp_path / "g.nq", format="nquads")
    assert len(list(dataset.quads())) == done["statements"] > 100


def test_keys(run: Run) -> None:
    made = _json(run("keys", "create", "ward 7", "--role", "writer", "--json"))
    assert made["key"].startswith(f"evg_{made['id']}_")
    listed = run("keys", "list", "--json")
    assert made["key"] not in listed[1]
    assert [key["name"] for key in _json(listed)] == ["ward 7"]
    assert run("keys", "revoke", made["id"])[0] == 0
    assert _json(run("keys", "list", "--json")) == []


def test_serve_beyond_loopback_without_a_key_is_refused(run: Run) -> None:
    code, _, err = run("serve", "--host", "0.0.0.0")
    assert code == 9
    assert "needs a key" in err


def test_a_reader_of_a_pipe_that_ends_early_is_no_error(graph_url: str, tmp_path: Path) -> None:
    command = f"{Path(sys.executable).with_name('evigraph')} sources list | head -1"
    environment = os.environ | {"EVIGRAPH_GRAPH": graph_url, "EVIGRAPH_DATA": str(tmp_path)}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
