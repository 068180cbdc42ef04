"""Chinese complaints: findings in patients' words, diseases of a graph of records, and what the next questions give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kg.errors import InputError
from reasoning.diagnosis.complaint_evaluation import read_complaints
from tests.ingestion.test_disease_records import RECORDS
from tests.support.commands import run_json

COMPLAINTS = [
    {"text": "一直流清鼻涕，打喷嚏，没有发烧。", "asked_present": ["鼻痒"], "asked_absent": ["咳嗽"],
     "disease": "过敏性鼻炎"},
    {"text": "手上有水泡，昨天高烧，妈妈也咳嗽。", "asked_present": ["流口水"], "disease": "小儿手足口病"},
    {"text": "宝宝拉肚子两天，还吐奶。", "present": ["腹泻", "呕吐"], "disease": "腹泻病"},
    {"text": "", "present": ["咳嗽", "咽喉痛"], "absent": ["鼻痒"], "disease": "上呼吸道感染"},
    {"text": "好累", "disease": "没有的病"},
]  # fmt: skip


def test_complaints_lead_to_diseases(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_text("\n".join(json.dumps(one) for one in RECORDS), encoding="utf-8")
    (tmp_path / "complaints.jsonl").write_text("\n".join(json.dumps(one) for one in COMPLAINTS), encoding="utf-8")
    graph = ["--graph", f"embedded:{tmp_path / 'graph'}", "--data", str(tmp_path / "data")]
    loaded = run_json(capfd, *graph, "ingest", "disease_records", str(tmp_path / "records.jsonl"), "--json")
    assert loaded["rejected"] == 0
    note = tmp_path / "note.txt"
    note.write_text(COMPLAINTS[1]["text"], encoding="utf-8")
    found = run_json(capfd, *graph, "findings", str(note), "--json")
    assert {(one["words"], one["name"], one["status"]) for one in found} == {  # type: ignore[index, call-overload]
        ("水泡", "疱疹", "present"), ("高烧", "高热", "present"), ("咳嗽", "咳嗽", "family"),
    }  # fmt: skip
    figures = run_json(capfd, *graph, "evaluate", "diagnosis", str(tmp_path / "complaints.jsonl"), "--json")
    assert (figures["n"], figures["n_unknown"], figures["among"]) == (4, 1, 4)
    assert figures["among_top1"] == 100
    assert figures["top3_asked"] == 100
    assert figures["answered"] > 0


def test_lines_that_are_no_complaints_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for line, message in (
        ('{"text": "x"}', "a.jsonl:1: needs `text` and `disease`"),
        ('{"text": "x", "disease": "y", "present": "z"}', "must be lists of texts"),
        ("", "holds no complaints"),
    ):
        path.write_text(line, encoding="utf-8")
        with pytest.raises(InputError, match=message):
            read_complaints(path)
