"""Dead letters of messages again: they hold what was refused, so that neither file nor broker is needed."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from ingestion.dead_letters import DeadLetter
from ingestion.push import STREAM, Sorter, ledger_entry
from ingestion.readers.base import READERS, get_reader
from ingestion.readers.detection import Said
from ingestion.stream_messages import message_function
from kg.errors import InputError
from kg.model import Record, Rejected
from kg.store import Batch, GraphStore, WriteReport

PREFIXES = ("push:", STREAM)
"""Of documents that came in by messages."""


async def replay_messages(
    store: GraphStore, document: str, letters: Sequence[DeadLetter]
) -> tuple[list[DeadLetter], WriteReport] | None:
    """Tries the letters of one document; gives those that were refused again, and what changed.

    What else was in a message is written again, too, and changes nothing.

    Returns:
        None if the document was taken back, so that nobody knows how its messages are read.
    """
    entry = await ledger_entry(store, document)
    if entry is None:
        return None
    name = entry.reader.partition("@")[0]
    read = message_function(name)
    subscribed = unquote(document.partition(":")[2])
    sorter = Sorter(store, mentions=name in READERS and getattr(get_reader(name), "mentions", False))
    messages = []
    for letter in letters:
        records: list[Record] = []
        try:
            records.extend(read(letter.record.encode(), letter.topic or subscribed, document, Said()))
        except InputError as error:
            records.append(Rejected(error.reason, error.place, "", document))
        messages.append(records)
    parts = await sorter.sort(messages)
    refused = [letter for letter, part in zip(letters, parts, strict=True) if part.rejected]
    batch = Batch(
        [source for part in parts for source in part.sources],
        [entity for part in parts for entity in part.entities],
        [claim for part in parts for claim in part.claims],
    )
    return refused, await store.write(batch)
