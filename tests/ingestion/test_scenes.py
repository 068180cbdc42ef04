"""Scenes of driving: flags and words, broken records, both real samples; and traffic's readers in the pipeline."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ingestion import worker
from ingestion.pipeline import ingest
from ingestion.readers.base import get_reader
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected
from kg.ontology import Ontology
from tests.ingestion import test_sumo
from tests.ingestion.samples import SHARED
from tests.ingestion.test_reader_contract import ReaderContract, read_all
from tests.support.backends import Backend

TRAFFIC = SHARED / "traffic"
LABELS = {"actions": ["forward", "stop/slow", "left", "right"], "reasons": ["green light", "red light (or yellow)"]}
FLAGS = {"s 1": {"actions": [1, 0, 0, 1], "reason": [1, 0]}, "s2": {"actions": [0, 1, 0, 0], "reason": [0, 1]}}
WORDS = (
    '{"video": "v", "start": 0, "end": 7, "actions": [0, 1, 0, 0], "description": "Stops", "justification": "Red."}\n'
    '{"video": "v", "start": 7, "end": 9.5, "justification": "since the light turned green."}\n'
)
WORD = {"video": "w", "start": 0, "end": 7, "actions": [0, 1, 0, 0], "justification": "because."}


def write(folder: Path, flags: Any = FLAGS, words: str | bytes = WORDS, labels: Any = LABELS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    if labels is not None:
        (folder / "label_names.json").write_text(json.dumps(labels))
    (folder / "flags.json").write_text(flags if isinstance(flags, str) else json.dumps(flags))
    (folder / "words.jsonl").write_bytes(words.encode() if isinstance(words, str) else words)
    return folder


def read(path: Path) -> list[Record]:
    return read_all(get_reader("scenes"), path)


def claims(records: list[Record]) -> list[tuple[str, str, str]]:
    return [(r.subject.removeprefix("scene:"), r.relation, r.object) for r in records if isinstance(r, Claim)]


def entities(records: list[Record]) -> dict[str, dict[str, Any]]:
    return {r.id: dict(r.properties) for r in records if isinstance(r, Entity)}


def rejected(records: list[Record]) -> list[tuple[str, str]]:
    return [(r.place, r.reason) for r in records if isinstance(r, Rejected)]


class TestScenesContract(ReaderContract):
    name = "scenes"

    def write_good(self, folder: Path) -> Path:
        return write(folder)

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        return write(folder, words=WORDS + json.dumps(WORD | {"actions": [0, 1]}) + "\n"), "L3"


def test_flags(tmp_path: Path) -> None:
    records = read(write(tmp_path / "oia", words=WORDS))
    assert not rejected(records)
    assert [claim for claim in claims(records) if claim[0] == "oia/s%201"] == [
        ("oia/s%201", "SHOWS_REASON", "reason:green-light"),
        ("oia/s%201", "ALLOWS_ACTION", "action:forward"),
        ("oia/s%201", "FORBIDS_ACTION", "action:stop-slow"),
        ("oia/s%201", "FORBIDS_ACTION", "action:left"),
        ("oia/s%201", "ALLOWS_ACTION", "action:right"),
    ]
    found = entities(records)
    assert found["reason:red-light-or-yellow"] == {"name": "red light (or yellow)"}
    assert found["action:stop-slow"] == {"name": "stop/slow"}


def test_words(tmp_path: Path) -> None:
    records = read(write(tmp_path / "x"))
    found = entities(records)
    assert found["scene:x/v/0-7"] == {
        "name": "v",
        "begin_seconds": 0.0,
        "end_seconds": 7.0,
        "description": "Stops",
        "justification": "Red.",
    }
    assert found["scene:x/v/7-9.5"]["justification"] == "since the light turned green."
    assert [claim for claim in claims(records) if claim[0].startswith("x/v/")] == [
        ("x/v/0-7", "ALLOWS_ACTION", "action:stop-slow")
    ]


def test_flags_without_names_are_numbered(tmp_path: Path) -> None:
    records = read(write(tmp_path / "x", labels=None))
    assert ("x/s2", "SHOWS_REASON", "reason:x/1") in claims(records)
    assert entities(records)["reason:x/1"] == {"name": "reason 1"}
    assert ("x/s2", "ALLOWS_ACTION", "action:stop-slow") in claims(records)


def test_other_names_make_it_another_document(tmp_path: Path) -> None:
    before = {d.id: d.content for d in get_reader("scenes").documents(write(tmp_path / "x"))}
    (tmp_path / "x" / "label_names.json").unlink()
    after = {d.id: d.content for d in get_reader("scenes").documents(tmp_path / "x")}
    assert before.keys() == after.keys() == {"scenes:x/flags.json", "scenes:x/words.jsonl"}
    assert all(before[id_] != after[id_] for id_ in before)


@pytest.mark.parametrize(
    "labels", [[], {"actions": []}, {"actions": "ab", "reasons": [1.5]}, {"actions": 1, "reasons": 2}]
)
def test_broken_names(tmp_path: Path, labels: Any) -> None:
    with pytest.raises(InputError, match=r"label_names\.json: needs lists of names"):
        read(write(tmp_path / "x", labels=labels))


@pytest.mark.parametrize(
    ("scene", "reason"),
    [
        ({"actions": [1, 0, 0], "reason": [1, 0]}, "actions: 3 flags instead of 4"),
        ({"actions": [1, 0, 0, 0], "reason": [1, 0, 0]}, "reason: 3 flags instead of 2"),
        ({"actions": [1, 0, 0, 2], "reason": [1, 0]}, "actions: [1, 0, 0, 2] is not a list of 0 and 1"),
        ({"actions": [1, 0, 0, 1.0], "reason": [1, 0]}, "is not a list of 0 and 1"),
        ({"actions": [1, 0, 0, True], "reason": [1, 0]}, "is not a list of 0 and 1"),
        ({"actions": "1000", "reason": [1, 0]}, "is not a list of 0 and 1"),
        ({"actions": [1, 0, 0, float("nan")], "reason": [1, 0]}, "is not a list of 0 and 1"),
        ({"actions": [1, 0, 0, 10**400], "reason": [1, 0]}, "is not a list of 0 and 1"),
        ({"reason": [1, 0]}, "actions: None is not a list"),
        ({"reason": None, "actions": [1, 0, 0, 0]}, "reason: None is not a list"),
        ([1, 0], "a scene: [1, 0] is not an object"),
        ("text", "a scene: 'text' is not an object"),
        ({}, "video: None is not a text"),
    ],
)
def test_broken_flags(tmp_path: Path, scene: Any, reason: str) -> None:
    records = read(write(tmp_path / "x", FLAGS | {"bad": scene}))
    [(place, told)] = rejected(records)
    assert place == "bad"
    assert reason in told
    assert [r for r in records if not isinstance(r, Rejected)] == read(write(tmp_path / "good" / "x"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"video": "w", "start": 0', "the file ends inside it"),
        ('{"video": "w", "video": "z", "start": 0, "end": 1, "actions": [0, 1, 0, 0]}', "key 'video' is there twice"),
        (json.dumps(WORD | {"start": 9}), "it ends before it starts"),
        (json.dumps(WORD | {"start": float("nan")}), ""),
        (json.dumps(WORD | {"end": float("inf")}), ""),
        (json.dumps(WORD | {"end": 10**400}), ""),
        (json.dumps(WORD | {"end": "late"}), "end: 'late' is not a number"),
        (json.dumps(WORD | {"video": ""}), "video: '' is not a text"),
        (json.dumps(WORD | {"video": {}}), "video: {} is not a text"),
        (json.dumps(WORD | {"justification": ["x"]}), "justification: ['x'] is not a text"),
        (json.dumps(WORD | {"justification": "x" * 2000}), "2,000 characters"),
        (json.dumps(WORD | {"actions": None}), "actions: None is not a list"),
        ('{"video": "w", "start": 0, "end": 1}', "neither reason, nor justification, nor actions"),
        ('{"video": "v", "start": 0, "end": 7, "justification": "again"}', "scene:x/v/0-7 is there already"),
        ('{"video": "\\ud800", "start": 0, "end": 1, "justification": "x"}', "not UTF-8"),
        ("[" * 100_000, ""),
        ("null", "a scene: None is not an object"),
    ],
)
def test_broken_words(tmp_path: Path, line: str, reason: str) -> None:
    records = read(write(tmp_path / "x", words=WORDS + line + "\n"))
    [(place, told)] = rejected(records)
    assert place == "L3"
    assert reason in told
    assert [r for r in records if not isinstance(r, Rejected)] == read(write(tmp_path / "good" / "x"))


def test_wrong_encoding(tmp_path: Path) -> None:
    line = json.dumps(WORD).encode().replace(b"because", b"because \xe9")
    records = read(write(tmp_path / "x", words=line + b"\n" + WORDS.encode()))
    assert rejected(records) == [("L1", "not UTF-8: byte 0xe9")]
    assert sum(r.classes == ("Scene",) for r in records if isinstance(r, Entity)) == 4


def test_flags_cut_off(tmp_path: Path) -> None:
    text = json.dumps(FLAGS)
    records = read(write(tmp_path / "x", text[:-40]))
    [(_, reason)] = rejected(records)
    assert "ends" in reason
    assert ("x/s%201", "ALLOWS_ACTION", "action:forward") in claims(records)


# ---- real samples ---------------------------------------------------------------------------------------------------


def test_bdd_oia(ontology: Ontology) -> None:
    path = TRAFFIC / "bddoia"
    if not path.is_dir():
        pytest.skip(f"needs {path}")
    records = read(path)
    assert not rejected(records)
    assert not any(ontology.check_entity(r) for r in records if isinstance(r, Entity))
    content = [json.loads((path / f"gt_4a_21r_{part}.json").read_text()) for part in ("train", "val")]
    scenes = [scene for part in content for scene in part.values()]
    told = Counter(relation for _, relation, _ in claims(records))
    assert told["ALLOWS_ACTION"] == sum(sum(scene["actions"]) for scene in scenes)
    assert told["FORBIDS_ACTION"] == sum(scene["actions"].count(0) for scene in scenes)
    assert told["SHOWS_REASON"] == sum(sum(scene["reason"]) for scene in scenes)
    assert len({o for _, relation, o in claims(records) if relation == "SHOWS_REASON"}) == 21


def test_bdd_x(ontology: Ontology) -> None:
    """Seven of its moments end before they start."""
    path = TRAFFIC / "bddx"
    if not path.is_dir():
        pytest.skip(f"needs {path}")
    records = read(path)
    assert {reason for _, reason in rejected(records)} == {"it ends before it starts"}
    assert not any(ontology.check_entity(r) for r in records if isinstance(r, Entity))
    count = sum(len(file.read_text().splitlines()) for file in path.glob("*.jsonl"))
    assert sum(r.classes == ("Scene",) for r in records if isinstance(r, Entity)) == count - len(rejected(records))


# ---- through the pipeline -------------------------------------------------------------------------------------------


async def test_traffic_of_a_town(embedded_backend: Backend, tmp_path: Path) -> None:
    """Network, outputs, series and scenes of one folder meet in one graph; what is broken is a dead letter."""
    town = tmp_path / "town"
    test_sumo.write(
        town,
        **{
            "a.net.xml": test_sumo.NET,
            "b.add.xml": test_sumo.ADDITIONAL,
            "e1.xml": test_sumo.LOOPS,
            "flow.csv": "time,d 1\n2024-01-01T00:00,3\n2024-01-01T00:05,4\n2024-01-01T00:10,x\n2024-01-01T00:15,5\n",
        },
    )
    write(town / "scenes")
    embedded_backend.empty()
    store = await embedded_backend.open()
    letters = tmp_path / "letters.jsonl"
    try:
        reports = {
            name: await ingest(store, get_reader(name), path, dead_letters=letters)
            for name, path in (
                ("sumo_net", town),
                ("sumo_outputs", town / "e1.xml"),
                ("series", town),
                ("scenes", town / "scenes"),
            )
        }
        assert {name: report.rejected for name, report in reports.items() if report.rejected} == {"series": 1}
        again = await ingest(store, get_reader("series"), town, dead_letters=letters)
        assert (again.skipped, again.loaded) == (1, 0)
        query = (
            "MATCH (s:Series)-[:OBSERVES]->(d:TrafficDetector)-[:LOCATED_ON]->(l:Lane)<-[:HAS_LANE]-(r:RoadSegment) "
            "RETURN s.values AS values, d.name AS detector, r.name AS road, l.speed_limit AS limit"
        )
        assert [row async for row in store.read(query)] == [
            {"values": "[3.0,4.0,null,5.0]", "detector": "d 1", "road": "High Street", "limit": 13.89}
        ]
        query = "MATCH (s:Scene)-[:ALLOWS_ACTION]->(a:DrivingAction) RETURN count(*) AS n"
        assert [row async for row in store.read(query)] == [{"n": 4}]
    finally:
        await store.close()
    [letter] = [json.loads(line) for line in letters.read_text().splitlines()]
    assert (letter["place"], letter["reason"]) == ("L4", "d 1 is 'x', no finite number")
    assert letter["document"] == "series:town/flow.csv"


async def test_long_texts_are_written_in_more_batches(
    embedded_backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "MAX_TEXT", 100)
    rows = "".join(f"2024-01-{day:02}T{hour:02}:00,{hour}\n" for day in range(1, 6) for hour in range(24))
    path = test_sumo.write(tmp_path / "town", **{"flow.csv": "time,d\n" + rows})
    embedded_backend.empty()
    store = await embedded_backend.open()
    seen: list[int] = []
    try:
        reader = get_reader("series")
        letters = tmp_path / "letters.jsonl"
        await ingest(store, reader, path, dead_letters=letters, progress=lambda p: seen.append(p.records))
        assert [row async for row in store.read("MATCH (s:Series) RETURN count(s) AS n")] == [{"n": 5}]
    finally:
        await store.close()
    assert len(seen) > 2
