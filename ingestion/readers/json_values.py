"""JSON of any size as a stream of values: arrays, objects, JSON lines.

Each value is parsed by itself, so that one that is broken, or holds NaN or a key twice, costs no other.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from ingestion.readers.base import Document
from kg.model import Rejected

MAX_VALUE = 8 << 20
"""Characters of one value."""

Path = tuple[str, ...]
TOP: Path = ()

_TOO_LONG = f"longer than {MAX_VALUE:,} characters"
_CHUNK = 1 << 20
_LOW = 1 << 16
_SHOWN = 2000
_MAX_NAMES = 1_000_000
"""Keys of one object that are remembered, to tell a second one."""
_BLANK = re.compile(r"[ \t\r\n]*")
_SEPARATORS = re.compile(r"[ \t\r\n,]*")
_LINE_START = re.compile(r"\n(?=[{\[])")
_FOREIGN = re.compile(r"[\udc80-\udcff]")
_SCALAR_END = re.compile(r"[,:\]}\n]")
_STRING = r'"(?:[^"\\\n]|\\.)*"'
_QUOTED = re.compile(_STRING)
_TOKENS = {"{": re.compile(_STRING + r'|["{}]'), "[": re.compile(_STRING + r'|["\[\]]')}


@dataclass(frozen=True, slots=True)
class Item:
    """One value.

    Attributes:
        path: names of the container that holds it.
        key: its name or index there.
        place: for people: `L3`, `[3]`, `annotations[3]`, `openlabel.frames.0`.
    """

    path: Path
    key: str
    value: Any
    place: str


def values(document: Document, *paths: Path) -> Iterator[Item | Rejected]:
    """The values in the containers at these paths, in the order of the file.

    Without paths, or at `TOP`, those of the outermost array, or of the lines (or otherwise one after the other).
    What can't be parsed is yielded as `Rejected`, and the next value follows. Memory is bounded by `MAX_VALUE`.
    """
    with document.open() as file:
        yield from _Walk(file, document.id, frozenset(paths or (TOP,))).run()


def starts_with_object(document: Document) -> bool:
    """Whether the outermost value is an object rather than an array."""
    with document.open() as file:
        text = _Text(file)
        return text.peek() == "{"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise _UnfitError(f"key {twice!r} is there twice")
    return found


class _UnfitError(ValueError):
    """A value that is well-formed and still no good."""


_DECODER = json.JSONDecoder(object_pairs_hook=_unique)


class _Text:
    """A window that moves over a file; bytes that are not UTF-8 become lone surrogates."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")
        self._line = 1
        self._counted = 0
        self.window = ""
        self.at = 0
        self.ended = False

    def more(self) -> bool:
        """Reads on, and forgets what lies before `at`; False at the end of the file."""
        if self.ended:
            return False
        self.line()
        chunk = self._file.read(_CHUNK)
        self.ended = not chunk
        self.window = self.window[self.at :] + self._decoder.decode(chunk, not chunk)
        self.at = self._counted = 0
        return True

    def line(self) -> int:
        """Number of the line that `at` is in."""
        self._line += self.window.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def peek(self, skip: re.Pattern[str] = _BLANK) -> str:
        """The next character after what is skipped; empty at the end."""
        while True:
            if skipped := skip.match(self.window, self.at):
                self.at = skipped.end()
            if self.at < len(self.window) or not self.more():
                return self.window[self.at : self.at + 1]

    def value(self) -> Any:  # noqa: ANN401 (JSON)
        """The value that starts here.

        Raises:
            ValueError, RecursionError: it can't be parsed; `at` is where it starts.
        """
        if len(self.window) - self.at < _LOW:
            self.more()
        while True:
            try:
                value, end = _DECODER.raw_decode(self.window, self.at)
            except json.JSONDecodeError as error:
                torn = len(self.window) - error.pos < 64 or error.msg.startswith("Unterminated")
                if torn and len(self.window) - self.at >= MAX_VALUE:
                    raise _UnfitError(_TOO_LONG) from None
                if torn and self.more():
                    continue
                raise
            if end == len(self.window) and self.more():
                continue  # a number may go on
            if end - self.at > MAX_VALUE:
                raise _UnfitError(_TOO_LONG)
            raw = self.window[self.at : end]
            if not raw.isascii() or "\\u" in raw:
                _check_text(value)
            self.at = end
            return value

    def skip(self) -> None:
        """Goes behind the value that starts here, be it well-formed or not."""
        opening = self.peek()
        if opening not in _TOKENS:
            if opening == '"' and (match := _QUOTED.match(self.window, self.at)):
                self.at = match.end()
                return
            while (end := _SCALAR_END.search(self.window, self.at + 1)) is None:
                self.at = max(self.at, len(self.window) - 1)
                if not self.more():
                    self.at = len(self.window)
                    return
            self.at = end.start()
            return
        depth = 0
        while True:
            match = _TOKENS[opening].search(self.window, self.at)
            if match is None:
                self.at = len(self.window)
                if not self.more():
                    return
                continue
            found = match[0]
            if found == '"' and self._may_go_on(match.start()):
                self.at = match.start()
                if self.more():
                    continue
            self.at = match.end()
            if len(found) == 1 and found != '"':
                depth += 1 if found == opening else -1
                if depth <= 0:
                    return

    def _may_go_on(self, quote: int) -> bool:
        """Whether the end of the string that starts here may lie behind the window."""
        return len(self.window) - quote < MAX_VALUE and self.window.find("\n", quote) < 0

    def skip_line(self) -> None:
        """Goes to the next line that starts with a bracket."""
        while (match := _LINE_START.search(self.window, self.at)) is None:
            self.at = max(self.at, len(self.window) - 1)
            if not self.more():
                self.at = len(self.window)
                return
        self.at = match.end()


class _Walk:
    """Goes through one file, down into the containers that lead to the wanted ones."""

    def __init__(self, file: IO[bytes], document: str, wanted: frozenset[Path]) -> None:
        self._text = _Text(file)
        self._document = document
        self._wanted = wanted
        self._broke_off = False
        self._on_the_way = {path[:n] for path in wanted for n in range(len(path))}

    def run(self) -> Iterator[Item | Rejected]:
        text = self._text
        first = text.peek()
        if not first:
            yield self._rejected("empty file", "")
        elif TOP in self._on_the_way or first == "[":
            yield from self._container(TOP)
            if text.peek():
                yield self._rejected("text behind the end", f"L{text.line()}", text.window[text.at : text.at + _SHOWN])
        else:
            while text.peek():
                place = f"L{text.line()}"
                yield from self._item(TOP, "", place, lines=True)

    def _container(self, path: Path) -> Iterator[Item | Rejected]:
        """The children of the array or object that starts here."""
        text = self._text
        opening = text.peek()
        prefix = ".".join(path)
        if opening not in _TOKENS:
            yield self._rejected("neither an object nor an array", prefix)
            text.skip()
            return
        closing = "]" if opening == "[" else "}"
        text.at += 1
        names: set[str] = set()
        count = 0
        while (character := text.peek(_SEPARATORS)) != closing:
            if not character:
                if not self._broke_off:
                    yield self._rejected("the file ends before the closing bracket", prefix)
                    self._broke_off = True
                return
            if opening == "[":
                yield from self._child(path, str(count), f"{prefix}[{count}]")
            else:
                name = self._name()
                if name is None:
                    yield self._rejected("a name that can't be read", prefix, text.window[text.at : text.at + _SHOWN])
                    text.skip()
                if text.peek() == ":":
                    text.at += 1
                    text.peek()
                    if name is None:
                        text.skip()
                if name is None:
                    continue
                place = f"{prefix}.{name}" if prefix else name
                if name in names:
                    yield self._rejected(f"key {name!r} is there twice", place)
                    text.skip()
                else:
                    if len(names) < _MAX_NAMES:
                        names.add(name)
                    yield from self._child(path, name, place)
            count += 1
        text.at += 1

    def _name(self) -> str | None:
        """The name that starts here, if there is one; else it stays where it is."""
        if self._text.peek() != '"':
            return None
        try:
            return str(self._text.value())
        except ValueError:
            return None

    def _child(self, path: Path, key: str, place: str) -> Iterator[Item | Rejected]:
        below = (*path, key)
        if path in self._wanted:
            yield from self._item(path, key, place)
        elif below in self._wanted or below in self._on_the_way:
            yield from self._container(below)
        else:
            self._text.skip()

    def _item(self, path: Path, key: str, place: str, *, lines: bool = False) -> Iterator[Item | Rejected]:
        text = self._text
        try:
            value = text.value()
        except (ValueError, RecursionError) as error:
            start = text.window[text.at : text.at + _SHOWN]
            reason = _reason(error, start)
            skip = text.skip_line if lines else text.skip
            skip()
            if not text.peek() and isinstance(error, json.JSONDecodeError):
                reason = f"the file ends inside it: {reason}"
                self._broke_off = True
            yield self._rejected(reason, place, start)
        else:
            yield Item(path, key, value, place)

    def _rejected(self, reason: str, place: str, record: str = "") -> Rejected:
        readable = record.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        return Rejected(reason, place, readable, self._document)


def _check_text(value: object) -> None:
    """Refuses what can't be written as UTF-8.

    Raises:
        _UnfitError: naming the byte.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise _UnfitError(_not_utf8(error.object[error.start])) from None


def _not_utf8(character: str) -> str:
    code = ord(character)
    what = f"byte {code - 0xDC00:#04x}" if 0xDC80 <= code <= 0xDCFF else f"half a character, \\u{code:04x}"
    return f"not UTF-8: {what}"


def _reason(error: Exception, start: str) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, json.JSONDecodeError) and (foreign := _FOREIGN.search(start)):
        return _not_utf8(foreign[0])
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg}"
    if isinstance(error, _UnfitError):
        return str(error)
    return "a number of too many digits"
