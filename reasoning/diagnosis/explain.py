"""Why a disease stands where it stands: what each finding contributes, and what the graph says of it.

A finding's contribution is the logarithm of its likelihood ratio; `likelihood` has the formula. An excluded finding q
of frequency f↑(q) in the disease and b(q) on average contributes ln((1 − f↑(q)) / (1 − b(q))): shown for the reader,
while the ranker learned how much such a finding is worth.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from reasoning.diagnosis.annotations import Aspect, Floats, Ints, PhenotypeAnnotations, slices
from reasoning.diagnosis.evidence import EvidenceList
from reasoning.diagnosis.likelihood import LikelihoodParameters
from reasoning.diagnosis.query import Named
from reasoning.diagnosis.scan import Findings, Index

MatchKind = Literal["exact", "descendant", "ancestor", "none"]
State = Literal["present", "excluded"]


@dataclass(frozen=True, slots=True)
class Match:
    """How a disease's annotations meet a finding.

    Attributes:
        kind: exact: the disease is annotated with the finding; descendant: with a more specific one; ancestor: with
            one that has an ancestor in common with it; none: with nothing near.
        term: position of the annotation's term, or -1.
        through: position of the common ancestor (the finding itself unless `ancestor`), or -1.
        frequency: of the disease's patients who have the finding, or the common ancestor; smoothed.
        ratio: likelihood ratio; 1: says nothing.
    """

    kind: MatchKind
    term: int
    through: int
    frequency: float
    ratio: float


@dataclass(frozen=True, slots=True)
class FindingExplained:
    """What one finding of the patient says for or against a disease.

    Attributes:
        state: present or excluded.
        contribution: log-likelihood, nats; below 0 it speaks against the disease.
        match: exact, descendant (the disease shows a more specific finding), ancestor (it shows one that has an
            ancestor in common with the patient's), or none.
        annotation: the disease's own finding that matches.
        through: the common ancestor, where the match is through one.
        frequency: share of the disease's patients who have the finding (or the common ancestor), smoothed.
        background: the same over all diseases.
        reported: how often by the sources, in their own words; empty if they do not say.
        evidence: numbers of the evidence.
        path: ids from the finding over `is_a` to the annotation, and to the disease.
    """

    id: str
    name: str
    state: State
    contribution: float
    match: MatchKind
    annotation: Named | None
    through: Named | None
    frequency: float | None
    background: float
    reported: str
    evidence: list[int]
    path: list[str]


@dataclass(frozen=True, slots=True)
class GeneExplained:
    """A gene of the disease; `given` if the question names it."""

    id: str
    name: str
    given: bool
    evidence: list[int]


@dataclass(frozen=True, slots=True)
class PatientExplained:
    """A patient of the graph who has the disease, and is like the one asked about.

    Attributes:
        similarity: cosine of their findings, carried up and weighted by information content, 0…1.
        evidence: of his diagnosis.
    """

    id: str
    name: str
    similarity: float
    evidence: list[int]


@dataclass(frozen=True, slots=True)
class TermExplained:
    """A mode of inheritance or an onset of the disease; `fits` what the question says of it, null if nothing."""

    id: str
    name: str
    fits: bool | None
    evidence: list[int]


class Matches:
    """Matches of all findings with some diseases, found at once."""

    def __init__(self, index: Index, diseases: Ints, findings: Findings) -> None:
        self._annotations = index.annotations
        self._background = index.profiles.background
        self._parameters: LikelihoodParameters = index.parameters.likelihood
        self._terms = len(self._annotations.term_ids)
        self._above = {term: self._ancestors(term) for term in findings.present.tolist()}
        wanted = np.zeros(self._terms, np.bool_)
        wanted[[term for above in self._above.values() for term, _ in above]] = True
        wanted[findings.excluded] = True
        table = index.profiles.exact
        cells, owner = slices(table.doc_start, diseases)
        own, frequency = table.entries.term[cells], table.entries.frequency[cells]
        at, cell = slices(self._annotations.ancestor_start, own)
        term = self._annotations.ancestors[at]
        at = np.flatnonzero(wanted[term])
        cell, term = cell[at], term[at]
        # Written last, and so kept, is the most frequent cell of a disease and ancestor.
        order = np.argsort(frequency[cell], kind="stable")
        cell, term = cell[order], term[order]
        keys = (owner[cell] * self._terms + term).tolist()
        best = zip(own[cell].tolist(), frequency[cell].tolist(), strict=True)
        self._carried: dict[int, tuple[int, float]] = dict(zip(keys, best, strict=True))
        at = np.flatnonzero(wanted[own])
        keys = (owner[at] * self._terms + own[at]).tolist()
        self._exact: dict[int, float] = dict(zip(keys, frequency[at].tolist(), strict=True))

    def _ancestors(self, finding: int) -> list[tuple[int, float]]:
        """Ancestors that a match may go through, each with what its frequency is multiplied by."""
        annotations, parameters = self._annotations, self._parameters
        above = [term for term in annotations.ancestors_of(finding).tolist() if term != finding]
        above = [term for term in above if annotations.information[term] >= parameters.common]
        own = finding, parameters.below / float(self._background[finding])
        return [own, *((term, parameters.above / float(self._background[term])) for term in above)]

    def present(self, row: int, finding: int) -> Match:
        """How the `row`-th disease explains a finding."""
        noise = self._parameters.noise
        base = row * self._terms
        best, match = 0.0, Match("none", -1, -1, 0.0, noise)
        own = self._exact.get(base + finding)
        if own is not None:
            best = own / float(self._background[finding])
            match = Match("exact", finding, finding, own, noise + (1 - noise) * best)
        for ancestor, factor in self._above[finding]:
            found = self._carried.get(base + ancestor)
            if found is not None and (value := found[1] * factor) > best:
                best = value
                kind: MatchKind = "descendant" if ancestor == finding else "ancestor"
                match = Match(kind, found[0], ancestor, found[1], noise + (1 - noise) * best)
        return match

    def shows(self, row: int, finding: int) -> bool:
        """Whether the `row`-th disease has a finding, or a more specific one."""
        return row * self._terms + finding in self._carried

    def excluded(self, row: int, finding: int) -> Match:
        """What it means for the `row`-th disease, which shows a finding, that it is not there."""
        background = float(self._background[finding])
        term, frequency = self._carried[row * self._terms + finding]
        kind: MatchKind = "exact" if term == finding else "descendant"
        return Match(kind, term, finding, frequency, max(1 - frequency, 1e-3) / max(1 - background, 1e-9))


class Paths:
    """Shortest is_a paths, remembered."""

    def __init__(self, annotations: PhenotypeAnnotations) -> None:
        self._annotations = annotations
        self.between = lru_cache(maxsize=100_000)(self._between)

    def _between(self, finding: int, term: int, through: int) -> tuple[str, ...]:
        """Ids from a finding up to what it has in common with a term, and down to that."""
        path = (*self._up(finding, through), *self._up(term, through)[-2::-1])
        return tuple(self._annotations.term_ids[at] for at in path)

    def _up(self, term: int, ancestor: int) -> list[int]:
        annotations = self._annotations
        came_from = {term: term}
        todo = deque((term,))
        while ancestor not in came_from:
            at = todo.popleft()
            for parent in annotations.parents[annotations.parent_start[at] : annotations.parent_start[at + 1]].tolist():
                if parent not in came_from:
                    came_from[parent] = at
                    todo.append(parent)
        path = [ancestor]
        while path[-1] != term:
            path.append(came_from[path[-1]])
        return path[::-1]


class Explainer:
    """Explains diseases of one model by the evidence of one graph."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._annotations = index.annotations
        self._paths = Paths(index.annotations)
        self._terms_of = lru_cache(maxsize=20_000)(self._find_terms)

    def findings(
        self, matches: Matches, diseases: Ints, findings: Findings, evidence: EvidenceList
    ) -> list[list[FindingExplained]]:
        """For each disease the findings of the patient: present ones first, each kind in the order given.

        An excluded finding that the disease does not show says next to nothing of it, and is left out.
        """
        explained: list[list[FindingExplained]] = [[] for _ in diseases]
        present, excluded = findings.present.tolist(), findings.excluded.tolist()
        states: list[tuple[int, State]] = [(f, "present") for f in present] + [(f, "excluded") for f in excluded]
        unmatched: dict[int, FindingExplained] = {}  # says the same of every disease without a match
        for row, (disease, of_disease) in enumerate(zip(diseases.tolist(), explained, strict=True)):
            disease_id = self._annotations.disease_ids[disease]
            for finding, state in states:
                if state == "excluded" and not matches.shows(row, finding):
                    continue
                match = matches.present(row, finding) if state == "present" else matches.excluded(row, finding)
                if match.kind == "none":
                    if finding not in unmatched:
                        unmatched[finding] = self._explain(finding, state, match, [], "", [])
                    of_disease.append(unmatched[finding])
                    continue
                numbers = evidence.cite(disease_id, "HAS_PHENOTYPE", self._annotations.term_ids[match.term])
                path = [*self._paths.between(finding, match.term, match.through), disease_id]
                of_disease.append(self._explain(finding, state, match, numbers, evidence.reported(numbers), path))
        return explained

    def _explain(
        self, finding: int, state: State, match: Match, numbers: list[int], reported: str, path: list[str]
    ) -> FindingExplained:
        annotations = self._annotations
        return FindingExplained(
            id=annotations.term_ids[finding],
            name=annotations.term_names[finding],
            state=state,
            contribution=round(math.log(match.ratio), 4),
            match=match.kind,
            annotation=self._named(match.term),
            through=self._named(match.through) if match.kind == "ancestor" else None,
            frequency=round(match.frequency, 4) if match.term >= 0 else None,
            background=round(float(self._index.profiles.background[finding]), 6),
            reported=reported,
            evidence=numbers,
            path=path,
        )

    def _named(self, term: int) -> Named | None:
        return Named(self._annotations.term_ids[term], self._annotations.term_names[term]) if term >= 0 else None

    def genes(self, disease: int, given: Iterable[str], evidence: EvidenceList) -> list[GeneExplained]:
        """Genes of a disease."""
        disease_id = self._annotations.disease_ids[disease]
        stated = set(given)
        return [
            GeneExplained(gene, evidence.name(gene), gene in stated, evidence.cite(gene, "ASSOCIATED_WITH", disease_id))
            for gene in self._annotations.disease_genes[disease]
        ]

    def inheritance(self, disease: int, stated: Ints, evidence: EvidenceList) -> list[TermExplained]:
        """Modes of inheritance of a disease."""
        found = []
        for term in self._terms_of(disease, Aspect.INHERITANCE):
            fits = any(self._related(term, other) for other in stated.tolist()) if len(stated) else None
            found.append(self._term(term, fits, disease, "HAS_INHERITANCE", evidence))
        return found

    def alike(self, disease: int, similarity: Floats, evidence: EvidenceList) -> list[PatientExplained]:
        """The likest solved patients of a disease.

        Args:
            disease: position.
            similarity: of all solved patients, see `SolvedPatients.similarity`.
            evidence: takes the facts that are cited.
        """
        disease_id = self._annotations.disease_ids[disease]
        return [
            PatientExplained(id_, evidence.name(id_), round(like, 4), evidence.cite(id_, "HAS_DIAGNOSIS", disease_id))
            for id_, like in self._index.solved.best_of(disease, similarity)
        ]

    def onset(self, disease: int, evidence: EvidenceList) -> list[TermExplained]:
        """Onsets of a disease."""
        years = self._index.onset_years
        return [
            self._term(term, None, disease, "HAS_CLINICAL_COURSE", evidence)
            for term in self._terms_of(disease, Aspect.COURSE)
            if not np.isnan(years[term])
        ]

    def _find_terms(self, disease: int, aspect: Aspect) -> list[int]:
        rows = self._annotations.rows_of(disease)
        terms: list[int] = np.unique(rows.term[(rows.aspect == aspect) & ~rows.excluded]).tolist()
        return terms

    def _related(self, one: int, other: int) -> bool:
        of = self._annotations.ancestors_of
        return one in of(other) or other in of(one)

    def _term(self, term: int, fits: bool | None, disease: int, relation: str, evidence: EvidenceList) -> TermExplained:
        annotations = self._annotations
        id_ = annotations.term_ids[term]
        numbers = evidence.cite(annotations.disease_ids[disease], relation, id_)
        return TermExplained(id_, annotations.term_names[term], fits, numbers)
