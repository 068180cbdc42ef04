"""What a user asks, checked and brought to the terms of the annotations."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from kg.errors import InputError
from reasoning.diagnosis.annotations import PhenotypeAnnotations
from reasoning.diagnosis.cases import ONSET_YEARS, years
from reasoning.diagnosis.scan import Findings

CATALOGUES = ("OMIM", "ORPHA", "DECIPHER")
SEXES = ("MALE", "FEMALE")
INHERITANCE_ROOT = "HP:0000005"


@dataclass(frozen=True, slots=True)
class Ignored:
    """Something of the question that could not be used."""

    place: str
    given: str
    reason: str


@dataclass(frozen=True, slots=True)
class Query:
    """A patient as the user describes him, and how much the answer is to say.

    Attributes:
        present: HPO ids of findings that are there.
        excluded: HPO ids of findings that were looked for and are not there.
        onset: HPO onset term, or age as ISO 8601 duration; empty if unknown.
        age: ISO 8601 duration; empty if unknown.
        sex: MALE, FEMALE, or empty.
        inheritance: HPO ids of modes of inheritance that the family suggests.
        genes: ids or symbols of candidate genes.
        limit: how many diseases to explain.
        catalogue: ranks only diseases of this catalogue; empty: all.
        places: `present[3]` → what to call this place in messages, where the user knows it by another name.
        lenient: leaves out what can't be used, and says so, instead of refusing the whole query.
        ignored: what was left out before the question came to be.
        patient: id of the patient, whose own record in the graph is not to answer for him; empty if he has none.
    """

    present: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    onset: str = ""
    age: str = ""
    sex: str = ""
    inheritance: tuple[str, ...] = ()
    genes: tuple[str, ...] = ()
    limit: int = 10
    catalogue: str = ""
    places: Mapping[str, str] = field(default_factory=dict)
    lenient: bool = False
    ignored: tuple[Ignored, ...] = ()
    patient: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """An entity in short."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Replaced:
    """An obsolete id of the question, and the one that stands for it now."""

    place: str
    given: str
    used: str


@dataclass(frozen=True, slots=True)
class Understood:
    """The question as it was understood; `onset_years` is before birth negative."""

    present: list[Named]
    excluded: list[Named]
    onset_years: float | None
    age_years: float | None
    sex: str | None
    inheritance: list[Named]
    genes: list[Named]
    catalogue: str | None
    replaced: list[Replaced]
    ignored: list[Ignored]


class _Reading:
    """One query being read."""

    def __init__(self, query: Query, annotations: PhenotypeAnnotations) -> None:
        self.query = query
        self.annotations = annotations
        self.replaced: list[Replaced] = []
        self.ignored = list(query.ignored)

    def place(self, name: str) -> str:
        return self.query.places.get(name, name)

    def refuse(self, place: str, given: str, reason: str) -> None:
        """Notes what is left out.

        Raises:
            InputError: nothing may be left out.
        """
        if not self.query.lenient:
            raise InputError(f"{given}: {reason}" if given else reason, self.place(place))
        self.ignored.append(Ignored(self.place(place), given, reason))

    def terms(self, name: str, ids: Iterable[str], is_fit: Callable[[int], bool], kind: str) -> list[int]:
        """Positions of terms, each once, in the order given."""
        found: dict[int, None] = {}
        for number, id_ in enumerate(ids):
            place = f"{name}[{number}]"
            term = self.annotations.term_index.get(id_)
            if term is None:
                self.refuse(place, id_, "unknown, or obsolete without one replacement")
            elif not is_fit(term):
                self.refuse(place, id_, f"is no {kind} ({self.annotations.term_names[term]})")
            else:
                if (used := self.annotations.term_ids[term]) != id_:
                    self.replaced.append(Replaced(self.place(place), id_, used))
                found[term] = None
        return list(found)

    def consistent(self, present: list[int], excluded: list[int]) -> list[int]:
        """The excluded findings that do not contradict a present one.

        Raises:
            InputError: a finding is both present and excluded.
        """
        annotations = self.annotations
        implied = {ancestor: term for term in present for ancestor in annotations.ancestors_of(term).tolist()}
        kept = []
        for term in excluded:
            if term in present:
                self.refuse("excluded", annotations.term_ids[term], "is present and excluded at once")
            elif term in implied:
                reason = f"can't be excluded while {annotations.term_ids[implied[term]]}, a kind of it, is present"
                self.ignored.append(Ignored(self.place("excluded"), annotations.term_ids[term], reason))
            else:
                kept.append(term)
        return kept

    def onset_years(self, text: str) -> float:
        """Age of onset from an HPO term or a duration; NaN if there is none."""
        if text.startswith("HP:"):
            term = self.annotations.term_index.get(text)
            id_ = self.annotations.term_ids[term] if term is not None else text
            if id_ in ONSET_YEARS:
                return ONSET_YEARS[id_]
            self.refuse("onset", text, "is no term of onset")
            return math.nan
        return self.duration("onset", text)

    def duration(self, name: str, text: str) -> float:
        """Years of an ISO 8601 duration; NaN if it is empty."""
        value = years(text)
        if text and math.isnan(value):
            self.refuse(name, text, "is no ISO 8601 duration such as P3Y6M")
        return value

    def genes(self, find: Callable[[str], str | None]) -> list[str]:
        """Ids of genes; what has no disease in the graph says nothing, and is left out."""
        found: dict[str, None] = {}
        for number, text in enumerate(self.query.genes):
            if (id_ := find(text)) is None:
                reason = "the graph knows no disease of this gene"
                self.ignored.append(Ignored(self.place(f"genes[{number}]"), text, reason))
            else:
                found[id_] = None
        return list(found)


def understand(
    query: Query,
    annotations: PhenotypeAnnotations,
    find_gene: Callable[[str], str | None],
    name_of: Callable[[str], str],
) -> tuple[Findings, Understood]:
    """Checks a query and finds its terms.

    Args:
        query: what the user asks.
        annotations: whose terms are meant.
        find_gene: id or symbol → id of a gene that diseases are associated with.
        name_of: id → name.

    Raises:
        InputError: a value makes no sense, or nothing is left to go by; names the field.
    """
    reading = _Reading(query, annotations)
    if query.sex not in ("", *SEXES):
        reading.refuse("sex", query.sex, f"is none of {', '.join(SEXES)}")
    if query.catalogue not in ("", *CATALOGUES):
        raise InputError(f"{query.catalogue}: is none of {', '.join(CATALOGUES)}", "catalogue")
    is_finding, of = annotations.is_finding, annotations.ancestors_of
    modes = annotations.term_index.get(INHERITANCE_ROOT, -1)
    present = reading.terms("present", query.present, lambda t: bool(is_finding[t]), "phenotypic abnormality")
    excluded = reading.terms("excluded", query.excluded, lambda t: bool(is_finding[t]), "phenotypic abnormality")
    excluded = reading.consistent(present, excluded)
    inheritance = reading.terms("inheritance", query.inheritance, lambda t: modes in of(t), "mode of inheritance")
    genes = reading.genes(find_gene)
    if not (present or excluded or genes):
        why = "".join(f"; {i.place}: {i.given} left out, {i.reason}" for i in reading.ignored[:3])
        raise InputError(f"nothing to go by: give at least one finding or gene{why}", "present")
    onset, age = reading.onset_years(query.onset), reading.duration("age", query.age)
    sex = query.sex if query.sex in SEXES else ""
    findings = Findings(
        present=np.array(present, np.int64),
        excluded=np.array(excluded, np.int64),
        onset_years=onset,
        age_years=age,
        sex=sex,
        genes=tuple(genes),
        inheritance=np.array(inheritance, np.int64),
    )

    def named(terms: list[int]) -> list[Named]:
        return [Named(annotations.term_ids[term], annotations.term_names[term]) for term in terms]

    return findings, Understood(
        present=named(present),
        excluded=named(excluded),
        onset_years=None if math.isnan(onset) else round(onset, 3),
        age_years=None if math.isnan(age) else round(age, 3),
        sex=sex or None,
        inheritance=named(inheritance),
        genes=[Named(id_, name_of(id_)) for id_ in genes],
        catalogue=query.catalogue or None,
        replaced=reading.replaced,
        ignored=reading.ignored,
    )
