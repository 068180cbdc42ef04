"""Messages into the graph: records that come without a file, each message once in effect.

A message is written with its ledger entry in one transaction. The same message again is known by its id and content and
writes nothing; retracting the document `push:ID` takes back all that it said, and then it may come again.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from ingestion.claims import ClaimsMessage
from ingestion.dead_letters import CLAIMS, DeadLetter, DeadLetterFile, kept
from ingestion.resolve import VocabularyResolver
from kg.errors import ConflictError, InputError
from kg.model import Claim, Entity, Record, Rejected, Source
from kg.store import Batch, GraphStore, LedgerEntry, PreparedBatch

READER = "claims@1"
STREAM = "stream:"
"""With what the ids of streams' documents begin: one for each topic, of all its times."""

_VOCABULARY_S = 300.0
"""After so long the controlled vocabularies are read anew, and"""
_REFUSED_S = 20.0
"""after so long before anything is refused, if the graph has changed since."""


@dataclass(slots=True)
class Sorted:
    """Records as they may be written, by kind, and those that may not."""

    sources: list[Source] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Takes in one record."""
        if isinstance(record, Claim):
            self.claims.append(record)
        elif isinstance(record, Entity):
            self.entities.append(record)
        elif isinstance(record, Source):
            self.sources.append(record)
        else:
            self.rejected.append(record)

    def extend(self, other: Sorted) -> None:
        """Takes in those of another."""
        self.sources += other.sources
        self.entities += other.entities
        self.claims += other.claims
        self.rejected += other.rejected


class Sorter:
    """Checks the records of messages, each message by itself, against the ontology and the vocabularies in the graph.

    Args:
        store: the graph.
        mentions: whether records may name things by words only.
    """

    def __init__(self, store: GraphStore, *, mentions: bool = False) -> None:
        self._store = store
        self._resolver = VocabularyResolver(store.ontology, mentions=mentions)
        self._learned = 0.0
        self._version = -1
        self._lock = asyncio.Lock()

    async def sort(self, messages: Sequence[Iterable[Record]]) -> list[Sorted]:
        """What of each message may be written.

        Raises:
            StoreUnavailableError: the database is away.
        """
        async with self._lock:
            if time.monotonic() - self._learned > _VOCABULARY_S or self._version < 0:
                await self._learn()
            given = [list(message) for message in messages]
            found = await asyncio.to_thread(self._sort, given)
            refused = any(part.rejected for part in found) and time.monotonic() - self._learned > _REFUSED_S
            if refused and await self._store.version() != self._version:
                await self._learn()
                found = await asyncio.to_thread(self._sort, given)
            await self._check_sources(found)
        return found

    async def _learn(self) -> None:
        version = await self._store.version()
        await self._resolver.learn(self._store)
        self._version, self._learned = version, time.monotonic()

    def _sort(self, messages: Sequence[Sequence[Record]]) -> list[Sorted]:
        found = []
        for message in messages:
            self._resolver.start_document()
            part = Sorted()
            for record in message:
                try:
                    for resolved in self._resolver.resolve_all(record):
                        part.add(_refuse(record, resolved.reason) if isinstance(resolved, Rejected) else resolved)
                except InputError as error:  # the vocabulary is not loaded
                    part.add(_refuse(record, error.reason))
            found.append(part)
        return found

    async def _check_sources(self, found: Sequence[Sorted]) -> None:
        """Refuses what cites sources that neither a message before it nor the graph describes."""
        said: set[str] = set()
        undescribed: set[str] = set()
        for part in found:
            said.update(source.id for source in part.sources)
            undescribed |= _cited(part) - said
        if not undescribed:
            return
        query = "UNWIND $ids AS id MATCH (s:Source {id: id}) RETURN s.id AS id"
        unknown = undescribed - {row["id"] async for row in self._store.read(query, {"ids": sorted(undescribed)})}
        for part in found if unknown else ():
            described = unknown - {source.id for source in part.sources}
            for kind in (part.entities, part.claims):
                part.rejected += [
                    _refuse(record, f"nothing describes its source {record.source}")
                    for record in kind
                    if record.source in described
                ]
            part.entities = [entity for entity in part.entities if entity.source not in described]
            part.claims = [claim for claim in part.claims if claim.source not in described]


def _cited(part: Sorted) -> set[str]:
    return {record.source for record in part.entities} | {record.source for record in part.claims}


def _refuse(record: Record, reason: str) -> Rejected:
    """A refusal that keeps the record as a message of its own, to be pushed again."""
    if isinstance(record, Rejected):
        return record
    kind = "claims" if isinstance(record, Claim) else "entities" if isinstance(record, Entity) else "sources"
    stated = {name: value for name, value in asdict(record).items() if name != "document" and value not in ("", None)}
    place = "" if isinstance(record, Source) else record.place
    return Rejected(reason, place, kept(orjson.dumps({kind: [stated]}).decode()), record.document, is_message=True)


@dataclass(frozen=True, slots=True)
class PushReport:
    """What became of a message.

    Attributes:
        document: what it is called in the graph.
        repeated: it was there already; nothing was written now.
        sources: accepted, as `entities` and `claims`.
        refused: the rest, each with place and reason.
        version: of the graph afterwards.
        entities_changed: created or changed, as `facts_changed`.
    """

    id: str
    document: str
    repeated: bool
    sources: int
    entities: int
    claims: int
    refused: tuple[Rejected, ...]
    version: int
    entities_changed: int = 0
    facts_changed: int = 0

    def view(self) -> dict[str, Any]:
        """As JSON."""
        stated = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return stated | {"refused": [{"place": r.place, "reason": r.reason} for r in self.refused]}


async def ledger_entry(store: GraphStore, document: str) -> LedgerEntry | None:
    """How far one document is loaded; None if it is not."""
    query = "MATCH (l:LedgerEntry {document: $id}) RETURN properties(l) AS entry"
    found = [LedgerEntry(**row["entry"]) async for row in store.read(query, {"id": document})]
    return found[0] if found else None


class Pusher:
    """Writes messages of claims; one for each process and graph.

    Args:
        store: the graph.
        dead_letters: JSON-lines file to which refused records are appended.
    """

    def __init__(self, store: GraphStore, dead_letters: Path) -> None:
        self._store = store
        self._dead_letters = dead_letters
        self._sorter = Sorter(store)

    async def push(self, message: ClaimsMessage, id_: str | None = None) -> PushReport:
        """Writes a message; what is refused of it goes to the dead letters, and the rest is written.

        Args:
            message: the claims.
            id_: of the message, where it has none itself; else a hash of its content.

        Raises:
            ConflictError: a message of this id with other content is there.
            StoreUnavailableError: the database went away; the same message may be sent again.
            InputError: the dead letters can't be written.
        """
        content = hashlib.sha256(_canonical(message)).hexdigest()
        name = message.id or id_ or content
        document = f"push:{quote(name, safe=':/@+~')}"
        (part,) = await self._sorter.sort([list(message.records(document))])
        counts = len(part.sources), len(part.entities), len(part.claims)
        refused = tuple(part.rejected)
        known = await ledger_entry(self._store, document)
        if known is not None and known.content != content:
            raise ConflictError(f"a message with id {name!r} and other content is there; retract {document} first")
        if known is not None and known.complete:
            return PushReport(name, document, True, *counts, refused, await self._store.version())
        if refused:
            await asyncio.to_thread(self._bury, document, content, refused)
        entry = LedgerEntry(
            document=document,
            path="",
            content=content,
            reader=READER,
            records=sum(counts) + len(refused),
            complete=True,
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        batch = Batch(part.sources, part.entities, part.claims, [entry], {document: known})
        prepared = await asyncio.to_thread(PreparedBatch.of, batch, self._store.ontology, checked=True)
        done = await self._store.write(prepared)
        return PushReport(name, document, False, *counts, refused, done.version, done.entities, done.facts)

    def _bury(self, document: str, content: str, refused: Iterable[Rejected]) -> None:
        letters = DeadLetterFile(self._dead_letters)
        letters.load()
        letters.append(
            DeadLetter(document, "", content, number, r.place, r.reason, r.record, holds=CLAIMS)
            for number, r in enumerate(refused, 1)
        )


def _canonical(message: ClaimsMessage) -> bytes:
    return orjson.dumps(message.model_dump(exclude={"id"}), option=orjson.OPT_SORT_KEYS)
