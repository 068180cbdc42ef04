"""Dead letters that are tried again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from ingestion.dead_letters import MAX_MESSAGE, read_letters
from ingestion.pipeline import ingest
from ingestion.readers.base import get_reader
from ingestion.replay import replay
from ingestion.stream import Consumer
from ingestion.stream_brokers import Received, open_feed
from kg.store import Batch, GraphStore, WriteReport
from tests.ingestion.samples import HPOA, OBO, hpoa_row, packet, write_hpo, write_json
from tests.support.backends import Backend

UNKNOWN = hpoa_row("OMIM:7", "Seventh", term="HP:7777777", reference="PMID:7")
SEQINFO = "[Sequence]\nname=S1\nimWidth=100\nimHeight=100\nframeRate=25\n"
MAPPING = "claims:\n  - {subject: '{subject}', relation: IS_A, object: '{object}', confidence: sure}\n"
CONCEPT_MAP = '{"resourceType": "ConceptMap", "status": "active", "url": "http://x.org/map"}'
TERM = "\n[Term]\nid: HP:7777777\nname: A new term\nis_a: HP:0000118\n"


@pytest_asyncio.fixture
async def store(embedded_backend: Backend) -> AsyncIterator[GraphStore]:
    embedded_backend.empty()
    opened = await embedded_backend.open()
    yield opened
    await opened.close()


async def test_what_a_newer_vocabulary_makes_acceptable_is_written(
    store: GraphStore, embedded_backend: Backend, tmp_path: Path
) -> None:
    letters = tmp_path / "letters.jsonl"
    case = packet("one", phenotypicFeatures=[{"type": {"id": "HP:7777777"}}, {"type": {"id": "HP:0001250"}}])
    cases = write_json(tmp_path / "cases" / "case.json", case)
    newer = write_hpo(tmp_path / "newer" / "hpo", obo=OBO + TERM)
    await ingest(store, get_reader("hpo"), newer, dead_letters=letters)
    await ingest(store, get_reader("phenopackets"), cases, dead_letters=letters)
    expected = await store.digest()
    assert not list(read_letters(letters))

    embedded_backend.empty()
    older = write_hpo(tmp_path / "older" / "hpo", obo=OBO)
    await ingest(store, get_reader("hpo"), older, dead_letters=letters)
    report = await ingest(store, get_reader("phenopackets"), cases, dead_letters=letters)
    assert report.rejected == 1
    [letter] = read_letters(letters)
    assert "HP:7777777" in letter.reason

    again = await replay(store, letters)
    assert (again.written, again.refused, again.left) == (0, 1, [])
    assert list(read_letters(letters)) == [letter]

    (older / "hp.obo").write_text(OBO + TERM)
    await ingest(store, get_reader("hpo"), older, dead_letters=letters)
    again = await replay(store, letters)
    assert (again.written, again.refused, again.left, again.facts) == (1, 0, [], 1)
    assert not list(read_letters(letters))
    assert await store.digest() == expected


async def test_what_is_refused_during_a_replay_stays(
    store: GraphStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters = tmp_path / "letters.jsonl"
    await ingest(store, get_reader("hpo"), write_hpo(tmp_path / "hpo", obo=OBO), dead_letters=letters)
    paths = [
        write_json(tmp_path / f"{name}.json", packet(name, phenotypicFeatures=[{"type": {"id": "HP:7777777"}}]))
        for name in ("one", "two")
    ]
    await ingest(store, get_reader("phenopackets"), paths[0], dead_letters=letters)
    write, others = store.write, [paths[1]]

    async def write_beside(batch: Batch) -> WriteReport:
        while others:
            await ingest(store, get_reader("phenopackets"), others.pop(), dead_letters=letters)
        return await write(batch)

    monkeypatch.setattr(store, "write", write_beside)
    assert (await replay(store, letters)).refused == 1
    assert [letter.document for letter in read_letters(letters)] == ["phenopackets:one.json", "phenopackets:two.json"]


async def test_an_upload_goes_with_its_last_letter(store: GraphStore, tmp_path: Path) -> None:
    letters, uploads = tmp_path / "letters.jsonl", tmp_path / "uploads"
    hpo = write_hpo(tmp_path / "hpo", obo=OBO)
    await ingest(store, get_reader("hpo"), hpo, dead_letters=letters)
    for folder, term in (("one", "HP:7777777"), ("other", "HP:9999999")):
        case = packet(folder, phenotypicFeatures=[{"type": {"id": term}}])
        path = write_json(uploads / folder / f"{folder}.json", case)
        await ingest(store, get_reader("phenopackets"), path, dead_letters=letters)
    (hpo / "hp.obo").write_text(OBO + TERM)
    await ingest(store, get_reader("hpo"), hpo, dead_letters=letters)
    again = await replay(store, letters, uploads=uploads)
    assert (again.written, again.refused, again.left) == (1, 1, [])
    assert [folder.name for folder in uploads.iterdir()] == ["other"]


async def test_a_file_that_changed_or_went_is_left(store: GraphStore, tmp_path: Path) -> None:
    letters = tmp_path / "letters.jsonl"
    folder = write_hpo(tmp_path / "hpo", hpoa=HPOA + UNKNOWN)
    assert (await ingest(store, get_reader("hpo"), folder, dead_letters=letters)).rejected == 1
    before = letters.read_bytes()
    (folder / "phenotype.hpoa").write_text(HPOA)
    report = await replay(store, letters)
    assert (report.written, report.refused) == (0, 0)
    assert "has changed; load it again" in report.left[0][1]
    (folder / "phenotype.hpoa").unlink()
    report = await replay(store, letters)
    assert "phenotype.hpoa" in report.left[0][1]
    assert letters.read_bytes() == before


@pytest.mark.parametrize("documents", [["hpo:phenotype.hpoa"], ["other"]])
async def test_only_some_documents(store: GraphStore, tmp_path: Path, documents: list[str]) -> None:
    letters = tmp_path / "letters.jsonl"
    await ingest(store, get_reader("hpo"), write_hpo(tmp_path / "hpo", hpoa=HPOA + UNKNOWN), dead_letters=letters)
    report = await replay(store, letters, documents)
    assert report.refused == (documents != ["other"])
    assert len(list(read_letters(letters))) == 1


@pytest.mark.parametrize(
    ("reader", "files"),
    [
        ("yolo", {"labels/a.txt": "0 9 9 9 9\n", "data.yaml": "names: [car]\n"}),
        ("mot", {"S1/det/det.txt": "1,2\n", "S1/seqinfo.ini": SEQINFO}),
        ("coco", {"results.json": '[{"image_id": 1}]', "instances_val.json": '{"categories": [{"id": 1}]}'}),
        ("table", {"a.csv": "subject,object,sure\nA:1,A:2,9\n", "mapping.yaml": MAPPING}),
        ("fhir", {"deep/a.json": '{"resourceType": "Patient", "gender": 3}', "maps.json": CONCEPT_MAP}),
    ],
)
async def test_documents_with_files_beside_them_are_tried(
    store: GraphStore, tmp_path: Path, reader: str, files: dict[str, str]
) -> None:
    letters = tmp_path / "letters.jsonl"
    for name, text in files.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text(text)
    await ingest(store, get_reader(reader), tmp_path / "in", dead_letters=letters, name="some where")
    found = list(read_letters(letters))
    assert found
    again = await replay(store, letters)
    assert (again.written, again.refused, again.left) == (0, len(found), [])
    (tmp_path / "in" / list(files)[1]).write_text(f"{list(files.values())[1]}\n")
    again = await replay(store, letters)
    assert "has changed" in again.left[0][1]


# ---- messages of streams


async def streamed(store: GraphStore, letters: Path, reader: str, *bodies: bytes) -> None:
    """Takes in messages, without a broker."""
    consumer = Consumer(store, open_feed("kafka://host:9092", "topic"), reader, letters)
    received = [Received(bytes([at] * 8), body, "topic", None, None) for at, body in enumerate(bodies)]
    await consumer._commit(await consumer._prepare(received))


def claims(many: int, **more: object) -> bytes:
    said = {"relation": "DETECTED_IN", "object": "camera:1", "source": "yolo:1"} | more
    return orjson.dumps({"claims": [said | {"subject": f"detection:{number}"} for number in range(many)]})


async def test_refused_records_of_a_long_message_are_kept_one_by_one(store: GraphStore, tmp_path: Path) -> None:
    letters = tmp_path / "letters.jsonl"
    body = claims(3000)
    assert len(body) > MAX_MESSAGE
    await streamed(store, letters, "claims", body)
    assert len(list(read_letters(letters))) == 3000
    assert letters.stat().st_size < 30 * len(body)
    again = await replay(store, letters)
    assert (again.written, again.refused, again.left) == (0, 3000, [])
    await streamed(store, tmp_path / "other.jsonl", "claims", b'{"sources": [{"id": "yolo:1", "kind": "model"}]}')
    again = await replay(store, letters)
    assert (again.written, again.refused, again.left, again.facts) == (3000, 0, [], 3000)
    assert not list(read_letters(letters))


async def test_a_record_that_the_graph_refuses_of_a_readers_message_is_kept_by_itself(
    store: GraphStore, tmp_path: Path
) -> None:
    letters = tmp_path / "letters.jsonl"
    hpo = write_hpo(tmp_path / "hpo", obo=OBO)
    await ingest(store, get_reader("hpo"), hpo, dead_letters=letters)
    case = packet("one", phenotypicFeatures=[{"type": {"id": "HP:7777777"}}, {"type": {"id": "HP:0001250"}}])
    await streamed(store, letters, "phenopackets", orjson.dumps(case))
    [letter] = read_letters(letters)
    assert orjson.loads(letter.record)["claims"][0]["object"] == "HP:7777777"
    (hpo / "hp.obo").write_text(OBO + TERM)
    await ingest(store, get_reader("hpo"), hpo, dead_letters=letters)
    again = await replay(store, letters)
    assert (again.written, again.refused, again.left, again.facts) == (1, 0, [], 1)


async def test_a_message_that_is_refused_in_parts_is_kept_once(store: GraphStore, tmp_path: Path) -> None:
    letters = tmp_path / "letters.jsonl"
    body = b"0 0.5 0.5 0.1 0.1\n" + b"0 9 9 9 9\n" * 100
    await streamed(store, letters, "yolo", body)
    found = list(read_letters(letters))
    assert len(found) == 100
    assert found[0].record == body.decode()
    assert {letter.record.strip() for letter in found[1:]} == {"0 9 9 9 9"}
    again = await replay(store, letters)
    assert (again.written, again.refused, again.left) == (0, 100, [])
    assert list(read_letters(letters)) == found


@pytest.mark.parametrize("body", [b"0 9 9 9 9\n" * 10_000, b"0 \xff\n"])
async def test_a_message_that_is_not_kept_is_left_and_says_so(store: GraphStore, tmp_path: Path, body: bytes) -> None:
    letters = tmp_path / "letters.jsonl"
    await streamed(store, letters, "yolo", body)
    found = list(read_letters(letters))
    assert len(found[0].record) < MAX_MESSAGE
    again = await replay(store, letters)
    assert (again.written, again.refused) == (0, 0)
    assert "send it again" in again.left[0][1]
    assert list(read_letters(letters)) == found
