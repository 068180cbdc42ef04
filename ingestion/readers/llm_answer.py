"""One answer of a language model: finds what is data in it, among prose, fences and thoughts, and reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ingestion.readers.llm_candidates import Candidate, Unfit, shown
from ingestion.readers.llm_items import Items
from ingestion.readers.llm_lines import Line, LineReader
from ingestion.readers.llm_structure import CUT, NestingError, Parsed, parse, parse_json, unescape
from ingestion.readers.llm_tuples import has_tuples, read_tuples

_THOUGHT = re.compile(r"<(think|thinking|thought|reasoning|scratchpad)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_THOUGHT_END = re.compile(r"\A.*</(?:think|thinking|thought|reasoning)>", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[ \t]*[\w+.-]*[ \t]*|(?<!`)`{3,}+[ \t]*+$", re.MULTILINE)
_LABELLED = re.compile(r"\s*(?:(?:[-*•>]|\d{1,3}[.)、])\s+)?(?:[^\n\[{【｛]{0,200}[:：=]\s*|json\s*)?[*`]{0,3}")
_OPENING = re.compile(r"[\[{【｛]")
_DATA_START = re.compile(r"[\[{【｛]\s*[\"'“‘「\[{(【｛（]")
_BARE_QUOTE = re.compile(r'(?<!\\)"')
_MAX_TEXTS = 3
"""Texts within texts that are read."""
_CUT_OFF = "cut off"


class AnswerReader:
    """Reads the candidates of answers.

    Args:
        is_relation: whether a text names a relation.
    """

    def __init__(self, is_relation: Callable[[str], bool]) -> None:
        self._items = Items(self._inner_text, is_relation)
        self._depth = 0

    def read(self, text: str, prefix: str = "", *, complete: bool = True) -> Iterator[Candidate]:
        """The candidates of an answer in order; one `Unfit` for the whole answer if it has none.

        Args:
            text: the answer.
            prefix: of the places: what leads to the answer in its document.
            complete: False if it is known that the model was stopped before its end.
        """
        found = False
        for candidate in self._text(text.removeprefix("\ufeff"), prefix, complete=complete):
            found = True
            yield candidate
        if not found:
            yield Unfit("no triple in the answer", prefix.rstrip("/") or "L1", shown(text.strip()))

    def read_value(self, value: object, place: str) -> Iterator[Candidate]:
        """The candidates of an answer that is parsed already."""
        found = False
        for candidate in self._items.read(value, place):
            found = True
            yield candidate
        if not found:
            yield Unfit("no triple in the answer", place, shown(value))

    def _inner_text(self, text: str, place: str) -> Iterator[Candidate]:
        """The candidates of a text that is a value within an answer."""
        if self._depth >= _MAX_TEXTS:
            return
        self._depth += 1
        try:
            yield from self._text(text, f"{place}/", complete=True)
        finally:
            self._depth -= 1

    def _text(self, text: str, prefix: str, *, complete: bool) -> Iterator[Candidate]:
        text = _THOUGHT_END.sub(_blanked, _THOUGHT.sub(_blanked, text))
        whole = text.strip()
        inside = whole.strip('"') if whole.startswith('"') else whole
        if '\\"' in inside and not _BARE_QUOTE.search(inside):
            text = whole = _unquoted(inside)
        if whole[:1] in ("[", "{", '"'):
            try:
                value = parse_json(whole)
            except (ValueError, RecursionError):
                pass
            else:
                yield from (
                    self._inner_text(value, prefix.rstrip("/"))
                    if isinstance(value, str)
                    else self._items.read(value, prefix.rstrip("/"))
                )
                return
        if prefix and "\n" not in whole:
            yield from self._segment(_FENCE.sub(" ", text), 0, prefix, complete=complete)
            return
        first_line, at = 1, 0
        marks = [*_FENCE.finditer(text), None]
        for mark in marks:
            end = mark.start() if mark else len(text)
            segment = text[at:end]
            if segment.strip():
                ended = mark is not None or (complete and len(marks) % 2 == 1)  # not within a fence
                yield from self._segment(segment, first_line, prefix, complete=ended)
            if mark:
                first_line += text.count("\n", at, mark.end())
                at = mark.end()

    def _segment(self, text: str, first_line: int, prefix: str, *, complete: bool) -> Iterator[Candidate]:
        """The candidates between two fences; `first_line` is 0 if the text has but one, which its prefix names."""
        if has_tuples(text):
            yield from read_tuples(text, first_line, prefix)
            return
        lines = LineReader(self._items)
        at, number, counted = 0, first_line, 0
        while at < len(text):
            number += text.count("\n", counted, at)
            counted = at
            place = f"{prefix}L{number}" if first_line else prefix.rstrip("/")
            line_end = text.find("\n", at)
            line_end = len(text) if line_end < 0 else line_end
            try:
                block = _block(text, at, line_end)
            except NestingError as error:
                yield Unfit(str(error), place, shown(text[at:]))
                return
            if block is None:
                ended = complete or line_end < len(text)
                yield from lines.read(Line(text[at:line_end], place, ended))
                at = line_end + 1
                continue
            yield from lines.end()
            yield from self._parsed(block, place, text[at : block.end])
            at = block.end
            while at < len(text) and text[at] in " \t,;，；。.":
                at += 1
        yield from lines.end()

    def _parsed(self, block: Parsed, place: str, text: str) -> Iterator[Candidate]:
        """The candidates of a bracket; a text that ends in it gives one `Unfit`, whether that hit an item or not."""
        value = block.value
        if isinstance(value, str):
            yield Unfit("neither JSON nor anything like it", place, shown(value))
            return
        reported = False
        for candidate in self._items.read(value, place):
            reported = reported or (isinstance(candidate, Unfit) and candidate.reason == _CUT_OFF)
            yield candidate
        if block.cut and not reported:
            yield Unfit("the answer breaks off", place, shown(text[-200:]))


def _unquoted(text: str) -> str:
    """An answer that is the inside of a JSON string, cut off maybe."""
    try:
        return str(parse_json(f'"{text}"'))
    except ValueError:
        return unescape(text)


def _blanked(match: re.Match[str]) -> str:
    """Blanks of the same lines."""
    return "\n" * match[0].count("\n")


def _block(text: str, at: int, line_end: int) -> Parsed | None:
    """The bracket that begins in this line, if it holds data and is no part of prose."""
    start = _OPENING.search(text, at, line_end)
    if start is None:
        return None
    labelled = _LABELLED.fullmatch(text, at, start.start()) is not None
    if not labelled and not (start := _DATA_START.search(text, at, line_end)):
        return None
    block = parse(text, start.start())
    return block if _is_data(block, text[start.start() : block.end]) else None


def _is_data(block: Parsed, text: str) -> bool:
    value = block.value
    if isinstance(value, str):
        return text.count('"') + text.count(":") > 1
    if isinstance(value, list | tuple):
        rest = [v for v in value if v != CUT]
        has_inner = any(isinstance(v, list | tuple | dict) for v in rest)
        return has_inner or len(rest) > 2 or (block.cut and bool(re.search(r"[\"'“,，]", text[:200])))
    return isinstance(value, dict) and bool(value) and (":" in text or "：" in text)
