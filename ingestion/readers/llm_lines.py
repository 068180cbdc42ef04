"""Statements in lines of text: `(A, r, B)`, `A -> r -> B`, `A | r | B`, tables with or without a head, `subject: A`."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ingestion.readers.llm_candidates import Candidate, Unfit, shown
from ingestion.readers.llm_items import Items
from ingestion.readers.llm_words import OBJECTS, RELATIONS, SUBJECTS, clean, plain_key

_BULLET = re.compile(r"\s*(?:>\s*)?(?:(?:[-*•·+–]|\(?\d{1,4}[.):、]|[a-z][.)])\s+)?")
_ARROW = r"(?:(?:(?<!-)-++|(?<!=)=++|(?<!—)—++|(?<!–)–++)>|[→⟶➔➝⇒])"
_ARROWS = (
    # (A:Disease)-[:HAS_PHENOTYPE]->(B), A --[r]--> B
    re.compile(rf"(?P<s>.+?) ?(?<![-=—–])[-=—–]++ ?\[ ?:?(?P<r>[^\]]{{1,200}}?) ?\] ?{_ARROW} ?(?P<o>.+)"),
    re.compile(rf"(?P<s>.+?) ?{_ARROW} ?(?P<r>.+?) ?{_ARROW} ?(?P<o>.+)"),
    # A --r--> B
    re.compile(rf"(?P<s>.+?) [-=—–]++ ?(?P<r>[^->=—–\s][^>]{{0,200}}?) ?{_ARROW} ?(?P<o>.+)"),
)
_MAX_ARROW = 4000
_HAS_ARROW = re.compile(_ARROW)
_DASHED = re.compile(r"\s+[-–—]\s+")
_CYPHER_NODE = re.compile(r"\(\s*(?P<name>[^():]*?)\s*(?::\s*(?P<type>[\w`]+))?\s*\)")
_RULE = re.compile(r"\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*")
_FIELD = re.compile(r"[\"'*_`\s]*([A-Za-z一-鿿][\w ]{0,24}?)[\"'*_`\s]*[:：]\s*(.*)")
_BETWEEN_TUPLES = re.compile(r"(?:\s|[,;，；]|<\|?>|<\|#?\|?>|\|)*")
_OPENERS = {"(": ")", "（": "）", "<": ">", "⟨": "⟩"}
_ROLES = {
    **dict.fromkeys(RELATIONS, "relation"),
    **dict.fromkeys(SUBJECTS, "subject"),
    **dict.fromkeys(OBJECTS, "object"),
}
"""Plain key → the part of a triple."""
_FIRST_FIELDS = frozenset(
    ("subject", "subj", "head", "headentity", "subjectentity", "entity1", "主体", "主语", "头实体", "实体1")
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an answer; `ended` unless the answer stops in it for want of room."""

    text: str
    place: str
    ended: bool = True


class LineReader:
    """Reads lines one after the other; a table's head and the fields of a record span several.

    Args:
        items: makes statements of rows and records.
    """

    def __init__(self, items: Items) -> None:
        self._items = items
        self._head: list[str] = []
        self._separator = ""
        self._record: dict[str, object] = {}
        self._record_place = ""

    def read(self, line: Line) -> Iterator[Candidate]:
        """The candidates that end in this line; nothing for prose."""
        text = line.text.strip()
        if not text:
            yield from self.end()
            return
        bare = text[_match_end(_BULLET, text) :].strip()
        if self._record and (field := _field(bare)) is None:
            yield from self.end()
        if len(fields := _fields(bare)) > 2:
            yield from self._add_field(fields[0], bare, line)
            return
        if found := _table_cells(text):
            yield from self._row(found[1], found[0], line)
            return
        self._head = self._head if self._separator in (",", "\t", ";") else []
        if self._head and (cells := _split(text, self._separator)) and len(cells) >= len(self._head) - 1:
            yield from self._row(cells, self._separator, line)
            return
        self._head = []
        if head := _head(text):
            self._separator, self._head = head
        elif bare[:1] in _OPENERS and (tuples := self._tuples(bare, line)):
            yield from tuples
        elif _HAS_ARROW.search(bare):
            yield self._arrow(bare, line)
        elif (field := _field(bare)) is not None:
            yield from self._add_field(field, bare, line)
        elif "\t" in text and len(cells := [c for c in text.split("\t") if c.strip()]) in (3, 4):
            yield from self._statement(cells, line)
        elif bare != text and len(parts := _DASHED.split(bare)) == 3:
            yield from self._statement(parts, line)

    def end(self) -> Iterator[Candidate]:
        """What is left when the text ends, or another shape begins."""
        self._head = []
        if self._record:
            record, self._record = self._record, {}
            yield from self._items.record(record, self._record_place)

    # ---- one line ---------------------------------------------------------------------------------------------------

    def _statement(self, parts: Sequence[object], line: Line) -> Iterator[Candidate]:
        if not line.ended or any(isinstance(p, str) and _is_open(p) for p in parts):
            yield Unfit("cut off", line.place, shown(line.text))
            return
        values = [clean(p) if isinstance(p, str) else p for p in parts]
        if len(values) == 3 or (len(values) == 4 and values[3] != ""):
            yield from self._items.row(list(values), line.place, line.text)
        else:
            reason = f"{len(values)} values instead of subject, relation, object"
            yield Unfit(reason, line.place, shown(line.text))

    def _tuples(self, text: str, line: Line) -> list[Candidate]:
        """`(A, r, B)`, several of them too; none if it is prose in brackets."""
        found: list[Candidate] = []
        at = 0
        while at < len(text):
            if text[at] not in _OPENERS:
                break
            end = _closing(text, at)
            if end < 0:
                cut = Unfit("cut off", line.place, shown(text[at:]))
                return [*found, cut] if found or len(_values(text[at + 1 :])) > 1 else []
            values = _values(text[at + 1 : end])
            if len(values) < 2 and not found:
                return []
            found += self._statement(values, Line(text[at : end + 1], line.place))
            at = end + 1 + _match_end(_BETWEEN_TUPLES, text[end + 1 :])
        return found

    def _arrow(self, text: str, line: Line) -> Candidate:
        if len(text) > _MAX_ARROW:
            return Unfit(f"an arrow in a line of {len(text):,} characters", line.place, shown(text))
        text = " ".join(text.split())
        match = next((m for pattern in _ARROWS if (m := pattern.fullmatch(text))), None)
        if match is None:
            return Unfit("an arrow, but no subject, relation and object", line.place, shown(text))
        ends: list[object] = []
        for end in (match["s"], match["o"]):
            if len(_HAS_ARROW.findall(end)):
                return Unfit("more than subject, relation and object", line.place, shown(text))
            node = _CYPHER_NODE.fullmatch(end.strip())
            ends.append({"name": node["name"], "type": node["type"] or ""} if node and node["name"] else end)
        return next(iter(self._statement([ends[0], match["r"].strip("-[]: "), ends[1]], line)))

    # ---- tables and records -----------------------------------------------------------------------------------------

    def _row(self, cells: list[str], separator: str, line: Line) -> Iterator[Candidate]:
        if _RULE.fullmatch(line.text.strip()):
            return
        roles = [_ROLES.get(plain_key(c), "") for c in cells]
        if {"subject", "relation", "object"} <= set(roles) or (not self._head and sum(map(bool, roles)) == len(roles)):
            self._head, self._separator = [c.strip() for c in cells], separator
            return
        if (
            not line.ended
            or (separator != "|" and line.text.count('"') % 2)
            or (separator == "|" and line.text.lstrip()[:1] == "|" and line.text.rstrip()[-1:] != "|")
        ):
            yield Unfit("cut off", line.place, shown(line.text))
        elif self._head and len(cells) == len(self._head):
            yield from self._items.record(dict(zip(self._head, map(clean, cells), strict=True)), line.place)
        elif self._head:
            yield Unfit(f"{len(cells)} cells instead of {len(self._head)}", line.place, shown(line.text))
        else:
            yield from self._statement(cells, line)

    def _add_field(self, field: tuple[str, str], text: str, line: Line) -> Iterator[Candidate]:
        """One `key: value` of a record; a key that is there already begins the next."""
        fields = _fields(text)
        for key, value in fields or [field]:
            role = _ROLES.get(plain_key(key), plain_key(key))
            if role in self._record or (role == "subject" and self._record):
                yield from self.end()
            if not self._record and plain_key(key) not in _FIRST_FIELDS:
                return
            if not self._record:
                self._record_place = line.place
            if not line.ended:
                self._record.clear()
                yield Unfit("cut off", line.place, shown(text))
                return
            self._record[role] = clean(value.rstrip(" ,;|"))


def _is_open(text: str) -> bool:
    """Whether emphasis or a bracket begins in a text that does not end in it."""
    return text.count("**") % 2 == 1 or any(text.count(a) > text.count(b) for a, b in ("()", "（）"))


def _match_end(pattern: re.Pattern[str], text: str) -> int:
    match = pattern.match(text)
    return match.end() if match else 0


def _table_cells(text: str) -> tuple[str, list[str]] | None:
    """The separator and cells of a line with bars, if it is one."""
    if text.count("|") < 2 and not (text.startswith("|") or text.endswith("|")):
        return None
    if re.search(r"<\|", text):
        return None
    return "|", [c.strip() for c in text[_match_end(re.compile(r"\s*[-*•]\s+"), text) :].strip().strip("|").split("|")]


def _head(text: str) -> tuple[str, list[str]] | None:
    """The separator and names of a head such as `subject,relation,object`."""
    for separator in ("\t", ",", ";"):
        names = [c.strip().strip('"') for c in text.split(separator)]
        roles = {_ROLES.get(plain_key(n)) for n in names}
        if {"subject", "relation", "object"} <= roles:
            return separator, names
    return None


def _split(text: str, separator: str) -> list[str]:
    return next(csv.reader([text], delimiter=separator), [])


def _closing(text: str, start: int) -> int:
    """Where the bracket at `start` closes; -1 if it does not."""
    opening, closing = text[start], _OPENERS[text[start]]
    depth = 0
    for at in range(start, len(text)):
        if text[at] == opening:
            depth += 1
        elif text[at] == closing and not (closing == ">" and text[at - 1] in "-="):
            depth -= 1
            if not depth:
                return at
    return -1


def _values(text: str) -> list[str]:
    """What stands between semicolons, bars or commas, whichever there are two of, unless in quotes or brackets."""
    best: list[str] = []
    for separators in (";；", "|", ",，、"):
        parts: list[str] = []
        start, depth, quote, blank = 0, 0, "", True
        for at, character in enumerate(text):
            at_start, blank = blank, blank and character.isspace()
            if quote:
                quote = "" if character == quote else quote
            elif character in "\"'“" and at_start:
                quote = "”" if character == "“" else character
            elif character in "([（":
                depth += 1
            elif character in ")]）":
                depth -= 1
            elif character in separators and not depth:
                parts.append(text[start:at])
                start, blank = at + 1, True
        parts.append(text[start:])
        if len(parts) >= 3:
            return parts
        best = max(best, parts, key=len)
    return best


def _field(text: str) -> tuple[str, str] | None:
    """`key: value`, if the key is a known part of a triple or may belong to one."""
    match = _FIELD.fullmatch(text)
    return (match[1], match[2]) if match else None


def _fields(text: str) -> list[tuple[str, str]]:
    """The fields of a line such as `Subject: A, Predicate: r, Object: B`; none if there is only one."""
    starts = [m for m in re.finditer(r"(?:^|[,;|，；]\s*)[\"'*_`]*([\w ]{1,24}?)[\"'*_`]*\s*[:：]\s*", text)
              if plain_key(m[1]) in _ROLES]  # fmt: skip
    if len(starts) < 2:
        return []
    ends = [*(m.start() for m in starts[1:]), len(text)]
    return [(m[1], text[m.end() : end]) for m, end in zip(starts, ends, strict=True)]
