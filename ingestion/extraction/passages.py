"""A text that was read, with the place of each word (characters, page, box, second), and what finds claims in it."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kg.model import Record, Scalar, Source


@dataclass(frozen=True, slots=True)
class Place:
    """Where a piece of a text comes from.

    Attributes:
        start, end: characters of the text, end excluded.
        page: from 1; 0 where there are none.
        box: left, top, right, bottom as parts of the page or picture.
        seconds: of a recording, from and to.
        confidence: 0…1, that it was read rightly.
    """

    start: int
    end: int
    page: int = 0
    box: tuple[float, float, float, float] | None = None
    seconds: tuple[float, float] | None = None
    confidence: float = 1.0


@dataclass(frozen=True)
class Passage:
    """The text of a document.

    Attributes:
        document: its id, which is that of its entity, too.
        places: by start; none where the text is all there is.
    """

    document: str
    text: str
    places: Sequence[Place] = field(default=())

    def place_at(self, start: int) -> Place | None:
        """Where a character comes from."""
        at = bisect.bisect_right(self.places, start, key=lambda place: place.start) - 1
        return self.places[at] if at >= 0 and start < self.places[at].end else None

    def qualifiers(self, start: int, end: int) -> dict[str, Scalar]:
        """Of a claim that rests on these characters."""
        found: dict[str, Scalar] = {"span_start": start, "span_end": end}
        if place := self.place_at(start):
            if place.page:
                found["page"] = place.page
            if place.box is not None:
                found["page_box"] = " ".join(f"{side:g}" for side in place.box)
        if place and place.seconds is not None:
            last = self.place_at(max(start, end - 1))
            found["second_start"] = place.seconds[0]
            found["second_end"] = (last.seconds if last and last.seconds else place.seconds)[1]
        return found

    def confidence(self, start: int) -> float:
        """That the character was read rightly."""
        place = self.place_at(start)
        return place.confidence if place else 1.0


class Extractor(Protocol):
    """Finds in texts what becomes claims.

    Attributes:
        source: who says what it finds.
    """

    source: Source

    def records(self, passage: Passage) -> Iterator[Record]:
        """Entities and claims of one text, in the order of their words; `Rejected` for what can't be one."""
        ...
