"""Taking back what sources and documents say, and saying how far a source is trusted: the work in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from kg.batch import LedgerEntry
from kg.changes import Change, Unsaid, Without
from kg.errors import ConflictError, InputError, NotFoundError
from kg.extents import CREATE_EXTENTS, DELETE_EXTENTS, rows_of
from kg.merge import SourceDescriptions
from kg.transaction import READ_SOURCES
from kg.write import Writer

_REMEMBERED_REMOVALS = 1_000
"""Versions for which removals are kept; a snapshot that is older is built anew."""


@dataclass(frozen=True, slots=True)
class Retraction:
    """The graph's version after a retraction, and how many entities and facts went or changed."""

    version: int
    entities: int
    facts: int


class Retractor(Writer):
    """The statements of one transaction that takes something back."""

    async def retract(self, source: str) -> Retraction:
        """Takes out what only this source (or document) says, and lowers the belief of the rest.

        The ledger entries of documents that quote or describe the source are reset, so that loading them again brings
        it back.

        Raises:
            NotFoundError: neither a source nor a document of this id is in the graph.
        """
        await self._begin()
        known = await self._rows(
            "OPTIONAL MATCH (s:Source {id: $id}) OPTIONAL MATCH (l:LedgerEntry {document: $id}) "
            "RETURN s.documents AS described_in, l IS NOT NULL AS document",
            id=source,
        )
        if not known or (known[0]["described_in"] is None and not known[0]["document"]):
            raise NotFoundError(f"no source or document {source!r}")
        change = Without(source, document=known[0]["described_in"] is None)
        orphans = await self._orphans(change) | {source}
        facts, entities, documents = await self._rewrite(change)
        await self._delete_sources(orphans)
        await self._run("MATCH (l:LedgerEntry {document: $id}) DELETE l", id=source)
        await self._run(DELETE_EXTENTS, document=source)
        await self._run(
            "UNWIND $ids AS id MATCH (l:LedgerEntry {document: id}) SET l.records = 0, l.complete = false",
            ids=sorted({*documents, *(known[0]["described_in"] or ())} - {source}),
        )
        await self._forget_removals()
        return Retraction(self._version, entities, facts)

    async def finish(self, entry: LedgerEntry, unsaid: Unsaid) -> Retraction:
        """Takes out what a document, of which all that it says now is written, does not say any more.

        Args:
            entry: its ledger entry as it is to be from now on.
            unsaid: what it says now.

        Raises:
            ConflictError: somebody else changed it meanwhile.
        """
        await self._begin()
        now = (await self.ledger([entry.document])).get(entry.document)
        if now is None or (now.content, now.records) != (entry.content, entry.records):
            raise ConflictError(f"{entry.document} was changed by somebody else while it was loaded; load it again")
        orphans = await self._orphans(unsaid)
        facts, entities, _ = await self._rewrite(unsaid)
        await self._delete_sources(orphans)
        await self._run(DELETE_EXTENTS, document=entry.document)
        await self._run(CREATE_EXTENTS, rows=rows_of({entry.document: unsaid.extent}))
        await self._write_ledger([entry])
        await self._forget_removals()
        return Retraction(self._version, entities, facts)

    async def trust(self, source: str, level: float | None, *, quarantined: bool) -> Retraction:
        """Says how far a source is trusted; all that it says is weighed anew.

        Args:
            source: its id.
            level: reliability in 0…1, instead of its own; None leaves it its own.
            quarantined: what it says is kept, but does not count.

        Raises:
            NotFoundError: there is no such source.
            InputError: the level is outside 0…1.
        """
        if level is not None and not 0.0 <= level <= 1.0:
            raise InputError(f"{level} is outside 0…1", "trust")
        await self._begin()
        rows = await self._rows(READ_SOURCES, ids=[source])
        if not rows:
            raise NotFoundError(f"no source {source!r}")
        said = SourceDescriptions.from_properties(rows[0])
        facts, entities = await self._update_sources(
            [rows[0] | {"said": said, "trust": level, "quarantined": quarantined or None}]
        )
        return Retraction(self._version, entities, facts)

    async def _orphans(self, change: Change) -> set[str]:
        """Applies a change to the descriptions of sources; gives those that nothing describes any more."""
        found = await self._rows(
            "MATCH (s:Source) WHERE any(id IN $ids WHERE id IN s.documents) RETURN s.id AS id", ids=sorted(change.ids)
        )
        rows = await self._rows(READ_SOURCES, ids=[row["id"] for row in found])
        orphans = set()
        changed = []
        for row in rows:
            said = SourceDescriptions.from_properties(row)
            rest = change.of_source(row["id"], said)
            if not rest.entries:
                orphans.add(row["id"])
            elif rest.entries != said.entries:
                changed.append(row | {"said": rest})
        await self._update_sources(changed)
        return orphans

    async def _delete_sources(self, ids: set[str]) -> None:
        await self._run("UNWIND $ids AS id MATCH (s:Source {id: id}) DELETE s", ids=sorted(ids))
        self._gone_sources = sorted(ids)

    async def _forget_removals(self) -> None:
        forgotten = max(0, self._version - _REMEMBERED_REMOVALS)
        await self._run("MATCH (r:Removal) WHERE r.version <= $forgotten DELETE r", forgotten=forgotten)
        await self._run("MATCH (g:GraphState {id: 'graph'}) SET g.forgotten = $forgotten", forgotten=forgotten)
