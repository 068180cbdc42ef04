"""Cypher text → tokens.

Stricter than the lexers of Neo4j and ArcadeDB: what they might read in two ways is refused. Outside strings, comments
and names there are ASCII characters only; names have no escapes; strings are decoded here and never sent as text.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum, auto
from typing import NamedTuple

from api.cypher.refusal import CypherRefused

MAX_TEXT = 20_000
"""Characters of a query: room for a list of 1,000 HPO ids, and parsed in well under 100 ms."""

MAX_NAME = 128
_MAX_INTEGER = 2**63 - 1


class Kind(Enum):
    """What a token is."""

    WORD = auto()
    """A keyword or an unquoted name."""
    QUOTED = auto()
    """A name in backticks; its value is without them."""
    STRING = auto()
    """A string; its value is decoded."""
    INTEGER = auto()
    FLOAT = auto()
    SYMBOL = auto()
    END = auto()


class Token(NamedTuple):
    """One token; `upper` is the keyword that an ASCII word may be (else empty), `start` and `end` are offsets."""

    kind: Kind
    value: str
    upper: str
    start: int
    end: int


_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|//[^\r\n]*|/\*.*?\*/)
    |(?P<word>[^\W\d]\w*)
    |(?P<quoted>`[^`]*`)
    |(?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<float>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
    |(?P<integer>0x[0-9a-fA-F]+|0|[1-9][0-9]*)
    |(?P<symbol>\.\.|<>|<=|>=|=~|\|\||/(?!\*)|[-()\[\]{},.:;|+*%^=<>$&!])""",
    re.VERBOSE | re.DOTALL,
)
_KINDS = {
    "word": Kind.WORD,
    "quoted": Kind.QUOTED,
    "string": Kind.STRING,
    "float": Kind.FLOAT,
    "integer": Kind.INTEGER,
    "symbol": Kind.SYMBOL,
}
_NAME = re.compile(r"[\w.: -]+")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {"\\": "\\", "'": "'", '"': '"', "`": "`", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_LINE_END = re.compile(r"\r\n|\r|\n")
_UNCLOSED = {"'": "a string", '"': "a string", "`": "a name in backticks", "/*": "a comment"}


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of a character of the text."""
    ends = [match.end() for match in _LINE_END.finditer(text, 0, offset)]
    return len(ends) + 1, offset - (ends[-1] if ends else 0) + 1


def tokenize(text: str) -> list[Token]:
    """Splits a query; white space and comments are dropped; the last token is an END.

    Raises:
        CypherRefused: too long, or a character, name, number or string that is not read safely.
    """
    if len(text) > MAX_TEXT:
        raise CypherRefused(f"the query has {len(text):,} characters; at most {MAX_TEXT:,} are read", 1, 1)
    for offset, char in enumerate(text):
        if char not in "\t\n\r" and unicodedata.category(char) in ("Cc", "Cs"):
            raise CypherRefused(f"{_describe(char)} is not read anywhere in a query", *place(text, offset))
    tokens: list[Token] = []
    offset = 0
    while offset < len(text):
        match = _TOKEN.match(text, offset)
        if match is None:
            raise CypherRefused(_unreadable(text, offset), *place(text, offset))
        name = match.lastgroup or ""
        if name != "space":
            tokens.append(_token(text, _KINDS[name], match.group(), offset))
        offset = match.end()
    tokens.append(Token(Kind.END, "", "", len(text), len(text)))
    return tokens


def _token(text: str, kind: Kind, raw: str, start: int) -> Token:
    value, upper = raw, ""
    if kind is Kind.WORD:
        upper = raw.upper() if raw.isascii() else ""
    elif kind is Kind.QUOTED:
        value = raw[1:-1]
        if not _NAME.fullmatch(value):
            reason = "a name in backticks has letters, digits, spaces and _ - . : only, and is not empty"
            raise CypherRefused(reason, *place(text, start))
    elif kind is Kind.STRING:
        value = _decode(text, raw, start)
    elif kind is Kind.INTEGER and int(raw, 0) > _MAX_INTEGER:
        raise CypherRefused("the integer does not fit into 64 bits", *place(text, start))
    end = start + len(raw)
    if kind in (Kind.WORD, Kind.QUOTED) and len(value) > MAX_NAME:
        raise CypherRefused(f"a name has at most {MAX_NAME} characters", *place(text, start))
    if kind in (Kind.INTEGER, Kind.FLOAT) and end < len(text) and (text[end].isalnum() or text[end] == "_"):
        raise CypherRefused("letters right after a number, or a number with leading zero", *place(text, start))
    return Token(kind, value, upper, start, end)


def _decode(text: str, raw: str, start: int) -> str:
    def character(match: re.Match[str]) -> str:
        code = match.group(1)
        if len(code) == 5:
            return chr(int(code[1:], 16))
        if code not in _ESCAPES:
            raise CypherRefused(f"unknown escape \\{code} in a string", *place(text, start + 1 + match.start()))
        return _ESCAPES[code]

    value = _ESCAPE.sub(character, raw[1:-1])
    try:
        return value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise CypherRefused("half a surrogate pair in a string", *place(text, start)) from None


def _unreadable(text: str, offset: int) -> str:
    for opening, what in _UNCLOSED.items():
        if text.startswith(opening, offset):
            return f"{what} is not closed"
    if text.startswith("\\", offset):
        return "a backslash (unicode escapes are read inside strings only)"
    return f"{_describe(text[offset])} is not read outside strings and comments"


def _describe(char: str) -> str:
    name = unicodedata.name(char, "control character" if unicodedata.category(char) == "Cc" else "character")
    return f"U+{ord(char):04X} ({name.lower()})"
