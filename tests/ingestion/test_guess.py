"""Which reader a file is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.guess import guess_reader
from kg.errors import InputError
from tests.ingestion.samples import packet, write_hpo, write_json

SHARED = Path(__file__).parents[3] / "shared" / "data" / "traffic"

FILES = {
    "coco": ("results.json", '[{"image_id": 42, "category_id": 13, "bbox": [1, 2, 3, 4], "score": 0.2}]'),
    "yolo": ("frame.txt", "# class xc yc w h\n11 0.51 0.33 0.03 0.05 0.87\n"),
    "mot": ("det.txt", "1,-1,794.2,47.5,71.2,174.8,67.5,-1,-1,-1\n"),
    "onvif": ("frame.xml", '<?xml version="1.0"?><tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema"/>'),
    "fhir": ("bundle.json", '{"resourceType": "Bundle", "type": "collection", "entry": []}'),
    "llm_triples": ("answer.md", 'Here they are:\n```json\n[["A", "is a", "B"]]\n```'),
    "sumo_net": ("town.net.xml", "<net></net>"),
    "sumo_outputs": ("edges.xml", '<meandata><interval begin="0" end="60"/></meandata>'),
    "interactions": ("events.csv", "user_id,item_id,rating,timestamp\n1,2,3,4\n"),
    "items": ("items.csv", "item_id,title\n1,One\n"),
    "series": ("speed.csv", "timestamp,s1,s2\n2024-01-01T00:00:00Z,1,2\n"),
    "rdf": ("graph.ttl", "<urn:a> <urn:b> <urn:c> ."),
    "graphml": ("graph.graphml", "<graphml/>"),
    "neo4j_json": ("export.json", '{"type":"node","id":"0","labels":["User"],"properties":{}}\n'),
    "scenes": ("scenes.json", '{"a": {"actions": [1, 0, 0, 1], "reason": [0, 1]}}'),
    "phenopackets": ("case.yaml", "id: case\nphenotypicFeatures:\n  - type: {id: 'HP:0001250', label: Seizure}\n"),
    "recbole_kg": ("ml.kg", "head_id:token\trelation_id:token\ttail_id:token\n"),
}


@pytest.mark.parametrize("reader", FILES)
def test_by_name_and_content(reader: str, tmp_path: Path) -> None:
    name, text = FILES[reader]
    (tmp_path / name).write_text(text)
    assert guess_reader(tmp_path / name) == reader
    assert guess_reader(tmp_path) == reader


@pytest.mark.parametrize(
    ("reader", "beside"),
    [
        ("yolo", ("data.yaml", "names: [car, truck]\n")),
        ("yolo", ("classes.txt", "car\ntruck\n")),
        ("items", ("notes.yml", "a: b\n")),
        ("table", ("items.csv.yaml", "entities: [{class: Item, id: 'item:{item_id}'}]\n")),
    ],
)
def test_what_explains_files_is_no_format_of_its_own(tmp_path: Path, reader: str, beside: tuple[str, str]) -> None:
    for name, text in (FILES["items" if reader == "table" else reader], beside):
        (tmp_path / name).write_text(text)
    assert guess_reader(tmp_path) == reader


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.yaml", "names: [car, truck]\n"),
        ("package.json", '{"name": "shop", "version": "1.0.0", "dependencies": {"left-pad": "1"}}'),
        ("places.json", '{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": null}]}'),
        ("users.json", '[{"id": 1, "name": "Ann", "email": "ann@example.org"}]'),
        ("graph.json", '{"nodes": [{"id": "a"}], "links": [{"source": "a", "target": "a", "value": 1}]}'),
        ("notes.txt", "Dear all, the meeting is on Monday.\n"),
        ("README.md", "# Shop\n\nWhat this is for.\n"),
        ("reviews.csv", "sentiment,text\n1,fine\n"),
    ],
)
def test_what_may_be_anything_is_not_guessed(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match="which format is this"):
        guess_reader(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "text", "reader"),
    [
        ("a.json", '[{"subject": "A", "relation": "is a", "object": "B"}]', "llm_triples"),
        ("a.jsonl", '{"model": "m", "output": "[]"}\n', "llm_triples"),
        ("a.json", '{"nodes": [{"id": "a"}],\n "edges": [{"source": "a", "target": "b"}]}', "llm_triples"),
        ("a.txt", '("entity"<|>A<|>PERSON<|>text)##', "llm_triples"),
        ("a.txt", "0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\n", "yolo"),
        ("a.json", '[{"camera": "yard", "id": "1.5-a", "label": "dog", "has_snapshot": true}]', "frigate"),
        ("a.csv", "sensor,startTime,flow\n", "series"),
        ("a.csv", "Timestamp,s1\n", "series"),
        ("a.csv", "date_time,s1\n", "series"),
    ],
)
def test_by_content(tmp_path: Path, name: str, text: str, reader: str) -> None:
    (tmp_path / name).write_text(text)
    assert guess_reader(tmp_path / name) == reader


@pytest.mark.skipif(not SHARED.exists(), reason="the samples are not here")
@pytest.mark.parametrize(
    ("path", "reader"),
    [
        ("formats/coco_results.json", "coco"),
        ("formats/deepstream_msg.json", "deepstream"),
        ("formats/frigate_event.json", "frigate"),
        ("formats/onvif_frame.xml", "onvif"),
        ("formats/openlabel.json", "openlabel"),
        ("formats/yolo.txt", "yolo"),
        ("sumo/resco_cologne8/cologne8.net.xml", "sumo_net"),
        ("bddoia/gt_4a_21r_val.json", "scenes"),
        ("bddx/val.jsonl", "scenes"),
        ("nab_traffic/TravelTime_387.csv", "series"),
        ("losloop/losloop_train.npz", "series"),
    ],
)
def test_real_files(path: str, reader: str) -> None:
    assert guess_reader(SHARED / path) == reader


def test_medicine(tmp_path: Path) -> None:
    assert guess_reader(write_hpo(tmp_path / "hpo")) == "hpo"
    assert guess_reader(write_json(tmp_path / "cases" / "one.json", packet())) == "phenopackets"


def test_a_mapping_beside_a_table(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="which format is this"):
        guess_reader(tmp_path / "people.csv")
    (tmp_path / "people.csv.yaml").write_text("entities: []")
    assert guess_reader(tmp_path / "people.csv") == "table"


def test_several_formats_or_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file of a known format inside"):
        guess_reader(tmp_path)
    for reader in ("coco", "rdf"):
        name, text = FILES[reader]
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=r"several formats \(coco, rdf\)"):
        guess_reader(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        guess_reader(tmp_path / "nowhere.json")
