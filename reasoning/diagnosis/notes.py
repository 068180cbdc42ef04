"""Findings in a clinical note: the abnormalities of the graph that it names, each with its words, there or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from encoders.concepts.context import Status, statuses
from encoders.concepts.matcher import ConceptMatcher, ConceptName
from kg.errors import InputError
from kg.snapshot import Snapshot
from reasoning.diagnosis.annotations import PHENOTYPE_ROOT, PhenotypeAnnotations

LONGEST = 1_000_000
"""Characters of a note."""


@dataclass(frozen=True, slots=True)
class NoteFinding:
    """A finding that a note names.

    Attributes:
        start, end: characters of the note, end excluded.
        words: as the note has them.
        id, name: of the term.
        status: `present`, or `excluded`, `family`, `uncertain`, `hypothetical`: only the first two are the patient's.
    """

    start: int
    end: int
    words: str
    id: str
    name: str
    status: Status


class NoteReader:
    """Reads notes by the names of terms."""

    def __init__(self, names: Sequence[ConceptName]) -> None:
        """Takes in the names; of HPO's forty thousand, two seconds."""
        self._names = {name.concept: name.text for name in names if name.preferred}
        self._matcher = ConceptMatcher(names)

    @classmethod
    def of_graph(cls, snapshot: Snapshot, annotations: PhenotypeAnnotations) -> NoteReader:
        """By the names of the findings of one version of the graph.

        Args:
            snapshot: of the medical domain.
            annotations: of the same snapshot.
        """
        return cls(list(_names(snapshot, annotations)))

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
        mentions = self._matcher.find(note, nested=nested)
        said = statuses(note, [(mention.start, mention.end) for mention in mentions])
        return [
            NoteFinding(
                mention.start,
                mention.end,
                note[mention.start : mention.end],
                mention.concept,
                self._names[mention.concept],
                status,
            )
            for mention, status in zip(mentions, said, strict=True)
        ]


def present_and_excluded(findings: Sequence[NoteFinding]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of the patient's findings, each once; one that is said to be there and not to be there counts as there."""
    present = dict.fromkeys(one.id for one in findings if one.status == "present")
    excluded = dict.fromkeys(one.id for one in findings if one.status == "excluded" and one.id not in present)
    return tuple(present), tuple(excluded)


def _names(snapshot: Snapshot, annotations: PhenotypeAnnotations) -> Iterator[ConceptName]:
    """All names of the findings; the root, under which they are, is none."""
    for term in np.flatnonzero(annotations.is_finding).tolist():
        id_ = annotations.term_ids[term]
        if id_ == PHENOTYPE_ROOT:
            continue
        yield ConceptName(id_, annotations.term_names[term])
        for synonym in snapshot.properties(snapshot.index(id_)).get("synonyms") or ():
            yield ConceptName(id_, str(synonym), preferred=False)
