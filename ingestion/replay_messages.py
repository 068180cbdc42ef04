"""Dead letters of messages again: they hold what was refused, so that neither file nor broker is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from ingestion.dead_letters import CLAIMS, PART, WHOLE, DeadLetter
from ingestion.push import STREAM, Sorter, ledger_entry
from ingestion.readers.base import READERS, get_reader
from ingestion.readers.detection import Said
from ingestion.stream_messages import message_function, records_of
from kg.store import Batch, GraphStore, WriteReport

PREFIXES = ("push:", STREAM)
"""Of documents that came in by messages."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of the letters of messages.

    Attributes:
        refused: those that were refused again.
        left: those that could not be tried, since the message is not kept whole.
        written: what changed.
    """

    refused: list[DeadLetter]
    left: list[DeadLetter]
    written: WriteReport


async def replay_messages(store: GraphStore, document: str, letters: Sequence[DeadLetter]) -> Replayed | None:
    """Tries the letters of one document.

    A record that was refused by itself is tried by itself. A message that could not be read is tried as a whole; what
    else was in it is written again, too, and changes nothing.

    Returns:
        None if the document was taken back, so that nobody knows how its messages are read.
    """
    entry = await ledger_entry(store, document)
    if entry is None:
        return None
    name = entry.reader.partition("@")[0]
    readers = {WHOLE: message_function(name), CLAIMS: message_function("claims")}
    subscribed = unquote(document.partition(":")[2])
    sorter = Sorter(store, mentions=name in READERS and getattr(get_reader(name), "mentions", False))
    tried = [letter for letter in letters if letter.holds != PART and letter.is_kept]
    messages = [
        records_of(
            readers[letter.holds], letter.content, letter.record.encode(), letter.topic or subscribed, document, Said()
        )
        for letter in tried
    ]
    parts = await sorter.sort(messages)
    apart = {(letter.content, letter.record) for letter in letters if letter.holds == CLAIMS}
    refused = []
    for letter, part in zip(tried, parts, strict=True):
        of_itself = [
            r for r in part.rejected if letter.holds == CLAIMS or (letter.content, r.record) not in apart
        ]  # of a message, what has a letter of its own is tried there
        if of_itself:
            refused.append(letter)
    left = [letter for letter in letters if letter.holds != PART and not letter.is_kept]
    again = {letter.content for letter in refused if letter.holds == WHOLE}
    accepted = {letter.content for letter in tried if letter.holds == WHOLE} - again
    for letter in letters:  # a part goes or stays with its message
        if letter.holds == PART and letter.content not in accepted:
            (refused if letter.content in again else left).append(letter)
    batch = Batch(
        [source for part in parts for source in part.sources],
        [entity for part in parts for entity in part.entities],
        [claim for part in parts for claim in part.claims],
    )
    return Replayed(refused, left, await store.write(batch))
