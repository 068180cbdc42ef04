"""Which sensors are neighbours by where they stand, for series that come without a network."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

Place = tuple[float, float]
"""Latitude and longitude, degrees."""

NEIGHBOURS = 8
"""Of a sensor, at most, if it is not a neighbour of more."""
LEAST = 0.1
"""Weight below which sensors are no neighbours, as in DCRNN (Li et al. 2018)."""
_EARTH_M = 6_371_000.0


def weights_of_places(places: Sequence[Place | None]) -> NDArray[np.float32]:
    """float32 (sensors, sensors): exp(-(d/σ)²) of the distance to the nearest sensors, σ the spread of these distances,
    or their median if they hardly differ.

    A sensor without a place has no neighbours.
    """
    table = np.zeros((len(places), len(places)), np.float32)
    known = np.array([at for at, place in enumerate(places) if place is not None], np.int64)
    if len(known) < 2:
        return table
    distance = _distances(np.radians([place for place in places if place is not None]))
    np.fill_diagonal(distance, np.inf)
    many = min(NEIGHBOURS, len(known) - 1)
    nearest = np.argpartition(distance, many - 1, axis=1)[:, :many]
    row = np.repeat(np.arange(len(known)), many)
    kept = np.zeros(distance.shape, np.bool_)
    kept[row, nearest.ravel()] = True
    kept |= kept.T
    spread, middle = float(distance[kept].std()), float(np.median(distance[kept]))
    sigma = max(spread if spread > middle / 2 else middle, 1.0)  # all at about one distance, or at one spot
    weight = np.where(kept, np.exp(-((np.where(kept, distance, 0) / sigma) ** 2)), 0)
    table[np.ix_(known, known)] = np.where(weight >= LEAST, weight, 0)
    return table


def named(id_: str, names: Collection[str]) -> str:
    """Which of some sensors' names an id such as `detector:folder/name` ends with; the id if it is none of them."""
    parts = id_.partition(":")[2].split("/")
    ends = (unquote("/".join(parts[at:])) for at in range(len(parts)))
    return next((end for end in ends if end in names), id_)


def _distances(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """m, by the haversine formula, of (sensors, 2) radians."""
    latitude, longitude = places[:, 0], places[:, 1]
    half = np.sin((latitude[:, None] - latitude) / 2) ** 2
    across = np.cos(latitude)[:, None] * np.cos(latitude) * np.sin((longitude[:, None] - longitude) / 2) ** 2
    found: NDArray[np.float64] = 2 * _EARTH_M * np.arcsin(np.sqrt(np.clip(half + across, 0, 1)))
    return found
