"""Chinese disease records."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

from ingestion.readers.base import get_reader
from kg.model import Claim, Entity
from tests.ingestion.test_reader_contract import ReaderContract, read_all

RECORDS = [
    {"name": "上呼吸道感染", "symptoms": ["流鼻涕", "咳嗽", "发烧", "咽痛"], "desc": "常见病。"},
    {"name": "过敏性鼻炎", "symptoms": ["打喷嚏", "鼻痒", "流鼻涕", "鼻塞"]},
    {"name": "手足口病", "symptoms": ["疱疹", "发热", "流涎", "名字太长..."]},
    {"name": "腹泻病", "symptoms": ["腹泻", "呕吐", "腹痛"]},
]


class TestDiseaseRecords(ReaderContract):
    name = "disease_records"

    def write_good(self, folder: Path) -> Path:
        folder.mkdir(parents=True)
        lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in RECORDS)
        (folder / "a.jsonl.xz").write_bytes(lzma.compress(lines.encode()))
        return folder

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        self.write_good(folder)
        lines = [json.dumps(one, ensure_ascii=False) for one in RECORDS] + ['{"symptoms": ["咳嗽"]}']
        (folder / "a.jsonl.xz").write_bytes(lzma.compress("\n".join(lines).encode()))
        return folder, "L5"


def test_names_of_one_finding_become_one_with_its_kinds(tmp_path: Path) -> None:
    path = TestDiseaseRecords().write_good(tmp_path / "in")
    records = read_all(get_reader("disease_records"), path)
    fever = {r.subject for r in records if isinstance(r, Claim) and r.object == "finding:发热" and r.relation != "IS_A"}
    assert fever == {"disease:上呼吸道感染", "disease:手足口病"}
    kinds = {r.subject for r in records if isinstance(r, Claim) and (r.relation, r.object) == ("IS_A", "finding:发热")}
    assert "finding:高热" in kinds
    names = {r.id: r.properties for r in records if isinstance(r, Entity)}
    assert "高烧" in names["finding:高热"]["synonyms"]  # type: ignore[operator]
    assert not any("..." in id_ for id_ in names)
