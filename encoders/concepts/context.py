"""Whether what a text names is there: excluded, of the family, uncertain or hypothetical, by words around it.

The method is ConText's (Harkema et al. 2009, doi:10.1016/j.jbi.2009.05.002), which extends NegEx (Chapman et al. 2001):
a trigger speaks for what follows, or comes before, up to the end of the sentence, a word that ends its scope, or some
words. The triggers are data, `context_en.tsv`. What a line such as `Denies:` says holds for the list below it.
"""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Status = Literal["present", "excluded", "family", "uncertain", "hypothetical"]

_TRIGGERS = Path(__file__).with_name("context_en.tsv")
_REACH = 90
"""Characters to the next concept, or to one that is tied to it by a list."""
_LINE = 500
"""Characters of a line of a form."""
_MOST_LISTED = 100
"""Concepts of a list that one trigger speaks of."""
_ORDER: tuple[Status, ...] = ("excluded", "hypothetical", "family", "uncertain")
_END = re.compile(r"(?:(?<=[.!;])|(?<=\?)(?!\s+[Nn]o\b))\s+(?=[^a-z])|\n\s*\n|\n(?=\s*[-•*\d])")
_LIST = re.compile(r"^[\s,]*((and|or|nor|/)\s+)?((a|an|the|any|other)\s+)?([\w-]+\s+){0,2}$", re.IGNORECASE)
_NEW_CLAUSE = re.compile(r"^\s*,\s*and\b", re.IGNORECASE)
"""`no ataxia, and scoliosis`: a list has a comma before its second member, too."""
_BLOCK = re.compile(r"^(?P<head>[^\n]{0,200}:)[^\S\n]*\n(?P<items>(?:[^\S\n]*[-•*·][^\n]*(?:\n|\Z))+)", re.MULTILINE)
_CLAUSE_ENDS = re.compile(r"\s*(?:[.;,)\n]|\Z)")
_EMPTY_BOX = r"(?:\[\s?\]|[☐□])"
_BOX_BEFORE = re.compile(_EMPTY_BOX + r"[^\S\n]*\Z")
_BOX_AFTER = re.compile(r"[^\S\n]*" + _EMPTY_BOX)
_BOX_FIRST = re.compile(r"\s*(?:\[[\sxX✓]?\]|[☐□☑☒✓✔])")
_NON = re.compile(r"\bnon-\Z", re.IGNORECASE)


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
    text = text.replace("’", "'")
    said: list[set[str]] = [
        {"excluded"} if _NON.search(text, max(0, start - 5), start) else set() for start, _ in spans
    ]
    for sentence, members in sentences.items():
        begin = ends[sentence - 1] if sentence else 0
        triggers = _triggers(text[begin : ends[sentence]], begin, [spans[number] for number in members])
        starts = [spans[number][0] for number in members]
        stops = [t for t in triggers if t.direction == "stop"]
        for trigger in triggers:
            for number in _reached(text, spans, members, starts, trigger, stops):
                said[number].add(trigger.status)
    for block in _BLOCK.finditer(text):
        heads = [t for t in _triggers(block["head"], 0, []) if t.direction in ("forward", "stop")]
        first, last = (bisect.bisect_left(spans, (at, 0)) for at in block.span("items"))
        if heads and heads[-1].direction == "forward":
            for number in range(first, last):
                said[number] = said[number] or {heads[-1].status}
    for number, (start, end) in enumerate(spans):
        if _unticked(text, start, end):
            said[number].add("uncertain")
    return [next((status for status in _ORDER if status in of), "present") for of in said]


def _unticked(text: str, start: int, end: int) -> bool:
    """Whether an empty box belongs to a name: the one before it where the line begins with one, else the one behind."""
    line = text.rfind("\n", max(0, start - _LINE), start) + 1 or max(0, start - _LINE)
    if _BOX_FIRST.match(text, line, start):
        return bool(_BOX_BEFORE.search(text, max(line, start - 5), start))
    return bool(_BOX_AFTER.match(text, end, end + 5))


def _reached(
    text: str,
    spans: Sequence[tuple[int, int]],
    members: Sequence[int],
    starts: Sequence[int],
    trigger: _Trigger,
    stops: Sequence[_Trigger],
) -> list[int]:
    """The spans of a sentence that a trigger speaks of: the nearest, and those that a list ties to it.

    Args:
        text: all of it.
        spans: all of them.
        members: numbers of the sentence's.
        starts: their first characters.
        trigger: speaks of some.
        stops: the sentence's triggers that end a scope, in its order.
    """
    found: list[int] = []
    if trigger.direction == "forward":
        after = bisect.bisect_left(stops, trigger.end, key=lambda stop: stop.start)
        stop = stops[after].start if after < len(stops) else len(text)
        last = trigger.end
        after = bisect.bisect_left(starts, trigger.end)
        for number in members[after : after + _MOST_LISTED]:
            start, end = spans[number]
            between = text[last:start]
            if start >= stop or start - last > _REACH or (found and start > last and not _tied(between)):
                break
            if len(found) == 1 and _NEW_CLAUSE.match(between):
                break
            found.append(number)
            last = max(last, end)
        return found
    before = bisect.bisect_left(starts, trigger.start)
    if trigger.direction == "tag":
        near = members[max(0, before - 1) : before]
        return [number for number in near if not text[spans[number][1] : trigger.start].strip()]
    if trigger.direction != "backward":
        return []
    behind = bisect.bisect_right(stops, trigger.start, key=lambda stop: stop.end)
    stop = stops[behind - 1].end if behind else 0
    last = trigger.start
    for at in range(before - 1, max(-1, before - 1 - _MOST_LISTED), -1):
        number = members[at]
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
    starts = [start for start, _ in spans]
    furthest = list(itertools.accumulate((end for _, end in spans), max))
    for hit in pattern.finditer(sentence):
        start, end = hit.start() + offset, hit.end() + offset
        before = bisect.bisect_left(starts, end)
        if before and furthest[before - 1] > start:
            continue
        said = kinds[" ".join(hit.group().casefold().split())]
        closing = [status for status, direction in said if direction == "closing"]
        if closing and _CLAUSE_ENDS.match(sentence, hit.end()):
            found += [_Trigger(start, end, status, "tag") for status in closing]
        else:
            found += [_Trigger(start, end, status, direction) for status, direction in said if direction != "closing"]
    return found


@cache
def _pattern() -> tuple[re.Pattern[str], dict[str, list[tuple[str, str]]]]:
    kinds: dict[str, list[tuple[str, str]]] = {}
    groups: dict[str, list[str]] = {}
    for line in _TRIGGERS.read_text(encoding="utf-8").splitlines():
        name, stands, words = line.partition(" = ")
        if stands and name.startswith("@") and "\t" not in line:
            groups[name] = words.split(", ")
        elif line and not line.startswith("#"):
            phrase, status, direction = line.split("\t")
            for each in _expanded(phrase, groups):
                if (status, direction) not in kinds.setdefault(each, []):
                    kinds[each].append((status, direction))
    phrases = sorted(kinds, key=len, reverse=True)
    words = "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in phrases)
    return re.compile(rf"(?:(?<!\w)|(?=\W))(?:{words})(?!\w)", re.IGNORECASE), kinds


def _expanded(phrase: str, groups: Mapping[str, Sequence[str]]) -> list[str]:
    """The phrases that one with names of groups stands for."""
    name = next((name for name in groups if name in phrase), None)
    if name is None:
        return [phrase]
    return [each for word in groups[name] for each in _expanded(phrase.replace(name, word, 1), groups)]
