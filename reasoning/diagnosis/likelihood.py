"""The part that a clinician can check: a likelihood ratio for each finding and disease.

After Robinson et al., Interpretable clinical genomics with a likelihood ratio paradigm, AJHG 107:403 (2020). For a
finding q and a disease d, with f the smoothed frequency in d and b the mean frequency over all diseases,

    LR(q, d) = ν + (1 − ν) · max( f(q)/b(q),  β · f↑(q)/b(q),  α · max over ancestors a of q of f↑(a)/b(a) )

where f↑ is the frequency carried up from terms below (the most frequent one), so that the three cases are an exact
match, a match through a more specific annotation, and one through what both have in common. ν is the noise: the chance
that a finding has nothing to do with the disease.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasoning.diagnosis.annotations import Floats, Ints
from reasoning.diagnosis.profiles import View

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LikelihoodParameters:
    """ν, β, α of the formula above, and how informative a common ancestor must be.

    Attributes:
        noise: ν, 0…1.
        below: β, discount of a more specific annotation.
        above: α, discount of a common ancestor.
        common: least information content of a common ancestor, nats.
    """

    noise: float = 0.1
    below: float = 0.3
    above: float = 0.1
    common: float = 2.5


Closure = Mapping[int, tuple[Ints, Floats]]
"""A query's findings and their ancestors: term → diseases that have it, and how frequent it is there."""


def closure(view: View, findings: Ints, least: float) -> Closure:
    """Ancestors of the findings whose information content is at least `least` nats; findings are kept in any case."""
    annotations = view.profiles.annotations
    above = {term for finding in findings.tolist() for term in annotations.ancestors_of(finding).tolist()}
    stated = set(findings.tolist())
    kept = sorted(term for term in above if annotations.information[term] >= least or term in stated)
    return {term: view.carried_of_term(term) for term in kept}


def likelihood_ratios(view: View, findings: Ints, near: Closure, parameters: LikelihoodParameters) -> Matrix:
    """Log-likelihood ratio of every finding for every disease, nats.

    Returns:
        float32 (findings, diseases).
    """
    profiles = view.profiles
    annotations = profiles.annotations
    background = profiles.background
    ratios = np.zeros((len(findings), profiles.diseases), np.float32)
    for row, finding in zip(ratios, findings.tolist(), strict=True):
        diseases, frequency = near[finding]
        row[diseases] = frequency * (parameters.below / background[finding])
        for term in annotations.ancestors_of(finding).tolist():
            if term != finding and term in near and annotations.information[term] >= parameters.common:
                diseases, frequency = near[term]
                row[diseases] = np.maximum(row[diseases], frequency * (parameters.above / background[term]))
    cells, owner = view.exact_of_terms(findings)
    exact = cells.frequency / background[cells.term]
    ratios[owner, cells.doc] = np.maximum(ratios[owner, cells.doc], exact)
    logs: Matrix = np.log(np.float32(parameters.noise) + np.float32(1 - parameters.noise) * ratios)
    return logs
