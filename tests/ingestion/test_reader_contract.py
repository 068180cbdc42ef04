"""What every reader must do; a new reader adds a subclass with its own samples."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from shutil import copytree

import pytest

from ingestion.readers.base import READERS, Reader, get_reader
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected, Source
from kg.ontology import Ontology
from tests.ingestion import samples


def read_all(reader: Reader, path: Path, name: str | None = None) -> list[Record]:
    return [record for document in reader.documents(path, name) for record in reader.read(document)]


class ReaderContract:
    name: str

    def write_good(self, folder: Path) -> Path:
        """Two or more records and no bad one."""
        raise NotImplementedError

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        """The same with one bad record added; and where it is."""
        raise NotImplementedError

    @pytest.fixture
    def reader(self) -> Reader:
        return get_reader(self.name)

    def test_describes_itself(self, reader: Reader) -> None:
        assert reader.name == self.name
        assert reader.version
        assert reader.extensions
        assert reader.example.startswith(f"evigraph ingest {self.name}")

    def test_records_fit_the_ontology_and_say_where_they_come_from(
        self, reader: Reader, tmp_path: Path, ontology: Ontology
    ) -> None:
        sources: set[str] = set()
        documents = {document.id for document in reader.documents(self.write_good(tmp_path / "in"))}
        records = read_all(reader, tmp_path / "in")
        assert any(isinstance(record, Claim) for record in records)
        for record in records:
            assert record.document in documents
            match record:
                case Rejected():
                    pytest.fail(f"{record.place}: {record.reason}")
                case Source():
                    assert ontology.check_source(record) is None
                    sources.add(record.id)
                case Entity():
                    assert ontology.check_entity(record) is None
                    assert record.source in sources
                    assert record.place
                case Claim():
                    assert ontology.check_claim(record) is None
                    assert record.source in sources
                    assert record.place

    def test_same_input_twice_gives_the_same_records(self, reader: Reader, tmp_path: Path) -> None:
        path = self.write_good(tmp_path / "in")
        assert read_all(reader, path) == read_all(get_reader(self.name), path)

    def test_ids_do_not_tell_the_machine(self, reader: Reader, tmp_path: Path) -> None:
        path = self.write_good(tmp_path / "one" / "in")
        elsewhere = tmp_path / "two" / "in"
        copytree(path, elsewhere)
        assert read_all(reader, path) == read_all(reader, elsewhere)
        assert str(tmp_path) not in repr(read_all(reader, path))

    def test_another_name_gives_other_documents(self, reader: Reader, tmp_path: Path) -> None:
        path = self.write_good(tmp_path / "in")
        ids = {document.id for document in reader.documents(path)}
        named = {document.id for document in reader.documents(path, "other name")}
        assert not ids & named
        assert all(id_.startswith(f"{self.name}:other%20name/") for id_ in named)

    def test_streams(self, reader: Reader, tmp_path: Path) -> None:
        document = next(iter(reader.documents(self.write_good(tmp_path / "in"))))
        records = reader.read(document)
        assert isinstance(records, Iterator)
        assert next(records)

    def test_a_bad_record_is_rejected_with_its_place_and_the_rest_loads(self, reader: Reader, tmp_path: Path) -> None:
        good = read_all(reader, self.write_good(tmp_path / "good" / "in"))
        path, place = self.write_broken(tmp_path / "broken" / "in")
        records = read_all(reader, path)
        rejected = [record for record in records if isinstance(record, Rejected)]
        assert [record.place for record in rejected] == [place]
        assert rejected[0].reason
        assert [record for record in records if not isinstance(record, Rejected)] == good

    def test_a_missing_path_is_named(self, reader: Reader, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="missing"):
            list(reader.documents(tmp_path / "missing"))

    def test_an_empty_folder_is_named(self, reader: Reader, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match=r"empty: nothing to read"):
            list(reader.documents(tmp_path / "empty"))

    def test_no_permission_is_named(self, reader: Reader, unprivileged: Path) -> None:
        closed = unprivileged / "closed"
        closed.mkdir(mode=0)
        with pytest.raises(InputError, match="closed: no permission"):
            list(reader.documents(closed))


class TestHpo(ReaderContract):
    name = "hpo"

    def write_good(self, folder: Path) -> Path:
        return samples.write_hpo(folder)

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        return samples.write_hpo(folder, hpoa=samples.HPOA + "OMIM:1\tcut off\t\tHP:0001250\n"), "L11"


class TestPhenopackets(ReaderContract):
    name = "phenopackets"

    def write_good(self, folder: Path) -> Path:
        samples.write_json(folder / "A" / "one.json", samples.packet("one"))
        samples.write_json(folder / "two.json", samples.packet_v1("two"))
        return folder

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        self.write_good(folder)
        (folder / "cut.json").write_text('{"id": "cut", "subject": {"id"', encoding="utf-8")
        return folder, ""


def test_every_reader_is_under_the_contract() -> None:
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        import_module(f"{__package__}.{path.stem}")
    contracts = [ReaderContract]
    for contract in contracts:
        contracts += contract.__subclasses__()
    assert set(READERS) == {contract.name for contract in contracts if hasattr(contract, "name")}


def test_an_unknown_reader_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"known: .*hpo, .*phenopackets"):
        get_reader("hop")
