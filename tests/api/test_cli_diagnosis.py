from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.api.samples import packet
from tests.api.test_cli import Run, _json, run

__all__ = ["run"]


@pytest.fixture
def case(tmp_path: Path) -> Path:
    file = tmp_path / "case.json"
    file.write_text(json.dumps(packet()))
    return file


def test_diagnose_prints_a_report(run: Run, case: Path) -> None:
    code, out, err = run("diagnose", str(case))
    assert code == 0, err
    assert "present: Seizure (HP:0001250), Ataxia (HP:0001251)" in out
    for text in ("OMIM:100001", "Why Seizure-ataxia disease", "What to look for next", "In words", "Evidence"):
        assert text in out
    assert "[1] OMIM:100001 HAS_PHENOTYPE HP:0020219: PMID:1000" in out


def test_diagnose_by_options(run: Run, case: Path) -> None:
    found = _json(run("diagnose", "--present", "HP:0001250,HP:0001251", "--excluded", "HP:0001631", "--json"))
    assert found["results"][0]["id"] == "OMIM:100001"
    by_file = _json(run("diagnose", str(case), "--json"))
    assert [r["id"] for r in by_file["results"]] == [r["id"] for r in found["results"]]
    replaced = _json(run("diagnose", str(case), "--present", "HP:0001631", "--excluded", "", "--limit", "1", "--json"))
    assert [r["id"] for r in replaced["results"]] == ["OMIM:100002"]
    options = ("--onset", "P6M", "--sex", "female", "--gene", "aars1", "--inheritance", "HP:0000007")
    told = _json(run("diagnose", "--present", "HP:0001250", *options, "--catalogue", "omim", "--json"))["query"]
    assert (told["onset_years"], told["sex"], told["catalogue"]) == (0.5, "FEMALE", "OMIM")
    assert told["genes"] == [{"id": "NCBIGene:16", "name": "AARS1"}]


def test_a_phenopackets_genes_can_be_left_out(run: Run, case: Path) -> None:
    told = packet()
    told["interpretations"][0]["diagnosis"]["genomicInterpretations"] = [  # type: ignore[index]
        {
            "subjectOrBiosampleId": "A",
            "interpretationStatus": "CAUSATIVE",
            "gene": {"valueId": "HGNC:20", "symbol": "AARS1"},
        }
    ]
    case.write_text(json.dumps(told))
    assert [gene["id"] for gene in _json(run("diagnose", str(case), "--json"))["query"]["genes"]] == ["NCBIGene:16"]
    assert _json(run("diagnose", str(case), "--without-genes", "--json"))["query"]["genes"] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give a Phenopacket"),
        (("--present", "HP:7654321"), "present[0]: HP:7654321"),
        (("--present", "HP:0001250", "--sex", "x"), "sex"),
        (("no-such-file.json",), "no-such-file.json"),
        (("BAD",), "bad.json"),
    ],
)
def test_bad_input_is_named(run: Run, tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text('{"id": ')
    code, out, err = run("diagnose", *(str(bad) if argument == "BAD" else argument for argument in arguments))
    assert code == 3
    assert out == ""
    assert says in err
    assert err.count("\n") == 1


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """Three patients of known diseases, one of a disease that nobody has annotated, and a file that is cut off."""
    folder = tmp_path / "cases"
    folder.mkdir()
    for number, (disease, terms) in enumerate(
        {
            "OMIM:100001": ("HP:0020219", "HP:0001251"),
            "OMIM:100002": ("HP:0001631", "HP:0001166"),
            "OMIM:100003": ("HP:0000252", "HP:0001263"),
            "OMIM:999999": ("HP:0001250",),
        }.items()
    ):
        case = packet(f"case-{number}", disease)
        case["phenotypicFeatures"] = [{"type": {"id": term, "label": "?"}} for term in terms]
        (folder / f"{number}.json").write_text(json.dumps(case))
    (folder / "cut.json").write_text('{"id": ')
    return folder


def test_evaluate(run: Run, cases: Path) -> None:
    code, out, err = run("evaluate", "diagnosis", str(cases), "--json")
    assert code == 0, err
    found = json.loads(out)
    assert set(found) == {"n", "n_unknown", "top1", "top3", "top10", "mrr", "ece", "ms_p50", "ms_p99"}
    assert (found["n"], found["n_unknown"]) == (3, 1)
    assert found["top3"] == 100.0, "there are three OMIM diseases"
    assert 0 < found["ms_p50"] <= found["ms_p99"]
    assert "1 records refused" in err
    assert "cut.json" in err
    assert "top10" in run("evaluate", "diagnosis", str(cases), "--without-own-publication")[1]


def test_train_then_evaluate_with_it(run: Run, cases: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "ranker"
    monkeypatch.setenv("EVIGRAPH_RANKER", str(tmp_path / "nothing"))  # training needs none
    card = _json(run("train", "diagnosis", str(cases), "--out", str(folder), "--json"))
    assert card["data"]["diseases"] == 3
    monkeypatch.setenv("EVIGRAPH_RANKER", str(folder))
    first = _json(run("diagnose", "--present", "HP:0020219", "--json"))
    assert _json(run("evaluate", "diagnosis", str(cases), "--json"))["n"] == 3
    again = tmp_path / "again"
    assert run("train", "diagnosis", str(cases), "--out", str(again))[0] == 0
    assert (again / "model.txt.gz").read_bytes() == (folder / "model.txt.gz").read_bytes()
    monkeypatch.setenv("EVIGRAPH_RANKER", str(tmp_path / "nothing"))
    code, _, err = run("diagnose", "--present", "HP:0020219")
    assert code == 9
    assert "ranker" in err
    assert first["model_version"]


@pytest.mark.parametrize("command", [("evaluate", "diagnosis"), ("train", "diagnosis", "--out", "r")])
def test_nothing_to_learn_from_is_an_error(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    empty, unknown = tmp_path / "empty", tmp_path / "no-diagnosis.json"
    empty.mkdir()
    case = packet()
    del case["interpretations"]
    unknown.write_text(json.dumps(case))
    for path in (empty, unknown, tmp_path / "missing.json"):
        code, out, err = run(*command[:2], str(path), *command[2:])
        assert code == 3
        assert out == ""
        assert path.name in err.splitlines()[-1]
