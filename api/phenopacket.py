"""Patients out of Phenopackets, as the diagnosis takes them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import orjson

from ingestion.readers.base import Document
from ingestion.readers.phenopacket_messages import parse
from ingestion.readers.phenopacket_model import Case
from ingestion.readers.phenopackets import cases
from kg.errors import InputError
from kg.model import Rejected
from reasoning.diagnosis.cases import ONSET_YEARS, years
from reasoning.diagnosis.cases import Case as Known
from reasoning.diagnosis.query import SEXES, Ignored, Query


class _Posted(Document):
    """A document in memory."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        super().__init__("request:phenopacket", Path("phenopacket.json"))
        self._text = orjson.dumps(content)

    def open(self) -> IO[bytes]:
        """The bytes from the start."""
        return io.BytesIO(self._text)


def posted_case(content: Mapping[str, Any]) -> Case:
    """The patient of a Phenopacket; of a family, the proband.

    Raises:
        InputError: it is none, or has no patient; names the field.
    """
    try:
        items = list(parse(_Posted(content)))
    except orjson.JSONEncodeError as error:
        raise InputError(str(error), "phenopacket") from error
    return _first(items, "phenopacket")


def case_of_file(path: Path) -> Case:
    """The patient of a file.

    Raises:
        InputError: it can't be read, or has no patient; names the file.
    """
    return _first(list(cases(path)), str(path))


def known_cases(path: Path) -> Iterator[Known | Rejected]:
    """Patients of a file, folder or archive with the diagnosis that they are known to have, for evaluation.

    Raises:
        InputError: the path is missing, holds nothing to read, or may not be read.
    """
    for case in cases(path):
        if isinstance(case, Rejected):
            yield case
            continue
        onset = ONSET_YEARS.get(case.onset.term, float("nan"))
        yield Known(
            id=case.id,
            diseases=case.disease_ids,
            present=tuple(dict.fromkeys(case.present)),
            excluded=tuple(dict.fromkeys(case.excluded)),
            onset_years=years(case.onset.age) if case.onset.age else onset,
            age_years=years(case.age.age),
            sex=case.sex if case.sex in SEXES else "",
            genes=tuple(gene.gene for gene in case.genes),
            publication=case.pmid or "",
        )


def query_of(case: Case, prefix: str = "") -> Query:
    """What a patient's record says, as a question; what can't be used of it is left out, and said.

    Args:
        case: the patient.
        prefix: put before the places in it.
    """
    present = [finding for finding in case.findings if not finding.excluded]
    excluded = [finding for finding in case.findings if finding.excluded]
    genes = [gene for gene in case.genes if gene.interpretation != "REJECTED"]
    stated = {"present": [f.place for f in present], "excluded": [f.place for f in excluded]}
    stated["genes"] = [gene.place for gene in genes]
    places = {f"{name}[{i}]": f"{prefix}{place}" for name, of in stated.items() for i, place in enumerate(of)}
    return Query(
        present=tuple(finding.term for finding in present),
        excluded=tuple(finding.term for finding in excluded),
        onset=case.onset.age or case.onset.term,
        age=case.age.age,
        sex=case.sex if case.sex in SEXES else "",
        genes=tuple(gene.symbol or gene.gene for gene in genes),
        places=places,
        lenient=True,
        patient=case.id,
        ignored=tuple(Ignored(f"{prefix}{place}", "", reason) for place, reason in case.problems),
    )


def _first(items: list[Any], place: str) -> Case:
    found = next((item for item in items if isinstance(item, Case)), None)
    if found is None:
        reasons = [item for item in items if isinstance(item, Rejected)]
        if not reasons:
            raise InputError("no patient in it", place)
        raise InputError(reasons[0].reason, f"{place}.{reasons[0].place}" if reasons[0].place else place)
    return found
