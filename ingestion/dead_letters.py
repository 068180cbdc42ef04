"""The dead-letter file: JSON lines, one for each record that was refused, with its place and the reason."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from kg.errors import InputError, NotFoundError
from kg.model import Rejected

MAX_RECORD = 2000
"""Characters that are kept of a record's text."""
MAX_MESSAGE = 64_000
"""Characters of the longest message that is kept, to be tried again."""
_CUT = "… (cut: longer than is kept)"
_NO_TEXT = "… (not UTF-8: shown, not kept)"

WHOLE, CLAIMS, PART = "", "claims", "part"
"""What a letter's record is: as its document has it, for messages the message; a message of claims by itself; a part of
a message which another letter has."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused record.

    Attributes:
        document: logical id.
        file: path of the file.
        content: SHA-256 of the file.
        number: of the record in the document, from 1; 0 if the file as a whole could not be read.
        place: line, member or field.
        record: its text, cut at MAX_RECORD characters; a message is whole, or marked as cut.
        topic: the own topic of the message that it was in, where it came by a stream.
        holds: what `record` is: WHOLE, CLAIMS or PART.
    """

    document: str
    file: str
    content: str
    number: int
    place: str
    reason: str
    record: str
    topic: str = ""
    holds: str = WHOLE

    @property
    def id(self) -> str:
        """Names the record, whatever was the reason this time: hexadecimal."""
        return hashlib.sha256("\0".join((self.document, self.content, str(self.number))).encode()).hexdigest()[:16]

    @property
    def is_kept(self) -> bool:
        """Whether a message's text is here as it came."""
        return not self.record.endswith((_CUT, _NO_TEXT))


def kept(text: str) -> str:
    """A message's text as a letter has it: whole, or cut and marked as such."""
    return text if len(text) <= MAX_MESSAGE else text[:MAX_RECORD] + _CUT


def kept_bytes(body: bytes) -> str:
    """The same of a message's bytes."""
    try:
        return kept(body.decode())
    except UnicodeDecodeError:
        return body.decode("utf-8", "backslashreplace")[:MAX_RECORD] + _NO_TEXT


def letters_of_message(
    document: str, file: str, content: str, topic: str, body: bytes, refused: Iterable[Rejected], first: int = 1
) -> list[DeadLetter]:
    """The letters of one message: each record as a message of its own if it can be, else the message, once.

    Args:
        document: id of the stream's.
        file: where it came from.
        content: id of the message.
        topic: its own.
        body: the message.
        refused: of it, in order.
        first: number of the first of these.
    """
    letters = []
    has_message = False
    for number, record in enumerate(refused, first):
        if record.is_message:
            text, holds = record.record, CLAIMS
        elif not has_message:
            text, holds, has_message = kept_bytes(body), WHOLE, True
        else:
            text, holds = record.record[:MAX_RECORD], PART
        letters.append(DeadLetter(document, file, content, number, record.place, record.reason, text, topic, holds))
    return letters


def read_letters(path: Path) -> Iterator[DeadLetter]:
    """The letters of a file, in order; a line that was cut off by a kill is left out.

    Raises:
        InputError: the file can't be read.
    """
    try:
        with path.open("rb") as file:
            for line in file:
                with contextlib.suppress(orjson.JSONDecodeError, TypeError):
                    yield DeadLetter(**orjson.loads(line))
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"dead letters can't be read: {error.strerror}", str(path)) from error


def list_letters(path: Path, document: str | None = None, limit: int = 100, offset: int = 0) -> list[DeadLetter]:
    """A page of the letters of a file, or of those of one document: of each record the latest, in order.

    Raises:
        InputError: the file can't be read.
    """
    found = {letter.id: letter for letter in read_letters(path) if document is None or letter.document == document}
    return list(itertools.islice(found.values(), offset, offset + limit))


def count_letters(path: Path, limit: int = 100, offset: int = 0) -> list[tuple[str, str, int]]:
    """A page of (document, reason, how many letters), the most first.

    Raises:
        InputError: the file can't be read.
    """
    found = {letter.id: (letter.document, letter.reason) for letter in read_letters(path)}
    counts = Counter(found.values()).most_common(offset + limit)
    return [(document, reason, many) for (document, reason), many in counts[offset:]]


def find_letter(path: Path, id_: str) -> DeadLetter:
    """The latest letter with this id.

    Raises:
        InputError: the file can't be read.
        NotFoundError: there is none.
    """
    found = None
    for letter in read_letters(path):
        if letter.id == id_:
            found = letter
    if found is None:
        raise NotFoundError(f"no dead letter {id_!r}")
    return found


def is_needed(path: Path, folder: Path) -> bool:
    """Whether letters are of a file in a folder, which has to stay for them to be tried again; also if in doubt."""
    root = folder.resolve()
    try:
        return any(letter.number and Path(letter.file).is_relative_to(root) for letter in read_letters(path))
    except InputError:
        return True


def write_letters(path: Path, letters: Iterable[DeadLetter]) -> None:
    """Puts these letters in place of those of a file, all or none.

    Raises:
        InputError: the file can't be written.
    """
    new = path.with_name(f"{path.name}.new")
    try:
        with new.open("wb") as file:
            for letter in letters:
                file.write(orjson.dumps(asdict(letter), option=orjson.OPT_APPEND_NEWLINE))
        new.replace(path)
    except OSError as error:
        raise InputError(f"dead letters can't be written: {error.strerror}", str(path)) from error


def exchange_letters(path: Path, tried: Iterable[DeadLetter], kept: Sequence[DeadLetter]) -> list[DeadLetter]:
    """Puts letters in place of those that were tried; others that came meanwhile stay.

    Returns:
        All that the file has then.

    Raises:
        InputError: the file can't be read or written.
    """
    known = set(tried)
    with _locked(path):
        letters = [*kept, *(letter for letter in dict.fromkeys(read_letters(path)) if letter not in known)]
        write_letters(path, letters)
    return letters


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keeps others, also other processes, from changing a file."""
    try:
        lock = path.with_name(f"{path.name}.lock").open("wb")
    except OSError as error:
        raise InputError(f"dead letters can't be written: {error.strerror}", str(path)) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class DeadLetterFile:
    """Appends dead letters before their batch is committed, so that none is lost if the run is killed in between.

    A resumed run comes past the last, uncommitted batch again; what the file has of it is not written twice.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: set[tuple[str, str, int]] = set()
        self._torn = False

    def load(self) -> None:
        """Reads which letters are there. A last line that was cut off by a kill is left, and written again whole.

        Raises:
            InputError: the file can't be read or written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                file.seek(0)
                for line in file:
                    try:
                        letter = orjson.loads(line)
                        self._known.add((letter["document"], letter["content"], letter["number"]))
                    except (orjson.JSONDecodeError, KeyError, TypeError):
                        pass
                    self._torn = not line.endswith(b"\n")
        except OSError as error:
            raise InputError(f"dead letters can't be written: {error.strerror}", str(self.path)) from error

    def append(self, letters: Iterable[DeadLetter]) -> None:
        """Writes those that are not there yet.

        Raises:
            InputError: the file can't be written.
        """
        new = [x for x in letters if (x.document, x.content, x.number) not in self._known or x.number == 0]
        if not new:
            return
        text = b"".join(orjson.dumps(asdict(letter), option=orjson.OPT_APPEND_NEWLINE) for letter in new)
        try:
            with _locked(self.path), self.path.open("ab") as file:
                file.write(b"\n" + text if self._torn else text)
        except OSError as error:
            raise InputError(f"dead letters can't be written: {error.strerror}", str(self.path)) from error
        self._torn = False
        self._known.update((letter.document, letter.content, letter.number) for letter in new)
