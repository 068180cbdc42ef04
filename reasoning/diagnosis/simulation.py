"""Patients drawn from annotation rows: training data for diseases of which no published case is at hand.

The rows that a publication gives for a disease count the findings of its patients. A patient drawn from n of m has
the finding with probability n/m, and was looked at for it with probability m/(most patients that any row of the same
publication counts).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from reasoning.diagnosis.annotations import Ints
from reasoning.diagnosis.profiles import Profiles
from reasoning.diagnosis.scan import Findings, Index


@dataclass(frozen=True, slots=True)
class Simulation:
    """How patients differ from their publication's table; measured on published cases of the same publications.

    Attributes:
        least_cells: fewest counted rows of a publication that patients are drawn from.
        most_weight: publications are drawn in proportion to their patients, but not beyond so many.
        overlooked: share of the looked-at findings that go unmentioned all the same.
        reticent: share of patients of whom no excluded finding is told.
        extra: findings that the table does not have, per finding that it has.
        imprecise: share of the findings told by a broader term.
    """

    least_cells: int = 4
    most_weight: float = 20.0
    overlooked: float = 0.05
    reticent: float = 0.25
    extra: float = 0.07
    imprecise: float = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedPatient:
    """Findings, and the disease and publication that they were drawn from."""

    findings: Findings
    disease: int
    source: int


def simulate(index: Index, count: int, seed: int, simulation: Simulation | None = None) -> Iterator[SimulatedPatient]:
    """Draws patients of OMIM diseases; each has at least one finding.

    Args:
        index: of the annotations.
        count: about how many.
        seed: the same seed gives the same patients.
        simulation: how they differ from what is annotated.
    """
    simulation = simulation or Simulation()
    rng = np.random.default_rng(seed)
    profiles = index.profiles
    cells = profiles.cohorts.entries
    counted = np.bincount(cells.doc, cells.patients > 0, len(profiles.cohort_disease))
    usable = (counted >= simulation.least_cells) & index.is_publication[profiles.cohort_source]
    usable &= index.catalogue[profiles.cohort_disease] == "OMIM"
    cohorts = np.flatnonzero(usable)
    if len(cohorts) == 0:
        return
    weight = np.minimum(profiles.cohort_patients[cohorts], simulation.most_weight)
    for cohort in rng.choice(cohorts, count, p=weight / weight.sum()).tolist():
        present, excluded = _draw(profiles, cohort, rng, simulation)
        present = np.array([_told(index, term, rng, simulation) for term in present.tolist()], np.int64)
        present = np.union1d(present, _extra(profiles, len(present), rng, simulation))
        if len(present):
            findings = Findings(present, np.setdiff1d(excluded, present))
            yield SimulatedPatient(findings, int(profiles.cohort_disease[cohort]), int(profiles.cohort_source[cohort]))


def _draw(profiles: Profiles, cohort: int, rng: np.random.Generator, simulation: Simulation) -> tuple[Ints, Ints]:
    """Present and excluded findings of a patient of a cohort."""
    cells, _ = profiles.cohorts.of_docs(np.array([cohort]))
    counted = cells.patients > 0
    term, had, patients = cells.term[counted], cells.had[counted], cells.patients[counted]
    looked_at = rng.random(len(term)) < patients / patients.max() * (1 - simulation.overlooked)
    shown = rng.random(len(term)) < had / patients
    excluded = term[looked_at & ~shown]
    return term[looked_at & shown], excluded[:0] if rng.random() < simulation.reticent else excluded


def _told(index: Index, term: int, rng: np.random.Generator, simulation: Simulation) -> int:
    """The term, or now and then a parent of it."""
    annotations = index.annotations
    parents = annotations.parents[annotations.parent_start[term] : annotations.parent_start[term + 1]]
    parents = parents[annotations.is_finding[parents] & (annotations.information[parents] > 1.0)]
    return int(rng.choice(parents)) if len(parents) and rng.random() < simulation.imprecise else term


def _extra(profiles: Profiles, found: int, rng: np.random.Generator, simulation: Simulation) -> Ints:
    """Findings that have nothing to do with the disease, drawn as often as all diseases have them."""
    terms = profiles.exact.entries.term
    many = rng.poisson(simulation.extra * found)
    return terms[rng.integers(len(terms), size=many)] if len(terms) else terms
