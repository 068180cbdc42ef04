"""What a reader is: it turns one format into sources, entities and claims, and knows nothing else."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from inspect import getdoc, getmodule
from pathlib import Path
from typing import IO, Protocol

from kg.errors import InputError
from kg.model import Record

_HASH_CHUNK = 1 << 20


@dataclass(eq=False)
class Document:
    """One input file, under an id that is the same on every machine.

    An archive of many files is one document.

    Attributes:
        id: reader name, then the path relative to the ingested root, the root's own name included.
        path: where the file lies, absolute.
        origin: what the ledger keeps as the place it came from, if that is more telling than the path.
        bytes_read: how far the last `open()` has been read; for progress.
    """

    id: str
    path: Path
    origin: str = ""
    bytes_read: int = field(default=0, init=False)

    @property
    def location(self) -> str:
        """The origin, or else the path."""
        return self.origin or str(self.path)

    @property
    def shown(self) -> str:
        """The path, for messages; bytes of a name that is no UTF-8 are escaped."""
        return os.fsencode(self.path).decode("utf-8", "backslashreplace")

    @cached_property
    def content(self) -> str:
        """SHA-256 of the bytes, hexadecimal.

        Raises:
            InputError: the file can't be read, or its name is no text.
        """
        digest = hashlib.sha256()
        if self.shown != str(self.path):
            raise InputError("its name is no UTF-8, so that no entity can bear it; rename the file", self.shown)
        try:
            with self.path.open("rb") as file:
                while chunk := file.read(_HASH_CHUNK):
                    digest.update(chunk)
        except OSError as error:
            raise unreadable(self.path, error) from error
        return digest.hexdigest()

    @cached_property
    def size(self) -> int:
        """Bytes; 0 if the file can't be looked at."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def open(self) -> IO[bytes]:
        """The bytes from the start, buffered; `bytes_read` follows.

        Raises:
            InputError: the file can't be read.
        """
        self.bytes_read = 0
        try:
            return io.BufferedReader(_Counted(self), buffer_size=1 << 18)
        except OSError as error:
            raise unreadable(self.path, error) from error


class _Counted(io.FileIO):
    """A file that tells its document how far it was read."""

    def __init__(self, document: Document) -> None:
        super().__init__(document.path, "rb")
        self._document = document

    def readinto(self, buffer: bytearray | memoryview, /) -> int | None:  # type: ignore[override]
        count = super().readinto(buffer)
        self._document.bytes_read += count or 0
        return count


class Reader(Protocol):
    """One format.

    Attributes:
        name: what users call it, e.g. `hpo`.
        version: grows whenever the same bytes would give other records; documents are then loaded anew.
        extensions: of the files that it takes.
        example: a command line that shows its use.
    """

    name: str
    version: str
    extensions: tuple[str, ...]
    example: str

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """The documents under a file or folder, in a stable order.

        Args:
            path: None takes the reader's own data, if it has any.
            name: stands for the root's own name in the ids.

        Raises:
            InputError: the path is missing, holds nothing to read, or may not be read.
        """
        ...

    def read(self, document: Document) -> Iterator[Record]:
        """A document's records, streamed, in an order that is the same each time.

        A source comes before what cites it, an entity before the claims about it. A record that makes no sense is
        yielded as `Rejected` with its place, and the rest follows. `document` is filled in.
        """
        ...


def _load(module: str, name: str) -> Callable[[], Reader]:
    def load() -> Reader:
        reader: Reader = getattr(import_module(f"ingestion.readers.{module}"), name)()
        return reader

    return load


READERS: dict[str, Callable[[], Reader]] = {
    "audio": _load("audio", "AudioReader"),
    "coco": _load("coco", "CocoReader"),
    "deepstream": _load("deepstream", "DeepStreamReader"),
    "disease_records": _load("disease_records", "DiseaseRecordsReader"),
    "fhir": _load("fhir", "FhirReader"),
    "frigate": _load("frigate", "FrigateReader"),
    "graphml": _load("graphml", "GraphMLReader"),
    "hpo": _load("hpo", "HpoReader"),
    "image": _load("image", "ImageReader"),
    "interactions": _load("interactions", "InteractionsReader"),
    "items": _load("items", "ItemsReader"),
    "kgat": _load("kgat", "KgatReader"),
    "llm_triples": _load("llm_triples", "LlmTripleReader"),
    "mot": _load("mot", "MotReader"),
    "neo4j_json": _load("neo4j_json", "Neo4jJsonReader"),
    "note": _load("note", "NoteReader"),
    "onvif": _load("onvif", "OnvifReader"),
    "openlabel": _load("openlabel", "OpenLabelReader"),
    "pdf": _load("pdf", "PdfReader"),
    "phenopackets": _load("phenopackets", "PhenopacketReader"),
    "rdf": _load("rdf", "RdfReader"),
    "recbole_kg": _load("recbole_kg", "RecboleKgReader"),
    "scenes": _load("scenes", "ScenesReader"),
    "series": _load("series", "SeriesReader"),
    "sumo_net": _load("sumo_net", "SumoNetReader"),
    "sumo_outputs": _load("sumo_outputs", "SumoOutputsReader"),
    "table": _load("table", "TableReader"),
    "text": _load("text", "TextReader"),
    "traffic_rules": _load("traffic_rules", "TrafficRulesReader"),
    "vias": _load("vias", "ViasReader"),
    "video": _load("video", "VideoReader"),
    "yolo": _load("yolo", "YoloReader"),
}
"""Readers by name; a module is imported when its reader is first asked for."""


def get_reader(name: str) -> Reader:
    """The reader of this name.

    Raises:
        InputError: there is none; names those there are.
    """
    if name not in READERS:
        raise InputError(f"unknown reader {name!r}; known: {', '.join(sorted(READERS))}")
    return READERS[name]()


def description_of(reader: Reader) -> str:
    """What it reads, in a line: how its module begins."""
    return (getdoc(getmodule(type(reader))) or "").partition("\n")[0]


def unreadable(path: Path, error: OSError) -> InputError:
    """The error for a file or folder that can't be read."""
    reason = (
        "no permission to read it" if isinstance(error, PermissionError) else (error.strerror or str(error)).lower()
    )
    return InputError(reason, str(path))


def find_documents(reader: Reader, path: Path, name: str | None = None) -> Iterator[Document]:
    """Documents of a file, or of all files under a folder that have the reader's extensions, sorted by relative path.

    A folder inside that may not be entered becomes a document too, so that reading it fails by name and the rest loads.

    Raises:
        InputError: as `Reader.documents`.
    """
    root = path.expanduser().resolve()
    try:
        if not stat.S_ISDIR(root.stat().st_mode):
            if not root.name.lower().endswith(reader.extensions):
                raise InputError(f"reader {reader.name} takes {', '.join(reader.extensions)}", str(path))
            root.open("rb").close()
            yield Document(f"{reader.name}:{_escape(name or root.name)}", root)
            return
        os.scandir(root).close()
    except OSError as error:
        raise unreadable(path, error) from error
    found = sorted(_walk(root, reader.extensions))
    if not found:
        raise InputError(f"nothing to read: no {', '.join(reader.extensions)} inside", str(path))
    top = name or root.name
    for relative in found:
        yield Document(f"{reader.name}:{_escape(f'{top}/{relative}')}", root / relative)


def _walk(root: Path, extensions: tuple[str, ...]) -> Iterator[str]:
    """Relative paths of visible files with these extensions, and of folders that may not be entered."""
    closed: list[str] = []

    def note(error: OSError) -> None:
        closed.append(Path(error.filename).relative_to(root).as_posix())

    for folder, folders, files in os.walk(root, onerror=note):
        folders[:] = [f for f in folders if not f.startswith(".")]
        for file in files:
            if not file.startswith(".") and file.lower().endswith(extensions):
                yield (Path(folder) / file).relative_to(root).as_posix()
    yield from closed


def _escape(text: str) -> str:
    """Percent-encodes what would end an id: blanks, the percent sign itself, and bytes of a name that is no UTF-8."""
    return "".join(_encoded(c) if c.isspace() or c == "%" or "\udc80" <= c <= "\udcff" else c for c in text)


def _encoded(character: str) -> str:
    code = ord(character)
    return f"%{code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code:02X}"
