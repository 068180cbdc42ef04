"""Dead letters again: the refused records of documents that are still there are read, checked and written anew.

What a vocabulary loaded since, a corrected ontology or a newer reader makes acceptable is written, and its letter goes.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ingestion.dead_letters import DeadLetter, exchange_letters, read_letters
from ingestion.pipeline import BATCH_SIZE
from ingestion.readers.base import READERS, Document, get_reader
from ingestion.replay_messages import PREFIXES, replay_messages
from ingestion.resolve import VocabularyResolver
from ingestion.worker import Task, Worker
from kg.errors import InputError
from kg.store import GraphStore

Found = dict[tuple[str, Path, str], dict[str, Document]]
"""(reader, root, its name) → documents there, by id."""


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

    def view(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"left": [{"document": document, "reason": reason} for document, reason in self.left]}


async def replay(
    store: GraphStore, path: Path, documents: Sequence[str] = (), *, uploads: Path | None = None
) -> ReplayReport:
    """Tries the letters of a file again; those that other runs write meanwhile stay.

    Args:
        store: the graph.
        path: the dead-letter file.
        documents: only letters of these; empty for all.
        uploads: folder with a folder for each upload, which goes with the last of its letters.

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
    found: Found = {}
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
        document = await asyncio.to_thread(_document, id_, file, content, of_document, found)
        if isinstance(document, str):
            report.left.append((id_, document))
            kept += of_document
            continue
        refused = await _replay_document(store, document, of_document, report)
        if failure := next((letter for letter in refused if letter.number == 0), None):
            report.left.append((id_, f"could not be read to its end: {failure.reason}"))
            kept += of_document
            continue
        kept += refused
        report.refused += len(refused)
        report.written += len(of_document) - len(refused)
    if letters:
        left = await asyncio.to_thread(exchange_letters, path, letters, sorted(kept, key=_order(letters)))
        if uploads is not None:
            await asyncio.to_thread(_remove_uploads, uploads, letters, left)
    return report


def _remove_uploads(uploads: Path, letters: Sequence[DeadLetter], kept: Sequence[DeadLetter]) -> None:
    root = uploads.resolve()
    for folder in _uploads(root, letters) - _uploads(root, kept):
        shutil.rmtree(folder, ignore_errors=True)


def _uploads(root: Path, letters: Sequence[DeadLetter]) -> set[Path]:
    """The folders of the uploads that letters are of."""
    files = (Path(letter.file) for letter in letters)
    return {root / file.relative_to(root).parts[0] for file in files if root in file.parents}


def _order(letters: list[DeadLetter]) -> Callable[[DeadLetter], tuple[int, int]]:
    """Key that keeps documents in the order in which they came, and records in theirs."""
    first: dict[str, int] = {}
    for at, letter in enumerate(letters):
        first.setdefault(letter.document, at)
    return lambda letter: (first[letter.document], letter.number)


def _document(id_: str, file: str, content: str, letters: list[DeadLetter], found: Found) -> Document | str:
    """The document of letters as its reader read it, or why they can't be tried."""
    if id_.partition(":")[0] not in READERS:
        return "came in by no file"
    if not getattr(get_reader(id_.partition(":")[0]), "replayable", True):
        return "is read by models; load it again when it, or they, have changed"
    document = Document(id_, Path(file))
    try:
        if document.content != content:
            accompanied = _accompanied(document, content, found)
            if accompanied is None:
                return f"{file} has changed; load it again"
            document = accompanied
    except InputError as error:
        return str(error)
    if any(letter.number == 0 for letter in letters):
        return "could not be read to its end; load it again"
    return document


def _accompanied(document: Document, content: str, found: Found) -> Document | None:
    """The same document with the files beside it that its reader reads, too; None if they are not as they were.

    The root that was ingested, in which a reader looks for them, is known by how much of the path is in the id.
    """
    reader, _, key = document.id.partition(":")
    parts = key.split("/")
    for below in range(len(parts) - 1, -1, -1):
        inside = [unquote(part) for part in parts[len(parts) - below :]]
        if inside != list(document.path.parts[len(document.path.parts) - below :]):
            continue
        root = document.path.parents[below - 1] if below else document.path
        name = unquote("/".join(parts[: len(parts) - below]))
        place = reader, root, name
        if place not in found:
            try:
                found[place] = {other.id: other for other in get_reader(reader).documents(root, name)}
            except InputError:
                found[place] = {}
        other = found[place].get(document.id)
        if other is not None and other.path == document.path and other.content == content:
            return other
    return None


async def _replay_document(
    store: GraphStore, document: Document, letters: list[DeadLetter], report: ReplayReport
) -> list[DeadLetter]:
    """Tries the letters of one document; gives those that were refused again, and one with number 0 if it broke off."""
    reader = get_reader(document.id.partition(":")[0])
    resolver = VocabularyResolver(store.ontology, mentions=getattr(reader, "mentions", False))
    await resolver.learn(store)
    task = Task(document, 0, only=frozenset(letter.number for letter in letters))
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
