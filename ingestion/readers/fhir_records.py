"""What single FHIR resources say of patients: entities, claims, and notes of what had to be left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ingestion.readers.base import Document
from ingestion.readers.fhir_files import Found
from ingestion.readers.fhir_observations import INVALID, PRELIMINARY, Observed, observations
from ingestion.readers.fhir_references import References
from ingestion.readers.fhir_terms import PHENOTYPES, ConceptMaps, Target, Term, codes, label, terms
from ingestion.readers.fhir_times import Problems, Qualifiers, abatement, effective, moment, onset
from kg.model import Claim, Entity, Record, Rejected, Source, Value

_SEXES = {"male": "MALE", "female": "FEMALE", "other": "OTHER_SEX", "unknown": ""}
_VERIFIED = {"": 1.0, "confirmed": 1.0, "unconfirmed": 0.5, "provisional": 0.6, "differential": 0.3, "refuted": 1.0}
"""How sure a Condition is by its verificationStatus; the values between are judgement. Refuted is excluded, surely."""
_SEVERITIES = {"255604002": "HP:0012825", "6736007": "HP:0012826", "24484000": "HP:0012828"}
"""SNOMED CT's mild, moderate, severe → HPO's."""
_KINSHIPS = {
    "MTH": "mother", "NMTH": "mother", "FTH": "father", "NFTH": "father", "SIS": "sister", "NSIS": "sister",
    "BRO": "brother", "NBRO": "brother", "SIB": "sibling", "NSIB": "sibling", "TWIN": "twin", "CHILD": "child",
    "NCHILD": "child", "SON": "son", "SONC": "son", "DAU": "daughter", "DAUC": "daughter", "HSIB": "half-sibling",
    "GRMTH": "grandmother", "MGRMTH": "maternal grandmother", "PGRMTH": "paternal grandmother",
    "GRFTH": "grandfather", "MGRFTH": "maternal grandfather", "PGRFTH": "paternal grandfather", "AUNT": "aunt",
    "MAUNT": "maternal aunt", "PAUNT": "paternal aunt", "UNCLE": "uncle", "MUNCLE": "maternal uncle",
    "PUNCLE": "paternal uncle", "COUSN": "cousin", "NIECE": "niece", "NEPHEW": "nephew",
}  # fmt: skip
"""HL7 v3 RoleCode → `kinship`."""
_SHOWN = 2000
_MAX_GIVEN = 200_000


class Writer:
    """Records of one document; gives each source and each name of a disease once, if memory allows."""

    def __init__(self, document: Document, references: References, maps: ConceptMaps) -> None:
        self._document = document.id
        self._references = references
        self._maps = maps
        self._given: set[tuple[str, str]] = set()
        self._by_type: dict[str, Callable[[Found], Iterator[Record]]] = {
            "Patient": self._patient,
            "Condition": self._condition,
            "Observation": self._observation,
            "DiagnosticReport": self._report,
            "FamilyMemberHistory": self._relative,
        }

    @property
    def types(self) -> frozenset[str]:
        """Types of resources that become records."""
        return frozenset(self._by_type)

    def records(self, found: Found) -> Iterator[Record]:
        """The records of one resource, which fits FHIR's models."""
        return self._by_type[found.type](found)

    # ---- patients and relatives -------------------------------------------------------------------------------------

    def _patient(self, found: Found) -> Iterator[Record]:
        yield from self._person(found, self._references.id(found), found.value.get("gender"))

    def _person(self, found: Found, id_: str, gender: object, name: str = "") -> Iterator[Record]:
        """A patient, or a relative of one. Names and addresses of people are left out: nothing asks for them."""
        value = found.value
        properties: dict[str, Value] = {"name": name or value.get("id") or id_.rpartition("/")[2]}
        if isinstance(gender, str) and gender:
            if gender not in _SEXES:
                yield self._rejected(found, "gender", f"{gender[:40]!r} is none of {', '.join(_SEXES)}; left out")
            properties["sex"] = _SEXES.get(gender, "")
        birth, death = value.get("birthDate") or value.get("bornDate"), value.get("deceasedDateTime")
        death = death or value.get("deceasedDate")
        properties["birth_date"] = birth if isinstance(birth, str) else ""
        properties["death_date"] = death[:10] if isinstance(death, str) and moment(death) else ""  # the day there
        dead = bool(death) or value.get("deceasedBoolean") is True or "deceasedAge" in value
        properties["vital_status"] = "DECEASED" if dead else "ALIVE" if value.get("deceasedBoolean") is False else ""
        stated = {k: v for k, v in properties.items() if v}
        yield Entity(id_, ("Patient",), self._document, stated, self._document, found.place)

    def _relative(self, found: Found) -> Iterator[Record]:
        value = found.value
        patient = self._subject(found, "patient")
        if isinstance(patient, Rejected):
            yield patient
            return
        roles = codes(value.get("relationship"))
        kinship = next((_KINSHIPS[c] for c in sorted(roles) if c in _KINSHIPS), "")
        kinship = kinship or label(value.get("relationship")).lower()
        id_ = self._references.id(found)
        yield from self._person(found, id_, _status(value.get("sex")), kinship)
        qualifiers: Qualifiers = {"kinship": kinship} if kinship else {}
        yield Claim(id_, "RELATIVE_OF", patient, self._document, 1.0, qualifiers, self._document, found.place)
        for index, condition in enumerate(value.get("condition") or []):
            problems: Problems = []
            said = onset(condition, "", problems)
            where = f"condition[{index}]"
            for path, reason in problems:
                yield self._rejected(found, f"{where}.{path}", reason)
            yield from self._conclusions(found, id_, condition.get("code"), self._document, said, f"{where}.code")

    # ---- conditions --------------------------------------------------------------------------------------------------

    def _condition(self, found: Found) -> Iterator[Record]:
        value = found.value
        patient = self._subject(found, "subject")
        if isinstance(patient, Rejected):
            yield patient
            return
        status = _status(value.get("verificationStatus"))
        if status not in _VERIFIED:
            reason = "not loaded" if status in INVALID else f"is none of {', '.join(filter(None, _VERIFIED))}"
            yield self._rejected(found, "verificationStatus", f"{status[:40]}: {reason}")
            return
        problems: Problems = []
        birth = self._references.births.get(patient, "")
        qualifiers = onset(value, birth, problems) | abatement(value, birth, problems)
        severity = value.get("severity")
        if severity and (grade := self._severity(severity)):
            qualifiers["severity"] = grade
        elif severity:
            problems.append(("severity", f"left out, the rest is loaded: {_named(severity)} has no mapping to HPO"))
        stated = {
            "verification_status": status,
            "clinical_status": _status(value.get("clinicalStatus")),
            "said_at": moment(value.get("recordedDate")),
        }
        qualifiers |= {name: text for name, text in stated.items() if text}
        for path, reason in problems:
            yield self._rejected(found, path, reason)
        asserters = [value.get("asserter"), *(p.get("actor") for p in value.get("participant") or [])]
        source, records = self._source(found, [*asserters, value.get("recorder")])
        yield from records
        yield from self._conclusions(
            found,
            patient,
            value.get("code"),
            source,
            qualifiers,
            "code",
            _VERIFIED[status],
            excluded=status == "refuted",
        )

    def _severity(self, concept: Any) -> str:  # noqa: ANN401 (JSON)
        direct = next((t.term.id for t in self._maps.targets(concept) if t.term.prefix == "HP"), "")
        snomed = [t.id.partition(":")[2] for t in terms(concept) if t.prefix == "SNOMEDCT"]
        return direct or next((_SEVERITIES[c] for c in snomed if c in _SEVERITIES), "")

    def _conclusions(
        self,
        found: Found,
        patient: str,
        concept: object,
        source: str,
        qualifiers: Qualifiers,
        path: str,
        confidence: float = 1.0,
        *,
        excluded: bool = False,
    ) -> Iterator[Record]:
        """A claim for each disease or phenotype that a concept means."""
        targets = [t for t in self._maps.targets(concept) if not t.needs]
        if not targets:
            yield self._rejected(found, path, _unmapped(concept))
        for target in targets:
            yield from self._claim(found, patient, target, source, qualifiers, path, confidence, excluded=excluded)

    def _claim(
        self,
        found: Found,
        patient: str,
        target: Target,
        source: str,
        qualifiers: Qualifiers,
        path: str,
        confidence: float,
        *,
        excluded: bool,
    ) -> Iterator[Record]:
        place = f"{found.place}.{path}"
        is_phenotype = target.term.prefix in PHENOTYPES
        if not is_phenotype:
            yield from self._described("Disease", target.term, place)
        relation = f"{'EXCLUDES' if excluded else 'HAS'}_{'PHENOTYPE' if is_phenotype else 'DIAGNOSIS'}"
        sure = round(confidence * (target.absent if excluded else target.present), 6)
        yield Claim(patient, relation, target.term.id, source, sure, qualifiers, self._document, place)

    def _described(self, class_: str, term: Term, place: str) -> Iterator[Record]:
        if self._is_new(term.id, term.name):
            named: dict[str, Value] = {"name": term.name} if term.name else {}
            yield Entity(term.id, (class_,), self._document, named, self._document, place)

    # ---- observations and reports ----------------------------------------------------------------------------------

    def _observation(self, found: Found) -> Iterator[Record]:
        value = found.value
        patient = self._subject(found, "subject")
        if isinstance(patient, Rejected):
            yield patient
            return
        said_at = effective(value)
        at: Qualifiers = {"said_at": said_at} if said_at else {}
        source, records = self._source(found, value.get("performer") or [])
        yield from records
        confidence = PRELIMINARY if value.get("status") == "preliminary" else 1.0
        for seen in observations(value, self._maps):
            if isinstance(seen, Observed):
                yield from self._measured(found, patient, seen, source, at)
            elif isinstance(seen, tuple):
                yield self._rejected(found, *seen)
            elif seen.gene is not None:
                place = f"{found.place}.{seen.path}"
                yield from self._described("Gene", seen.gene, place)
                said = seen.qualifiers | at
                yield Claim(
                    patient, "HAS_CANDIDATE_GENE", seen.gene.id, source, confidence, said, self._document, place
                )
            else:
                for target in seen.targets:
                    yield from self._claim(
                        found,
                        patient,
                        target,
                        source,
                        seen.qualifiers | at,
                        seen.path,
                        confidence,
                        excluded=seen.excluded,
                    )

    def _measured(self, found: Found, patient: str, seen: Observed, source: str, at: Qualifiers) -> Iterator[Record]:
        id_ = self._references.id(found) + (f"/{seen.part}" if seen.part else "")
        place = f"{found.place}.{seen.path}"
        properties = seen.properties | ({"at": at["said_at"]} if at else {})
        yield Entity(id_, ("ClinicalObservation",), self._document, properties, self._document, place)
        yield Claim(patient, "HAS_OBSERVATION", id_, source, 1.0, at, self._document, place)

    def _report(self, found: Found) -> Iterator[Record]:
        value = found.value
        patient = self._subject(found, "subject")
        if isinstance(patient, Rejected):
            yield patient
            return
        said_at = effective(value)
        qualifiers: Qualifiers = {"said_at": said_at} if said_at else {}
        source, records = self._source(
            found, [*(value.get("resultsInterpreter") or []), *(value.get("performer") or [])]
        )
        yield from records
        confidence = PRELIMINARY if value.get("status") in ("preliminary", "partial") else 1.0
        for index, concept in enumerate(value.get("conclusionCode") or []):
            path = f"conclusionCode[{index}]"
            yield from self._conclusions(found, patient, concept, source, qualifiers, path, confidence)
        if value.get("conclusion") and not value.get("conclusionCode"):
            yield self._rejected(found, "conclusion", "a conclusion in words, without conclusionCode")

    # ---- what all share ----------------------------------------------------------------------------------------------

    def _subject(self, found: Found, field: str) -> str | Rejected:
        """The id of the patient that a resource is about, if it says anything at all."""
        if (status := found.value.get("status")) in INVALID:
            return self._rejected(found, "status", f"{status}: not loaded")
        try:
            patient = self._references.resolve(found.value.get(field), found)
        except LookupError as error:
            return self._rejected(found, field, str(error.args[0]))
        if patient.type not in ("", "Patient"):
            return self._rejected(found, field, f"is a {patient.type}, no Patient")
        return patient.id

    def _source(self, found: Found, references: list[Any]) -> tuple[str, list[Record]]:
        """Who says it: the first that is referred to, else the document; with its record when it is new."""
        for reference in references:
            try:
                who = self._references.resolve(reference, found)
            except LookupError:
                continue
            kind = "sensor" if who.type == "Device" else "person"
            new = self._is_new(who.id, who.name)
            return who.id, [Source(who.id, kind, name=who.name, document=self._document)] if new else []
        return self._document, []

    def _is_new(self, id_: str, name: str) -> bool:
        if (id_, name) in self._given:
            return False
        if len(self._given) >= _MAX_GIVEN:
            self._given.clear()
        self._given.add((id_, name))
        return True

    def _rejected(self, found: Found, path: str, reason: str) -> Rejected:
        place = f"{found.place}.{path}" if path else found.place
        return Rejected(f"{found.type}.{path}: {reason}", place, str(found.value)[:_SHOWN], self._document)


def _status(concept: object) -> str:
    """FHIR's own code, which is a word, before those of SNOMED CT."""
    return min(codes(concept), key=lambda code: (code.isdigit(), code), default="")


def _named(concept: object) -> str:
    said = [f"{t.id} ({t.name})" if t.name else t.id for t in terms(concept)]
    return ", ".join(said)[:300] or repr(label(concept)[:100])


def _unmapped(concept: object) -> str:
    if not terms(concept):
        return f"no code, only words: {label(concept)[:200]!r}" if label(concept) else "no code"
    return f"{_named(concept)} has no mapping to HPO or a disease; add a ConceptMap to the bundle or folder"
