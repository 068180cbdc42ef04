"""Findings in a clinical note: the abnormalities of the graph that it names, each with its words, there or not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from encoders.concepts.context import Status
from encoders.concepts.names import ConceptName
from encoders.concepts.reader import ConceptReader
from kg.errors import InputError
from kg.snapshot import Snapshot
from reasoning.diagnosis.annotations import PHENOTYPE_ROOT, PhenotypeAnnotations
from reasoning.diagnosis.query import INHERITANCE_ROOT, Query

LONGEST = 1_000_000
"""Characters of a note."""


@dataclass(frozen=True, slots=True)
class NoteFinding:
    """A finding that a note names.

    Attributes:
        start, end: characters of the note, end excluded.
        words: as the note has them.
        id, name: of the term.
        kind: `finding`, or `inheritance` for a mode of inheritance.
        status: `present`, or `excluded`, `family`, `uncertain`, `hypothetical`: only the first two are the patient's.
    """

    start: int
    end: int
    words: str
    id: str
    name: str
    kind: Literal["finding", "inheritance"]
    status: Status


class NoteReader:
    """Reads notes by the names of terms."""

    def __init__(self, names: Sequence[ConceptName], inheritance: Collection[str] = ()) -> None:
        """Takes in the names; of HPO's forty thousand, two seconds.

        Args:
            names: of findings and modes of inheritance.
            inheritance: ids of the modes of inheritance.
        """
        self._names = {name.concept: name.text for name in names if name.preferred}
        self._inheritance = frozenset(inheritance)
        self._reader = ConceptReader(names)

    @classmethod
    def of_terms(cls, annotations: PhenotypeAnnotations, synonyms: Callable[[str], Iterable[str]]) -> NoteReader:
        """By the names of the findings and modes of inheritance that are annotated.

        Args:
            annotations: has the terms and their names.
            synonyms: the other names of a term, by its id.
        """
        modes = annotations.below(INHERITANCE_ROOT)
        names = []
        for term in np.flatnonzero(annotations.is_finding | modes).tolist():
            id_ = annotations.term_ids[term]
            if id_ not in (PHENOTYPE_ROOT, INHERITANCE_ROOT):
                names.append(ConceptName(id_, annotations.term_names[term]))
                names += [ConceptName(id_, synonym, preferred=False) for synonym in synonyms(id_)]
        return cls(names, [annotations.term_ids[term] for term in np.flatnonzero(modes).tolist()])

    @classmethod
    def of_graph(cls, snapshot: Snapshot, annotations: PhenotypeAnnotations) -> NoteReader:
        """The same with the synonyms of one version of the graph, of which the annotations are."""

        def synonyms(id_: str) -> Iterable[str]:
            return map(str, snapshot.properties(snapshot.index(id_)).get("synonyms") or ())

        return cls.of_terms(annotations, synonyms)

    def findings(self, note: str, *, nested: bool = False) -> list[NoteFinding]:
        """The findings of a note, in its order.

        Args:
            note: English.
            nested: also those whose words are a part of the words of another.

        Raises:
            InputError: it is longer than `LONGEST`.
        """
        if len(note) > LONGEST:
            raise InputError(f"has {len(note):,} characters; at most {LONGEST:,} are read", "note")
        return [
            NoteFinding(
                one.start,
                one.end,
                note[one.start : one.end],
                one.concept,
                self._names[one.concept],
                "inheritance" if one.concept in self._inheritance else "finding",
                one.status,
            )
            for one in self._reader.find(note, nested=nested)
        ]


def present_and_excluded(findings: Sequence[NoteFinding]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of the patient's findings, each once; one that is said to be there and not to be there counts as there."""
    own = [one for one in findings if one.kind == "finding"]
    present = dict.fromkeys(one.id for one in own if one.status == "present")
    excluded = dict.fromkeys(one.id for one in own if one.status == "excluded" and one.id not in present)
    return tuple(present), tuple(excluded)


def present_inheritance(findings: Sequence[NoteFinding]) -> tuple[str, ...]:
    """Ids of the modes of inheritance that a note names and does not exclude, each once."""
    return tuple(dict.fromkeys(one.id for one in findings if one.kind == "inheritance" and one.status == "present"))


def with_findings(query: Query, findings: Sequence[NoteFinding]) -> Query:
    """The query with what a note names; what was given goes before."""
    there, absent = present_and_excluded(findings)
    present = (*query.present, *(id_ for id_ in there if id_ not in (*query.present, *query.excluded)))
    excluded = (*query.excluded, *(id_ for id_ in absent if id_ not in (*present, *query.excluded)))
    inheritance = query.inheritance or present_inheritance(findings)
    return replace(query, present=present, excluded=excluded, inheritance=inheritance)
