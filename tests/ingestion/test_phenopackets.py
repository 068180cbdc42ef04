"""The Phenopacket reader: both schema versions, JSON and YAML, files, folders and archives, families and cohorts."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingestion.readers.base import get_reader
from ingestion.readers.phenopackets import cases
from kg.model import Claim, Entity, Record, Rejected, Source
from tests.ingestion.samples import PUBLISHED_CASES, packet, packet_v1, write_json


def read(path: Path) -> list[Record]:
    reader = get_reader("phenopackets")
    return [record for document in reader.documents(path) for record in reader.read(document)]


def facts(records: list[Record]) -> set[tuple[str, str, str]]:
    return {(r.subject, r.relation, r.object) for r in records if isinstance(r, Claim)}


def claim(records: list[Record], relation: str, object_: str) -> Claim:
    [found] = [r for r in records if isinstance(r, Claim) and (r.relation, r.object) == (relation, object_)]
    return found


def entity(records: list[Record], id_: str) -> Entity:
    return next(r for r in records if isinstance(r, Entity) and r.id == id_)


def rejected(records: list[Record]) -> list[Rejected]:
    return [record for record in records if isinstance(record, Rejected)]


def without_place(records: list[Record]) -> list[Any]:
    """What records say, apart from the file and the place that it stands at."""
    kept = []
    for r in records:
        if isinstance(r, Claim):
            kept.append((r.subject, r.relation, r.object, r.confidence, dict(r.qualifiers)))
        elif isinstance(r, Entity):
            kept.append((r.id, r.classes, dict(r.properties)))
    return kept


PATIENT = "phenopacket:PMID_1_Case%201"


class TestVersion2:
    @pytest.fixture
    def records(self, tmp_path: Path) -> list[Record]:
        return read(write_json(tmp_path / "one.json", packet()))

    def test_facts(self, records: list[Record]) -> None:
        assert facts(records) == {
            (PATIENT, "HAS_PHENOTYPE", "HP:0001250"),
            (PATIENT, "EXCLUDES_PHENOTYPE", "HP:0001251"),
            (PATIENT, "HAS_DIAGNOSIS", "OMIM:613454"),
            (PATIENT, "EXCLUDES_DIAGNOSIS", "ORPHA:778"),
            (PATIENT, "HAS_CANDIDATE_GENE", "HGNC:3811"),
        }

    def test_the_patient(self, records: list[Record]) -> None:
        assert entity(records, PATIENT).properties == {
            "name": "PMID_1_Case 1",
            "synonyms": ("Case 1", "II-3"),
            "sex": "FEMALE",
            "age": "P1Y8M",
            "vital_status": "DECEASED",
        }

    def test_a_finding_with_all_that_is_said_of_it(self, records: list[Record]) -> None:
        finding = claim(records, "HAS_PHENOTYPE", "HP:0001250")
        assert finding.qualifiers == {
            "onset_age": "P10M",
            "severity": "HP:0012825",
            "modifiers": "HP:0012825",
            "evidence": "ECO:0000033 PMID:9",
            "resolution_age": "P2Y",
        }
        assert finding.place == "phenotypicFeatures[0]"

    def test_the_publication_is_the_source(self, records: list[Record]) -> None:
        assert {r.source for r in records if isinstance(r, Claim)} == {"PMID:28851325"}
        assert next((r.id, r.kind, r.name) for r in records if isinstance(r, Source)) == (
            "PMID:28851325",
            "publication",
            "Novel FOXG1 mutations",
        )

    def test_diagnosis(self, records: list[Record]) -> None:
        found = claim(records, "HAS_DIAGNOSIS", "OMIM:613454")
        assert (found.confidence, found.qualifiers) == (1.0, {"onset_term": "HP:0003577", "progress": "SOLVED"})
        assert entity(records, "OMIM:613454").properties == {"name": "Rett syndrome, congenital variant"}

    def test_gene_with_its_variant(self, records: list[Record]) -> None:
        found = claim(records, "HAS_CANDIDATE_GENE", "HGNC:3811")
        assert found.qualifiers == {"interpretation": "CAUSATIVE", "variant": "NM_005249.5:c.858dup"}
        assert entity(records, "HGNC:3811").properties == {"name": "FOXG1"}

    def test_without_a_publication_the_document_is_the_source(self, tmp_path: Path) -> None:
        records = read(write_json(tmp_path / "one.json", packet(metaData={"phenopacketSchemaVersion": "2.0"})))
        assert {r.source for r in records if isinstance(r, Claim)} == {"phenopackets:one.json"}

    @pytest.mark.parametrize(
        ("progress", "confidence"), [("SOLVED", 1.0), ("COMPLETED", 0.9), ("IN_PROGRESS", 0.5), ("UNSOLVED", None)]
    )
    def test_how_sure_a_diagnosis_is(self, tmp_path: Path, progress: str, confidence: float | None) -> None:
        interpretations = packet()["interpretations"]
        interpretations[0]["progressStatus"] = progress
        records = read(write_json(tmp_path / "one.json", packet(interpretations=interpretations, diseases=[])))
        found = [r.confidence for r in records if isinstance(r, Claim) and r.relation == "HAS_DIAGNOSIS"]
        assert found == ([] if confidence is None else [confidence])

    @pytest.mark.parametrize(
        ("onset", "qualifiers"),
        [
            ({"age": {"iso8601duration": "P3Y"}}, {"onset_age": "P3Y"}),
            (
                {"ageRange": {"start": {"iso8601duration": "P1Y"}, "end": {"iso8601duration": "P2Y"}}},
                {"onset_age": "P1Y", "onset_age_end": "P2Y"},
            ),
            (
                {"gestationalAge": {"weeks": 20, "days": 3}},
                {"onset_gestational_age": "P143D", "onset_term": "HP:0030674"},
            ),
            ({"ontologyClass": {"id": "HP:0003577"}}, {"onset_term": "HP:0003577"}),
            ({"timestamp": "2020-01-11T00:00:00Z"}, {"onset_age": "P10D"}),
            (
                {"interval": {"start": "2020-01-11T00:00:00Z", "end": "2020-02-01T00:00:00Z"}},
                {"onset_age": "P10D", "onset_age_end": "P31D"},
            ),
        ],
    )
    def test_onset(self, tmp_path: Path, onset: dict[str, Any], qualifiers: dict[str, str]) -> None:
        subject = {"id": "x", "dateOfBirth": "2020-01-01T00:00:00Z"}
        feature = {"type": {"id": "HP:0001250"}, "onset": onset}
        records = read(write_json(tmp_path / "one.json", packet(subject=subject, phenotypicFeatures=[feature])))
        assert not rejected(records)
        assert claim(records, "HAS_PHENOTYPE", "HP:0001250").qualifiers == qualifiers

    @pytest.mark.parametrize(
        ("onset", "reason"),
        [
            ({"age": {"iso8601duration": "3 years"}}, "'3 years' is no ISO 8601 duration"),
            ({"timestamp": "2020-01-11T00:00:00Z"}, "without date of birth"),
            ({"gestationalAge": {"weeks": -1}}, "negative gestational age"),
        ],
    )
    def test_an_impossible_onset_is_left_out_by_name(self, tmp_path: Path, onset: dict[str, Any], reason: str) -> None:
        feature = {"type": {"id": "HP:0001250"}, "onset": onset}
        records = read(write_json(tmp_path / "one.json", packet(phenotypicFeatures=[feature])))
        [bad] = rejected(records)
        assert reason in bad.reason
        assert bad.place == "phenotypicFeatures[0].onset"
        assert claim(records, "HAS_PHENOTYPE", "HP:0001250").qualifiers == {}


class TestVersion1:
    @pytest.fixture
    def records(self, tmp_path: Path) -> list[Record]:
        return read(write_json(tmp_path / "old.json", packet_v1()))

    def test_facts(self, records: list[Record]) -> None:
        patient = "phenopacket:old-1"
        assert facts(records) == {
            (patient, "HAS_PHENOTYPE", "HP:0001250"),
            (patient, "EXCLUDES_PHENOTYPE", "HP:0001251"),
            (patient, "HAS_DIAGNOSIS", "OMIM:613454"),
            (patient, "HAS_CANDIDATE_GENE", "HGNC:3811"),
        }
        assert entity(records, patient).properties == {
            "name": "old-1",
            "synonyms": ("P7",),
            "sex": "MALE",
            "age": "P7Y",
        }

    def test_onset_and_variant(self, records: list[Record]) -> None:
        assert claim(records, "HAS_PHENOTYPE", "HP:0001250").qualifiers == {"onset_term": "HP:0003577"}
        assert claim(records, "EXCLUDES_PHENOTYPE", "HP:0001251").qualifiers == {
            "onset_age": "P1Y",
            "onset_age_end": "P2Y",
        }
        assert claim(records, "HAS_DIAGNOSIS", "OMIM:613454").qualifiers == {"onset_age": "P1Y"}
        assert claim(records, "HAS_CANDIDATE_GENE", "HGNC:3811").qualifiers == {
            "interpretation": "CANDIDATE",
            "variant": "NM_005249.5:c.858dup",
        }


class TestFiles:
    def test_yaml_says_what_json_says(self, tmp_path: Path) -> None:
        for name, content in (("new", packet()), ("old", packet_v1())):
            as_json = read(write_json(tmp_path / f"{name}.json", content))
            path = tmp_path / f"{name}.yaml"
            path.write_text(yaml.safe_dump(content), encoding="utf-8")
            assert without_place(read(path)) == without_place(as_json)

    def test_snake_case_fields(self, tmp_path: Path) -> None:
        content = {
            "id": "x",
            "phenotypic_features": [{"type": {"id": "HP:0001250"}}],
            "meta_data": {"phenopacket_schema_version": "2.0"},
        }
        assert facts(read(write_json(tmp_path / "x.json", content))) == {
            ("phenopacket:x", "HAS_PHENOTYPE", "HP:0001250")
        }

    def test_folders_and_archives(self, tmp_path: Path) -> None:
        folder = tmp_path / "in"
        write_json(folder / "A" / "one.json", packet("one"))
        write_json(folder / "two.json", packet_v1("two"))
        (folder / "three.yml").write_text(yaml.safe_dump(packet("three")), encoding="utf-8")
        (folder / "notes.txt").write_text("not a packet")
        (folder / ".hidden.json").write_text("{")
        expected = facts(read(folder))
        assert {subject for subject, _, _ in expected} == {"phenopacket:one", "phenopacket:two", "phenopacket:three"}
        for suffix in ("tar", "tar.gz", "tgz", "tar.xz", "tar.bz2"):
            path = tmp_path / f"cases.{suffix}"
            compression = {"tgz": "gz", "tar": ""}.get(suffix, suffix[4:])
            with tarfile.open(path, f"w:{compression}") as tar:  # type: ignore[call-overload]
                tar.add(folder, "in")
            assert facts(read(path)) == expected
        with zipfile.ZipFile(tmp_path / "cases.zip", "w") as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, file.relative_to(tmp_path))
        assert facts(read(tmp_path / "cases.zip")) == expected

    def test_places_in_an_archive_name_the_member(self, tmp_path: Path) -> None:
        with tarfile.open(tmp_path / "cases.tar.xz", "w:xz") as tar:
            for name, text in (("good.json", json.dumps(packet())), ("cut.json", '{"id": "x", ')):
                member = tarfile.TarInfo(f"set/{name}")
                member.size = len(text)
                tar.addfile(member, io.BytesIO(text.encode()))
        records = read(tmp_path / "cases.tar.xz")
        assert claim(records, "HAS_PHENOTYPE", "HP:0001250").place == "set/good.json#phenotypicFeatures[0]"
        [bad] = rejected(records)
        assert (bad.place, bad.reason.startswith("not JSON: ")) == ("set/cut.json", True)

    @pytest.mark.parametrize("blocks", [300, 301, 302, 303, 304])  # cut in a member's header, and in its content
    def test_an_archive_cut_between_blocks_breaks_off(self, tmp_path: Path, blocks: int) -> None:
        folder = tmp_path / "in"
        for number in range(200):
            write_json(folder / f"{number:03}.json", packet(f"case-{number}"))
        with tarfile.open(tmp_path / "whole.tar", "w") as tar:
            tar.add(folder, "in")
        with gzip.open(tmp_path / "cut.tar.gz", "wb") as cut:
            cut.write((tmp_path / "whole.tar").read_bytes()[: blocks * 512])
        [bad] = rejected(read(tmp_path / "cut.tar.gz"))
        assert "the archive breaks off" in bad.reason

    def test_a_truncated_archive_keeps_what_comes_before(self, tmp_path: Path) -> None:
        folder = tmp_path / "in"
        for number in range(200):
            write_json(folder / f"{number:03}.json", packet(f"case-{number}"))
        with tarfile.open(tmp_path / "whole.tar.gz", "w:gz", compresslevel=1) as tar:
            tar.add(folder, "in")
        whole = (tmp_path / "whole.tar.gz").read_bytes()
        (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
        records = read(tmp_path / "cut.tar.gz")
        [bad] = rejected(records)
        assert "the archive breaks off" in bad.reason
        assert 20 < len({subject for subject, _, _ in facts(records)}) < 190

    @pytest.mark.parametrize(
        ("name", "text", "reason"),
        [
            ("x.json", "", "not JSON"),
            ("x.json", '{"id": "x"', "not JSON"),
            ("x.json", "[1]", "an object with named fields"),
            ("x.json", '{"id": "x", "subject": 3, "metaData": {"phenopacketSchemaVersion": "2"}}', "not a Phenopacket"),
            ("x.json", "{}", "without id"),
            ("x.json", "[" * 100_000, "not JSON"),
            ("x.yaml", "a: [", "not YAML"),
            ("x.yaml", "a: &x [1]\nb: [*x, *x]\n", "aliases"),
            ("x.tar.xz", "not an archive", "the archive breaks off"),
            ("x.zip", "not an archive", "the archive breaks off"),
        ],
    )
    def test_a_broken_file_is_one_dead_letter(self, tmp_path: Path, name: str, text: str, reason: str) -> None:
        (tmp_path / name).write_text(text)
        [bad] = read(tmp_path / name)
        assert isinstance(bad, Rejected)
        assert reason in bad.reason

    def test_a_message_of_100_megabytes_is_refused(self, tmp_path: Path) -> None:
        with (tmp_path / "x.json").open("wb") as file:
            file.write(b'{"id": "')
            for _ in range(100):
                file.write(b"x" * (1 << 20))
        [bad] = read(tmp_path / "x.json")
        assert isinstance(bad, Rejected)
        assert "larger than" in bad.reason
        assert len(bad.record) <= 2000

    def test_a_field_that_the_schema_does_not_know(self, tmp_path: Path) -> None:
        records = read(write_json(tmp_path / "x.json", packet(shoeSize=43)))
        [bad] = rejected(records)
        assert "the rest is loaded" in bad.reason
        assert "shoeSize" in bad.reason
        assert len(facts(records)) == 5

    def test_a_feature_without_a_term(self, tmp_path: Path) -> None:
        features = [{"type": {"label": "?"}}, {"type": {"id": "HP:0001250"}}]
        records = read(write_json(tmp_path / "x.json", packet(phenotypicFeatures=features)))
        assert [(bad.place, bad.reason) for bad in rejected(records)] == [
            ("phenotypicFeatures[0]", "a feature without type.id")
        ]
        assert claim(records, "HAS_PHENOTYPE", "HP:0001250").place == "phenotypicFeatures[1]"


class TestGroups:
    def family(self) -> dict[str, Any]:
        person = {"familyId": "F", "affectedStatus": "AFFECTED"}
        return {
            "id": "F1",
            "proband": packet("kid", subject={"id": "kid"}),
            "relatives": [packet("mum", subject={"id": "mum"}, phenotypicFeatures=[], interpretations=[], diseases=[])],
            "pedigree": {
                "persons": [
                    person | {"individualId": "kid", "maternalId": "mum", "paternalId": "dad", "sex": "MALE"},
                    person | {"individualId": "mum", "maternalId": "0", "paternalId": "0", "sex": "FEMALE"},
                    person | {"individualId": "dad", "sex": "MALE"},
                ]
            },
            "metaData": {"phenopacketSchemaVersion": "2.0", "externalReferences": [{"id": "PMID:77"}]},
        }

    def test_a_family(self, tmp_path: Path) -> None:
        records = read(write_json(tmp_path / "family.json", self.family()))
        assert not rejected(records)
        kid, mum, dad = (f"phenopacket:F1/{name}" for name in ("kid", "mum", "dad"))
        found = facts(records)
        assert {f for f in found if f[1] in ("MEMBER_OF", "RELATIVE_OF")} == {
            (kid, "MEMBER_OF", "family:F1"),
            (mum, "MEMBER_OF", "family:F1"),
            (dad, "MEMBER_OF", "family:F1"),
            (mum, "RELATIVE_OF", kid),
            (dad, "RELATIVE_OF", kid),
        }
        assert (kid, "HAS_PHENOTYPE", "HP:0001250") in found
        kinship = {r.subject: r.qualifiers for r in records if isinstance(r, Claim) and r.relation == "RELATIVE_OF"}
        assert kinship == {mum: {"kinship": "mother"}, dad: {"kinship": "father"}}
        assert entity(records, dad).properties == {"name": "dad", "sex": "MALE"}
        assert claim(records, "HAS_PHENOTYPE", "HP:0001250").place == "proband.phenotypicFeatures[0]"

    def test_a_cohort(self, tmp_path: Path) -> None:
        content = {
            "id": "C1",
            "description": "Two of them",
            "members": [packet("a"), packet("b", phenotypicFeatures=[{"type": {}}])],
            "metaData": {"phenopacketSchemaVersion": "2.0"},
        }
        records = read(write_json(tmp_path / "cohort.json", content))
        found = facts(records)
        assert {("phenopacket:a", "MEMBER_OF", "cohort:C1"), ("phenopacket:b", "MEMBER_OF", "cohort:C1")} <= found
        assert entity(records, "cohort:C1").properties == {"name": "C1", "definition": "Two of them"}
        assert [bad.place for bad in rejected(records)] == ["members[1].phenotypicFeatures[0]"]
        assert ("phenopacket:b", "HAS_DIAGNOSIS", "OMIM:613454") in found


@pytest.mark.skipif(not PUBLISHED_CASES.exists(), reason=f"the published cases are not here: {PUBLISHED_CASES}")
def test_published_cases() -> None:
    """All of 3,979 real ones are read: findings present and excluded, diagnosis and publication."""
    found = list(cases(PUBLISHED_CASES))
    assert not [bad for bad in found if isinstance(bad, Rejected)]
    patients = [case for case in found if not isinstance(case, Rejected)]
    assert len(patients) == 3979
    assert len({case.id for case in patients}) == 3979
    assert all(case.disease_ids and case.pmid for case in patients)
    assert not [problem for case in patients for problem in case.problems]
    assert sum(len(case.present) for case in patients) > 30_000
    assert sum(len(case.excluded) for case in patients) > 10_000
