"""Cases of patients as plain data, the same for Phenopackets of schema v1 and v2."""

from __future__ import annotations

from dataclasses import dataclass

_PUBLICATIONS = ("PMID:", "PMC:", "DOI:", "doi:")


@dataclass(frozen=True, slots=True)
class Time:
    """When something was so; at most one of age, gestational age and term is there.

    Attributes:
        age: ISO 8601 duration since birth; the start, if it is a range.
        age_end: the end of the range.
        gestational_age: ISO 8601 duration in days since the last menstrual period.
        term: an ontology's word for it, e.g. `HP:0003577` (congenital onset).
    """

    age: str = ""
    age_end: str = ""
    gestational_age: str = ""
    term: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One phenotypic feature, present or excluded; `evidence` holds codes and references joined by `;`."""

    term: str
    excluded: bool
    place: str
    onset: Time
    resolution: Time
    severity: str = ""
    modifiers: str = ""
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One disease of the patient; `progress` is that of the interpretation, empty for an entry of the disease list."""

    disease: str
    label: str
    excluded: bool
    onset: Time
    progress: str
    place: str


@dataclass(frozen=True, slots=True)
class CandidateGene:
    """A gene that was looked at, with one variant (HGVS if there is any) and how it was judged."""

    gene: str
    symbol: str
    interpretation: str
    variant: str
    place: str


@dataclass(frozen=True, slots=True)
class Case:
    """One patient.

    Attributes:
        id: CURIE of the patient, `phenopacket:` and the packet's id (in a family: the family's and the subject's).
        name: the packet's id as it stands.
        subject: the subject's id, which is unique within its packet or family only.
        sex: FEMALE, MALE, OTHER_SEX, or empty if unknown.
        references: (id, title) of what the packet cites as its origin.
        place: prefix of the places, to be put before a path such as `phenotypicFeatures[3]`.
        problems: (place, what is wrong) of what was left out.
    """

    id: str
    name: str
    subject: str
    aliases: tuple[str, ...]
    sex: str
    age: Time
    vital_status: str
    findings: tuple[Finding, ...]
    diagnoses: tuple[Diagnosis, ...]
    genes: tuple[CandidateGene, ...]
    references: tuple[tuple[str, str], ...]
    place: str
    problems: tuple[tuple[str, str], ...]

    @property
    def present(self) -> tuple[str, ...]:
        """Terms of the findings that are there."""
        return tuple(f.term for f in self.findings if not f.excluded)

    @property
    def excluded(self) -> tuple[str, ...]:
        """Terms of the findings that were looked for and are not there."""
        return tuple(f.term for f in self.findings if f.excluded)

    @property
    def disease_ids(self) -> tuple[str, ...]:
        """What the patient was diagnosed with: by the interpretations, or without such by the disease list."""
        said = [d for d in self.diagnoses if not d.excluded]
        interpreted = [d.disease for d in said if d.progress]
        return tuple(dict.fromkeys(interpreted or [d.disease for d in said]))

    @property
    def onset(self) -> Time:
        """Onset of the first diagnosis that has one."""
        return next((d.onset for d in self.diagnoses if not d.excluded and d.onset != Time()), Time())

    @property
    def publication(self) -> tuple[str, str] | None:
        """(id, title) of the first publication that it cites."""
        return next((r for r in self.references if r[0].startswith(_PUBLICATIONS)), None)

    @property
    def pmid(self) -> str | None:
        """The first PubMed id that it cites, as `PMID:…`."""
        return next((r[0] for r in self.references if r[0].startswith("PMID:")), None)


@dataclass(frozen=True, slots=True)
class Group:
    """A family or cohort.

    Attributes:
        members: (patient id, name, sex, place) of each; who has a packet of their own comes as a `Case` too.
        relatives: (patient id, kinship, patient id): the first is the second's mother, father or (kinship empty) kin.
    """

    id: str
    name: str
    description: str
    references: tuple[tuple[str, str], ...]
    members: tuple[tuple[str, str, str, str], ...]
    relatives: tuple[tuple[str, str, str], ...]
    place: str
