"""How fast to learn, by how far a training is."""

from __future__ import annotations

_WARM = 0.1


def warmed(share: float, least: float) -> float:
    """Part of the greatest rate after a share of the steps: rises over a tenth, then falls to 0, linearly.

    Args:
        share: 0…1.
        least: what the first step is taken for, so that it teaches something.
    """
    return min((share + least) / _WARM, (1 - share) / (1 - _WARM))
