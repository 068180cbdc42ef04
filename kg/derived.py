"""Documents that Evigraph writes itself: what a fusion or an enhancement says, to be replaced or retracted as one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from kg.batch import Batch, LedgerEntry
from kg.model import Claim, Entity, Record, Source
from kg.store import GraphStore

_BATCH = 2_000


class DerivedDocument:
    """Writes what a run says, as it comes, instead of what it said before; that stays until the first is written.

    Args:
        store: the graph.
        document: id; retracting it takes the run back.
        reader: name and version of what runs, for the ledger.
        sources: that the records cite.
    """

    def __init__(self, store: GraphStore, document: str, reader: str, sources: Sequence[Source]) -> None:
        self._store = store
        self._document = document
        self._reader = reader
        self._sources = sources
        self._content = hashlib.sha256(repr(sources).encode())
        self._done = 0
        self._begun = False

    async def write(self, records: Sequence[Record]) -> None:
        """Writes a part."""
        for start in range(0, len(records), _BATCH):
            await self._write(records[start : start + _BATCH], complete=False)

    async def end(self) -> None:
        """Says that this was all."""
        await self._write((), complete=True)

    async def _write(self, part: Sequence[Record], *, complete: bool) -> None:
        if not self._begun:
            if self._document in await self._store.ledger():
                await self._store.retract(self._document)
            self._begun = True
        self._content.update(repr(part).encode())
        self._done += len(part)
        done = self._done + len(self._sources)
        entry = LedgerEntry(self._document, "", self._content.hexdigest(), self._reader, done, complete=complete)
        entities = [r for r in part if isinstance(r, Entity)]
        claims = [r for r in part if isinstance(r, Claim)]
        await self._store.write(Batch(list(self._sources), entities, claims, [entry]))
