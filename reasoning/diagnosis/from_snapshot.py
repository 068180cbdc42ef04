"""The diagnosis' annotations out of a snapshot of the medical domain."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from kg.snapshot import Snapshot
from reasoning.diagnosis.annotations import (
    FREQUENCY_SHARES,
    AnnotationRows,
    Aspect,
    Bools,
    Floats,
    Ints,
    PhenotypeAnnotations,
    build_annotations,
)
from reasoning.diagnosis.cases import Case
from reasoning.diagnosis.solved import SolvedPatients

ANNOTATIONS = {
    "HAS_PHENOTYPE": Aspect.PHENOTYPE,
    "EXCLUDES_PHENOTYPE": Aspect.PHENOTYPE,
    "HAS_INHERITANCE": Aspect.INHERITANCE,
    "HAS_CLINICAL_COURSE": Aspect.COURSE,
}
"""Relations whose facts, with a disease as subject, are annotations."""

FULL_BELIEF = 0.65
"""A fact believed at least so much counts as its sources say; all of HPO's curated evidence reaches it."""

_UNSTATED = 0.35
"""Frequency that a fact which does not count in full is taken to state, where it states none."""


def annotations_of(snapshot: Snapshot, models: Collection[str] = ()) -> PhenotypeAnnotations:
    """Terms, diseases and annotation rows of a snapshot; one row for each claim.

    A fact that is believed less than `FULL_BELIEF`, and a claim of a model, counts by its belief: the chance that a
    patient shows the finding is belief × frequency, and an exclusion is left out.

    Args:
        snapshot: of the medical domain.
        models: ids of the sources that predict and do not observe.

    Raises:
        InputError: is_a runs in a cycle.
    """
    is_disease = _mask(snapshot, "Disease")
    terms = _living_terms(snapshot)
    is_term = np.zeros(len(snapshot), np.bool_)
    is_term[terms] = True
    tables = [_claims(snapshot, name, aspect, models) for name, aspect in ANNOTATIONS.items()]
    columns = [np.concatenate(parts) for parts in zip(*tables, strict=True)]
    keep = is_disease[columns[0]] & is_term[columns[1]]
    subject, object_, source, *rest = (column[keep] for column in columns)
    associated = snapshot.facts("ASSOCIATED_WITH").object
    diseases = np.unique(np.concatenate((subject, associated[is_disease[associated]])))
    sources, source = np.unique(source, return_inverse=True)
    ids = _Ids(snapshot)
    return build_annotations(
        terms=ids.named(terms),
        is_a=ids.pairs("IS_A", among=terms),
        replaced_by=_replacements(ids.pairs("REPLACED_BY")),
        diseases=ids.named(diseases),
        genes=((disease, gene) for gene, disease in ids.pairs("ASSOCIATED_WITH")),
        sources=[snapshot.source_id(at) for at in sources.tolist()],
        rows=AnnotationRows(_place(snapshot, diseases, subject), _place(snapshot, terms, object_), source, *rest),
    )


def solved_patients_of(snapshot: Snapshot, annotations: PhenotypeAnnotations) -> SolvedPatients:
    """The patients of a snapshot that have a diagnosis, each of the first source that gives it.

    Facts that are believed less than not are left out.

    Args:
        snapshot: of the medical domain.
        annotations: of the same snapshot.
    """
    ids = _Ids(snapshot)
    facts = snapshot.facts("HAS_DIAGNOSIS")
    diagnoses: dict[int, list[int]] = {}
    for fact in np.flatnonzero((facts.belief >= 0.5) & _mask(snapshot, "Patient")[facts.subject]).tolist():
        diagnoses.setdefault(int(facts.subject[fact]), []).append(fact)
    cases = []
    for patient, of in diagnoses.items():
        present = [at for at in snapshot.out(patient, "HAS_PHENOTYPE").tolist() if snapshot.belief(at) >= 0.5]
        source = int(facts.claims.source[facts.claims.start[of[0]]])
        cases.append(
            Case(
                id=ids[patient],
                diseases=tuple(ids[int(facts.object[fact])] for fact in of),
                present=tuple(ids[snapshot.object(at)] for at in present),
                excluded=(),
                publication=snapshot.source_id(source),
            )
        )
    return SolvedPatients(cases, annotations)


def _claims(
    snapshot: Snapshot, relation: str, aspect: Aspect, models: Collection[str]
) -> tuple[Ints, Ints, Ints, Ints, Floats, Floats, Floats, Bools]:
    """Subject, object, source and the columns of `AnnotationRows` of each claim of a relation."""
    facts = snapshot.facts(relation)
    claims = facts.claims
    of = claims.fact
    numerator = np.nan_to_num(claims.qualifier("frequency_numerator"))
    denominator = np.nan_to_num(claims.qualifier("frequency_denominator"))
    percent = claims.qualifier("frequency_percent")
    stated = np.append([FREQUENCY_SHARES.get(text, np.nan) for text in _texts(snapshot)], np.nan)
    share = np.where(np.isnan(percent), stated[claims.qualifier("frequency_term")], percent / 100)
    excluded = (share == 0) | (relation == "EXCLUDES_PHENOTYPE")

    belief = facts.belief[of]
    partial = belief < FULL_BELIEF
    if models:
        at, found = zip(*(snapshot.sources.position(id_) for id_ in models), strict=True)
        partial |= np.isin(claims.source, np.array(at)[np.array(found)])
    numerator = np.where(partial, numerator * belief, numerator)
    unstated = np.isnan(share) & (denominator == 0)
    share = np.where(partial, np.where(unstated, _UNSTATED, share) * belief, share)
    keep = ~(partial & excluded)
    columns = (
        facts.subject[of].astype(np.int64),
        facts.object[of].astype(np.int64),
        claims.source.astype(np.int64),
        np.full(len(of), aspect, np.int64),
        numerator,
        denominator,
        share,
        excluded,
    )
    return tuple(column[keep] for column in columns)


def _texts(snapshot: Snapshot) -> Iterable[str]:
    """Only the frequency terms among the texts, the rest empty: there are few of them among many."""
    texts = [""] * len(snapshot.texts)
    for id_ in FREQUENCY_SHARES:
        at, found = snapshot.texts.position(id_)
        if found:
            texts[at] = id_
    return texts


def _mask(snapshot: Snapshot, label: str) -> Bools:
    mask = np.zeros(len(snapshot), np.bool_)
    mask[snapshot.entities(label)] = True
    return mask


def _living_terms(snapshot: Snapshot) -> Ints:
    terms = snapshot.entities("OntologyTerm")
    living = [not snapshot.properties(at).get("obsolete") for at in terms.tolist()]
    return terms[np.array(living, np.bool_)]


def _place(snapshot: Snapshot, members: Ints, entities: Ints) -> Ints:
    """Position of each entity among the members."""
    places = np.zeros(len(snapshot), np.int64)
    places[members] = np.arange(len(members))
    return places[entities]


class _Ids(dict[int, str]):
    """Ids of a snapshot's entities, each decoded once."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def __missing__(self, entity: int) -> str:
        id_ = self[entity] = self._snapshot.id(entity)
        return id_

    def named(self, entities: Ints) -> list[tuple[str, str]]:
        """(id, name) of each."""
        return [(self[at], self._snapshot.name(at)) for at in entities.tolist()]

    def pairs(self, relation: str, among: Ints | None = None) -> list[tuple[str, str]]:
        """(subject, object) of all facts of a relation that are believed more than not; of these entities only."""
        facts = self._snapshot.facts(relation)
        keep = facts.belief >= 0.5
        if among is not None:
            mask = np.zeros(len(self._snapshot), np.bool_)
            mask[among] = True
            keep &= mask[facts.subject] & mask[facts.object]
        pairs = zip(facts.subject[keep].tolist(), facts.object[keep].tolist(), strict=True)
        return [(self[subject], self[object_]) for subject, object_ in pairs]


def _replacements(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Obsolete id → what stands for it; one that was split into several has no one replacement."""
    found: dict[str, list[str]] = {}
    for old, new in pairs:
        found.setdefault(old, []).append(new)
    replaced = {}
    for old, new_ids in found.items():
        seen = {old}
        while len(new_ids) == 1 and new_ids[0] in found and new_ids[0] not in seen:
            seen.add(new_ids[0])
            new_ids = found[new_ids[0]]
        if len(new_ids) == 1:
            replaced[old] = new_ids[0]
    return replaced
