"""What an ingestion did, for people: the pipeline's report, and the first of the records that it refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ingestion.pipeline import IngestionReport

SHOWN = 20
"""Refused records that are shown; the dead-letter file has all of them."""

_COUNTS = (
    "loaded",
    "skipped",
    "changed",
    "retracted",
    "failed_documents",
    "records",
    "claims",
    "entities",
    "facts",
    "rejected",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A report, the first refused records as (document, place, reason), and what a dry run would cost."""

    report: IngestionReport
    refused: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...] = ()

    def view(self) -> dict[str, Any]:
        """As JSON."""
        report = self.report
        return {
            "reader": report.reader,
            "run": report.run,
            **{name: getattr(report, name) for name in _COUNTS},
            "version": report.version,
            "seconds": round(report.seconds, 3),
            "cancelled": report.cancelled,
            "refused": [{"document": d, "place": p, "reason": r} for d, p, r in self.refused],
            "notes": list(self.notes),
        }


def size(dead_letters: Path) -> int:
    """Bytes of the dead-letter file; 0 if there is none."""
    try:
        return dead_letters.stat().st_size
    except OSError:
        return 0


def outcome(report: IngestionReport, before: int, notes: tuple[str, ...] = ()) -> Outcome:
    """The outcome of a run before which the dead-letter file had so many bytes."""
    refused: list[tuple[str, str, str]] = []
    if report.failed and size(report.dead_letters) > before:
        with report.dead_letters.open("rb") as file:
            file.seek(before)
            for line in file:
                if line.strip():
                    letter = orjson.loads(line)
                    refused.append((letter["document"], letter["place"], letter["reason"]))
                if len(refused) == SHOWN:
                    break
    return Outcome(report, tuple(refused), notes)
