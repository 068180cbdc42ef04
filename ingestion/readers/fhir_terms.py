"""Codes of FHIR: code systems as CURIE prefixes, and the mappings of ConceptMap resources."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Element = dict[str, Any]

_SYSTEMS = {
    "HP": (
        "human-phenotype-ontology.org", "purl.obolibrary.org/obo/hp", "purl.obolibrary.org/obo/hp.owl",
        "purl.obolibrary.org/obo/hp.fhir", "hpo.jax.org", "hpo.jax.org/app", "urn:oid:2.16.840.1.113883.6.339",
    ),
    "OMIM": ("omim.org", "omim.org/entry", "urn:oid:2.16.840.1.113883.6.174"),
    "ORPHA": ("orpha.net", "orpha.net/ordo"),
    "MONDO": ("purl.obolibrary.org/obo/mondo", "purl.obolibrary.org/obo/mondo.owl", "monarchinitiative.org"),
    "DECIPHER": ("deciphergenomics.org", "decipher.sanger.ac.uk", "deciphergenomics.org/syndrome"),
    "HGNC": ("genenames.org", "genenames.org/geneid", "urn:oid:2.16.840.1.113883.6.281"),
    "SNOMEDCT": ("snomed.info/sct", "urn:oid:2.16.840.1.113883.6.96"),
    "LOINC": ("loinc.org", "urn:oid:2.16.840.1.113883.6.1"),
    "ICD10": ("hl7.org/fhir/sid/icd-10", "urn:oid:2.16.840.1.113883.6.3"),
    "ICD10CM": ("hl7.org/fhir/sid/icd-10-cm", "urn:oid:2.16.840.1.113883.6.90"),
    "ICD10GM": ("fhir.de/codesystem/bfarm/icd-10-gm", "fhir.de/codesystem/dimdi/icd-10-gm"),
    "ICD9CM": ("hl7.org/fhir/sid/icd-9-cm", "urn:oid:2.16.840.1.113883.6.103"),
    "ICD11": ("id.who.int/icd/release/11/mms", "id.who.int/icd11/mms"),
    "UCUM": ("unitsofmeasure.org",),
}  # fmt: skip
"""Prefix → URIs, without scheme, `www.` and the slash at the end."""
_PREFIXES = {uri: prefix for prefix, uris in _SYSTEMS.items() for uri in uris}
_SCHEME = re.compile(r"https?://(www\.)?", re.IGNORECASE)
_SPELLINGS = {"orphanet": "ORPHA", "ordo": "ORPHA", "mim": "OMIM", "hpo": "HP", "phenotypic series": "OMIM"}
_CURIE = re.compile(r"([A-Za-z]+)[:_](\w[\w.-]*)")

PHENOTYPES = ("HP",)
DISEASES = ("OMIM", "ORPHA", "MONDO", "DECIPHER")

_SURE = {
    "equal": (1.0, 1.0), "equivalent": (1.0, 1.0),
    "wider": (1.0, 0.5), "subsumes": (1.0, 0.5), "source-is-narrower-than-target": (1.0, 0.5),
    "narrower": (0.5, 1.0), "specializes": (0.5, 1.0), "source-is-broader-than-target": (0.5, 1.0),
    "relatedto": (0.5, 0.5), "related-to": (0.5, 0.5), "inexact": (0.5, 0.5), "": (0.5, 0.5),
}  # fmt: skip
"""How a ConceptMap's target relates to its source (R4 `equivalence`, R5 `relationship`) → how sure the target is if
the source is there, and how sure its absence if the source is not. Who has the narrower has the wider, not the other
way round: that is logic; 0.5 is judgement. What is not here, such as `disjoint` and `unmatched`, maps to nothing."""


def prefix_of(system: str) -> str:
    """The CURIE prefix of a code system's URI; empty if none is known."""
    plain = _SCHEME.sub("", system.strip()).rstrip("/").lower()
    if plain.startswith("snomed.info/sct/"):  # an edition
        return "SNOMEDCT"
    return _PREFIXES.get(plain, "")


@dataclass(frozen=True, slots=True)
class Term:
    """A code: `HP:0001250`, `LOINC:2345-7`; the system's URI and the code where no prefix is known for it."""

    id: str
    name: str

    @property
    def prefix(self) -> str:
        """`HP`"""
        return self.id.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Target:
    """What a concept means in a vocabulary of ours.

    Attributes:
        present: how sure it is if the concept is there.
        absent: how sure its absence is if the concept is not.
        needs: interpretations of a result under which it holds; empty: any.
    """

    term: Term
    present: float = 1.0
    absent: float = 1.0
    needs: frozenset[str] = frozenset()


def terms(concept: object) -> list[Term]:
    """The codings of a CodeableConcept, in order."""
    codings = concept.get("coding") or [] if isinstance(concept, dict) else []
    return [t for coding in codings if isinstance(coding, dict) and (t := term(coding)) is not None]


def term(coding: Element) -> Term | None:
    """A Coding; None if it has no code."""
    code, system = _text(coding.get("code")), _text(coding.get("system"))
    if not code:
        return None
    prefix = prefix_of(system) or system
    match = _CURIE.fullmatch(code)
    if match:
        written = _SPELLINGS.get(match[1].lower(), match[1].upper())
        if written == prefix or (not prefix and written in (*PHENOTYPES, *DISEASES)):
            prefix, code = written, match[2]
    return Term(f"{prefix}:{''.join(code.split())}", _text(coding.get("display")))


def codes(concept: object) -> set[str]:
    """The bare codes of a CodeableConcept."""
    codings = concept.get("coding") or [] if isinstance(concept, dict) else []
    return {_text(c.get("code")) for c in codings if isinstance(c, dict)} - {""}


def label(concept: object) -> str:
    """What a CodeableConcept calls itself."""
    if not isinstance(concept, dict):
        return ""
    return _text(concept.get("text")) or next((t.name for t in terms(concept) if t.name), "")


def _text(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


class ConceptMaps:
    """Mappings of codes onto phenotypes and diseases, from any number of ConceptMap resources."""

    def __init__(self, maps: Iterable[ConceptMaps] = ()) -> None:
        self._targets: dict[str, list[Target]] = {}
        for other in maps:
            for code, targets in other._targets.items():
                self._targets.setdefault(code, []).extend(targets)

    def add(self, resource: Element) -> None:
        """Takes in a ConceptMap of R4 or R5."""
        for group in resource.get("group") or []:
            source, target_system = group.get("source", ""), group.get("target", "")
            system = target_system.partition("|")[0]
            for element in group.get("element") or []:
                key = term({"system": source.partition("|")[0], "code": element.get("code")})
                for target in element.get("target") or []:
                    relation = target.get("equivalence", target.get("relationship", ""))
                    goal = term({"system": system, "code": target.get("code"), "display": target.get("display")})
                    if key and goal and goal.prefix in (*PHENOTYPES, *DISEASES) and relation in _SURE:
                        known = self._targets.setdefault(key.id, [])
                        known.append(Target(goal, *_SURE[relation], _needs(target)))

    def targets(self, concept: object) -> list[Target]:
        """What a CodeableConcept means: its own codes where they are ours, else what its codes are mapped to."""
        own = terms(concept)
        direct = [Target(t) for t in own if t.prefix in (*PHENOTYPES, *DISEASES)]
        mapped: Iterator[Target] = (target for t in own for target in self._targets.get(t.id, ()))
        return list({t.term.id: t for t in direct}.values()) or list(dict.fromkeys(mapped))


def _needs(target: Element) -> frozenset[str]:
    """The values of `dependsOn`: a result's interpretation, such as H."""
    found = set()
    for other in target.get("dependsOn") or []:
        coding = other.get("valueCoding")
        value = coding.get("code") if isinstance(coding, dict) else None
        value = value or other.get("valueCode") or other.get("valueString") or other.get("value")
        if isinstance(value, str):
            found.add(value.strip())
    return frozenset(found)
