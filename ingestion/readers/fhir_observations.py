"""What a FHIR Observation says: a phenotype present or absent, a gene with a variant, or a result as it stands.

A result becomes a phenotype by a ConceptMap whose targets depend on its interpretation (`dependsOn`), as loinc2hpo's
do: LOINC code and H → hyperglycemia. A normal result excludes what the other interpretations of its code mean.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ingestion.readers.fhir_terms import ConceptMaps, Target, Term, codes, label, terms
from ingestion.readers.fhir_times import Qualifiers, moment
from kg.model import Value

Part = dict[str, Any]
"""An Observation or one of its components."""

INVALID = frozenset(("entered-in-error", "cancelled", "registered", "unknown", "specimen-in-process"))
"""Statuses of what says nothing, or nothing yet."""
PRELIMINARY = 0.8
"""How sure a result is before it is verified: judgement."""

_PRESENT = frozenset(
    ("LA9633-4", "LA33-6", "LA6576-8", "52101004", "373066001", "10828004", "260373001", "POS", "Y", "present")
)
_ABSENT = frozenset(
    ("LA9634-2", "LA32-8", "LA6577-6", "2667000", "373067005", "260385009", "260415000", "NEG", "N", "absent")
)
"""Answers of LOINC (present, yes, positive), of SNOMED CT (present, yes, positive, detected) and HL7."""
_WORDS = {
    "present": True, "yes": True, "positive": True, "detected": True, "true": True,
    "absent": False, "no": False, "negative": False, "not detected": False, "false": False,
}  # fmt: skip
_ABNORMAL = frozenset(("A", "POS", "DET"))
_NORMAL = frozenset(("N", "NEG", "ND", "NR"))
_WIDER = {"HH": "H", "HU": "H", "LL": "L", "LU": "L", "AA": "A"}
"""HL7 v3 ObservationInterpretation: critically high is high."""
_FINDINGS = ("HP", "OMIM", "ORPHA", "MONDO", "DECIPHER", "SNOMEDCT")
"""Codes that state a finding by themselves, without a value."""
_VARIANT, _GENE, _SIGNIFICANCE = "69548-6", "48018-6", "53037-8"
_HGVS = ("48004-6", "81290-9", "48005-3")
"""LOINC: genetic variant assessment, its gene, significance, and names (coding, genomic, protein), best first."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Phenotypes or diseases, present or excluded; or a gene."""

    path: str
    qualifiers: Qualifiers
    targets: tuple[Target, ...] = ()
    excluded: bool = False
    gene: Term | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """A result as it stands: properties of a ClinicalObservation; `part` tells components of one Observation apart."""

    path: str
    part: str
    properties: dict[str, Value] = field(default_factory=dict)


Problem = tuple[str, str]
"""(element, what is wrong)."""


def observations(observation: Part, maps: ConceptMaps) -> Iterator[Seen | Observed | Problem]:
    """What an Observation and its components say."""
    if (variant := _variant(observation)) is not None:
        yield variant
        return
    yield from _part(observation, maps, "", "")
    for index, component in enumerate(observation.get("component") or []):
        yield from _part(component, maps, f"component[{index}].", f"component[{index}]")


def _part(part: Part, maps: ConceptMaps, prefix: str, name: str) -> Iterator[Seen | Observed | Problem]:
    kind = next((key for key in part if key.startswith("value")), "")
    if reason := part.get("dataAbsentReason"):
        yield f"{prefix}dataAbsentReason", f"no value: {label(reason) or ', '.join(sorted(codes(reason)))}"
        return
    if not terms(part.get("code")) and not label(part.get("code")):
        yield f"{prefix}code", "no code"
        return
    interpretations = _interpretations(part)
    try:
        number, unit, text = _result(part, kind)
        present = _presence(part, kind, interpretations)
    except ValueError as error:
        yield f"{prefix}{kind}", str(error)
        return
    qualifiers: Qualifiers = {"interpretation": ";".join(_stated(part))} if interpretations else {}
    if number is not None:
        qualifiers |= {"number": number} | ({"unit": unit} if unit else {})
    targets = maps.targets(part.get("code"))
    always = tuple(t for t in targets if not t.needs)
    is_finding = any(t.prefix in _FINDINGS for t in terms(part.get("code")))
    if always and not kind and present is None and is_finding:
        present = True
    if always and present is not None:
        yield Seen(f"{prefix}code", qualifiers, always, not present)
        return
    if always and is_finding:
        yield f"{prefix}{kind}", f"{text or number!r} says neither present nor absent"
        return
    depending = [t for t in targets if t.needs]
    met = tuple(t for t in depending if t.needs & interpretations)
    if depending and interpretations & _NORMAL:
        yield Seen(f"{prefix}code", qualifiers, tuple({t.term.id: t for t in depending}.values()), excluded=True)
    elif met:
        yield Seen(f"{prefix}code", qualifiers, met)
    elif stated := tuple(t for t in maps.targets(part.get("valueCodeableConcept")) if not t.needs):
        yield Seen(f"{prefix}valueCodeableConcept", qualifiers, stated)
    elif kind:
        yield Observed(f"{prefix}code", name, _properties(part, number, unit, text))
    elif not part.get("component") and not part.get("hasMember"):
        yield f"{prefix}value", "no value"


def _properties(part: Part, number: float | None, unit: str, text: str) -> dict[str, Value]:
    named = terms(part.get("code"))
    best = next((t for t in named if t.prefix in ("LOINC", "SNOMEDCT")), named[0] if named else None)
    properties: dict[str, Value] = {
        "name": label(part.get("code")) or (best.id if best else ""),
        "observation_code": best.id if best else "",
        "result_text": text,
        "result_unit": unit,
        "result_interpretation": ";".join(_stated(part)),
        "xrefs": tuple(t.id for t in named if t != best),
    }
    if number is not None:
        properties["result_number"] = number
    return {key: value for key, value in properties.items() if value or value == 0.0}


def _stated(part: Part) -> list[str]:
    return sorted({code for concept in part.get("interpretation") or [] for code in codes(concept)})


def _interpretations(part: Part) -> frozenset[str]:
    stated = _stated(part)
    return frozenset(stated) | {_WIDER[code] for code in stated if code in _WIDER}


def _presence(part: Part, kind: str, interpretations: frozenset[str]) -> bool | None:
    """Whether the value or interpretation says that it is there; None if neither does."""
    value = part.get(kind)
    if kind == "valueBoolean":
        return bool(value)
    if kind == "valueCodeableConcept":
        said = codes(value)
        if said & _PRESENT or said & _ABSENT:
            return bool(said & _PRESENT)
        value = label(value)
    if kind in ("valueString", "valueCodeableConcept") and (word := str(value).strip().lower()) in _WORDS:
        return _WORDS[word]
    if interpretations & (_ABNORMAL | _NORMAL):
        return bool(interpretations & _ABNORMAL)
    return None


def _result(part: Part, kind: str) -> tuple[float | None, str, str]:
    """Number, unit and text of a value.

    Raises:
        ValueError: it can't be kept.
    """
    value = part.get(kind)
    if not kind:
        return None, "", ""
    if kind in ("valueQuantity", "valueInteger"):
        quantity = value if isinstance(value, dict) else {"value": value}
        unit = str(quantity.get("code") or quantity.get("unit") or "")
        number = _number(quantity.get("value"))
        if comparator := quantity.get("comparator"):
            return None, unit, f"{comparator}{number:g}"
        return number, unit, ""
    if kind == "valueBoolean":
        if not isinstance(value, bool):
            raise ValueError(f"{str(value)[:40]!r} is no boolean")
        return None, "", str(value).lower()
    if kind == "valueCodeableConcept":
        return None, "", label(value) or ", ".join(t.id for t in terms(value))
    if kind in ("valueString", "valueDateTime", "valueTime"):
        return None, "", (moment(value) if kind == "valueDateTime" else "") or " ".join(str(value).split())
    if kind in ("valueRange", "valueRatio") and isinstance(value, dict):
        ends, sign = (("low", "high"), "–") if kind == "valueRange" else (("numerator", "denominator"), ":")
        texts = [_quantity(value.get(end)) for end in ends]
        return None, "", sign.join(texts)
    if kind == "valuePeriod" and isinstance(value, dict):
        return None, "", f"{moment(value.get('start'))}/{moment(value.get('end'))}"
    raise ValueError("is not read")


def _number(value: object) -> float:
    """A finite number.

    Raises:
        ValueError: it is none.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{str(value)[:40]!r} is no finite number")
    return number


def _quantity(quantity: object) -> str:
    if not isinstance(quantity, dict) or "value" not in quantity:
        return ""
    return f"{_number(quantity['value']):g} {quantity.get('code') or quantity.get('unit') or ''}".strip()


def _variant(observation: Part) -> Seen | Problem | None:
    """The gene of an Observation of a genetic variant (HL7 Genomics Reporting); None if it is no such."""
    parts = {code: c for c in observation.get("component") or [] for code in codes(c.get("code"))}
    gene = next((t for t in terms(parts.get(_GENE, {}).get("valueCodeableConcept")) if t.prefix == "HGNC"), None)
    if _VARIANT not in codes(observation.get("code")) or gene is None:
        return None
    if codes(observation.get("valueCodeableConcept")) & _ABSENT:
        return "valueCodeableConcept", f"a variant of {gene.id} that is absent"
    names = (parts[code].get("valueCodeableConcept") for code in _HGVS if code in parts)
    variant = next((said for n in names if (said := label(n) or "".join(sorted(codes(n))[:1]))), "")
    significance = label(parts.get(_SIGNIFICANCE, {}).get("valueCodeableConcept"))
    stated = {"interpretation": significance, "variant": variant}
    return Seen("component", {k: v for k, v in stated.items() if v}, gene=gene)
