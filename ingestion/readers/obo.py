"""OBO 1.2 and 1.4 files as stanzas, streamed (the flat-file format of HPO and most biomedical ontologies)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ingestion.readers.base import Document
from ingestion.readers.lines import lines
from kg.model import Rejected

_ESCAPED = re.compile(r"\\(.)")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPES = {"n": "\n", "t": "\t", "W": " "}


@dataclass(slots=True)
class Stanza:
    """One stanza: the header (`kind` empty), or a `[Term]`, `[Typedef]`, ….

    Attributes:
        line: of its first line.
        tags: tag → its values in order, as they stand in the file.
    """

    kind: str
    line: int
    tags: dict[str, list[str]] = field(default_factory=dict)

    def first(self, tag: str) -> str:
        """The first value of a tag, unescaped; empty if there is none."""
        values = self.tags.get(tag)
        return unescape(values[0]) if values else ""

    def ids(self, tag: str) -> list[str]:
        """The values of a tag that takes ids: without comments (`! name`) and trailing modifiers (`{…}`)."""
        return [value.split(None, 1)[0] for value in self.tags.get(tag, ()) if value]

    def quoted(self, tag: str) -> list[str]:
        """The quoted texts of a tag such as `def` or `synonym`, unescaped, each once.

        Raises:
            ValueError: a value does not start with a closed quoted text.
        """
        found: dict[str, None] = {}
        for value in self.tags.get(tag, ()):
            match = _QUOTED.match(value)
            if match is None:
                raise ValueError(f"{tag}: no closed quoted text")
            found[unescape(match[1])] = None
        return list(found)


def unescape(text: str) -> str:
    """Undoes OBO's backslash escapes."""
    return _ESCAPED.sub(lambda m: _ESCAPES.get(m[1], m[1]), text) if "\\" in text else text


def stanzas(document: Document) -> Iterator[Stanza | Rejected]:
    """The header, then each stanza; a line that is no `tag: value` is yielded as `Rejected`."""
    stanza = Stanza("", 1)
    for item in lines(document):
        if isinstance(item, Rejected):
            yield item
            continue
        number, line = item
        if not line or line.startswith("!"):
            continue
        if line.startswith("[") and line.endswith("]"):
            yield stanza
            stanza = Stanza(line[1:-1], number)
            continue
        tag, colon, value = line.partition(":")
        if not colon or not tag or " " in tag:
            yield Rejected("not an OBO line (tag: value)", f"L{number}", line[:2000], document.id)
            continue
        stanza.tags.setdefault(tag, []).append(value.strip())
    yield stanza
