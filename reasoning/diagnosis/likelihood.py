"""The part that a clinician can check: a likelihood ratio for each finding and disease.

After Robinson et al., Interpretable clinical genomics with a likelihood ratio paradigm, AJHG 107:403 (2020). For a
finding q and a disease d, with f the smoothed frequency in d and b the mean frequency over all diseases,

    LR(q, d) = ν + (1 − ν) · max( f(q)/b(q),  β · f↑(q)/b(q),  α · max over ancestors a of q of f↑(a)/b(a) )

where f↑ is the frequency carried up from terms below (the most frequent one), so that the three cases are an exact
match, a match through a more specific annotation, and one through what both have in common. ν is the noise: the chance
that a finding has nothing to do with the disease.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reasoning.diagnosis.annotations import Ints
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
        absent: weight of an excluded finding's log-likelihood ratio.
    """

    noise: float = 0.1
    below: float = 0.3
    above: float = 0.1
    common: float = 2.5


@dataclass(frozen=True, slots=True, eq=False)
class Closure:
    """The ancestors of a query's findings, and how often each disease has them.

    Attributes:
        terms: the ancestors, findings included, whose information content is at least `least`; ascending.
        carried: float32 (terms, diseases), frequency carried up; 0 where a disease lacks the term.
    """

    terms: Ints
    carried: Matrix


def closure(view: View, findings: Ints, least: float) -> Closure:
    """Ancestors of the findings with their frequencies in every disease; see `Closure`."""
    annotations = view.profiles.annotations
    if len(findings) == 0:
        return Closure(findings, np.zeros((0, view.profiles.diseases), np.float32))
    above = np.unique(np.concatenate([annotations.ancestors_of(int(term)) for term in findings]))
    above = above[(annotations.information[above] >= least) | np.isin(above, findings)]
    carried = np.zeros((len(above), view.profiles.diseases), np.float32)
    cells, owner = view.of_terms("carried", above)
    carried[owner, cells.doc] = cells.frequency
    return Closure(above, carried)


def likelihood_ratios(view: View, findings: Ints, near: Closure, parameters: LikelihoodParameters) -> Matrix:
    """Log-likelihood ratio of every finding for every disease, nats.

    Returns:
        float32 (findings, diseases).
    """
    profiles = view.profiles
    annotations = profiles.annotations
    background = profiles.background
    ratios = np.zeros((len(findings), profiles.diseases), np.float32)
    lift = near.carried * (parameters.above / background[near.terms])[:, None].astype(np.float32)
    for row, finding in zip(ratios, findings.tolist(), strict=True):
        ancestors = annotations.ancestors_of(finding)
        ancestors = ancestors[(annotations.information[ancestors] >= parameters.common) & (ancestors != finding)]
        at = np.searchsorted(near.terms, finding)
        np.multiply(near.carried[at], np.float32(parameters.below / background[finding]), out=row)
        for place in np.searchsorted(near.terms, ancestors):
            np.maximum(row, lift[place], out=row)
    cells, owner = view.of_terms("exact", findings)
    exact = (cells.frequency / background[cells.term]).astype(np.float32)
    ratios[owner, cells.doc] = np.maximum(ratios[owner, cells.doc], exact)
    logs: Matrix = np.log(np.float32(parameters.noise) + np.float32(1 - parameters.noise) * ratios)
    return logs
