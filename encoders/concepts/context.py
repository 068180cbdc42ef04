"""Whether what a text names is there: excluded, of the family, uncertain or hypothetical, by words around it.

The method is ConText's (Harkema et al. 2009, doi:10.1016/j.jbi.2009.05.002), which extends NegEx (Chapman et al. 2001):
a trigger speaks for what follows, or comes before, up to the end of the sentence, a word that ends its scope, or some
words. The triggers are data, `context_en.tsv`.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Status = Literal["present", "excluded", "family", "uncertain", "hypothetical"]

_TRIGGERS = Path(__file__).with_name("context_en.tsv")
_REACH = 90
"""Characters to the next concept, or to one that is tied to it by a list."""
_ORDER: tuple[Status, ...] = ("excluded", "hypothetical", "family", "uncertain")
_END = re.compile(r"(?<=[.!?;])\s+(?=[^a-z])|\n\s*\n|\n(?=\s*[-•*\d])")
_LIST = re.compile(r"^[\s,]*((and|or|nor|/)\s+)?((a|an|the|any|other)\s+)?([\w-]+\s+){0,2}$", re.IGNORECASE)
_NEW_CLAUSE = re.compile(r"^\s*,\s*and\b", re.IGNORECASE)
"""`no ataxia, and scoliosis`: a list has a comma before its second member, too."""


@dataclass(frozen=True, slots=True)
class _Trigger:
    start: int
    end: int
    status: str
    direction: str


def statuses(text: str, spans: Sequence[tuple[int, int]]) -> list[Status]:
    """What the text says of each of the spans.

    Args:
        text: English.
        spans: start and end in characters, by start.

    Returns:
        One status a span; where several triggers speak of it, the first of excluded, hypothetical, family, uncertain.
    """
    ends = [found.start() for found in _END.finditer(text)] + [len(text)]
    sentences: dict[int, list[int]] = {}
    for number, (start, _) in enumerate(spans):
        sentences.setdefault(bisect.bisect_right(ends, start), []).append(number)
    said: list[set[str]] = [set() for _ in spans]
    for sentence, members in sentences.items():
        begin = ends[sentence - 1] if sentence else 0
        triggers = _triggers(text[begin : ends[sentence]], begin, [spans[number] for number in members])
        for trigger in triggers:
            for number in _reached(text, spans, members, trigger, triggers):
                said[number].add(trigger.status)
    return [next((status for status in _ORDER if status in of), "present") for of in said]


def _reached(
    text: str, spans: Sequence[tuple[int, int]], members: Sequence[int], trigger: _Trigger, triggers: Sequence[_Trigger]
) -> list[int]:
    """The spans of a sentence that a trigger speaks of: the nearest, and those that a list ties to it."""
    if trigger.direction == "forward":
        stop = min((t.start for t in triggers if t.direction == "stop" and t.start >= trigger.end), default=len(text))
        ahead = [number for number in members if trigger.end <= spans[number][0] < stop]
        last = trigger.end
        found: list[int] = []
        for number in ahead:
            start, end = spans[number]
            between = text[last:start]
            if start - last > _REACH or (found and start > last and not _tied(between)):
                break
            if len(found) == 1 and _NEW_CLAUSE.match(between):
                break
            found.append(number)
            last = max(last, end)
        return found
    if trigger.direction != "backward":
        return []
    stop = max((t.end for t in triggers if t.direction == "stop" and t.end <= trigger.start), default=0)
    found = []
    last = trigger.start
    for number in reversed(members):
        start, end = spans[number]
        if end > trigger.start:
            continue
        if start < stop or last - end > _REACH or (found and not _tied(text[end:last])):
            break
        found.append(number)
        last = min(last, start)
    return found


def _tied(between: str) -> bool:
    return bool(_LIST.match(between + " " if not between.endswith(" ") else between))


def _triggers(sentence: str, offset: int, spans: Sequence[tuple[int, int]]) -> list[_Trigger]:
    """The longest triggers of a sentence, none within a span: `absent speech` is a finding."""
    pattern, kinds = _pattern()
    found = []
    for hit in pattern.finditer(sentence):
        start, end = hit.start() + offset, hit.end() + offset
        if any(start < other_end and other_start < end for other_start, other_end in spans):
            continue
        found += [
            _Trigger(start, end, status, direction)
            for status, direction in kinds[" ".join(hit.group().casefold().split())]
        ]
    return found


@cache
def _pattern() -> tuple[re.Pattern[str], dict[str, list[tuple[str, str]]]]:
    kinds: dict[str, list[tuple[str, str]]] = {}
    for line in _TRIGGERS.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            phrase, status, direction = line.split("\t")
            kinds.setdefault(phrase, []).append((status, direction))
    phrases = sorted(kinds, key=len, reverse=True)
    words = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in phrases)
    return re.compile(rf"(?:(?<!\w)|(?=\W))(?:{words})(?!\w)", re.IGNORECASE), kinds
