"""A patient as the diagnosis takes him: plain ids, whatever format he came in."""

from __future__ import annotations

import re
from dataclasses import dataclass

ONSET_YEARS = {
    "HP:0030674": -0.4,  # antenatal
    "HP:0011460": -0.65,  # embryonal
    "HP:0011461": -0.3,  # fetal
    "HP:0034199": -0.6,  # first trimester
    "HP:0034198": -0.4,  # second trimester
    "HP:0034197": -0.15,  # third trimester
    "HP:0003577": 0.0,  # congenital
    "HP:0003623": 0.04,  # neonatal
    "HP:0003593": 0.5,  # infantile
    "HP:0011463": 3.0,  # childhood
    "HP:0003621": 10.0,  # juvenile
    "HP:0003581": 30.0,  # adult
    "HP:0011462": 28.0,  # young adult
    "HP:0025708": 17.0,  # early young adult
    "HP:0025709": 22.0,  # intermediate young adult
    "HP:0025710": 32.0,  # late young adult
    "HP:0003596": 50.0,  # middle age
    "HP:0003584": 65.0,  # late
}
"""Onset term → about the middle of its age range in years; before birth negative."""

_DURATION = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T.*)?")


@dataclass(frozen=True, slots=True)
class Case:
    """One patient; what is unknown is NaN or empty.

    Attributes:
        diseases: the truth, if it is known.
        present: ids of findings that are there.
        excluded: ids of findings that were looked for and are not there.
        onset_years: age when the disease began; before birth negative.
        age_years: age when the findings were described.
        sex: MALE, FEMALE or empty.
        publication: id of the source that describes the patient.
    """

    id: str
    diseases: tuple[str, ...]
    present: tuple[str, ...]
    excluded: tuple[str, ...]
    onset_years: float = float("nan")
    age_years: float = float("nan")
    sex: str = ""
    genes: tuple[str, ...] = ()
    publication: str = ""


def years(duration: str) -> float:
    """An ISO 8601 duration in years; NaN if it is none."""
    found = _DURATION.fullmatch(duration)
    if not found or duration in ("", "P"):
        return float("nan")
    a, m, w, d = (float(part or 0) for part in found.groups())
    return a + m / 12 + w / 52.18 + d / 365.25
