from __future__ import annotations

import asyncio
import functools
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.ingesting import Ingestion
from api.settings import Settings
from ingestion.dead_letters import read_letters
from ingestion.pipeline import ingest
from ingestion.readers.base import READERS
from ingestion.replay import replay
from tests.api.conftest import Client, assert_problem, follow
from tests.api.samples import packet


async def upload(http: httpx.AsyncClient, name: str, content: bytes, **fields: str) -> httpx.Response:
    return await http.post("/v1/ingestions", files={"file": (name, content)}, data={"reader": "phenopackets"} | fields)


async def finished(http: httpx.AsyncClient, started: httpx.Response) -> dict[str, Any]:
    """A job that was started, at its end."""
    return (await follow(http, started))[-1][1]


async def _graph(http: httpx.AsyncClient) -> str:
    digest: str = await http.app.state.service.digest()  # type: ignore[attr-defined]
    return digest


async def test_an_upload_is_loaded_watched_and_taken_back(http: httpx.AsyncClient, settings: Settings) -> None:
    before = await _graph(http)
    started = await upload(http, "../../etc/my case.json", json.dumps(packet()).encode())
    assert started.status_code == 202, started.text
    job = started.json()
    assert job["path"] == "my_case.json"
    assert started.headers["location"] == f"/v1/ingestions/{job['id']}"
    events = await follow(http, started)
    name, last = events[-1]
    assert name == last["state"] == "done"
    assert last["report"]["loaded"] == 1
    assert last["report"]["rejected"] == 0
    assert (await http.get(started.headers["location"])).json() == last
    assert (await http.get("/v1/ingestions")).json()["ingestions"] == [last]
    assert not list(settings.uploads.iterdir())
    assert (await http.get("/v1/entities/phenopacket:case-1")).status_code == 200
    retracted = await http.delete("/v1/sources/phenopackets:my_case.json")
    assert retracted.status_code == 200, retracted.text
    assert retracted.json()["entities"] > 0
    assert await _graph(http) == before
    assert_problem(await http.delete("/v1/sources/phenopackets:my_case.json"), 404, "not-found")


async def test_a_damaged_upload_is_reported_and_changes_nothing(http: httpx.AsyncClient) -> None:
    last = await finished(http, await upload(http, "broken.json", b'{"id": '))
    assert last["report"]["rejected"] + last["report"]["failed_documents"] == 1
    await http.delete("/v1/sources/phenopackets:broken.json")


@pytest.mark.parametrize("name", ["ü" * 300 + ".json", "..", "a\0b.json", "a\r\nX: b.json"])
async def test_an_upload_may_have_any_name(http: httpx.AsyncClient, settings: Settings, name: str) -> None:
    last = await finished(http, await upload(http, name, b'{"id": '))
    assert len(last["path"].encode()) <= 200
    if name == "..":  # without an extension no reader takes it
        assert last["problem"]["type"] == "urn:evigraph:problem:input"
    else:
        assert last["report"]["rejected"] + last["report"]["failed_documents"] == 1
    await http.delete(f"/v1/sources/phenopackets:{last['path']}")
    letters = [letter for letter in read_letters(settings.dead_letters) if letter.number]
    assert len(list(settings.uploads.iterdir())) == len(letters)


async def test_an_upload_stays_as_long_as_it_has_dead_letters(http: httpx.AsyncClient, settings: Settings) -> None:
    case = packet("kept-1")
    case["phenotypicFeatures"].append({"type": {"id": "HP:9999999"}})
    last = await finished(http, await upload(http, "kept.json", json.dumps(case).encode()))
    assert last["report"]["rejected"] == 1
    [letter] = read_letters(settings.dead_letters)
    assert list(settings.uploads.glob("*/kept.json")) == [Path(letter.file)]
    store = http.app.state.service.store  # type: ignore[attr-defined]
    report = await replay(store, settings.dead_letters, uploads=settings.uploads)
    assert (report.written, report.refused, report.left) == (0, 1, [])
    assert list(settings.uploads.glob("*/kept.json")) == [Path(letter.file)]
    await http.delete("/v1/sources/phenopackets:kept.json")


async def test_a_path_must_lie_in_an_allowed_folder(settings: Settings, client: Client, tmp_path: Path) -> None:
    allowed, secret = tmp_path / "allowed", tmp_path / "secret"
    for folder in (allowed, secret):
        folder.mkdir()
        (folder / "case.json").write_text(json.dumps(packet("from-path")))
    (allowed / "link").symlink_to(secret)

    async def post(http: httpx.AsyncClient, path: Path | str) -> httpx.Response:
        return await http.post("/v1/ingestions", json={"reader": "phenopackets", "path": str(path)})

    async with client(settings) as http:
        assert_problem(await post(http, allowed), 403, "forbidden")
    async with client(settings.model_copy(update={"ingestion_folders": (allowed,)})) as http:
        for path in (
            secret,
            allowed / ".." / "secret",
            allowed / "link",
            "/etc/passwd",
            "relative",
            tmp_path / "none",
            "",
            "\0",
        ):
            assert_problem(await post(http, path), 403, "forbidden")
        started = await post(http, allowed / "case.json")
        assert (await finished(http, started))["state"] == "done"
        assert (await http.get("/v1/entities/phenopacket:from-path")).status_code == 200
        last = await finished(http, await post(http, allowed / "missing.json"))
        assert last["state"] == "failed"
        assert last["problem"]["type"] == "urn:evigraph:problem:input"
        assert (await http.delete("/v1/sources/phenopackets:case.json")).status_code == 200


@pytest.mark.parametrize(
    ("request_", "status", "name"),
    [
        ({"json": {"reader": "excel"}}, 422, "input"),
        ({"json": {"reader": "phenopackets"}}, 422, "input"),
        ({"json": {}}, 422, "input"),
        ({"json": {"reader": "hpo", "folder": "x"}}, 422, "validation"),
        ({"content": b"reader=hpo"}, 415, "unsupported-media-type"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 422, "validation"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "bad-request"),
        ({"files": {"file": ("a.bin", b"?")}}, 422, "input"),
        ({"files": {"reader": (None, "phenopackets")}}, 422, "input"),
        ({"files": [("file", ("a.json", b"{}")), ("file", ("b.json", b"{}"))]}, 422, "input"),
        ({"files": [("file", ("a.json", b"{}")), ("files", ("b.json", b"{}"))]}, 422, "input"),
        ({"files": [("files", ("a.json", b"{}"))]}, 422, "input"),
        ({"files": [("files", (f"a/{number}.json", b"{}")) for number in range(501)]}, 400, "bad-request"),
        ({"files": {"file": ("a.json", b"{}"), "dryrun": (None, "true")}}, 422, "validation"),
        ({"files": {"file": ("a.json", b"{}"), "dry_run": (None, "perhaps")}}, 422, "validation"),
        ({"files": {"file": ("a.json", b"{}"), "reader": ("r", b"phenopackets")}}, 422, "validation"),
        ({"files": {"file": ("a.json", b"{}"), "reader": (None, "excel")}}, 422, "input"),
    ],
)
async def test_what_makes_no_sense_starts_no_job(
    http: httpx.AsyncClient, settings: Settings, request_: dict[str, Any], status: int, name: str
) -> None:
    assert_problem(await http.post("/v1/ingestions", **request_), status, name)
    assert (await http.get("/v1/ingestions")).json() == {"ingestions": []}
    assert not list(settings.uploads.glob("*"))


@pytest.mark.parametrize(
    "names",
    [
        ["../a.txt"], ["/etc/a.txt"], ["x/../a.txt"], ["x//a.txt"], ["x/"], [".a.txt"], ["x/.git/a.txt"], ["x\\a.txt"],
        ["x" * 201], ["x/" * 500 + "a.txt"], ["a.txt", "a.txt"], ["a.txt", "a.txt/b.txt"],
    ],
)  # fmt: skip
async def test_names_of_a_folder_are_inside_it_and_differ(
    http: httpx.AsyncClient, settings: Settings, names: list[str]
) -> None:
    files = [("files", (name, b"0 0.5 0.5 0.1 0.1\n")) for name in names]
    response = await http.post("/v1/ingestions", files=files, data={"reader": "yolo", "name": "set"})
    assert assert_problem(response, 422, "input")["place"] == "files"
    assert not list(settings.uploads.glob("*"))


FILMS = {
    "films.csv": b"id,title,maker\n1,Toy Story,Pixar\n2,Heat,\n",
    "films.csv.yaml": b"entities:\n  - {class: Item, id: 'item:{id}', properties: {name: title}}\n"
    b"  - {class: Brand, id: 'brand:{maker}', properties: {name: maker}}\n"
    b"claims:\n  - {subject: 'item:{id}', relation: HAS_BRAND, object: 'brand:{maker}'}\n",
}
BOXES = {"data.yaml": b"names: [car, truck]\n", "labels/train/a b.txt": b"0 0.5 0.5 0.1 0.1\n1 0.2 0.2 0.1 0.1\n"}


@pytest.mark.parametrize(
    ("reader", "files", "fields", "top"),
    [("table", FILMS, {"name": "shop"}, ""), ("yolo", BOXES, {}, "set/"), ("yolo", BOXES, {"name": "other"}, "set/")],
)
async def test_files_of_a_folder_are_loaded_as_from_a_folder(
    http: httpx.AsyncClient, settings: Settings, tmp_path: Path,
    reader: str, files: dict[str, bytes], fields: dict[str, str], top: str,
) -> None:  # fmt: skip
    before = await _graph(http)
    sent = [("files", (top + name, content)) for name, content in files.items()]
    last = await finished(http, await http.post("/v1/ingestions", files=sent, data={"reader": reader} | fields))
    assert last["state"] == "done", last
    assert (last["report"]["loaded"], last["report"]["rejected"], last["report"]["failed_documents"]) == (1, 0, 0)
    assert last["path"] == fields.get("name", "set")
    assert not list(settings.uploads.iterdir())
    after = await _graph(http)
    service = http.app.state.service  # type: ignore[attr-defined]
    reader = last["reader"]
    [document] = {entry for entry in await service.store.ledger() if entry.startswith(f"{reader}:")}
    await service.retract(document)
    assert await _graph(http) == before
    folder = tmp_path / last["path"]
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    await service.ingest(reader, folder)
    assert await _graph(http) == after
    await service.retract(document)


async def test_files_of_a_folder_stay_together_with_their_dead_letters(
    http: httpx.AsyncClient, settings: Settings
) -> None:
    sent = [("files", ("data.yaml", BOXES["data.yaml"])), ("files", ("labels/bad.txt", b"0 0.5 0.5 0.1 0.1\n0 2 2\n"))]
    fields = {"reader": "yolo", "name": "kept"}
    last = await finished(http, await http.post("/v1/ingestions", files=sent, data=fields))
    assert last["report"]["rejected"] == 1
    [folder] = settings.uploads.iterdir()
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*.*")} == {"data.yaml", "labels/bad.txt"}
    store = http.app.state.service.store  # type: ignore[attr-defined]
    report = await replay(store, settings.dead_letters, uploads=settings.uploads)
    assert (report.written, report.refused, report.left) == (0, 1, [])
    assert list(settings.uploads.iterdir()) == [folder]
    await http.delete("/v1/sources/yolo:kept/labels/bad.txt")


async def test_a_dry_run_tells_what_a_run_does_and_writes_nothing(
    settings: Settings, client: Client, tmp_path: Path
) -> None:
    case = packet("dry-1")
    case["phenotypicFeatures"].append({"type": {"id": "HP:9999999"}})
    content = json.dumps(case).encode()
    path = tmp_path / "allowed" / "dry.json"
    path.parent.mkdir()
    path.write_bytes(content)
    async with client(settings.model_copy(update={"ingestion_folders": (path.parent,)})) as http:
        before = await _graph(http)
        from_path = {"reader": "phenopackets", "path": str(path), "dry_run": True}
        reports = []
        for start in (
            lambda: upload(http, "dry.json", content, dry_run="true"),
            lambda: http.post("/v1/ingestions", json=from_path),
            lambda: upload(http, "dry.json", content, dry_run="false"),
        ):
            last = await finished(http, await start())
            assert last["state"] == "done"
            reports.append({k: v for k, v in last["report"].items() if k not in ("seconds", "version", "run")})
            if last["dry_run"]:
                assert await _graph(http) == before
                assert not settings.dead_letters.exists()
                assert not list(settings.uploads.iterdir())
        assert reports[0] == reports[1] == reports[2]
        assert reports[0]["entities"] > 0
        assert reports[0]["rejected"] == len(reports[0]["refused"]) == 1
        await http.delete("/v1/sources/phenopackets:dry.json")


async def test_a_cancelled_ingestion_goes_on_when_asked_again(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await _graph(http)
    monkeypatch.setattr("api.service.ingest", functools.partial(ingest, batch_size=10))
    content = _archive([packet(f"many-{number}") for number in range(100)])
    first = await upload(http, "many.tar", content)
    async with asyncio.timeout(30):
        while (await http.get(first.headers["location"])).json()["progress"] is None:  # noqa: ASYNC110 (a client polls)
            await asyncio.sleep(0.01)
    assert (await http.delete(first.headers["location"])).status_code == 202
    last = await finished(http, first)
    assert last["state"] == "cancelled"
    part = last["report"]["records"]
    again = await upload(http, "many.tar", content)
    last = await finished(http, again)
    assert last["state"] == "done"
    assert 0 < part < last["report"]["records"] + part
    rows = await http.post(
        "/v1/cypher",
        json={"query": "MATCH (p:Patient) WHERE p.id STARTS WITH 'phenopacket:many-' RETURN count(p) AS n"},
    )
    assert rows.json()["rows"] == [[100]]
    assert_problem(await http.delete(again.headers["location"]), 409, "conflict")
    assert (await http.delete("/v1/sources/phenopackets:many.tar")).status_code == 200
    assert await _graph(http) == before


def _archive(packets: list[dict[str, object]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for item in packets:
            content = json.dumps(item).encode()
            member = tarfile.TarInfo(f"{item['id']}.json")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


async def test_an_upload_goes_when_its_job_is_cancelled_before_it_began(
    http: httpx.AsyncClient, tmp_path: Path
) -> None:
    upload = tmp_path / "upload"
    upload.mkdir()
    (upload / "f.json").write_text("{}")
    state = http.app.state  # type: ignore[attr-defined]
    job = state.jobs.add(Ingestion(state.service, "phenopackets", upload / "f.json", "f.json", upload=upload))
    state.jobs.cancel(job)
    assert job.state == "cancelled"
    assert not upload.exists()


@pytest.mark.parametrize("kind", ["ingestions", "enhancements"])
async def test_unknown_jobs_are_not_found(http: httpx.AsyncClient, kind: str) -> None:
    for method, path in (("GET", ""), ("GET", "/events"), ("DELETE", "")):
        assert_problem(await http.request(method, f"/v1/{kind}/nope{path}"), 404, "not-found")


async def test_formats_are_listed(http: httpx.AsyncClient) -> None:
    found = {reader["name"]: reader for reader in (await http.get("/v1/readers")).json()["readers"]}
    assert found["phenopackets"]["extensions"][0] == ".json"
    assert "Phenopackets" in found["phenopackets"]["description"]
    assert found["yolo"]["example"].startswith("evigraph ingest yolo")
    assert set(found) == set(READERS)
    assert all(reader["description"].endswith((".", "…")) for reader in found.values())
