"""The pipeline into a real graph: what it loads, skips, loads anew, refuses, and how it goes on after a stop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from benchmarks.crash import Load, load_killed, load_undisturbed
from benchmarks.stores import Database
from ingestion.pipeline import IngestionReport, Progress, ingest
from ingestion.readers.base import Document, find_documents, get_reader
from ingestion.readers.hpo import HpoReader
from ingestion.resolve import VocabularyResolver
from ingestion.worker import Task, Worker
from kg.dialect import ArcadeDialect, Neo4jDialect
from kg.errors import ConflictError, InputError, StoreUnavailableError
from kg.model import Entity, Record, Source
from kg.store import Batch, GraphStore, WriteReport
from tests.ingestion import samples
from tests.ingestion.samples import HPOA, HPOA_HEAD, OBO, hpoa_row, packet, write_hpo, write_json
from tests.support.backends import ONTOLOGY, Backend


@pytest_asyncio.fixture
async def store(embedded_backend: Backend) -> AsyncIterator[GraphStore]:
    """An empty graph in the embedded database."""
    embedded_backend.empty()
    opened = await embedded_backend.open()
    yield opened
    await opened.close()


class Loads:
    """Loads paths into a graph; the dead letters of all runs go to one file."""

    def __init__(self, store: GraphStore, folder: Path) -> None:
        self.store = store
        self.file = folder / "dead" / "letters.jsonl"

    async def __call__(self, path: Path | None, reader: str = "hpo", **options: Any) -> IngestionReport:
        return await ingest(self.store, get_reader(reader), path, dead_letters=self.file, **options)

    @property
    def letters(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.file.read_bytes().splitlines()]


@pytest.fixture
def load(store: GraphStore, tmp_path: Path) -> Loads:
    return Loads(store, tmp_path)


async def fresh_digest(load: Loads, backend: Backend, *paths: tuple[Path, str]) -> str:
    """Of a graph that never held anything but this; the graph is empty afterwards."""
    backend.empty()
    for path, reader in paths:
        await load(path, reader)
    digest = await load.store.digest()
    backend.empty()
    return digest


class TestLoading:
    async def test_all_of_a_release(self, load: Loads, tmp_path: Path) -> None:
        report = await load(write_hpo(tmp_path / "hpo"))
        assert (report.loaded, report.skipped, report.rejected, report.failed) == (3, 0, 0, False)
        assert (report.claims, report.version) == (28, 1)
        counts = await load.store.counts()
        assert sum(counts["facts"].values()) == report.facts == 27  # one fact has two sources
        assert counts["entities"]["Entity"] == report.entities
        assert counts["documents"] == 3
        assert load.letters == []

    async def test_again_is_skipped(self, load: Loads, tmp_path: Path) -> None:
        folder = write_hpo(tmp_path / "hpo")
        await load(folder)
        before = await load.store.digest(), await load.store.version()
        report = await load(folder)
        assert (report.loaded, report.skipped, report.records, report.facts) == (0, 3, 0, 0)
        assert (await load.store.digest(), await load.store.version()) == before

    async def test_batches_of_any_size_give_the_same(
        self, load: Loads, embedded_backend: Backend, tmp_path: Path
    ) -> None:
        folder = write_hpo(tmp_path / "hpo")
        expected = await fresh_digest(load, embedded_backend, (folder, "hpo"))
        for size in (1, 7, 40):
            embedded_backend.empty()
            report = await load(folder, batch_size=size)
            assert await load.store.digest() == expected
            assert -(-report.records // size) <= report.version <= -(-report.records // size) + 3

    async def test_progress(self, load: Loads, tmp_path: Path) -> None:
        told: list[Progress] = []
        report = await load(write_hpo(tmp_path / "hpo"), batch_size=10, progress=told.append)
        assert [p.records for p in told] == [*range(10, report.records, 10), report.records]
        assert [p.bytes_read for p in told] == sorted(p.bytes_read for p in told)
        assert told[-1].bytes_read == told[-1].bytes_total == len(OBO) + len(HPOA) + len(samples.GENES)

    async def test_a_changed_file_is_loaded_anew(self, load: Loads, embedded_backend: Backend, tmp_path: Path) -> None:
        changed = HPOA_HEAD + hpoa_row("OMIM:5", "Another", reference="PMID:5")
        expected = await fresh_digest(load, embedded_backend, (write_hpo(tmp_path / "hpo", hpoa=changed), "hpo"))
        await load(write_hpo(tmp_path / "hpo"))
        report = await load(write_hpo(tmp_path / "hpo", hpoa=changed))
        assert (report.loaded, report.skipped, report.changed) == (1, 2, 1)
        assert await load.store.digest() == expected

    async def test_only_what_a_changed_file_no_longer_says_is_touched(
        self, load: Loads, embedded_backend: Backend, tmp_path: Path
    ) -> None:
        rows = [hpoa_row(f"OMIM:{n}", f"Disease {n}", reference=f"PMID:{n}", frequency=f"{n}/9") for n in range(1, 9)]
        edited = [*rows[:6], hpoa_row("OMIM:7", "Disease seven", reference="PMID:7", frequency="1/9")]
        expected = await fresh_digest(
            load, embedded_backend, (write_hpo(tmp_path / "hpo", hpoa=HPOA_HEAD + "".join(edited)), "hpo")
        )
        await load(write_hpo(tmp_path / "hpo", hpoa=HPOA_HEAD + "".join(rows)))
        before = await load.store.version()
        report = await load(write_hpo(tmp_path / "hpo", hpoa=HPOA_HEAD + "".join(edited)))
        assert await load.store.digest() == expected
        # one disease went with its fact; another has a new name, and its fact another frequency
        changed = [
            row["id"]
            async for row in load.store.read(f"MATCH (d:Disease) WHERE d.version > {before} RETURN d.id AS id")
        ]
        assert changed == ["OMIM:7"]
        assert report.retracted <= 6
        ledger = await load.store.ledger()
        assert ledger["hpo:phenotype.hpoa"].complete
        assert not ledger["hpo:phenotype.hpoa"].stale

    async def test_a_rehearsal_says_what_would_change_and_changes_nothing(self, load: Loads, tmp_path: Path) -> None:
        folder = write_hpo(tmp_path / "hpo")
        rehearsed = await load(folder, dry_run=True)
        assert await load.store.version() == 0
        assert (await load.store.counts())["entities"] == {}
        done = await load(folder)
        assert (rehearsed.entities, rehearsed.facts) == (done.entities, done.facts)
        assert rehearsed.loaded == 3
        before = await load.store.digest()
        changed = HPOA + hpoa_row("OMIM:5", "Another", reference="PMID:5")
        report = await load(write_hpo(tmp_path / "hpo", hpoa=changed), dry_run=True)
        assert (report.entities, report.facts, report.retracted, report.changed) == (1, 1, 0, 1)
        report = await load(write_hpo(tmp_path / "hpo", hpoa=HPOA_HEAD), dry_run=True)
        assert (report.entities, report.facts, report.changed) == (0, 0, 1)
        assert report.retracted > 0
        assert await load.store.digest() == before

    @pytest.mark.parametrize("batches", [1, 2])
    async def test_a_changed_file_whose_loading_was_stopped(
        self, load: Loads, embedded_backend: Backend, tmp_path: Path, batches: int
    ) -> None:
        rows = [hpoa_row(f"OMIM:{n}", f"Disease {n}", reference=f"PMID:{n}") for n in range(1, 9)]
        edited = [hpoa_row(f"OMIM:{n}", f"Name {n}", reference=f"PMID:{n}") for n in range(4, 12)]
        expected = await fresh_digest(
            load, embedded_backend, (write_hpo(tmp_path / "hpo", hpoa=HPOA_HEAD + "".join(edited)), "hpo")
        )
        await load(write_hpo(tmp_path / "hpo", hpoa=HPOA_HEAD + "".join(rows)))
        folder = write_hpo(tmp_path / "hpo", hpoa=HPOA_HEAD + "".join(edited))
        cancel = asyncio.Event()
        seen = 0

        def stop(_: Progress) -> None:
            nonlocal seen
            seen += 1
            if seen == batches:
                cancel.set()

        assert (await load(folder, batch_size=9, progress=stop, cancel=cancel)).cancelled
        assert (await load.store.ledger())["hpo:phenotype.hpoa"].stale
        await load(folder, batch_size=9)
        assert await load.store.digest() == expected

    async def test_another_version_of_the_reader_loads_anew(
        self, load: Loads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = write_hpo(tmp_path / "hpo")
        await load(folder)
        before = await load.store.digest()
        monkeypatch.setattr(HpoReader, "version", "2")
        report = await load(folder)
        assert (report.loaded, report.skipped, report.changed) == (3, 0, 3)
        assert await load.store.digest() == before

    async def test_two_files_of_one_name(self, load: Loads, tmp_path: Path) -> None:
        await load(write_hpo(tmp_path / "hpo"))
        one = write_json(tmp_path / "a" / "case.json", packet("one"))
        other = write_json(tmp_path / "b" / "case.json", packet("other"))
        await load(one, "phenopackets")
        with pytest.raises(ConflictError, match=r"phenopackets:case\.json was loaded from"):
            await load(other, "phenopackets")
        report = await load(other, "phenopackets", name="other.json")
        assert report.loaded == 1
        assert await load.store.entity("phenopacket:one") is not None
        assert await load.store.entity("phenopacket:other") is not None

    async def test_retracted_and_loaded_again(self, load: Loads, tmp_path: Path) -> None:
        folder = write_hpo(tmp_path / "hpo")
        await load(folder)
        before = await load.store.digest()
        for source in ("PMID:31675180", "hpo:2025-01-16", "OMIM:619340", "hpo:phenotype.hpoa"):
            await load.store.retract(source)
            assert await load.store.digest() != before
            assert (await load(folder)).skipped < 3
            assert await load.store.digest() == before


class TestPermissions:
    async def test_a_folder(self, store: GraphStore, unprivileged: Path) -> None:
        (unprivileged / "closed").mkdir(mode=0)
        with pytest.raises(InputError, match="closed: no permission to read it"):
            await Loads(store, unprivileged)(unprivileged / "closed", "phenopackets")

    async def test_one_file_and_one_folder_among_others(self, load: Loads, unprivileged: Path) -> None:
        cases = unprivileged / "cases"
        write_json(
            cases / "open.json",
            packet("open", phenotypicFeatures=[], diseases=[], metaData={"phenopacketSchemaVersion": "2.0"}),
        )
        write_json(cases / "shut.json", packet("shut")).chmod(0)
        write_json(cases / "closed" / "in.json", packet("in")).parent.chmod(0)
        load.file = unprivileged / "letters.jsonl"
        try:
            report = await load(cases, "phenopackets")
        finally:
            (cases / "closed").chmod(0o700)
        assert (report.loaded, report.failed_documents, report.failed) == (1, 2, True)
        assert {(x["document"], x["reason"]) for x in load.letters} == {
            ("phenopackets:cases/shut.json", "no permission to read it"),
            ("phenopackets:cases/closed", "no permission to read it"),
        }
        assert await load.store.entity("phenopacket:open") is not None


class Failing:
    """A reader whose second record of a file `bad…` is an error of its own; of `worse…` the first."""

    name = "failing"
    version = "1"
    extensions = (".txt",)
    example = ""

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        assert path is not None
        return find_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        if document.path.stem.startswith("worse"):
            raise KeyError("choices")
        return self._records(document)

    def _records(self, document: Document) -> Iterator[Record]:
        stem = document.path.stem
        yield Source(document.id, "document", document=document.id)
        yield Entity(f"OMIM:{stem}1", ("Disease",), document.id, {"name": "one"}, document.id)
        if stem.startswith("bad"):
            raise RecursionError
        if stem.startswith("panic"):
            raise Panic("out-of-range date")
        yield Entity(f"OMIM:{stem}2", ("Disease",), document.id, {"name": "two"}, document.id)


class Panic(BaseException):
    """Like pyo3's PanicException, no `Exception`."""


async def test_a_reader_that_fails_costs_its_document_alone(load: Loads, tmp_path: Path) -> None:
    folder = tmp_path / "cases"
    folder.mkdir()
    for stem in ("a", "bad", "panic", "worse", "z"):
        (folder / f"{stem}.txt").write_text(stem)
    with capture_logs() as logged:
        report = await ingest(load.store, Failing(), folder, dead_letters=load.file)
    assert (report.loaded, report.failed_documents, report.failed) == (2, 3, True)
    assert [(x["document"], x["number"], x["place"], x["reason"]) for x in load.letters] == [
        ("failing:cases/bad.txt", 0, "record 3", "the reader failed: RecursionError"),
        ("failing:cases/panic.txt", 0, "record 3", "the reader failed: out-of-range date"),
        ("failing:cases/worse.txt", 0, "record 1", "the reader failed: 'choices'"),
    ]
    assert [(x["document"], bool(x["exc_info"])) for x in logged if x["log_level"] == "error"] == [
        ("failing:cases/bad.txt", True),
        ("failing:cases/panic.txt", True),
        ("failing:cases/worse.txt", True),
    ]
    assert await load.store.entity("OMIM:z2") is not None
    ledger = await load.store.ledger()
    assert {id_: entry.complete for id_, entry in ledger.items()} == {
        f"failing:cases/{stem}.txt": stem in ("a", "z") for stem in ("a", "bad", "panic", "worse", "z")
    }


class TestVocabulary:
    async def test_obsolete_ids_are_replaced_and_unknown_ones_refused_and_the_rest_loads(
        self, load: Loads, tmp_path: Path
    ) -> None:
        await load(write_hpo(tmp_path / "hpo"))
        terms = ("HP:0002279", "HP:0009999", "HP:0000535", "HP:0007777", "HP:9999999", "HP:0001251")
        features = [{"type": {"id": term}} for term in terms]
        path = write_json(tmp_path / "one.json", packet("one", phenotypicFeatures=features))
        report = await load(path, "phenopackets")
        assert (report.loaded, report.rejected, report.failed) == (1, 3, True)
        assert [(x["document"], x["place"], x["reason"]) for x in load.letters] == [
            (
                "phenopackets:one.json",
                "phenotypicFeatures[2]",
                "HP:0000535 is obsolete, and was split into HP:0001250 and HP:0001251",
            ),
            ("phenopackets:one.json", "phenotypicFeatures[3]", "HP:0007777 is obsolete, and nothing replaces it"),
            ("phenopackets:one.json", "phenotypicFeatures[4]", "unknown id HP:9999999"),
        ]
        found = await load.store.neighbourhood("phenopacket:one", relations=["HAS_PHENOTYPE"])
        claims = {f["entity"]["id"]: [c["qualifiers"] for c in f["claims"]] for f in found}
        assert claims == {
            "HP:0001250": [{"original_id": "HP:0002279"}, {"original_id": "HP:0009999"}],
            "HP:0001251": [{}],
        }
        diagnosis = await load.store.neighbourhood("phenopacket:one", relations=["HAS_DIAGNOSIS"])
        assert [f["entity"]["id"] for f in diagnosis] == ["OMIM:613454"]

    async def test_without_the_vocabulary(self, load: Loads, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="load the vocabulary first: evigraph ingest hpo"):
            await load(write_json(tmp_path / "one.json", packet()), "phenopackets")
        assert (await load.store.counts())["facts"] == {}

    async def test_rows_of_a_table_name_terms_of_the_terms_file(self, load: Loads, tmp_path: Path) -> None:
        bad = hpoa_row(term="HP:0004242") + hpoa_row(frequency="HP:0001250") + hpoa_row(onset="HP:0040283")
        report = await load(write_hpo(tmp_path / "hpo", hpoa=HPOA + bad))
        assert report.rejected == 3
        assert [(x["place"], x["reason"]) for x in load.letters] == [
            ("L11", "unknown id HP:0004242"),
            ("L12", "frequency_term HP:0001250 is no FrequencyTerm"),
            ("L13", "onset_term HP:0040283 is no ClinicalCourse"),
        ]


class TestStops:
    async def test_cancelled_and_taken_up_again(self, load: Loads, embedded_backend: Backend, tmp_path: Path) -> None:
        folder = write_hpo(tmp_path / "hpo")
        expected = await fresh_digest(load, embedded_backend, (folder, "hpo"))
        runs = 0
        while True:
            cancel = asyncio.Event()
            cancel.set()
            report = await load(folder, batch_size=6, cancel=cancel)
            runs += 1
            if not report.records:
                break
            assert report.records <= 6
        assert runs > 5
        assert await load.store.digest() == expected

    @pytest.mark.parametrize("name", ["embedded", "neo4j"])
    def test_killed_again_and_again(self, name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        backend: Backend = request.getfixturevalue(f"{name}_backend")
        backend.empty()
        base = Database(
            name=name,
            url=backend.url,
            password=backend.password,
            dialect=ArcadeDialect() if name == "embedded" else Neo4jDialect(),
            kill=backend.kill,
            bolt=backend.bolt,
        )
        rows = "".join(
            hpoa_row(f"OMIM:{number}", f"Disease {number}", reference=f"PMID:{number % 7}", frequency=f"{number}/999")
            for number in range(1, 500)
        )
        path = write_hpo(tmp_path / "hpo", hpoa=HPOA + rows)
        known = load_undisturbed(base, Load(path, 25))
        backend.empty()
        databases = 3 if name == "embedded" else 0
        found = load_killed(base, known, Load(path, 25), kills=3, seed=3, databases=databases)
        assert found.same
        assert found.kills + found.database_kills >= 1
        assert found.starts >= 2

    async def test_a_store_that_comes_back_is_waited_for(
        self, load: Loads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write, calls = GraphStore.write, 0

        async def fail_once(self: GraphStore, batch: Batch) -> WriteReport:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise StoreUnavailableError("graph database bolt://there: gone")
            return await write(self, batch)

        monkeypatch.setattr(GraphStore, "write", fail_once)
        monkeypatch.setattr("ingestion.pipeline._PAUSE_S", (0.01,))
        report = await load(write_hpo(tmp_path / "hpo"), batch_size=10)
        assert (report.loaded, report.facts) == (3, 27)

    async def test_a_store_that_goes_away_in_the_middle(
        self, load: Loads, embedded_backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = write_hpo(tmp_path / "hpo")
        expected = await fresh_digest(load, embedded_backend, (folder, "hpo"))
        write, left = GraphStore.write, 3

        async def fail_later(self: GraphStore, batch: Batch) -> WriteReport:
            nonlocal left
            left -= 1
            if left < 0:
                raise StoreUnavailableError("graph database bolt://there: gone")
            return await write(self, batch)

        monkeypatch.setattr(GraphStore, "write", fail_later)
        with pytest.raises(StoreUnavailableError, match=r"there: gone; 30 records of this run are committed, the same"):
            await load(folder, batch_size=10, patience_s=0)
        monkeypatch.undo()
        report = await load(folder, batch_size=10)
        assert report.records == (await fresh_records(folder)) - 30
        assert await load.store.digest() == expected

    async def test_dead_letters_are_written_once(self, load: Loads, tmp_path: Path) -> None:
        bad = "".join(hpoa_row(f"OMIM:{number}", evidence="XYZ") for number in range(20))
        folder = write_hpo(tmp_path / "hpo", hpoa=HPOA + bad)
        cancel = asyncio.Event()
        cancel.set()
        while (await load(folder, batch_size=6, cancel=cancel)).records:
            text = load.file.read_bytes()
            if dice.random() < 0.5 and text:  # the last line was cut off by a kill before its batch was committed
                load.file.write_bytes(text + text[:10])
        places = []
        for line in load.file.read_bytes().splitlines():
            try:
                places.append(orjson.loads(line)["place"])
            except orjson.JSONDecodeError:
                continue
        assert places == [f"L{11 + number}" for number in range(20)]


dice = random.Random(1)


async def fresh_records(folder: Path) -> int:
    reader = get_reader("hpo")
    return sum(len(list(reader.read(document))) for document in reader.documents(folder))


class TestMemory:
    async def test_the_reader_waits_for_the_database(self, tmp_path: Path) -> None:
        rows = "".join(hpoa_row(f"OMIM:{number}", f"Disease {number}") for number in range(100_000))
        folder = write_hpo(tmp_path / "hpo", hpoa=HPOA + rows)
        document = next(d for d in HpoReader().documents(folder) if d.path.suffix == ".hpoa")
        resolver = VocabularyResolver(ONTOLOGY)
        terms = next(d for d in HpoReader().documents(folder) if d.path.suffix == ".obo")
        for record in HpoReader().read(terms):
            resolver.resolve(record)
        worker = Worker(HpoReader(), resolver, [Task(document, 0)], 1000, "")
        chunks = worker.chunks()
        first, _ = await anext(chunks)
        assert first.records == 1000
        await asyncio.sleep(1.0)
        assert document.bytes_read < document.size / 10
        seen = first.records + sum([chunk.records async for chunk, _ in chunks])
        await worker.stop()
        assert seen > 200_000

    async def test_a_worker_that_nobody_reads_from_ends(self, tmp_path: Path) -> None:
        folder = write_hpo(tmp_path / "hpo")
        document = Document("hpo:hp.obo", folder / "hp.obo")
        worker = Worker(HpoReader(), VocabularyResolver(ONTOLOGY), [Task(document, 0)], 1, "")
        await anext(worker.chunks())
        await asyncio.wait_for(worker.stop(), 10)

    async def test_whatever_ends_the_worker_reaches_who_waits(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def panic(*_: object) -> None:
            raise Panic("a lock is poisoned")

        resolver = VocabularyResolver(ONTOLOGY)
        monkeypatch.setattr(resolver, "resolve_all", panic)
        document = Document("hpo:hp.obo", write_hpo(tmp_path / "hpo") / "hp.obo")
        worker = Worker(HpoReader(), resolver, [Task(document, 0)], 1000, "")
        with pytest.raises(Panic, match="poisoned"):
            await asyncio.wait_for(anext(worker.chunks()), 10)
        await asyncio.wait_for(worker.stop(), 10)


async def test_the_release_is_loaded_to_the_last_row(store: GraphStore) -> None:
    """Rows in = claims + dead letters, for each file of the real release; no row is dropped in silence."""
    documents = {document.path.name: document for document in HpoReader().documents()}
    resolver = VocabularyResolver(ONTOLOGY)
    places: dict[str, set[str]] = {}
    genes: set[tuple[str, str]] = set()
    for name, document in documents.items():
        resolver.start_document()
        seen = places.setdefault(name, set())
        for record in HpoReader().read(document):
            resolved = resolver.resolve(record)
            if hasattr(resolved, "relation") or hasattr(resolved, "reason"):
                seen.add(resolved.place)
            if getattr(resolved, "relation", "") == "ASSOCIATED_WITH":
                genes.add((resolved.subject, resolved.object))
    with documents["phenotype.hpoa"].path.open(encoding="utf-8") as file:
        rows = [f"L{number}" for number, line in enumerate(file, 1) if line[0] != "#" and line[:11] != "database_id"]
    assert len(rows) > 270_000
    assert places["phenotype.hpoa"] == set(rows)
    with documents["genes_to_phenotype.txt"].path.open(encoding="utf-8") as file:
        next(file)
        pairs = {(f"NCBIGene:{cells[0]}", cells[5].strip()) for cells in (line.split("\t") for line in file)}
    assert genes == pairs
