from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from reasoning.diagnosis.annotations import AnnotationRows, PhenotypeAnnotations, build_annotations
from reasoning.diagnosis.explain import Matches, Paths
from reasoning.diagnosis.likelihood import LikelihoodParameters, closure, likelihood_ratios
from reasoning.diagnosis.query import Query
from reasoning.diagnosis.scan import LEAST_INFORMATION, Findings, Index, Parameters
from tests.api.samples import write_sample
from tests.reasoning.graph import reasoner_of, snapshot_of, store_of

TERMS, DISEASES = 60, 40


def _random_annotations(seed: int) -> PhenotypeAnnotations:
    """An ontology of 60 terms in which a term may have two parents, and 40 diseases with some of them."""
    random = np.random.default_rng(seed)
    ids = ["HP:0000118", *(f"HP:{number:07}" for number in range(1, TERMS))]
    is_a = [(ids[child], ids[parent]) for child in range(1, TERMS) for parent in random.integers(0, child, 2)]
    size = 300
    of = random.integers(1, 9, size)
    table = AnnotationRows(
        disease=random.integers(0, DISEASES, size),
        term=random.integers(1, TERMS, size),
        source=random.integers(0, 5, size),
        aspect=np.zeros(size, np.int64),
        numerator=np.floor(random.random(size) * (of + 1)),
        denominator=of.astype(np.float64),
        share=np.full(size, np.nan),
        excluded=np.zeros(size, np.bool_),
    )
    return build_annotations(
        terms=[(id_, f"term {id_}") for id_ in ids],
        is_a=is_a,
        replaced_by={},
        diseases=[(f"OMIM:{number}", f"disease {number}") for number in range(DISEASES)],
        genes=[],
        sources=[f"PMID:{number}" for number in range(5)],
        rows=table,
    )


@pytest.mark.parametrize("seed", range(5))
def test_contributions_are_the_likelihood_ratios(seed: int) -> None:
    annotations = _random_annotations(seed)
    index = Index(annotations, Parameters(likelihood=LikelihoodParameters(above=0.9, common=1.0)))
    findings = Findings(np.arange(1, TERMS), np.zeros(0, np.int64))
    view = index.profiles.view(None)
    ratios = likelihood_ratios(
        view, findings.present, closure(view, findings.present, LEAST_INFORMATION), index.parameters.likelihood
    )
    diseases = np.random.default_rng(seed).permutation(DISEASES)[:10]
    matches = Matches(index, diseases, findings)
    kinds = set()
    for row, disease in enumerate(diseases.tolist()):
        own = set(index.annotations.rows_of(disease).term.tolist())
        for column, finding in enumerate(findings.present.tolist()):
            match = matches.present(row, finding)
            kinds.add(match.kind)
            assert math.log(match.ratio) == pytest.approx(float(ratios[column, disease]), abs=1e-4)
            if match.kind == "none":
                continue
            assert match.term in own
            assert match.through in annotations.ancestors_of(match.term)
            assert match.through in annotations.ancestors_of(finding)
            assert (match.kind == "exact") == (match.term == finding)
            assert (match.kind == "ancestor") == (match.through != finding)
            path = Paths(annotations).between(finding, match.term, match.through)
            assert path[0] == annotations.term_ids[finding]
            assert path[-1] == annotations.term_ids[match.term]
            _assert_is_a(annotations, path, annotations.term_ids[match.through])
    assert kinds == {"exact", "descendant", "ancestor", "none"}


def _assert_is_a(annotations: PhenotypeAnnotations, path: tuple[str, ...], top: str) -> None:
    """The path climbs by is_a to the top, then descends."""
    turn = path.index(top)
    upward = [*pairwise(path[: turn + 1])]
    downward = [(child, parent) for parent, child in pairwise(path[turn:])]
    for child, parent in upward + downward:
        at = annotations.term_index[child]
        parents = annotations.parents[annotations.parent_start[at] : annotations.parent_start[at + 1]]
        assert annotations.term_index[parent] in parents


def test_an_excluded_finding_speaks_by_how_often_the_disease_shows_it(tmp_path: Path) -> None:
    reasoner = reasoner_of(snapshot_of(store_of(write_sample(tmp_path / "hpo")), tmp_path / "cache"))
    answer = reasoner.diagnose(Query(present=("HP:0001251",), excluded=("HP:0001250", "HP:0001166")))
    [result] = [result for result in answer.results if result.id == "OMIM:100001"]
    [seizure] = (finding for finding in result.findings if finding.state == "excluded")
    # 9 of 10 patients have motor seizures, a kind of seizure; smoothed by 6 patients of frequency 0.35.
    frequency = (9 + 6 * 0.35) / (10 + 6)
    assert seizure.match == "descendant"
    assert seizure.annotation is not None
    assert seizure.annotation.id == "HP:0020219"
    assert seizure.frequency == pytest.approx(frequency, abs=1e-3)
    assert seizure.contribution == pytest.approx(math.log((1 - frequency) / (1 - seizure.background)), abs=1e-3)
    assert seizure.path == ["HP:0001250", "HP:0020219", "OMIM:100001"]
    assert result.against == ["HP:0001250"]


def test_a_result_names_genes_inheritance_onset_and_sources(tmp_path: Path) -> None:
    reasoner = reasoner_of(snapshot_of(store_of(write_sample(tmp_path / "hpo")), tmp_path / "cache"))
    answer = reasoner.diagnose(Query(present=("HP:0020219",), genes=("aars1",), inheritance=("HP:0000006",), limit=4))
    [result] = [result for result in answer.results if result.id == "OMIM:100001"]
    evidence = {e.number: e for e in answer.evidence}
    [finding] = result.findings
    assert finding.match == "exact"
    assert finding.reported == "9 of 10 patients"
    fact = evidence[finding.evidence[0]]
    assert (fact.subject, fact.relation, fact.object) == ("OMIM:100001", "HAS_PHENOTYPE", "HP:0020219")
    [claim] = fact.claims
    assert (claim.source, claim.place) == ("PMID:1000", "L4")
    assert claim.qualifiers == {"evidence": "PCS", "frequency_numerator": 9, "frequency_denominator": 10}
    [gene] = result.genes
    assert (gene.id, gene.name, gene.given) == ("NCBIGene:16", "AARS1", True)
    [mode] = result.inheritance
    assert (mode.id, mode.fits) == ("HP:0000007", False)
    [onset] = result.onset
    assert (onset.id, onset.fits) == ("HP:0003593", None)
    assert evidence[onset.evidence[0]].relation == "HAS_CLINICAL_COURSE"
