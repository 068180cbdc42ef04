"""FHIR resources after HL7's published examples and implementation guides, and bundles of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Resource = dict[str, Any]
HPO = "http://human-phenotype-ontology.org"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
OMIM = "http://omim.org"
INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"


def concept(system: str, code: str, display: str = "") -> Resource:
    return {"coding": [{"system": system, "code": code} | ({"display": display} if display else {})]}


def patient(**changes: Any) -> Resource:
    return {
        "resourceType": "Patient",
        "id": "example",
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Peter Chalmers</div>'},
        "identifier": [{"use": "usual", "system": "urn:oid:1.2.36.146.595.217.0.1", "value": "12345"}],
        "active": True,
        "name": [{"use": "official", "family": "Chalmers", "given": ["Peter", "James"]}],
        "gender": "male",
        "birthDate": "1974-12-25",
        "_birthDate": {
            "extension": [
                {
                    "url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
                    "valueDateTime": "1974-12-25T14:35:45-05:00",
                }
            ]
        },
        "deceasedBoolean": False,
    } | changes


def condition(**changes: Any) -> Resource:
    return {
        "resourceType": "Condition",
        "id": "f001",
        "clinicalStatus": concept("http://terminology.hl7.org/CodeSystem/condition-clinical", "active"),
        "verificationStatus": concept("http://terminology.hl7.org/CodeSystem/condition-ver-status", "confirmed"),
        "severity": concept(SNOMED, "24484000", "Severe"),
        "code": concept(OMIM, "154700", "Marfan syndrome"),
        "subject": {"reference": "Patient/example", "display": "P. Chalmers"},
        "onsetDateTime": "1990-01-04",
        "recordedDate": "2013-04-04T10:00:00+02:00",
        "asserter": {"reference": "Practitioner/f201", "display": "Dokter Bronsig"},
    } | changes


def observation(**changes: Any) -> Resource:
    return {
        "resourceType": "Observation",
        "id": "hpo-1",
        "status": "final",
        "code": concept(HPO, "HP:0001250", "Seizure"),
        "subject": {"reference": "Patient/example"},
        "effectiveDateTime": "2013-04-02T09:30:10+01:00",
        "valueBoolean": True,
    } | changes


def glucose(interpretation: str = "H", **changes: Any) -> Resource:
    """HL7's example f001: 6.3 mmol/l glucose in blood."""
    return {
        "resourceType": "Observation",
        "id": "f001",
        "status": "final",
        "code": concept(LOINC, "15074-8", "Glucose [Moles/volume] in Blood"),
        "subject": {"reference": "Patient/example"},
        "effectivePeriod": {"start": "2013-04-02T09:30:10+01:00"},
        "issued": "2013-04-03T15:30:10+01:00",
        "performer": [{"reference": "Practitioner/f005", "display": "A. Langeveld"}],
        "valueQuantity": {"value": 6.3, "unit": "mmol/l", "system": "http://unitsofmeasure.org", "code": "mmol/L"},
        "interpretation": [concept(INTERPRETATION, interpretation)],
        "referenceRange": [{"low": {"value": 3.1}, "high": {"value": 6.2}}],
    } | changes


def glucose_map(version: str = "R4") -> Resource:
    """As loinc2hpo has it: glucose high is hyperglycemia, low hypoglycemia."""

    def target(code: str, display: str, needs: str) -> Resource:
        if version == "R4":
            depends: Resource = {"property": "http://hl7.org/fhir/Observation#interpretation", "value": needs}
            return {"code": code, "display": display, "equivalence": "equivalent", "dependsOn": [depends]}
        depends = {"attribute": "interpretation", "valueCoding": {"system": INTERPRETATION, "code": needs}}
        return {"code": code, "display": display, "relationship": "equivalent", "dependsOn": [depends]}

    targets = [target("HP:0003074", "Hyperglycemia", "H"), target("HP:0001943", "Hypoglycemia", "L")]
    return {
        "resourceType": "ConceptMap",
        "id": "loinc2hpo",
        "status": "active",
        "group": [{"source": LOINC, "target": HPO, "element": [{"code": "15074-8", "target": targets}]}],
    }


def snomed_map() -> Resource:
    targets = [
        {"code": "HP:0001250", "equivalence": "wider"},
        {"code": "HP:0007359", "equivalence": "narrower"},
        {"code": "HP:0000001", "equivalence": "disjoint"},
    ]
    return {
        "resourceType": "ConceptMap",
        "status": "active",
        "group": [{"source": SNOMED, "target": HPO, "element": [{"code": "91175000", "target": targets}]}],
    }


def mother(**changes: Any) -> Resource:
    """HL7's example mother."""
    return {
        "resourceType": "FamilyMemberHistory",
        "id": "mother",
        "status": "completed",
        "patient": {"reference": "Patient/example"},
        "relationship": concept("http://terminology.hl7.org/CodeSystem/v3-RoleCode", "MTH", "mother"),
        "sex": concept("http://hl7.org/fhir/administrative-gender", "female"),
        "deceasedBoolean": True,
        "condition": [{"code": concept(OMIM, "154700", "Marfan syndrome"), "onsetAge": {"value": 56, "code": "a"}}],
    } | changes


def report(**changes: Any) -> Resource:
    return {
        "resourceType": "DiagnosticReport",
        "id": "r1",
        "status": "final",
        "code": concept(LOINC, "51969-4", "Genetic analysis summary report"),
        "subject": {"reference": "Patient/example"},
        "issued": "2013-05-15T19:32:52+01:00",
        "conclusionCode": [concept("http://www.orpha.net", "558", "Marfan syndrome")],
    } | changes


def variant(**changes: Any) -> Resource:
    """After HL7's Genomics Reporting guide."""
    loinc = {
        "48018-6": concept("http://www.genenames.org", "HGNC:3603", "FBN1"),
        "48004-6": concept("http://varnomen.hgvs.org", "NM_000138.5:c.1090C>T"),
        "53037-8": concept(LOINC, "LA6668-3", "Pathogenic"),
    }
    return {
        "resourceType": "Observation",
        "id": "variant",
        "status": "final",
        "code": concept(LOINC, "69548-6", "Genetic variant assessment"),
        "subject": {"reference": "Patient/example"},
        "valueCodeableConcept": concept(LOINC, "LA9633-4", "Present"),
        "component": [{"code": concept(LOINC, c), "valueCodeableConcept": v} for c, v in loinc.items()],
    } | changes


def bundle(*resources: Resource, base: str = "") -> Resource:
    entries = [
        ({"fullUrl": f"{base}/{r['resourceType']}/{r['id']}"} if base else {}) | {"resource": r} for r in resources
    ]
    return {"resourceType": "Bundle", "id": "b", "type": "collection", "entry": entries}


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content, indent=1)
    path.write_text(text, encoding="utf-8")
    return path


def write_lines(path: Path, *resources: Resource) -> Path:
    return write(path, "".join(json.dumps(r) + "\n" for r in resources))
