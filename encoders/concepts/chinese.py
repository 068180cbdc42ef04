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
    r"(?:否认|未见|未闻及|(?<!有)没有|没出现|不伴有?|不存在|不考虑|排除|(?<!有)并?无|(?<!有)没|(?<!是)不|未|非)"
    r"(?:明显|任何|什么|特别|再|太|怎么|见|诉|出现|有|发|曾|是|过|的)*\s*$"
)
_EXCLUDED_AFTER = re.compile(
    r"^(?:[:：]?\s*(?:阴性|[（(]\s*[-—－–−]\s*[)）]|不明显|消失|没有了|退了|已退|已?经?好了|正常)|[:：]\s*(?:无|没有|否|未见|[-—－–−]))"
)
_FAMILY = re.compile(
    r"(?:妈妈|爸爸|母亲|父亲|父母|哥哥|姐姐|弟弟|妹妹|爷爷|奶奶|外公|外婆|姥姥|姥爷|家族|家人|家长|家属|同学|大人)"
    r"(?!说|讲|称|发现|反映|代?诉|描述|告诉|觉得|注意到|观察|看到|带|抱|送|担心|怀疑)"
)
_PATIENT = re.compile(r"孩子|宝宝|宝贝|患儿|小孩|患者|病人|本人|儿子|女儿")
_UNCERTAIN = re.compile(r"疑似|可能|怀疑|考虑|也许|好像|似乎|不知道?是不是|是否|是不是|有没有|有无|会不会|算不算")
_UNCERTAIN_AFTER = ("吗", "么", "?", "？", "待排", "待查", "可能", "不排除", "(?)", "（？）")
_HYPOTHETICAL = re.compile(
    r"如果|要是|万一|假如|预防(?!针|接种)|以防|避免|防止|会导致|会引起|担心|害怕|怕(?![冷热光黑生水吵])"
)
_NEGATION = re.compile(r"[否未没无不排非]")
_LISTED = re.compile(r"、|或者?|以?及|和|与|/")
_FAR = 60
"""Characters before and after a name that are looked at."""


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
    far = max(0, start - _FAR)
    begin = max((gap.end() for gap in _CLAUSE.finditer(text, far, start)), default=far)
    before, after = text[begin:start], text[end : end + 8]
    own = max((found.end() for found in _PATIENT.finditer(before)), default=0)
    if _EXCLUDED_AFTER.match(after) or _excluded(before):
        return "excluded"
    if _HYPOTHETICAL.search(before):
        return "hypothetical"
    if _FAMILY.search(before, own):
        return "family"
    if _UNCERTAIN.search(before) or after.startswith(_UNCERTAIN_AFTER):
        return "uncertain"
    return "present"


def _excluded(before: str) -> bool:
    """Whether a negation ends right before, or before a list that goes on up to here."""
    if not _NEGATION.search(before):
        return False
    if _EXCLUDED.search(before):
        return True
    for mark in _LISTED.finditer(before):
        head = before[: mark.start()]
        if any(_EXCLUDED.search(head[:-length]) for length in range(1, min(9, len(head)) + 1)):
            return True
    return False
