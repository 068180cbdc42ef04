"""Values out of brackets as language models write them: JSON, Python, or nearly so, and maybe cut off.

Strict JSON comes first, then a Python literal. What is neither is read bracket by bracket (comments, trailing or
missing commas, single, curly or missing quotes, full-width punctuation), and a bracket whose inside fits nothing is
left to `json_repair`. A bracket that the text ends in is marked `CUT`, so that no half item passes for a whole one.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import json_repair

CUT = "\0cut"
"""Key, or last value, of what the text breaks off in."""
TWICE = "\0twice"
"""Key under which an object names the key that it has twice, with different values."""
STRAY = "\0stray"
"""Key under which an object keeps the containers that stand in it without a key."""
MAX_DEPTH = 60

_MAX_LITERAL = 1 << 18
"""Characters beyond which Python's parser, and the repair of one bracket, would take too much memory and time."""
_WIDE = str.maketrans("［］【】｛｝（），：；、", "[][]{}(),:;,")
_CLOSING = {"[": "]", "{": "}", "(": ")"}
_QUOTES = {'"': '"', "'": "'", "“": '”"', "‘": "’'", "「": "」", "`": "`"}
_TOKEN = re.compile(
    r"""(?P<blank>\s+|//[^\n]*|/\*.*?(?:\*/|\Z)|(?:(?<=\s)|(?<=,)|^)\#[^\n]*)
      |(?P<open>[\[{(［【｛（])|(?P<close>[\]})］】｝）])|(?P<comma>[,，;；])|(?P<colon>[:：])|(?P<quote>["'“‘「`])
      |(?P<word>(?:(?!//|/\*)[^\s\[\]{}()［］【】｛｝（）,，;；:："“])+?(?=[\s\[\]{}()［］【】｛｝（）,，;；:："“]|//|/\*|\Z))""",
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_ENDS_STRING = re.compile(r"\s*+(?:[\]}),:;］】｝），：；]|\Z|//|/\*|\#|=>)|\s++[\"'“‘「]")
_LOST_QUOTE = re.compile(r"[^\n]*[\]}][ \t]*+,?[ \t\r]*+\n")
_SIMPLE_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": ""}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_CONSTANTS: dict[str, object] = dict.fromkeys(("null", "none", "nan", "undefined", "n/a", "-nan"))
_CONSTANTS |= {"true": True, "false": False}


class NestingError(ValueError):
    """Brackets within brackets, beyond `MAX_DEPTH`."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """One outermost bracket.

    Attributes:
        end: where the text goes on behind it.
        cut: the text ends before it does.
    """

    value: object
    end: int
    cut: bool = False


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object out of its pairs; lists under one key are joined, other values marked `TWICE`."""
    found = dict(pairs)
    if len(found) < len(pairs):
        found = {}
        for name, value in pairs:
            before = found.get(name, value)
            if isinstance(before, list) and isinstance(value, list) and before is not value:
                value = before + value
            elif before != value:
                found[TWICE] = name
            found[name] = value
    return found


_STRICT = json.JSONDecoder(object_pairs_hook=unique, parse_constant=lambda name: None if name == "NaN" else float(name))


def parse_json(text: str) -> object:
    """Strict JSON, NaN as null.

    Raises:
        ValueError, RecursionError: it is none.
    """
    return _STRICT.decode(text)


def parse(text: str, start: int) -> Parsed:
    """The value of the bracket at `start`.

    Raises:
        NestingError: it goes too deep.
    """
    try:
        value, end = _STRICT.raw_decode(text, start)
    except (ValueError, RecursionError):
        pass
    else:
        return Parsed(value, end)
    root = _Scan(text, start).run()
    # Python's parser warns of backslashes that mean nothing.
    if root.closed and root.end - start <= _MAX_LITERAL and "\\" not in text[start : root.end]:
        try:
            return Parsed(_literal(text[start : root.end]), root.end)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            pass
    return Parsed(_build(root, text), root.end, not root.closed)


def _literal(text: str) -> object:
    """A Python literal.

    Raises:
        ValueError, SyntaxError, TypeError, MemoryError, RecursionError: it is none, or has a key twice.
    """
    tree = ast.parse(text, mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Set):
            raise ValueError("a set has no order")
        if isinstance(node, ast.Dict):
            keys = [k.value for k in node.keys if isinstance(k, ast.Constant)]
            if len(set(keys)) < len(node.keys):
                raise ValueError("a key is there twice")
    return ast.literal_eval(tree)


# ---- bracket by bracket ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Token:
    """kind: `value`, `word`, `:`, `,` or `box`; `open` values are strings that the text ends in."""

    kind: str
    value: object = None
    start: int = 0
    end: int = 0


@dataclass(slots=True)
class _Box:
    kind: str
    start: int
    tokens: list[_Token] = field(default_factory=list)
    end: int = -1
    closed: bool = False


class _Scan:
    """Finds the brackets that belong together, strings left out."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._at = start
        self._stack: list[_Box] = []
        self._before = ","
        """Kind of the token before: a quote opens a string only where a value may start."""

    def run(self) -> _Box:
        """The outermost bracket.

        Raises:
            NestingError: there are more than `MAX_DEPTH` within each other.
        """
        text = self._text
        root: _Box | None = None
        while self._at < len(text):
            match = _TOKEN.match(text, self._at)
            if match is None:
                self._add("word", text[self._at], self._at + 1)
                continue
            kind, start, end = match.lastgroup, match.start(), match.end()
            character = match[0].translate(_WIDE)
            if kind == "blank":
                self._at = end
            elif kind == "open" and (character != "(" or self._before in ",:"):
                if len(self._stack) > MAX_DEPTH:
                    raise NestingError("nested too deeply")
                self._stack.append(box := _Box(character, start))
                root = root or box
                self._at, self._before = end, ","
            elif kind == "close" and self._close(character, end):
                if root is not None and root.closed:
                    return root
            elif kind in ("comma", "colon"):
                self._add("," if kind == "comma" else ":", None, end)
            elif kind == "quote" and self._opens_string(start):
                self._string(start)
            else:
                self._add("word", match[0], end)
        assert root is not None  # noqa: S101 (the text starts with a bracket)
        while self._stack:
            self._pop(len(text), closed=False)
        return root

    def _add(self, kind: str, value: object, end: int) -> None:
        self._stack[-1].tokens.append(_Token(kind, value, self._at, end))
        self._at, self._before = end, kind

    def _close(self, character: str, end: int) -> bool:
        """Closes the innermost bracket of this kind, and those that were left open in it; False if there is none."""
        depth = next((n for n, box in enumerate(reversed(self._stack)) if _CLOSING[box.kind] == character), None)
        if depth is None:
            if character == ")":
                return False
            self._at = end
            return True
        for _ in range(depth):
            self._pop(self._at, closed=True)
        self._at = end
        self._pop(end, closed=True)
        return True

    def _pop(self, end: int, *, closed: bool) -> None:
        box = self._stack.pop()
        box.end, box.closed = end, closed
        if self._stack:
            self._stack[-1].tokens.append(_Token("box", box, box.start, end))
        self._before = "box"

    def _opens_string(self, start: int) -> bool:
        if self._before in (",", ":", "value"):
            return True
        line = self._text[self._text.rfind("\n", 0, start) + 1 : start]
        return self._text[start] in '"“' and (not line.strip() or self._before == "box")

    def _string(self, start: int) -> None:
        """Takes in a string: its end is a quote that something may follow which can follow a string."""
        text = self._text
        closers = _QUOTES[text[start]]
        at, on_first_line = start + 1, True
        while at < len(text):
            character = text[at]
            if character == "\\":
                at += 2
                continue
            if character in closers and _ENDS_STRING.match(text, at + 1):
                break
            if character == "\n" and on_first_line:
                on_first_line = False
                if _LOST_QUOTE.match(text, start):
                    self._add("word", text[start], start + 1)  # its partner is missing: the brackets of the line count
                    return
            at += 1
        if at >= len(text):
            self._add("open", None, len(text))
            return
        self._add("value", unescape(text[start + 1 : at]), at + 1)


def unescape(body: str) -> str:
    """The inside of a string without its backslashes."""
    if "\\" not in body:
        return body

    def meant(match: re.Match[str]) -> str:
        if match[3] is not None:
            return _SIMPLE_ESCAPES.get(match[3], match[3])
        return chr(int(match[1] or match[2], 16))

    return _ESCAPE.sub(meant, body)


def _build(box: _Box, text: str) -> object:
    is_object = box.kind == "{" and (not box.tokens or any(t.kind == ":" for t in box.tokens))
    found: object = _object(box, text) if is_object else _list(box, text)
    if found is None:
        found = _repaired(box, text)
    if not box.closed:
        if isinstance(found, dict):
            found[CUT] = True
        elif isinstance(found, list):
            found.append(CUT)
    return found


def _parts(box: _Box) -> Iterator[tuple[list[_Token], bool]]:
    """What lies between commas, and whether the text breaks off in it."""
    part: list[_Token] = []
    for token in box.tokens:
        if token.kind != ",":
            part.append(token)
        elif part:
            yield part, False
            part = []
    if part:
        yield part, not box.closed


def _list(box: _Box, text: str) -> list[object] | None:
    """Values between commas, or one behind the other; None if they make no sense."""
    values: list[object] = []
    for part, cut in _parts(box):
        if all(t.kind in ("word", ":") for t in part):
            if not cut:
                values.append(_scalar(_words(part, text)))
            continue
        for token in part:
            if token.kind in ("word", ":"):
                if cut:
                    break
                return None
            if token.kind == "box":
                values.append(_build(_box(token), text))
            elif token.kind == "value":
                values.append(token.value)
    return values


def _object(box: _Box, text: str) -> dict[str, object] | None:
    """Keys, colons and values; commas may be missing. None if they make no sense."""
    pairs: list[tuple[str, object]] = []
    stray: list[object] = []
    for part, cut in _parts(box):
        at = 0
        while at < len(part):
            if part[at].kind == "box":
                stray.append(_build(_box(part[at]), text))
                at += 1
                continue
            colon = next((n for n in range(at, len(part)) if part[n].kind == ":"), 0)
            key = part[at:colon]
            if not key and cut:
                break
            if not key or (len(key) > 1 and any(t.kind != "word" for t in key)):
                return None
            name = str(key[0].value) if len(key) == 1 else _words(key, text)
            end = next((n for n in range(colon + 1, len(part)) if part[n].kind not in ("word", ":")), len(part))
            if words := part[colon + 1 : end]:
                if any(t.kind == ":" for t in words) and end < len(part):
                    return None
                if not (cut and end == len(part)):
                    pairs.append((name, _scalar(_words(words, text))))
                at = end
            elif end < len(part):
                token = part[end]
                if token.kind != "open":
                    pairs.append((name, _build(_box(token), text) if token.kind == "box" else token.value))
                at = end + 1
            else:
                if not cut:
                    pairs.append((name, None))
                at = end
    found = unique(pairs)
    if stray:
        found[STRAY] = stray
    return found


def _box(token: _Token) -> _Box:
    assert isinstance(token.value, _Box)  # noqa: S101
    return token.value


def _words(tokens: list[_Token], text: str) -> str:
    return text[tokens[0].start : tokens[-1].end].strip()


def _scalar(text: str) -> object:
    """What an unquoted value means: a number, a constant, or itself."""
    if text.casefold() in _CONSTANTS:
        return _CONSTANTS[text.casefold()]
    try:
        return float(text) if not text.lstrip("-").isdecimal() else int(text)
    except ValueError:
        return text


def _repaired(box: _Box, text: str) -> object:
    """What `json_repair` makes of a bracket; its text if that is nothing."""
    raw = text[box.start : box.end]
    if len(raw) <= _MAX_LITERAL:
        value = json_repair.loads(raw, skip_json_loads=True)
        if isinstance(value, dict | list) and value:
            return value
    return raw
