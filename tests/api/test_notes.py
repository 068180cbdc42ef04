from __future__ import annotations

import base64
from pathlib import Path

import httpx
import orjson
import pytest

from api.cli import main
from api.service import Service
from api.settings import Settings
from tests.api.conftest import Client, assert_problem
from tests.encoders.documents import printed, saved
from tests.ingestion.test_disease_records import TestDiseaseRecords as Records

NOTE = (
    "She has motor seizures and microcephaly, but no ataxia. Her brother has an atrial septal defect. Possible fits. "
    "Autosomal dominant inheritance."
)


async def test_a_note_is_read_and_asked_about(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1/findings", json={"note": NOTE})
    assert response.status_code == 200, response.text
    answer = response.json()
    assert [(one["words"], one["id"], one["status"]) for one in answer["findings"]] == [
        ("motor seizures", "HP:0020219", "present"),
        ("microcephaly", "HP:0000252", "present"),
        ("ataxia", "HP:0001251", "excluded"),
        ("atrial septal defect", "HP:0001631", "family"),
        ("fits", "HP:0001250", "uncertain"),
        ("Autosomal dominant inheritance", "HP:0000006", "present"),
    ]
    assert all(NOTE[one["start"] : one["end"]] == one["words"] for one in answer["findings"])
    assert (answer["present"], answer["excluded"]) == (["HP:0020219", "HP:0000252"], ["HP:0001251"])
    by_note = (await http.post("/v1/diagnosis", json={"note": NOTE})).json()
    assert answer["inheritance"] == ["HP:0000006"]
    ids = {name: answer[name] for name in ("present", "excluded", "inheritance")}
    by_ids = (await http.post("/v1/diagnosis", json=ids)).json()
    assert by_note["results"] == by_ids["results"]
    corrected = (await http.post("/v1/diagnosis", json={"note": NOTE, "present": ["HP:0001251"]})).json()
    understood = corrected["query"]
    assert [one["id"] for one in understood["present"]] == ["HP:0001251", "HP:0020219", "HP:0000252"]
    assert understood["excluded"] == []
    denied = (await http.post("/v1/diagnosis", json={"note": NOTE, "excluded": ["HP:0000252"]})).json()["query"]
    assert [one["id"] for one in denied["present"]] == ["HP:0020219"]
    assert [one["id"] for one in denied["excluded"]] == ["HP:0000252", "HP:0001251"]


async def test_a_scan_is_read_and_says_where(http: httpx.AsyncClient) -> None:
    scan = saved(printed("Seizures were seen", "No microcephaly"), "PNG")
    response = await http.post("/v1/findings", json={"document": base64.b64encode(scan).decode()})
    assert response.status_code == 200, response.text
    answer = response.json()
    assert [(one["id"], one["status"]) for one in answer["findings"]] == [
        ("HP:0001250", "present"),
        ("HP:0000252", "excluded"),
    ]
    start = answer["findings"][1]["start"]
    (line,) = [part for part in answer["parts"] if part["start"] <= start < part["end"]]
    assert line["page"] == 1
    assert line["box"][1] > 0.3
    encoded = base64.b64encode(scan).decode()
    asked = (await http.post("/v1/diagnosis", json={"document": encoded})).json()["query"]
    assert [one["id"] for one in asked["present"]] == ["HP:0001250"]
    assert_problem(await http.post("/v1/diagnosis", json={"document": encoded, "note": "x"}), 422, "validation")
    neither = await http.post("/v1/findings", json={})
    assert neither.status_code == 422
    refused = await http.post("/v1/findings", json={"document": base64.b64encode(b"%PDF-1.7 no").decode()})
    assert "no PDF" in str(assert_problem(refused, 422, "input")["detail"])


async def test_a_note_without_findings_is_no_question(http: httpx.AsyncClient) -> None:
    assert (await http.post("/v1/findings", json={"note": "All is well."})).json()["findings"] == []
    assert_problem(await http.post("/v1/diagnosis", json={"note": "All is well."}), 422, "input")
    assert (await http.post("/v1/findings", json={"note": "a" * 1_000_001})).status_code in (413, 422)


def _run(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    with pytest.raises(SystemExit) as end:
        main(words)
    printed = capfd.readouterr()
    assert end.value.code == code, printed.err
    return printed.out if code == 0 else printed.err


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EVIGRAPH_DATA", str(tmp_path / "data"))


def test_commands(capfd: pytest.CaptureFixture[str], graph_url: str, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text(NOTE, encoding="utf-8")
    found = orjson.loads(_run(capfd, "--graph", graph_url, "findings", str(note), "--json"))
    assert [one["status"] for one in found] == ["present", "present", "excluded", "family", "uncertain", "present"]
    printed = _run(capfd, "--graph", graph_url, "diagnose", "--note", str(note), "--limit", "2")
    assert "motor seizures" in printed
    assert "OMIM:100001" in printed
    note.write_bytes(b"seizures \xff")
    assert "byte 9 is 0xff" in _run(capfd, "--graph", graph_url, "findings", str(note), code=3)


def test_annotated_texts_are_measured(capfd: pytest.CaptureFixture[str], graph_url: str, tmp_path: Path) -> None:
    text = "Motor seizures; no ataxia."
    lines = [
        {"text": text, "spans": [[0, 14, "x", "HP:0020219", "Pos"], [19, 25, "x", "HP:0001251", "Neg"]]},
        {"text": "Microcephaly", "mentions": [{"start": 0, "end": 12, "hpo": "HP:0000252"}]},
    ]
    path = tmp_path / "texts.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, lines)))
    report = orjson.loads(_run(capfd, "--graph", graph_url, "evaluate", "text-hpo", str(path), "--json"))
    assert report["n"] == 2
    for what in ("documents", "mentions", "excluded"):
        assert report[what] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    (tmp_path / "b.jsonl").write_bytes(b'{"text": 1}')
    assert "b.jsonl:1: text" in _run(capfd, "--graph", graph_url, "evaluate", "text-hpo", str(tmp_path), code=3)


async def test_chinese_findings_are_read_corrected_and_asked_about(
    settings: Settings, client: Client, tmp_path: Path
) -> None:
    own = settings.model_copy(update={"graph": f"embedded:{tmp_path / 'zh'}", "data": tmp_path / "zh-data"})
    records = Records().write_good(tmp_path / "records")
    async with Service(own) as service:
        await service.ingest("disease_records", records)
    async with client(own) as http:
        note = "宝宝三岁，这两天打喷嚏、鼻塞，没有发烧，妈妈也咳嗽。"
        read = (await http.post("/v1/findings", json={"note": note})).json()
        assert (read["present"], read["excluded"]) == (["finding:打喷嚏", "finding:鼻塞"], ["finding:发热"])
        assert [one["id"] for one in read["findings"] if one["status"] == "family"] == ["finding:咳嗽"]
        corrected = {"present": [*read["present"], "finding:流鼻涕"], "excluded": read["excluded"]}
        answer = await http.post("/v1/diagnosis", json=corrected)
        assert answer.status_code == 200, answer.text
        assert answer.json()["results"][0]["name"] == "过敏性鼻炎"
        by_note = (await http.post("/v1/diagnosis", json={"note": note})).json()
        assert by_note["results"][0]["name"] == "过敏性鼻炎"
