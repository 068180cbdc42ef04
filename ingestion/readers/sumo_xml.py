"""SUMO's XML, element by element, in bounded memory."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException

from ingestion.readers.base import Document
from ingestion.readers.limited_xml import events
from kg.errors import words_of
from kg.model import Rejected, Value

_MAX_PARTS = 100_000
"""Elements inside one that is read as a whole, such as the lanes of an edge."""
_BROKEN = (ParseError, DefusedXmlException, gzip.BadGzipFile, zlib.error, EOFError, ValueError, LookupError)


@dataclass(frozen=True, slots=True)
class Found:
    """An element, with the attributes of those around it, the innermost first, and the tag of the root."""

    element: Element
    around: Sequence[Mapping[str, str]]
    root: str


def elements(document: Document, wanted: Mapping[str, Collection[str]]) -> Iterator[Found | Rejected]:
    """Elements in the order of their ends; each is forgotten once the next is asked for.

    What can't be parsed ends the document with one `Rejected`; what came before it counts.

    Args:
        document: XML, or gzipped XML.
        wanted: by the root's tag, the tags of the elements.
    """
    with document.open() as raw:
        is_zipped = document.path.name.lower().endswith(".gz")
        file = gzip.GzipFile(fileobj=raw) if is_zipped else raw
        path: list[Element] = []
        tags: Collection[str] = ()
        inside = parts = 0
        try:
            for event, element in events(file, forbid_dtd=True):
                if event == "start":
                    if not path:
                        if element.tag not in wanted:
                            known = ", ".join(f"<{root}>" for root in wanted)
                            reason = f"the root is <{element.tag}>; this reader takes {known}"
                            yield Rejected(reason, f"/{element.tag}", "", document.id)
                            return
                        tags = wanted[element.tag]
                    path.append(element)
                    inside += element.tag in tags
                    parts += inside > 0
                    if parts > _MAX_PARTS:
                        raise ValueError(f"more than {_MAX_PARTS:,} elements inside one")
                    continue
                path.pop()
                if element.tag in tags:
                    inside -= 1
                    yield Found(element, [outer.attrib for outer in reversed(path)], path[0].tag if path else "")
                if path and not inside:
                    parts = 0
                    del path[-1][:]
        except _BROKEN as error:
            yield _broken(error, document)


def _broken(error: Exception, document: Document) -> Rejected:
    place = f"L{error.position[0]}" if isinstance(error, ParseError) else ""
    reason = words_of(error)
    return Rejected(f"no well-formed XML, and not read on: {reason}", place, "", document.id)


def place_of(element: Element, around: str = "") -> str:
    """An element as an XPath, e.g. `edge[@id='190']`."""
    id_ = element.get("id")
    return around + (f"{element.tag}[@id='{id_}']" if id_ is not None else element.tag)


def measures(
    element: Element, names: Mapping[str, str], place: str, document: str, *, lowest: float = -math.inf
) -> tuple[dict[str, Value], list[Rejected]]:
    """The numbers of an element.

    Args:
        element: what has the attributes.
        names: attribute → property.
        place: of the element.
        document: its id.
        lowest: what an attribute may not be below.

    Returns:
        Properties, and a refusal for each attribute that is no such number; the element does without it.
    """
    found: dict[str, Value] = {}
    refused = []
    for attribute, name in names.items():
        text = element.get(attribute)
        if text is None:
            continue
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if math.isfinite(number) and number >= lowest and "_" not in text:
            found[name] = number
        else:
            least = f" from {lowest:g} up" if lowest > -math.inf else ""
            reason = f"{text[:40]!r} is no finite number{least}; the rest is read"
            refused.append(Rejected(reason, f"{place}/@{attribute}", "", document))
    return found, refused
