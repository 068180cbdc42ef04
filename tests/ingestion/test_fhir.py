"""FHIR: bundles, bulk exports and single resources into claims about patients."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from ingestion.pipeline import ingest
from ingestion.readers.base import get_reader
from kg.model import Claim, Entity, Record, Rejected, Source
from kg.ontology import Ontology
from tests.ingestion import fhir_samples as fhir
from tests.ingestion import samples
from tests.ingestion.fhir_samples import (
    HPO,
    LOINC,
    OMIM,
    SNOMED,
    bundle,
    concept,
    condition,
    glucose,
    observation,
    patient,
)
from tests.ingestion.test_reader_contract import ReaderContract, read_all
from tests.support.backends import Backend

pytest.importorskip("fhir.resources", reason="needs the extra `fhir`")


class TestFhirContract(ReaderContract):
    name = "fhir"

    def write_good(self, folder: Path) -> Path:
        fhir.write(folder / "a.json", bundle(patient(), condition(), observation(), glucose()))
        fhir.write_lines(folder / "b" / "Condition.ndjson", condition(), condition(id="2"))
        fhir.write(folder / "map.json", fhir.glucose_map())
        fhir.write(folder / "one.json", patient())
        return folder

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        self.write_good(folder)
        bad = observation(code={"coding": [{"system": HPO, "code": 7}]})
        fhir.write(folder / "a.json", bundle(patient(), condition(), observation(), glucose(), bad))
        return folder, "entry[4].resource.code.coding[0].code"


def read(tmp_path: Path, *resources: dict[str, Any], base: str = "") -> list[Record]:
    return read_all(get_reader("fhir"), fhir.write(tmp_path / "b.json", bundle(*resources, base=base)))


def claims(records: list[Record]) -> list[tuple[str, str, float]]:
    return [(r.relation, r.object, r.confidence) for r in records if isinstance(r, Claim)]


def one(records: list[Record]) -> Claim:
    assert not rejected(records)
    [claim] = (r for r in records if isinstance(r, Claim))
    return claim


def entities(records: list[Record]) -> dict[str, dict[str, Any]]:
    return {r.id: dict(r.properties) for r in records if isinstance(r, Entity)}


def rejected(records: list[Record]) -> list[tuple[str, str]]:
    return [(r.place, r.reason) for r in records if isinstance(r, Rejected)]


# ---- patients and references ---------------------------------------------------------------------------------------


def test_a_patient(tmp_path: Path) -> None:
    assert entities(read(tmp_path, patient())) == {
        "fhir:b/Patient/example": {
            "name": "example",  # not Peter Chalmers
            "sex": "MALE",
            "birth_date": "1974-12-25",
            "vital_status": "ALIVE",
        }
    }
    dead = patient(gender="unknown", deceasedDateTime="2015-02-14T00:30:00+10:00")
    del dead["deceasedBoolean"]
    found = entities(read(tmp_path, dead))["fhir:b/Patient/example"]
    assert (found["vital_status"], found["death_date"], "sex" in found) == ("DECEASED", "2015-02-14", False)


def test_an_unknown_gender_is_named_and_the_patient_loaded(tmp_path: Path) -> None:
    records = read(tmp_path, patient(gender="f"))
    [(place, reason)] = rejected(records)
    assert place == "entry[0].resource.gender"
    assert "'f' is none of male, female" in reason
    assert "fhir:b/Patient/example" in entities(records)


BASE = "h.org/r4"
KNOWN = f"fhir:{BASE}/Patient/example"


@pytest.mark.parametrize(
    ("patient_url", "condition_url", "reference", "expected"),
    [
        ("", "", "Patient/example", "fhir:b/Patient/example"),
        ("", "", "Patient/example/_history/2", "fhir:b/Patient/example"),
        ("urn:uuid:6b1a", "urn:uuid:77", "urn:uuid:6b1a", "fhir:b/Patient/example"),
        ("urn:uuid:6b1a", "urn:uuid:77", "Patient/example", "fhir:b/Patient/example"),
        (f"https://{BASE}/Patient/example", f"https://{BASE}/Condition/f001", "Patient/example", KNOWN),
        (f"https://{BASE}/Patient/example", "urn:uuid:77", "Patient/example", KNOWN),
        (f"https://{BASE}/Patient/example", "", f"https://{BASE}/Patient/example", KNOWN),
        (f"http://{BASE}/Patient/example", "", f"https://{BASE}/Patient/example", KNOWN),
    ],
)  # fmt: skip
def test_references_mean_the_patient(
    tmp_path: Path, patient_url: str, condition_url: str, reference: str, expected: str
) -> None:
    said = condition(subject={"reference": reference})
    entries = [{"fullUrl": condition_url, "resource": said}, {"fullUrl": patient_url, "resource": patient()}]
    content = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{k: v for k, v in e.items() if v} for e in entries],
    }
    claim = one(read_all(get_reader("fhir"), fhir.write(tmp_path / "b.json", content)))
    assert claim.subject == expected
    assert claim.qualifiers["onset_age"] == "P5489D"  # the birth date was found, too


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        ({"reference": "Group/1"}, "is a Group, no Patient"),
        ({"reference": "#p1"}, "contained in the resource"),
        ({"display": "Peter"}, "has no reference"),
        ({"reference": "somebody"}, "is no reference"),
    ],
)
def test_a_subject_that_is_no_patient(tmp_path: Path, subject: dict[str, str], reason: str) -> None:
    records = read(tmp_path, condition(subject=subject), observation())
    [(place, said)] = rejected(records)
    assert place == "entry[0].resource.subject"
    assert reason in said
    assert claims(records) == [("HAS_PHENOTYPE", "HP:0001250", 1.0)]


def test_the_files_of_a_bulk_export_speak_of_the_same_patients(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    fhir.write_lines(folder / "Patient.ndjson", patient(), patient(id="2"))
    fhir.write_lines(folder / "Condition.ndjson", condition(), condition(subject={"reference": "Patient/2"}))
    records = read_all(get_reader("fhir"), folder)
    subjects = [r.subject for r in records if isinstance(r, Claim)]
    assert subjects == ["fhir:export/Patient/example", "fhir:export/Patient/2"]
    assert set(subjects) <= set(entities(records))
    assert {r.place for r in records if isinstance(r, Claim)} == {"L1.code", "L2.code"}


def test_bundles_without_addresses_keep_their_patients_apart(tmp_path: Path) -> None:
    for name in ("one", "two"):
        fhir.write(tmp_path / "f" / f"{name}.json", bundle(patient()))
    assert set(entities(read_all(get_reader("fhir"), tmp_path / "f"))) == {
        "fhir:f/one/Patient/example",
        "fhir:f/two/Patient/example",
    }


@pytest.mark.parametrize("layout", ["bundle", "sorted", "minified", "array", "lines", "lines of bundles", "single"])
def test_any_layout(tmp_path: Path, layout: str) -> None:
    content = bundle(patient(), condition())
    text, name = {
        "bundle": (json.dumps(content, indent=2), "x.json"),
        "sorted": (json.dumps(content, sort_keys=True, indent=2), "x.json"),
        "minified": ("\ufeff" + json.dumps(content), "x.json"),
        "array": (json.dumps([patient(), condition()]), "x.json"),
        "lines": (json.dumps(patient()) + "\n" + json.dumps(condition()) + "\n", "x.json"),
        "lines of bundles": (json.dumps(bundle(patient())) + "\n" + json.dumps(bundle(condition())), "x.ndjson"),
        "single": (json.dumps(condition(), indent=1), "x.json"),
    }[layout]
    claim = one(read_all(get_reader("fhir"), fhir.write(tmp_path / name, text)))
    assert (claim.relation, claim.object) == ("HAS_DIAGNOSIS", "OMIM:154700")


# ---- conditions ----------------------------------------------------------------------------------------------------


def test_a_condition_with_all_it_may_say(tmp_path: Path) -> None:
    said = condition(
        onsetAge={"value": 1.5, "code": "a", "system": "http://unitsofmeasure.org"}, abatementDateTime="2012-05"
    )
    del said["onsetDateTime"]
    records = read(tmp_path, patient(), said)
    claim = one(records)
    assert claim.source == "fhir:b/Practitioner/f201"
    assert [r for r in records if isinstance(r, Source)][1].kind == "person"
    assert claim.qualifiers == {
        "onset_age": "P18M",
        "valid_to": "2012-05",
        "severity": "HP:0012828",
        "verification_status": "confirmed",
        "clinical_status": "active",
        "said_at": "2013-04-04T08:00:00Z",
    }


def test_a_condition_of_r5(tmp_path: Path) -> None:
    said = condition(participant=[{"actor": {"reference": "Practitioner/9", "display": "Dr Nine"}}])
    del said["asserter"]
    assert one(read(tmp_path, said)).source == "fhir:b/Practitioner/9"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("confirmed", ("HAS_DIAGNOSIS", 1.0)),
        ("provisional", ("HAS_DIAGNOSIS", 0.6)),
        ("unconfirmed", ("HAS_DIAGNOSIS", 0.5)),
        ("differential", ("HAS_DIAGNOSIS", 0.3)),
        ("refuted", ("EXCLUDES_DIAGNOSIS", 1.0)),
    ],
)
def test_verification(tmp_path: Path, status: str, expected: tuple[str, float]) -> None:
    claim = one(read(tmp_path, condition(verificationStatus=concept("x:y", status))))
    assert (claim.relation, claim.confidence) == expected


def test_verification_in_two_code_systems(tmp_path: Path) -> None:
    codings = [{"system": SNOMED, "code": "410605003"}, {"system": "x:y", "code": "provisional"}]
    assert one(read(tmp_path, condition(verificationStatus={"coding": codings}))).confidence == 0.6


@pytest.mark.parametrize(
    ("status", "reason"),
    [("entered-in-error", "not loaded"), ("sure", "is none of"), ("410516002", "is none of")],
)
def test_a_status_that_says_nothing(tmp_path: Path, status: str, reason: str) -> None:
    records = read(tmp_path, condition(verificationStatus=concept("x:y", status)))
    assert not claims(records)
    assert [(p, reason in r) for p, r in rejected(records)] == [("entry[0].resource.verificationStatus", True)]


@pytest.mark.parametrize(
    ("system", "code", "expected"),
    [
        (HPO, "HP:0001250", ("HAS_PHENOTYPE", "HP:0001250")),
        (HPO + "/", "0001250", ("HAS_PHENOTYPE", "HP:0001250")),
        ("http://purl.obolibrary.org/obo/hp.owl", "HP_0001250", ("HAS_PHENOTYPE", "HP:0001250")),
        ("urn:oid:2.16.840.1.113883.6.339", "HP:0001250", ("HAS_PHENOTYPE", "HP:0001250")),
        ("https://www.omim.org", "154700", ("HAS_DIAGNOSIS", "OMIM:154700")),
        ("urn:oid:2.16.840.1.113883.6.174", "MIM:154700", ("HAS_DIAGNOSIS", "OMIM:154700")),
        ("http://www.orpha.net", "558", ("HAS_DIAGNOSIS", "ORPHA:558")),
        ("http://www.orpha.net", "ORPHA:558", ("HAS_DIAGNOSIS", "ORPHA:558")),
        ("http://purl.obolibrary.org/obo/mondo.owl", "MONDO:0007947", ("HAS_DIAGNOSIS", "MONDO:0007947")),
        ("https://www.deciphergenomics.org/", "1", ("HAS_DIAGNOSIS", "DECIPHER:1")),
    ],
)
def test_code_systems(tmp_path: Path, system: str, code: str, expected: tuple[str, str]) -> None:
    claim = one(read(tmp_path, condition(code=concept(system, code))))
    assert (claim.relation, claim.object) == expected


def test_several_codes_of_one_condition(tmp_path: Path) -> None:
    codings = [
        {"system": OMIM, "code": "154700"},
        {"system": SNOMED, "code": "19346006"},
        {"system": "http://www.orpha.net", "code": "558"},
    ]
    records = read(tmp_path, condition(code={"coding": codings, "text": "Marfan syndrome"}))
    assert [c[1] for c in claims(records)] == ["OMIM:154700", "ORPHA:558"]
    assert not rejected(records)


def test_codes_without_a_mapping_are_named(tmp_path: Path) -> None:
    snomed = condition(code=concept(SNOMED, "91175000", "Seizure"))
    words = condition(code={"text": "burnt ear"})
    records = read(tmp_path, snomed, words, condition())
    assert [reason for _, reason in rejected(records)] == [
        "Condition.code: SNOMEDCT:91175000 (Seizure) has no mapping to HPO or a disease; "
        "add a ConceptMap to the bundle or folder",
        "Condition.code: no code, only words: 'burnt ear'",
    ]
    assert claims(records) == [("HAS_DIAGNOSIS", "OMIM:154700", 1.0)]


def test_a_concept_map_says_how_sure_its_targets_are(tmp_path: Path) -> None:
    seizure = condition(code=concept("http://snomed.info/sct/900000000000207008", "91175000"))
    assert claims(read(tmp_path, seizure, fhir.snomed_map())) == [
        ("HAS_PHENOTYPE", "HP:0001250", 1.0),  # the wider is implied
        ("HAS_PHENOTYPE", "HP:0007359", 0.5),
    ]
    refuted = seizure | {"verificationStatus": concept("x:y", "refuted")}
    assert claims(read(tmp_path, refuted, fhir.snomed_map())) == [
        ("EXCLUDES_PHENOTYPE", "HP:0001250", 0.5),
        ("EXCLUDES_PHENOTYPE", "HP:0007359", 1.0),
    ]


def test_a_concept_map_beside_holds_for_the_folder_and_changes_its_documents(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    fhir.write(folder / "b.json", bundle(patient(), glucose()))
    before = next(iter(get_reader("fhir").documents(folder))).content
    fhir.write(folder / "z.json", fhir.glucose_map())
    assert ("HAS_PHENOTYPE", "HP:0003074", 1.0) in claims(read_all(get_reader("fhir"), folder))
    assert next(iter(get_reader("fhir").documents(folder))).content != before


# ---- times ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"onsetDateTime": "1975"}, {"valid_from": "1975"}),
        ({"onsetDateTime": "1974-12-26T01:00:00+03:00"}, {"valid_from": "1974-12-25T22:00:00Z", "onset_age": "P1D"}),
        ({"onsetAge": {"value": 3, "unit": "years"}}, {"onset_age": "P3Y"}),
        ({"onsetAge": {"value": 30, "code": "h"}}, {"onset_age": "P1D"}),
        (
            {"onsetPeriod": {"start": "1974-12-26", "end": "1974-12-30"}},
            {"valid_from": "1974-12-26", "onset_age": "P1D", "onset_age_end": "P5D"},
        ),
        (
            {"onsetRange": {"low": {"value": 6, "code": "mo"}, "high": {"value": 2, "code": "a"}}},
            {"onset_age": "P6M", "onset_age_end": "P2Y"},
        ),
        ({"onsetString": "HP:0003577 (congenital)"}, {"onset_term": "HP:0003577"}),
    ],
)
def test_onset(tmp_path: Path, said: dict[str, Any], expected: dict[str, str]) -> None:
    bare = {k: v for k, v in condition().items() if k not in ("onsetDateTime", "severity", "recordedDate")}
    qualifiers = dict(one(read(tmp_path, patient(), bare | said)).qualifiers)
    del qualifiers["verification_status"], qualifiers["clinical_status"]
    assert qualifiers == expected


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"onsetDateTime": "1970-01-01"}, "is before birth"),
        ({"onsetAge": {"value": 3, "unit": "parsec"}}, "no unit of age"),
        ({"onsetAge": {"value": -3, "code": "a"}}, "is no age"),
        ({"onsetAge": {"value": 1e300, "code": "a"}}, "is no age"),
        ({"onsetAge": {"code": "a"}}, "without a value"),
        ({"onsetString": "as a child"}, "is in words"),
    ],
)
def test_a_bad_onset_costs_the_onset_only(tmp_path: Path, said: dict[str, Any], reason: str) -> None:
    bare = {k: v for k, v in condition().items() if k != "onsetDateTime"}
    records = read(tmp_path, patient(), bare | said)
    [(place, text)] = rejected(records)
    assert place == "entry[1].resource.onset"
    assert reason in text
    assert claims(records) == [("HAS_DIAGNOSIS", "OMIM:154700", 1.0)]


# ---- observations --------------------------------------------------------------------------------------------------

ABSENT = "EXCLUDES_PHENOTYPE"
PRESENT = "HAS_PHENOTYPE"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"valueBoolean": True}, PRESENT),
        ({"valueBoolean": False}, ABSENT),
        ({"valueCodeableConcept": concept(LOINC, "LA9633-4", "Present")}, PRESENT),
        ({"valueCodeableConcept": concept(LOINC, "LA9634-2", "Absent")}, ABSENT),
        ({"valueCodeableConcept": concept(SNOMED, "52101004")}, PRESENT),
        ({"valueCodeableConcept": concept(SNOMED, "2667000")}, ABSENT),
        ({"valueString": " Absent"}, ABSENT),
        ({"interpretation": [concept(fhir.INTERPRETATION, "NEG")]}, ABSENT),
        ({}, PRESENT),
    ],
)
def test_a_phenotype_is_present_or_absent(tmp_path: Path, value: dict[str, Any], expected: str) -> None:
    said = {k: v for k, v in observation().items() if k != "valueBoolean"} | value
    claim = one(read(tmp_path, said))
    assert (claim.relation, claim.object) == (expected, "HP:0001250")
    assert claim.qualifiers["said_at"] == "2013-04-02T08:30:10Z"


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        ({"valueBoolean": "yes"}, "valueBoolean", "'yes' is no boolean"),
        ({"valueString": "perhaps"}, "valueString", "says neither present nor absent"),
        ({"valueInteger": 3}, "valueInteger", "says neither present nor absent"),
        ({"dataAbsentReason": concept("x:y", "not-asked")}, "dataAbsentReason", "no value: not-asked"),
        ({"status": "entered-in-error"}, "status", "entered-in-error: not loaded"),
    ],
)
def test_an_observation_that_does_not_say(tmp_path: Path, value: dict[str, Any], path: str, reason: str) -> None:
    said = {k: v for k, v in observation().items() if k != "valueBoolean"} | value
    records = read(tmp_path, said, condition())
    [(place, text)] = rejected(records)
    assert place == f"entry[0].resource.{path}"
    assert reason in text
    assert [c[0] for c in claims(records)] == ["HAS_DIAGNOSIS"]


def test_a_phenotype_as_the_value(tmp_path: Path) -> None:
    said = observation(code=concept(LOINC, "75325-1", "Symptom"), valueCodeableConcept=concept(HPO, "HP:0001250"))
    del said["valueBoolean"]
    assert claims(read(tmp_path, said)) == [(PRESENT, "HP:0001250", 1.0)]


def test_preliminary_results_are_less_sure(tmp_path: Path) -> None:
    assert claims(read(tmp_path, observation(status="preliminary"))) == [(PRESENT, "HP:0001250", 0.8)]


@pytest.mark.parametrize("version", ["R4", "R5"])
@pytest.mark.parametrize(
    ("interpretation", "expected"),
    [
        ("H", [(PRESENT, "HP:0003074", 1.0)]),
        ("HH", [(PRESENT, "HP:0003074", 1.0)]),
        ("L", [(PRESENT, "HP:0001943", 1.0)]),
        ("N", [(ABSENT, "HP:0003074", 1.0), (ABSENT, "HP:0001943", 1.0)]),
        ("A", [("HAS_OBSERVATION", "fhir:b/Observation/f001", 1.0)]),
    ],
)
def test_results_become_phenotypes_by_a_map(
    tmp_path: Path, version: str, interpretation: str, expected: list[tuple[str, str, float]]
) -> None:
    records = read(tmp_path, glucose(interpretation), fhir.glucose_map(version))
    assert claims(records) == expected
    assert not rejected(records)


def test_a_result_without_a_map_stays_one(tmp_path: Path) -> None:
    records = read(tmp_path, glucose())
    assert entities(records) == {
        "fhir:b/Observation/f001": {
            "name": "Glucose [Moles/volume] in Blood",
            "observation_code": "LOINC:15074-8",
            "result_number": 6.3,
            "result_unit": "mmol/L",
            "result_interpretation": "H",
            "at": "2013-04-02T08:30:10Z",
        }
    }
    assert claims(records) == [("HAS_OBSERVATION", "fhir:b/Observation/f001", 1.0)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"valueQuantity": {"value": 0, "code": "mg"}}, {"result_number": 0.0, "result_unit": "mg"}),
        ({"valueQuantity": {"value": 5, "comparator": "<"}}, {"result_text": "<5"}),
        ({"valueInteger": 3}, {"result_number": 3.0}),
        ({"valueString": "cloudy"}, {"result_text": "cloudy"}),
        ({"valueBoolean": False}, {"result_text": "false"}),
        ({"valueCodeableConcept": {"text": "blue"}}, {"result_text": "blue"}),
        ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 64}}}, {"result_text": "1:64"}),
        (
            {"valueRange": {"low": {"value": 1, "unit": "g"}, "high": {"value": 2, "unit": "g"}}},
            {"result_text": "1 g–2 g"},
        ),
    ],
)
def test_kinds_of_result(tmp_path: Path, value: dict[str, Any], expected: dict[str, Any]) -> None:
    said = {
        k: v for k, v in glucose().items() if k not in ("valueQuantity", "interpretation", "effectivePeriod", "issued")
    }
    found = entities(read(tmp_path, said | value))["fhir:b/Observation/f001"]
    assert {k: v for k, v in found.items() if k.startswith("result")} == expected


def test_components(tmp_path: Path) -> None:
    parts = [
        {"code": concept(LOINC, "8480-6", "Systolic"), "valueQuantity": {"value": 107, "code": "mm[Hg]"}},
        {"code": concept(HPO, "HP:0001250"), "valueBoolean": False},
    ]
    said = {k: v for k, v in glucose().items() if k != "valueQuantity"} | {"component": parts}
    records = read(tmp_path, said)
    assert claims(records) == [
        ("HAS_OBSERVATION", "fhir:b/Observation/f001/component[0]", 1.0),
        (ABSENT, "HP:0001250", 1.0),
    ]
    assert entities(records)["fhir:b/Observation/f001/component[0]"]["result_number"] == 107.0


def test_a_gene_with_a_variant(tmp_path: Path) -> None:
    claim = one(read(tmp_path, fhir.variant()))
    assert (claim.relation, claim.object) == ("HAS_CANDIDATE_GENE", "HGNC:3603")
    assert claim.qualifiers == {"interpretation": "Pathogenic", "variant": "NM_000138.5:c.1090C>T"}
    absent = fhir.variant(valueCodeableConcept=concept(LOINC, "LA9634-2"))
    assert "absent" in rejected(read(tmp_path, absent))[0][1]


# ---- reports, relatives, the rest ----------------------------------------------------------------------------------


def test_a_report(tmp_path: Path) -> None:
    assert claims(read(tmp_path, fhir.report())) == [("HAS_DIAGNOSIS", "ORPHA:558", 1.0)]
    assert claims(read(tmp_path, fhir.report(status="partial"))) == [("HAS_DIAGNOSIS", "ORPHA:558", 0.8)]
    words = fhir.report(conclusion="Marfan syndrome")
    del words["conclusionCode"]
    assert rejected(read(tmp_path, words)) == [
        ("entry[0].resource.conclusion", "DiagnosticReport.conclusion: a conclusion in words, without conclusionCode")
    ]


def test_a_relative(tmp_path: Path) -> None:
    records = read(tmp_path, fhir.mother())
    relative = "fhir:b/FamilyMemberHistory/mother"
    assert entities(records)[relative] == {"name": "mother", "sex": "FEMALE", "vital_status": "DECEASED"}
    kin, ill = (r for r in records if isinstance(r, Claim))
    assert (kin.subject, kin.relation, kin.object) == (relative, "RELATIVE_OF", "fhir:b/Patient/example")
    assert kin.qualifiers == {"kinship": "mother"}
    assert (ill.subject, ill.object, ill.qualifiers) == (relative, "OMIM:154700", {"onset_age": "P56Y"})


def test_other_types_are_counted_once(tmp_path: Path) -> None:
    others = [{"resourceType": "Encounter", "id": str(i)} for i in range(3)] + [{"resourceType": "Claim", "id": "1"}]
    assert rejected(read(tmp_path, *others, condition())) == [
        ("entry[3].resource", "Claim is not read; 1 left out"),
        ("entry[0].resource", "Encounter is not read; 3 left out"),
    ]


def test_requests_of_a_transaction_are_not_carried_out(tmp_path: Path) -> None:
    content = bundle(condition())
    content["entry"].append({"request": {"method": "DELETE", "url": "Condition/f001"}})
    records = read_all(get_reader("fhir"), fhir.write(tmp_path / "b.json", content))
    assert rejected(records) == [("entry[1]", "DELETE Condition/f001: requests are not carried out")]


# ---- broken input --------------------------------------------------------------------------------------------------

GOOD = json.dumps(condition(id="good"))


@pytest.mark.parametrize("lines", [True, False], ids=["lines", "bundle"])
@pytest.mark.parametrize(
    ("bad", "path", "reason"),
    [
        (json.dumps(glucose(valueQuantity={"value": float("nan")})), "valueQuantity.value", "Decimal"),
        (json.dumps(glucose(valueQuantity={"value": float("inf")})), "valueQuantity.value", "Decimal"),
        (json.dumps(glucose(valueQuantity={"value": 10**400})), "valueQuantity", "is no finite number"),
        (json.dumps(glucose(valueQuantity={"value": "1e999"})), "valueQuantity", "is no finite number"),
        (
            json.dumps(glucose(valueQuantity={"value": 1})).replace('"value": 1', '"value": ' + "9" * 5000),
            None,
            "digits",
        ),
        (json.dumps(condition(code="Marfan")), "code", ""),
        (json.dumps(condition(code={"coding": {"code": "x"}})), "code.coding", "list"),
        (json.dumps(condition(onsetDateTime="1990-13-45")), "onsetDateTime", ""),
        (json.dumps(condition(colour="blue")), "colour", "Extra inputs are not permitted"),
        (json.dumps(condition(onsetString="x")), "", "got multiple"),
        (json.dumps(condition(contained=[{"resourceType": "Foo"}])), "", "no valid Condition"),
        (json.dumps(patient(birthDate="1990-02-31")), "birthDate", ""),
        (json.dumps(patient(id="a b")), "id", "pattern"),
        ('{"resourceType": "Condition", "id": "a", "id": "b"}', None, "'id' is there twice"),
        ('{"resourceType": "Condition", "id": truth}', None, "not JSON"),
        ('{"resourceType": 7}', None, "no resourceType"),
        ("7", None, "no resourceType"),
        ('{"resourceType": "Condition", "id": "caf\xe9"}', None, "not UTF-8: byte 0xe9"),
    ],
)
def test_a_broken_resource_is_named_and_the_rest_loads(
    tmp_path: Path, ontology: Ontology, lines: bool, bad: str, path: str | None, reason: str
) -> None:
    if lines:
        file, text, place = tmp_path / "b.ndjson", f"{GOOD}\n{bad}\n{GOOD}\n", "L2"
    else:
        entries = ",".join(f'{{"resource": {text}}}' for text in (GOOD, bad, GOOD))
        file, text = tmp_path / "b.json", f'{{"resourceType": "Bundle", "type": "collection", "entry": [{entries}]}}'
        place = "entry[1]" if path is None and not reason.startswith("no resourceType") else "entry[1].resource"
    file.write_bytes(text.encode("latin-1"))
    records = read_all(get_reader("fhir"), file)
    [(found, said)] = rejected(records)
    assert found == (f"{place}.{path}" if path else place)
    assert reason in said
    assert len([c for c in claims(records) if c[0] == "HAS_DIAGNOSIS"]) == 2
    assert all(ontology.check_claim(r) is None for r in records if isinstance(r, Claim))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"\x00\xff", ""),
        (b'{"resourceType": "Bundle", "type": "collection"}', "a bundle without entries"),
        (json.dumps(bundle(condition(), condition())).encode()[:-300], "the file ends"),
        (json.dumps(bundle(condition(), condition())).encode("utf-16"), ""),
    ],
)
def test_a_broken_file(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "b.json").write_bytes(content)
    records = read_all(get_reader("fhir"), tmp_path / "b.json")
    assert rejected(records)
    assert reason in rejected(records)[0][1]


def test_nothing_that_is_wrong_in_a_resource_ends_the_run(tmp_path: Path, ontology: Ontology) -> None:
    """Random damage to any element of any resource: a note or a claim, never an exception."""
    chance = random.Random(4)
    junk: list[Any] = [
        None,
        True,
        -1,
        1e308,
        "",
        " ",
        "x" * 5,
        [],
        {},
        [None],
        [{}],
        {"coding": None},
        "HP:0001250",
        float("nan"),
    ]

    def damage(value: Any) -> Any:
        if isinstance(value, dict) and value:
            key = chance.choice(sorted(value))
            return value | {key: chance.choice(junk) if chance.random() < 0.4 else damage(value[key])}
        if isinstance(value, list) and value:
            place = chance.randrange(len(value))
            return [*value[:place], damage(value[place]), *value[place + 1 :]]
        return chance.choice(junk)

    samples = [
        patient(),
        condition(),
        observation(),
        glucose(),
        fhir.glucose_map(),
        fhir.mother(),
        fhir.report(),
        fhir.variant(),
    ]
    damaged = [damage(chance.choice(samples)) for _ in range(2000)]
    path = fhir.write_lines(tmp_path / "x.ndjson", *damaged, condition(code=concept(OMIM, "999999")))
    records = read_all(get_reader("fhir"), path)
    assert claims(records)[-1] == ("HAS_DIAGNOSIS", "OMIM:999999", 1.0)
    assert len({place.split(".")[0] for place, _ in rejected(records)}) > 500
    for record in records:
        if isinstance(record, Claim):
            assert ontology.check_claim(record) is None, record
        elif isinstance(record, Entity):
            assert ontology.check_entity(record) is None, record


def test_memory_stays_bounded(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.json"
        note = [{"text": "x" * 4000}]
        entries = (json.dumps({"resource": observation(id=str(i), note=note)}) for i in range(count))
        path.write_text('{"resourceType": "Bundle", "type": "collection", "entry": [' + ",".join(entries) + "]}")
        [document] = get_reader("fhir").documents(path)
        tracemalloc.start()
        assert sum(isinstance(r, Claim) for r in get_reader("fhir").read(document)) == count
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(10)
    read(tmp_path, observation())  # imports
    small = peak(800)  # beyond the window of a megabyte
    assert peak(1_600) < small + 200_000


# ---- into a graph ----------------------------------------------------------------------------------------------------


async def test_into_a_graph(embedded_backend: Backend, tmp_path: Path) -> None:
    """Terms are checked against HPO as loaded; a correction by the hospital takes back what it no longer says."""
    embedded_backend.empty()
    store = await embedded_backend.open()
    letters = tmp_path / "letters.jsonl"
    try:
        hpo = samples.write_hpo(tmp_path / "hpo")
        await ingest(store, get_reader("hpo"), hpo, dead_letters=letters)
        before = await store.digest()
        unknown = observation(code=concept(HPO, "HP:9999999"))
        marfan = {k: v for k, v in condition().items() if k != "severity"}
        file = fhir.write(tmp_path / "b.json", bundle(patient(), marfan, observation(), unknown, glucose()))
        report = await ingest(store, get_reader("fhir"), file, dead_letters=letters)
        assert (report.loaded, report.claims, report.rejected) == (1, 3, 1)
        assert "unknown id HP:9999999" in letters.read_text()
        assert (await ingest(store, get_reader("fhir"), file, dead_letters=letters)).skipped == 1
        query = "MATCH (:Patient {sex: 'MALE'})-[r]->(o) RETURN type(r) AS r, o.id AS o ORDER BY r"
        assert [tuple(row.values()) async for row in store.read(query)] == [
            ("HAS_DIAGNOSIS", "OMIM:154700"),
            ("HAS_OBSERVATION", "fhir:b/Observation/f001"),
            ("HAS_PHENOTYPE", "HP:0001250"),
        ]
        fhir.write(file, bundle(patient(), observation(valueBoolean=False)))
        assert (await ingest(store, get_reader("fhir"), file, dead_letters=letters)).changed == 1
        assert [tuple(row.values()) async for row in store.read(query)] == [("EXCLUDES_PHENOTYPE", "HP:0001250")]
        await store.retract("fhir:b.json")
        assert await store.digest() == before
    finally:
        await store.close()


# ---- what another program made ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["bundle", "ndjson"])
def test_a_generated_cohort(tmp_path: Path, ontology: Ontology, form: str) -> None:
    """Patients by the US Core profiles, from a generator that is none of ours."""
    pytest.importorskip("carebundle", reason="carebundle, which makes US Core test data, is not installed")
    command = [sys.executable, "-m", "carebundle.cli", "generate", "--profile", "mixed", "--count", "20"]
    subprocess.run([*command, "--format", form, "--out", str(tmp_path / "us")], check=True, capture_output=True)
    records = read_all(get_reader("fhir"), tmp_path / "us")
    patients = {r.id for r in records if isinstance(r, Entity) and r.classes == ("Patient",)}
    found = [r for r in records if isinstance(r, Claim)]
    assert len(patients) == 20
    assert {r.subject for r in found} == patients
    assert len(found) > 20 * 20
    assert not [r for r in found if ontology.check_claim(r)]
    assert all("has no mapping" in r or "is not read" in r for _, r in rejected(records))
