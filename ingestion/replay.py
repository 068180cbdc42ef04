"""Dead letters again: the refused records of documents that are still there are read, checked and written anew.

What a vocabulary loaded since, a corrected ontology or a newer reader makes acceptable is written, and its letter goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ingestion.dead_letters import DeadLetter, read_letters, write_letters
from ingestion.pipeline import BATCH_SIZE
from ingestion.readers.base import READERS, Document, get_reader
from ingestion.replay_messages import PREFIXES, replay_messages
from ingestion.resolve import VocabularyResolver
from ingestion.worker import Task, Worker
from kg.errors import InputError
from kg.store import GraphStore


@dataclass(slots=True)
class ReplayReport:
    """What became of dead letters.

    Attributes:
        written: letters whose record was accepted; they are gone from the file.
        refused: letters whose record was refused again.
        left: (document, reason) of letters that could not be tried.
    """

    written: int
    refused: int
    left: list[tuple[str, str]]
    entities: int = 0
    facts: int = 0


async def replay(store: GraphStore, path: Path, documents: Sequence[str] = ()) -> ReplayReport:
    """Tries the letters of a file again; no other run may write to it meanwhile.

    Args:
        store: the graph.
        path: the dead-letter file.
        documents: only letters of these; empty for all.

    Raises:
        InputError: the file can't be read or written.
        StoreUnavailableError: the database went away.
    """
    letters = list(dict.fromkeys(read_letters(path)))
    groups: dict[tuple[str, str, str], list[DeadLetter]] = defaultdict(list)
    kept: list[DeadLetter] = []
    for letter in letters:
        if documents and letter.document not in documents:
            kept.append(letter)
        else:
            groups[letter.document, letter.file, letter.content].append(letter)
    report = ReplayReport(0, 0, [])
    for (id_, file, content), of_document in groups.items():
        if id_.startswith(PREFIXES):
            done = await replay_messages(store, id_, of_document)
            if done is None:
                report.left.append((id_, "was taken back"))
                kept += of_document
                continue
            if done.left:
                reason = f"{len(done.left):,} of a message that is too long to be kept, or no text; send it again"
                report.left.append((id_, reason))
            report.entities += done.written.entities
            report.facts += done.written.facts
            kept += [*done.refused, *done.left]
            report.refused += len(done.refused)
            report.written += len(of_document) - len(done.refused) - len(done.left)
            continue
        if reason := _obstacle(id_, file, content, of_document):
            report.left.append((id_, reason))
            kept += of_document
            continue
        refused = await _replay_document(store, id_, Path(file), of_document, report)
        kept += refused
        report.refused += len(refused)
        report.written += len(of_document) - len(refused)
    if letters:
        write_letters(path, sorted(kept, key=_order(letters)))
    return report


def _order(letters: list[DeadLetter]) -> Callable[[DeadLetter], tuple[int, int]]:
    """Key that keeps documents in the order in which they came, and records in theirs."""
    first: dict[str, int] = {}
    for at, letter in enumerate(letters):
        first.setdefault(letter.document, at)
    return lambda letter: (first[letter.document], letter.number)


def _obstacle(id_: str, file: str, content: str, letters: list[DeadLetter]) -> str:
    """Why the letters of a document can't be tried; empty if they can."""
    if id_.partition(":")[0] not in READERS:
        return "came in by no file"
    document = Document(id_, Path(file))
    try:
        if document.content != content:
            return f"{file} has changed; load it again"
    except InputError as error:
        return str(error)
    if any(letter.number == 0 for letter in letters):
        return "could not be read to its end; load it again"
    return ""


async def _replay_document(
    store: GraphStore, id_: str, file: Path, letters: list[DeadLetter], report: ReplayReport
) -> list[DeadLetter]:
    """Tries the letters of one document; gives those that were refused again."""
    reader = get_reader(id_.partition(":")[0])
    resolver = VocabularyResolver(store.ontology, mentions=getattr(reader, "mentions", False))
    await resolver.learn(store)
    task = Task(Document(id_, file), 0, only=frozenset(letter.number for letter in letters))
    worker = Worker(reader, resolver, [task], BATCH_SIZE, "")
    refused: list[DeadLetter] = []
    try:
        async for chunk, batch in worker.chunks():
            written = await store.write(batch)
            report.entities += written.entities
            report.facts += written.facts
            refused += chunk.rejected
    finally:
        await worker.stop()
    return refused
