"""Bad input on the command line: an error that names file, line or field, an exit code, and the rest is loaded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from api.cli import main
from tests.ingestion import samples
from tests.ingestion.samples import HPOA, OBO, hpoa_row, packet, write_hpo, write_json
from tests.support.backends import Backend

Run = Callable[..., tuple[int, str]]
PARTIAL, INPUT, UNAVAILABLE = 1, 3, 7


@pytest.fixture
def run(
    embedded_backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    """Runs a command in this process on an empty graph: (exit code, stderr)."""
    embedded_backend.empty()
    monkeypatch.setenv("EVIGRAPH_GRAPH", embedded_backend.url)
    monkeypatch.setenv("EVIGRAPH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "300")

    def invoke(*arguments: str) -> tuple[int, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return int(ended.value.code or 0), capfd.readouterr().err

    return invoke


@pytest.fixture
def entities(embedded_backend: Backend) -> Callable[[], set[str]]:
    """Ids of all entities in the graph."""

    def look() -> set[str]:
        async def read() -> set[str]:
            store = await embedded_backend.open()
            try:
                return {row["id"] async for row in store.read("MATCH (n:Entity) RETURN n.id AS id")}
            finally:
                await store.close()

        return asyncio.run(read())

    return look


Entities = Callable[[], set[str]]


def test_good_input(run: Run, tmp_path: Path, entities: Entities) -> None:
    assert run("ingest", "hpo", str(write_hpo(tmp_path / "hpo")))[0] == 0
    assert {"HP:0001250", "OMIM:619340", "ORPHA:1777", "NCBIGene:16"} <= entities()


@pytest.mark.parametrize(
    ("files", "named"),
    [
        pytest.param({"hpoa": HPOA + "OMIM:1\tcut off\t\tHP:00"}, ["phenotype.hpoa:L11", "columns"], id="truncated"),
        pytest.param({"obo": OBO + "\n[Term]\nid: HP:0000099\nna"}, ["hp.obo:L"], id="truncated terms"),
        pytest.param(
            {"obo": OBO.replace("name: Phenotypic abnormality\n", "name: P\nis_a: HP:0001251\n", 1)},
            ["hp.obo:L", "cycle", "HP:0000118 → HP:0001251 → HP:0000118"],
            id="cyclic is_a",
        ),
        pytest.param(
            {"hpoa": HPOA + hpoa_row(term="HP:0004242")}, ["phenotype.hpoa:L11", "unknown id HP:0004242"], id="unknown"
        ),
        pytest.param({"genes": ""}, ["genes_to_phenotype.txt:L1", "no header"], id="empty file"),
        pytest.param({"genes": samples.GENES + "x\ty\n"}, ["genes_to_phenotype.txt:L5", "2 columns"], id="bad row"),
    ],
)
def test_a_broken_release(
    run: Run, tmp_path: Path, entities: Entities, files: dict[str, str], named: list[str]
) -> None:
    code, text = run("ingest", "hpo", str(write_hpo(tmp_path / "hpo", **files)))
    assert code == PARTIAL
    assert all(part in text for part in named), text
    assert {"HP:0001250", "OMIM:619340", "ORPHA:1777"} <= entities()


def test_a_line_of_100_megabytes(run: Run, tmp_path: Path, entities: Entities) -> None:
    folder = write_hpo(tmp_path / "hpo")
    with (folder / "phenotype.hpoa").open("ab") as file:
        for _ in range(100):
            file.write(b"x" * (1 << 20))
        file.write(b"\n" + hpoa_row("OMIM:1", "after").encode())
    code, text = run("ingest", "hpo", str(folder))
    assert code == PARTIAL
    assert "phenotype.hpoa:L11: line of 104,857,601 bytes" in text
    assert "OMIM:1" in entities()


def test_a_folder_of_patients_with_broken_ones(run: Run, tmp_path: Path, entities: Entities) -> None:
    run("ingest", "hpo", str(write_hpo(tmp_path / "hpo")))
    folder = tmp_path / "cases"
    write_json(folder / "a.json", packet("good"))
    (folder / "cut.json").write_text('{"id": "cut", "subject": {"id"')
    write_json(folder / "unknown.json", packet("unknown", phenotypicFeatures=[{"type": {"id": "HP:9999999"}}]))
    code, text = run("ingest", "phenopackets", str(folder))
    assert code == PARTIAL
    assert "phenopackets:cases/cut.json: not JSON" in text
    assert "phenopackets:cases/unknown.json:phenotypicFeatures[0]: unknown id HP:9999999" in text
    assert {"phenopacket:good", "phenopacket:unknown"} <= entities()
    letters = next((tmp_path / "data").rglob("*.jsonl")).read_text().splitlines()
    assert [json.loads(line)["document"].rsplit("/")[-1] for line in letters] == ["cut.json", "unknown.json"]


def test_an_empty_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for reader in ("hpo", "phenopackets"):
        code, text = run("ingest", reader, str(tmp_path / "empty"))
        assert code == INPUT
        assert f"{tmp_path}/empty: nothing to read" in text


def test_a_store_that_is_down(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIGRAPH_GRAPH", "bolt://127.0.0.1:1")
    code, text = run("ingest", "hpo", str(write_hpo(tmp_path / "hpo")))
    assert code == UNAVAILABLE
    assert "bolt://127.0.0.1:1" in text
