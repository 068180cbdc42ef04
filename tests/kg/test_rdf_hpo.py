"""RDF of real data: a few hundred diseases of HPO, and published patients where the data folder is there."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import pytest

from ingestion.readers.hpo import HpoReader
from ingestion.readers.phenopackets import PhenopacketReader
from kg.model import Claim, Entity, Record, Source
from kg.rdf import export_rdf
from kg.rdf_import import read_rdf
from kg.rdf_validation import validate_rdf
from tests.kg.memory_store import MemoryStore
from tests.kg.test_rdf import ONTOLOGY, loaded

PATIENTS = Path(__file__).parents[3] / "shared" / "data" / "medical" / "phenopackets_dev.tar.xz"
Parts = tuple[list[Source], list[Entity], list[Claim]]


def sorted_out(records: Iterable[Record]) -> Parts:
    parts: Parts = ([], [], [])
    for record in records:
        for part, kind in zip(parts, (Source, Entity, Claim), strict=True):
            if isinstance(record, kind):
                part.append(record)
    return parts


@pytest.fixture(scope="module")
def hpo() -> Parts:
    reader = HpoReader()
    return sorted_out(record for document in reader.documents() for record in reader.read(document))


def part_of(hpo: Parts, diseases: int, also: Iterable[str] = ()) -> Parts:
    """Every n-th disease with its claims, other entities, all terms above, and what is said of them."""
    sources, entities, claims = hpo
    known = sorted(e.id for e in entities if "Disease" in e.classes)
    ends = set(known[:: len(known) // diseases][:diseases])
    kept = [c for c in claims if c.subject in ends or c.object in ends]
    ends |= {end for c in kept for end in (c.subject, c.object)} | set(also)
    parents = [c for c in claims if c.relation in ("IS_A", "REPLACED_BY")]
    size = 0
    while size < len(ends):
        size = len(ends)
        ends |= {c.object for c in parents if c.subject in ends}
    kept += [c for c in parents if c.subject in ends]
    described = [e for e in entities if e.id in ends]
    cited = {record.source for record in (*kept, *described)}
    return [s for s in sources if s.id in cited], described, kept


def patients(number: int) -> Parts:
    if not PATIENTS.exists():
        pytest.skip(f"{PATIENTS} is not there")
    reader = PhenopacketReader()
    return sorted_out(
        record for document in reader.documents(PATIENTS) for record in islice(reader.read(document), number)
    )


@pytest.mark.parametrize("suffix", [".ttl", ".nq"])
async def test_real_diseases_read_back_the_same(hpo: Parts, tmp_path: Path, suffix: str) -> None:
    store = MemoryStore(ONTOLOGY, batch=500)
    store.write(*part_of(hpo, 300))
    assert len(store.facts) > 5000
    report = await export_rdf(store, tmp_path / f"graph{suffix}")
    assert report.facts == len(store.facts)
    assert loaded(list(read_rdf(tmp_path / f"graph{suffix}", ONTOLOGY))).content() == store.content()


async def test_real_patients_read_back_the_same(tmp_path: Path) -> None:
    store = MemoryStore(ONTOLOGY, batch=500)
    store.write(*patients(2000))
    await export_rdf(store, tmp_path / "graph.ttl")
    assert loaded(list(read_rdf(tmp_path / "graph.ttl", ONTOLOGY))).content() == store.content()


async def test_real_export_conforms(hpo: Parts, tmp_path: Path) -> None:
    store = MemoryStore(ONTOLOGY, batch=500)
    store.write(*part_of(hpo, 10))
    await assert_conforms(store, tmp_path)


async def test_real_export_of_patients_conforms(hpo: Parts, tmp_path: Path) -> None:
    store = MemoryStore(ONTOLOGY, batch=500)
    sources, entities, claims = patients(200)
    store.write(*part_of(hpo, 1, also={claim.object for claim in claims}))
    store.write(sources, entities, claims)
    assert any(relation == "HAS_DIAGNOSIS" for _, relation, _ in store.facts)
    await assert_conforms(store, tmp_path)


async def assert_conforms(store: MemoryStore, tmp_path: Path) -> None:
    await export_rdf(store, tmp_path / "graph.nq")
    report = validate_rdf(tmp_path / "graph.nq", ONTOLOGY)
    assert report.violations == ()
    assert report.conforms
