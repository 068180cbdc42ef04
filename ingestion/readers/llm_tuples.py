"""GraphRAG's tuples (Edge et al., From Local to Global, 2024), and what LightRAG and LlamaIndex made of them.

`("entity"<|>NAME<|>TYPE<|>description)##("relationship"<|>A<|>B<|>description<|>8)<|COMPLETE|>`, with other delimiters
and without brackets as well. They name no relation: it is looked for in the words about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ingestion.readers.llm_candidates import Candidate, End, Statement, Thing, Unfit, shown
from ingestion.readers.llm_words import NOTHING, clean

_DELIMITER = re.compile(r"\{tuple_delimiter\}|<\|[#|]*>|<\|#\|>|<SEP>|\${4}")
_START = re.compile(
    r"""(?:(?P<open>[(（])\s*+["'“”]?|["'“”]|\b)(?P<kind>entity|relationship|relation)["'“”]?\s*(?=\{tuple_delimiter\}|<\|[#|]*>|<SEP>|\${4})""",
    re.IGNORECASE,
)
_BEGUN = re.compile(r"""(?:^|[\n#}])\s{0,4}[(（]\s{0,4}["'“]?[a-z]*["'”]?\s*(?:[<{$][^()\n]{0,20})?\Z""", re.IGNORECASE)
"""A record of which not even the kind is whole."""
_COMPLETE = re.compile(r"<\|COMPLETE\|>|\{completion_delimiter\}", re.IGNORECASE)


def has_tuples(text: str) -> bool:
    """Whether a text holds records of this kind."""
    return _START.search(text) is not None


def read_tuples(text: str, first_line: int, prefix: str) -> Iterator[Candidate]:
    """The records of a text, those of relationships with the types that the text gives their ends.

    Args:
        text: a part of an answer.
        first_line: number of the text's first line.
        prefix: of the places.
    """
    starts = list(_START.finditer(text))
    ends = [*(m.start() for m in starts[1:]), len(text)]
    records = [_record(text, m, end, last=m is starts[-1]) for m, end in zip(starts, ends, strict=True)]
    types: dict[str, str] = {}
    for start, fields in zip(starts, records, strict=True):
        if fields is not None and start["kind"].casefold() == "entity" and len(fields) >= 2:
            types.setdefault(fields[0].casefold(), fields[1])
    line, counted = first_line, 0
    for start, end, fields in zip(starts, ends, records, strict=True):
        line += text.count("\n", counted, start.start())
        counted = start.start()
        shown_ = shown(text[start.start() : end].strip())
        yield _candidate(start["kind"].casefold(), fields, types, f"{prefix}L{line}", shown_)
    if starts and (rest := _BEGUN.search(text, starts[-1].end())):
        line += text.count("\n", counted, rest.start())
        yield Unfit("cut off", f"{prefix}L{line}", shown(rest[0].strip()))


def _record(text: str, start: re.Match[str], end: int, *, last: bool) -> list[str] | None:
    """The fields behind the kind; None if the text breaks off in them."""
    body = text[start.end() : end]
    complete = not last or _COMPLETE.search(body) is not None
    if last and (mark := _COMPLETE.search(body)):
        body = body[: mark.start()]
    body = body.rstrip(" \t\r\n,#").removesuffix("{record_delimiter}").rstrip()
    if start["open"]:
        at = max(body.rfind(")"), body.rfind("）"))
        if at < 0 and not complete:
            return None
        body = body[:at] if at >= 0 else body
    elif last:
        if not complete and "\n" not in text[start.end() : end]:
            return None
        body = body.split("\n", 1)[0]
    return [clean(f) for f in _DELIMITER.split(body)[1:]]


def _candidate(kind: str, fields: list[str] | None, types: dict[str, str], place: str, text: str) -> Candidate:
    if fields is None:
        return Unfit("cut off", place, text)
    needed = 2 if kind == "entity" else 3
    if len(fields) < needed:
        return Unfit(f"too few fields of a record: {len(fields)}", place, text)
    if fields[0].casefold() in NOTHING:
        return Unfit("no name", place, text)
    if kind == "entity":
        return Thing(End(fields[0], type=fields[1]), place, text, fields[2] if len(fields) > 2 else "")
    if fields[1].casefold() in NOTHING:
        return Unfit("no object", place, text)
    ends = [End(f, type=types.get(f.casefold(), "")) for f in fields[:2]]
    about = [f for f in fields[2:] if f]
    extras: dict[str, object] = {}
    if len(about) > 1 and _is_number(about[-1]):
        extras["strength"] = float(about.pop())
    if not about:
        return Unfit("no relation", place, text)
    return Statement(ends[0], "", ends[1], place, text, extras, tuple(about))


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d{1,6}(?:\.\d{1,6})?", text) is not None
