"""How well findings are read in texts that people annotated with HPO terms."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kg.errors import InputError
from reasoning.diagnosis.notes import NoteReader
from reasoning.json_lines import json_lines

_NEGATED = "Neg"


@dataclass(frozen=True, slots=True)
class AnnotatedText:
    """A text with the terms that people found in it.

    Attributes:
        place: where it stands, for messages.
        terms: of the whole text.
        mentions: start, end and term; None where only the terms of the text are known.
        excluded: terms that the text says are not there; None where that is not annotated.
    """

    place: str
    text: str
    terms: frozenset[str]
    mentions: frozenset[tuple[int, int, str]] | None
    excluded: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Scores:
    """Micro precision, recall and their harmonic mean; 0 where nothing was found, or is to be."""

    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class NoteReport:
    """What an evaluation found.

    Attributes:
        n: texts.
        documents: of the sets of terms of texts.
        mentions: same span and same term; None where no text has spans.
        excluded: of the terms that a text says are not there; None where none is annotated.
        megabytes_per_second: of text, in one thread, CPU time.
    """

    n: int
    documents: Scores
    mentions: Scores | None
    excluded: Scores | None
    megabytes_per_second: float


def read_annotated(path: Path) -> list[AnnotatedText]:
    """JSON lines with `text` and `mentions`, `spans` or `hpo`; see `docs/from-a-note-to-a-diagnosis.md`.

    Raises:
        InputError: it can't be read, or a line lacks something; names file and line.
    """
    found = [_annotated(place, item) for place, item in json_lines(path)]
    if not found:
        raise InputError("holds no texts", str(path))
    return found


def _annotated(place: str, item: Mapping[str, Any]) -> AnnotatedText:
    try:
        text = item["text"]
        if not isinstance(text, str):
            raise InputError("must be a text", f"{place}: text")
        spans = _spans(item)
        terms = item.get("hpo")
        if spans is None and terms is None:
            raise InputError("needs `mentions`, `spans` or `hpo`", place)
        there = {term for _, _, term, status in spans or () if status != _NEGATED}
        absent = {term for _, _, term, status in spans or () if status == _NEGATED} | set(item.get("hpo_negated") or ())
        annotated = bool(item.get("hpo_negated")) or any(status == _NEGATED for *_, status in spans or ())
        everything = frozenset(there if terms is None else terms) | absent
        mentions = None if spans is None else frozenset((start, end, term) for start, end, term, _ in spans)
        return AnnotatedText(place, text, everything, mentions, frozenset(absent) if annotated else None)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"is no annotated text: {error!r}", place) from error


def _spans(item: Mapping[str, Any]) -> list[tuple[int, int, str, str]] | None:
    if "mentions" in item:
        return [(int(one["start"]), int(one["end"]), str(one["hpo"]), "") for one in item["mentions"]]
    if "spans" in item:
        return [(int(one[0]), int(one[1]), str(one[3]), str(one[4]) if len(one) > 4 else "") for one in item["spans"]]
    return None


Read = tuple[int, int, str, str]
"""Start, end, term and status."""


def evaluate_notes(
    reader: NoteReader,
    texts: Sequence[AnnotatedText],
    terms: Mapping[str, object],
    *,
    nested: bool = False,
    inheritance: bool = False,
) -> NoteReport:
    """Reads every text.

    Args:
        reader: of notes.
        texts: annotated.
        terms: id → term, so that several ids of one count as one; others stay for themselves.
        nested: see `NoteReader.findings`.
        inheritance: whether modes of inheritance count.
    """
    started = time.process_time()
    read = [reader.findings(text.text, nested=nested) for text in texts]
    seconds = time.process_time() - started
    counted = [
        [(one.start, one.end, one.id, one.status) for one in found if inheritance or one.kind == "finding"]
        for found in read
    ]
    return evaluate_read(counted, texts, terms, seconds)


def evaluate_read(
    read: Sequence[Sequence[Read]], texts: Sequence[AnnotatedText], terms: Mapping[str, object], seconds: float
) -> NoteReport:
    """Scores what was read.

    Args:
        read: of each text.
        texts: annotated.
        terms: id → term, so that several ids of one count as one; others stay for themselves.
        seconds: CPU time that reading took.
    """

    def now(ids: Iterable[str]) -> set[object]:
        return {terms.get(id_, id_) for id_ in ids}

    documents: list[tuple[set[Any], set[Any]]] = []
    mentions: list[tuple[set[Any], set[Any]]] = []
    excluded: list[tuple[set[Any], set[Any]]] = []
    for text, found in zip(texts, read, strict=True):
        documents.append((now(text.terms), now(term for _, _, term, _ in found)))
        if text.mentions is not None:
            truth = {(start, end, terms.get(term, term)) for start, end, term in text.mentions}
            mentions.append((truth, {(start, end, terms.get(term, term)) for start, end, term, _ in found}))
        if text.excluded is not None:
            excluded.append((now(text.excluded), now(term for _, _, term, status in found if status == "excluded")))
    size = sum(len(text.text.encode()) for text in texts)
    return NoteReport(
        len(texts),
        _scores(documents),
        _scores(mentions) if mentions else None,
        _scores(excluded) if excluded else None,
        round(size / 1e6 / max(seconds, 1e-9), 2),
    )


def _scores(pairs: Sequence[tuple[set[Any], set[Any]]]) -> Scores:
    right = sum(len(truth & found) for truth, found in pairs)
    said, known = sum(len(found) for _, found in pairs), sum(len(truth) for truth, _ in pairs)
    precision, recall = (right / said if said else 0.0), (right / known if known else 0.0)
    f1 = 2 * right / (said + known) if said + known else 0.0
    return Scores(round(precision, 4), round(recall, 4), round(f1, 4))
