"""How far stated probabilities are from what comes true."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def expected_calibration_error(
    probability: Floats, right: Floats, weight: Floats | None = None, *, bins: int = 10
) -> float:
    """Mean gap between stated probability and share of right answers, over bins of equal width (Guo et al. 2017).

    Args:
        probability: (n,), 0…1.
        right: (n,), 1 where the answer was right, else 0.
        weight: (n,) of each answer; None: all alike.
        bins: how many.
    """
    if len(probability) == 0:
        return 0.0
    weights = np.ones(len(probability)) if weight is None else weight
    of = np.minimum((probability * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(of, right * weights, bins) - np.bincount(of, probability * weights, bins)
    return float(np.abs(gaps).sum() / weights.sum())
