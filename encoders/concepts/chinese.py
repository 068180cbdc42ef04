"""Chinese names in text: where they stand as they are written, the longest first; and what the text says of them.

Chinese has no blanks between words, so names are found by an Aho–Corasick automaton. Of what is said around a name the
clause decides: `无发热、咳嗽` excludes both, `妈妈有哮喘` is the mother's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ahocorasick_rs import AhoCorasick, MatchKind

from encoders.concepts.context import Status

IDEOGRAPH = re.compile(r"[\u3400-\u9fff]")
_CLAUSE = re.compile(r"[，,。；;！!？?\n：:]|但是?|却|不过|后来")
_EXCLUDED = re.compile(
    r"(?:否认|未见|未闻及|没有|没出现|不伴有?|不存在|排除|并?无|没|不|未|非)(?:明显|任何|再|太|怎么|见|诉|出现|有|发)*$"
)
_EXCLUDED_AFTER = re.compile(r"^(?:[:：]?\s*(?:阴性|[（(]\s*[-—]\s*[)）]|不明显|消失|没有了|已?好了|正常))")
_FAMILY = re.compile(r"妈妈|爸爸|母亲|父亲|父母|哥哥|姐姐|弟弟|妹妹|爷爷|奶奶|外公|外婆|姥姥|姥爷|家族|家人|同学|大人")
_UNCERTAIN = re.compile(r"疑似|可能|怀疑|考虑|也许|好像|似乎|不知道?是不是|是否|是不是|会不会|算不算|待排")
_HYPOTHETICAL = re.compile(r"如果|要是|万一|假如|预防|以防|避免|防止|会导致|会引起|担心|害怕|怕")


class ChineseNames:
    """Names that are found as they are written.

    Args:
        names: at least one, each once.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._automaton = AhoCorasick(names, matchkind=MatchKind.LeftmostLongest)

    def find(self, text: str) -> list[tuple[int, int, int]]:
        """Number of the name, start and end of each that stands in a text; none overlaps another."""
        return [(number, start, end) for number, start, end in self._automaton.find_matches_as_indexes(text)]


def chinese_statuses(text: str, spans: Iterable[tuple[int, int]]) -> list[Status]:
    """What a Chinese text says of each of its spans: the first of excluded, hypothetical, family, uncertain."""
    return [_status(text, start, end) for start, end in spans]


def _status(text: str, start: int, end: int) -> Status:
    begin = max((gap.end() for gap in _CLAUSE.finditer(text, max(0, start - 60), start)), default=max(0, start - 60))
    gap = _CLAUSE.search(text, end)
    before, after = text[begin:start], text[end : gap.start() if gap else len(text)]
    if _EXCLUDED_AFTER.match(text[end : end + 8]) or _excluded(before):
        return "excluded"
    if _HYPOTHETICAL.search(before):
        return "hypothetical"
    if _FAMILY.search(before):
        return "family"
    if _UNCERTAIN.search(before) or after.startswith(("吗", "么", "？")):
        return "uncertain"
    return "present"


def _excluded(before: str) -> bool:
    """Whether a negation ends right before, or before a list that goes on up to here."""
    if _EXCLUDED.search(before):
        return True
    head, mark, _ = before.rpartition("、")
    while mark:
        for length in range(1, min(9, len(head)) + 1):
            if _EXCLUDED.search(head[:-length]):
                return True
        head, mark, _ = head.rpartition("、")
    return False
