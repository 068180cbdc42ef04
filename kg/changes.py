"""What may happen to claims and descriptions that are in the graph already: weighed anew, taken out, replaced."""

from __future__ import annotations

from typing import Protocol

from kg.merge import Descriptions, FactClaims, SourceDescriptions
from kg.model import Claim, Entity, Record, Source


class Change(Protocol):
    """What one transaction does to everything in which some sources or documents are cited.

    Attributes:
        ids: of those sources or documents.
        document: where only one document is concerned, its id; else empty.
        reweighs: beliefs are made anew even where the claims stay as they are.
    """

    ids: frozenset[str]
    document: str
    reweighs: bool

    def claims(self, fact: tuple[str, str, str], claims: FactClaims) -> FactClaims:
        """What stays of the claims of a fact (subject, relation, object)."""

    def descriptions(self, entity: str, descriptions: Descriptions) -> Descriptions:
        """What stays of the descriptions of an entity."""

    def of_source(self, source: str, descriptions: SourceDescriptions) -> SourceDescriptions:
        """What stays of the descriptions of a source."""


class Reweigh:
    """The reliability of these sources has changed."""

    reweighs = True
    document = ""

    def __init__(self, sources: set[str]) -> None:
        self.ids = frozenset(sources)

    def claims(self, fact: tuple[str, str, str], claims: FactClaims) -> FactClaims:  # noqa: ARG002 (the interface)
        """All."""
        return claims

    def descriptions(self, entity: str, descriptions: Descriptions) -> Descriptions:  # noqa: ARG002
        """All."""
        return descriptions

    def of_source(self, source: str, descriptions: SourceDescriptions) -> SourceDescriptions:  # noqa: ARG002
        """All."""
        return descriptions


class Without:
    """A source, or a document, is taken out.

    Args:
        id_: of the source or document.
        document: it is no source.
    """

    reweighs = False

    def __init__(self, id_: str, *, document: bool) -> None:
        self.ids = frozenset((id_,))
        self.document = id_ if document else ""
        self._id = id_

    def claims(self, fact: tuple[str, str, str], claims: FactClaims) -> FactClaims:  # noqa: ARG002 (the interface)
        """Those of others."""
        return claims.without(self._id)

    def descriptions(self, entity: str, descriptions: Descriptions) -> Descriptions:  # noqa: ARG002
        """Those of others."""
        return descriptions.without(self._id)

    def of_source(self, source: str, descriptions: SourceDescriptions) -> SourceDescriptions:  # noqa: ARG002
        """Those by others."""
        return descriptions.without(self._id)


class Unsaid:
    """A document has changed: what it no longer says is taken out, what it says still, but otherwise, is replaced.

    Memory grows with what the document says.

    Args:
        document: its id.
    """

    reweighs = False

    def __init__(self, document: str) -> None:
        self.ids = frozenset((document,))
        self.document = document
        self._facts: dict[tuple[str, str, str], FactClaims] = {}
        self._entities: dict[str, Descriptions] = {}
        self._sources: dict[str, SourceDescriptions] = {}

    def say(self, record: Record) -> None:
        """Takes note of a record that the document has."""
        if isinstance(record, Claim):
            fact = record.subject, record.relation, record.object
            self._facts.setdefault(fact, FactClaims.empty()).add(record)
        elif isinstance(record, Entity):
            self._entities.setdefault(record.id, Descriptions.empty()).add(record)
        elif isinstance(record, Source):
            self._sources.setdefault(record.id, SourceDescriptions(set())).add(record)

    @property
    def extent(self) -> set[str]:
        """The entities that it speaks of now; see `kg.extents`."""
        return self._entities.keys() | {subject for subject, _, _ in self._facts}

    def claims(self, fact: tuple[str, str, str], claims: FactClaims) -> FactClaims:
        """Those of other documents, and what this one says now."""
        rest = {identity: said for identity, said in claims.claims.items() if identity[1] != self.document}
        return FactClaims({**rest, **(now.claims if (now := self._facts.get(fact)) else {})})

    def descriptions(self, entity: str, descriptions: Descriptions) -> Descriptions:
        """Those in other documents, and what this one says now."""
        rest = {identity: place for identity, place in descriptions.entries.items() if identity[1] != self.document}
        return Descriptions({**rest, **(now.entries if (now := self._entities.get(entity)) else {})})

    def of_source(self, source: str, descriptions: SourceDescriptions) -> SourceDescriptions:
        """Those by other documents, and what this one says now."""
        rest = {entry for entry in descriptions.entries if entry[0] != self.document}
        return SourceDescriptions(rest | (now.entries if (now := self._sources.get(source)) else set()))
