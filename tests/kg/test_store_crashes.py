"""Writers that meet, servers that die, and processes that share one folder: nothing is lost, nothing is twice."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from neo4j import AsyncTransaction

from kg.errors import OntologyError, StoreUnavailableError
from kg.model import Claim
from kg.store import Batch, GraphStore
from tests.kg.graphs import MODEL, PUBLICATION, content, has, ledger, sample
from tests.support.backends import Backend


def row(number: int, by: str = PUBLICATION.id) -> Claim:
    """A claim of its own for each number; every third one is of a fact that the others share."""
    object_ = f"HP:{number % 3 or 900 + number:07}"
    return Claim("OMIM:1", "HAS_PHENOTYPE", object_, by, 0.5, {"curator": f"{by} {number}"}, "doc:a", f"L{number}")


def batches(by: str, many: int, size: int = 20) -> list[Batch]:
    return [
        Batch(
            [PUBLICATION, MODEL],
            claims=[row(number, by) for number in range(start, start + size)],
            ledger=[ledger(f"doc:{by}", start + size)],
        )
        for start in range(0, many * size, size)
    ]


async def expected_digest(backend: Backend, *parts: Batch) -> str:
    """Of the same batches, written one after the other; leaves an empty graph."""
    backend.empty()
    store = await backend.open()
    try:
        for batch in parts:
            await store.write(batch)
        return await store.digest()
    finally:
        await store.close()
        backend.empty()


async def write_all(store: GraphStore, parts: list[Batch]) -> None:
    for batch in parts:
        await store.write(batch)


class TestWritersThatMeet:
    async def test_tasks_of_one_client(self, backend: Backend) -> None:
        one, two = batches(PUBLICATION.id, 5), batches(MODEL.id, 5)
        expected = await expected_digest(backend, *one, *two)
        store = await backend.open()
        try:
            await asyncio.gather(write_all(store, one), write_all(store, two))
            assert await store.digest() == expected
            assert await store.version() == 10
        finally:
            await store.close()

    async def test_two_clients(self, backend: Backend) -> None:
        one, two = batches(PUBLICATION.id, 8), batches(MODEL.id, 8)
        expected = await expected_digest(backend, *one, *two)
        stores = [await backend.open() for _ in range(2)]
        try:
            await asyncio.gather(*map(write_all, stores, (one, two)))
            for store in stores:
                assert await store.digest() == expected
                assert await store.version() == 16
        finally:
            for store in stores:
                await store.close()

    async def test_two_processes(self, backend: Backend) -> None:
        script = textwrap.dedent("""
            import asyncio, sys
            from kg.ontology import Ontology
            from kg.store import open_store
            from tests.kg.test_store_crashes import batches, write_all

            async def main(url, by):
                store = await open_store(url, Ontology.load(), password=sys.stdin.read() or None)
                print("open", flush=True)
                await write_all(store, batches(by, 6))
                await store.close()

            asyncio.run(main(*sys.argv[1:]))
        """)
        one, two = batches(PUBLICATION.id, 6), batches(MODEL.id, 6)
        expected = await expected_digest(backend, *one, *two)
        processes = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", script, backend.url, by),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                cwd=Path(__file__).parents[2],
            )
            for by in (PUBLICATION.id, MODEL.id)
        ]
        await asyncio.gather(*(process.communicate((backend.password or "").encode()) for process in processes))
        assert [process.returncode for process in processes] == [0, 0]
        store = await backend.open()
        try:
            assert await store.digest() == expected
            assert await store.version() == 12
        finally:
            await store.close()

    async def test_what_one_client_retracts_the_other_does_not_take_for_granted(self, backend: Backend) -> None:
        one, other = [await backend.open() for _ in range(2)]
        try:
            await one.write(sample())
            before = await content(one)
            await other.retract(PUBLICATION.id)
            await one.write(sample())  # creates again what it wrote before
            assert await content(one) == before
        finally:
            await one.close()
            await other.close()


class TestWhatAClientKnows:
    async def test_it_forgets_sources_that_it_retracts(self, backend: Backend) -> None:
        store = await backend.open()
        try:
            await store.write(sample())
            await store.retract(PUBLICATION.id)
            with pytest.raises(OntologyError, match="nothing describes"):
                await store.write(Batch(claims=[has()]))
        finally:
            await store.close()

    async def test_a_retraction_that_is_cut_off_changes_nothing(
        self, backend: Backend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def cut_off(_: AsyncTransaction) -> None:
            raise asyncio.CancelledError

        store = await backend.open()
        try:
            await store.write(sample())
            before = await content(store)
            await store.retract(MODEL.id)
            with monkeypatch.context() as patch, pytest.raises(asyncio.CancelledError):
                patch.setattr(AsyncTransaction, "commit", cut_off)
                await store.retract("doc:a")
            await store.write(sample())
            assert await content(store) == before
        finally:
            await store.close()


class TestServersThatDie:
    async def test_between_two_writes(self, embedded_backend: Backend) -> None:
        backend = embedded_backend
        parts = batches(PUBLICATION.id, 2)
        expected = await expected_digest(backend, *parts)
        store = await backend.open()
        try:
            await store.write(parts[0])
            backend.kill()
            assert (await store.ledger())[f"doc:{PUBLICATION.id}"].records == 20
            await store.write(parts[1])
            assert await store.digest() == expected
        finally:
            await store.close()

    async def test_in_the_middle_of_writes(self, backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was acknowledged is there, and a batch that was cut off is written once, whole."""
        monkeypatch.setattr("kg.bolt.RETRY_S", 150.0)  # a busy machine starts a server slowly
        parts = batches(PUBLICATION.id, 30)
        expected = await expected_digest(backend, *parts)
        store = await backend.open()
        started = threading.Event()

        def end() -> None:
            started.wait()
            time.sleep(0.3)
            backend.kill()
            backend.start()

        killer = threading.Thread(target=end)
        killer.start()
        try:
            for batch in parts:
                started.set()
                await store.write(batch)
            await asyncio.to_thread(killer.join)
            assert await store.digest() == expected
            assert (await store.ledger())[f"doc:{PUBLICATION.id}"].records == 600
        finally:
            await asyncio.to_thread(killer.join)
            await store.close()

    async def test_between_a_write_and_a_read(self, embedded_backend: Backend) -> None:
        """A reader does not notice a restart that is over."""
        store = await embedded_backend.open()
        try:
            for batch in batches(PUBLICATION.id, 2):
                await store.write(batch)
            before = await store.digest()
            await asyncio.to_thread(embedded_backend.kill)
            await asyncio.to_thread(embedded_backend.start)
            assert await store.digest() == before
        finally:
            await store.close()

    async def test_for_a_while(self, neo4j_backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
        neo4j_backend.empty()
        monkeypatch.setattr("kg.bolt.RETRY_S", 1.0)
        store = await neo4j_backend.open()
        first, second = batches(PUBLICATION.id, 2)
        await store.write(first)
        neo4j_backend.kill()
        try:
            with pytest.raises(StoreUnavailableError, match=neo4j_backend.url):
                await store.write(second)
            with pytest.raises(StoreUnavailableError, match=neo4j_backend.url):
                await store.counts()
        finally:
            neo4j_backend.start()
        assert (await store.write(second)).version == 2
        assert (await store.ledger())[f"doc:{PUBLICATION.id}"].records == 40
        await store.close()


class TestOneFolder:
    async def test_a_second_client_joins_the_running_server(self, embedded_backend: Backend) -> None:
        one, other = [await embedded_backend.open() for _ in range(2)]
        try:
            assert embedded_backend.bolt()[0] == one._bolt.uri == other._bolt.uri
        finally:
            await one.close()
            await other.close()

    def test_a_folder_that_is_a_file(self, tmp_path: Path) -> None:
        from kg.embedded import EmbeddedServer

        (tmp_path / "graph").write_text("")
        with pytest.raises(StoreUnavailableError, match="graph"):
            EmbeddedServer(tmp_path / "graph").connect()

    def test_others_may_not_look_inside(self, embedded_backend: Backend) -> None:
        embedded_backend.bolt()
        folder = Path(embedded_backend.url.removeprefix("embedded:"))
        assert (folder / "password").stat().st_mode & 0o077 == 0
        assert os.access(folder, os.W_OK)
