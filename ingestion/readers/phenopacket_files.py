"""Phenopacket files: finds the messages in a file or archive and checks them against the GA4GH schema, v1 or v2."""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Self

import orjson
import yaml
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message
from phenopackets.schema.v1 import phenopackets_pb2 as v1
from phenopackets.schema.v2 import phenopackets_pb2 as v2

from ingestion.readers.base import Document
from kg.errors import words_of
from kg.model import Rejected

MAX_MESSAGE = 32 << 20
"""Bytes of one message (a file, or a member of an archive)."""
MAX_ARCHIVE = 16 << 30
"""Bytes of a tar's members when unpacked, since a small archive can stand for an endless one."""
_MAX_HEADER = 1 << 20
"""Bytes of a tar's extended header, which is read into memory as a whole."""

TAR_EXTENSIONS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
MESSAGE_EXTENSIONS = (".json", ".yaml", ".yml")
_YAML_EXTENSIONS = (".yaml", ".yml")
_ROOTS = (("proband", "Family"), ("members", "Cohort"))
"""A field that only this kind of message has."""
_BROKEN_ARCHIVE = (tarfile.TarError, zipfile.BadZipFile, EOFError, lzma.LZMAError, zlib.error, OSError)


@dataclass(frozen=True, slots=True)
class Parsed:
    """One message that fits the schema.

    Attributes:
        message: Phenopacket, Family or Cohort of schema v1 or v2.
        place: prefix of the places inside it: the member's name and `#`, or empty.
        problem: what the schema does not know and was left out; empty if nothing was.
    """

    message: Message
    place: str
    problem: str = ""


def messages(document: Document) -> Iterator[Parsed | Rejected]:
    """The messages of a document in the order of the file or archive.

    What can't be parsed is one `Rejected` with the member's name. An archive that breaks off gives one for the rest.
    """
    found = False
    last = ""
    try:
        for name, text in _texts(document):
            found, last = True, name
            yield _parse(document, name, text)
    except _BROKEN_ARCHIVE as error:
        if not _is_archive(document) or getattr(error, "errno", None) is not None:
            raise  # the disk failed, not the archive
        after = f" after {last}" if last else ""
        yield Rejected(f"the archive breaks off{after}: {words_of(error)}", last, "", document.id)
        return
    if not found and _is_archive(document):
        yield Rejected(f"no {', '.join(MESSAGE_EXTENSIONS)} inside the archive", "", "", document.id)


def _is_archive(document: Document) -> bool:
    return document.path.name.lower().endswith((*TAR_EXTENSIONS, ".zip"))


def _texts(document: Document) -> Iterator[tuple[str, bytes]]:
    """(member name or empty, at most MAX_MESSAGE + 1 bytes) of each file that may hold a message."""
    with document.open() as file:
        name = document.path.name.lower()
        if name.endswith(".zip"):
            with zipfile.ZipFile(file) as archive:
                for entry in archive.infolist():
                    if not entry.is_dir() and _holds_message(entry.filename):
                        with archive.open(entry) as content:
                            yield entry.filename, _bounded(content)
        elif name.endswith(TAR_EXTENSIONS):
            with tarfile.open(fileobj=file, mode="r|*", tarinfo=_Member) as tar:
                size = 0
                for member in tar:
                    tar.members = []  # type: ignore[attr-defined] # else all of them are kept
                    size += member.size
                    if size > MAX_ARCHIVE:
                        raise tarfile.ReadError(f"more than {MAX_ARCHIVE:,} bytes when unpacked")
                    stream = tar.extractfile(member) if member.isfile() and _holds_message(member.name) else None
                    if stream is not None:
                        yield member.name, _bounded(stream)
        else:
            yield "", _bounded(file)


class _Member(tarfile.TarInfo):
    """A member whose extended headers are small."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """The member of a header block."""
        # The end is a block of zeros; tarfile would take a header that is cut off or damaged for the end, too.
        if len(buf) < tarfile.BLOCKSIZE:
            raise tarfile.ReadError("unexpected end")
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if any(buf):
                raise tarfile.ReadError(str(error)) from error
            raise
        if member.type not in (*tarfile.REGULAR_TYPES, tarfile.DIRTYPE) and member.size > _MAX_HEADER:
            raise tarfile.ReadError(f"a header of {member.size:,} bytes")
        return member


def _holds_message(name: str) -> bool:
    base = name.rsplit("/", 1)[-1].lower()
    return base.endswith(MESSAGE_EXTENSIONS) and not base.startswith(".")


def _bounded(stream: IO[bytes]) -> bytes:
    return stream.read(MAX_MESSAGE + 1)


def _parse(document: Document, name: str, text: bytes) -> Parsed | Rejected:
    def rejected(reason: str) -> Rejected:
        return Rejected(reason, name, text[:2000].decode("utf-8", "replace"), document.id)

    if len(text) > MAX_MESSAGE:
        return rejected(f"larger than {MAX_MESSAGE:,} bytes")
    is_yaml = (name or document.path.name).lower().endswith(_YAML_EXTENSIONS)
    try:
        content = _load_yaml(text) if is_yaml else orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return rejected(f"not JSON: {error}")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return rejected(f"not YAML: {' '.join(str(error).split())}")
    if not isinstance(content, dict):
        return rejected("a Phenopacket is an object with named fields")
    prefix = f"{name}#" if name else ""
    problem = ""
    for lenient in (False, True):
        for schema in _schemas(content):
            try:
                message = ParseDict(content, _root(schema, content)(), ignore_unknown_fields=lenient)
            except (ParseError, TypeError, ValueError, AttributeError, RecursionError) as error:
                problem = problem or str(error)
                continue
            return Parsed(message, prefix, problem if lenient else "")
    return rejected(f"not a Phenopacket: {problem}")


def _schemas(content: dict[str, Any]) -> tuple[Any, ...]:
    """The schema that the message says it follows; both if it does not say, the newer one first."""
    meta = content.get("metaData", content.get("meta_data"))
    stated = ""
    if isinstance(meta, dict):
        stated = str(meta.get("phenopacketSchemaVersion", meta.get("phenopacket_schema_version", "")))
    if stated.startswith("1"):
        return (v1,)
    return (v2,) if stated.startswith("2") else (v2, v1)


def _root(schema: Any, content: dict[str, Any]) -> type[Message]:  # noqa: ANN401 (a generated module)
    for field, kind in _ROOTS:
        if field in content:
            root: type[Message] = getattr(schema, kind)
            return root
    packet: type[Message] = schema.Phenopacket
    return packet


class _Loader(yaml.CSafeLoader):
    """Safe YAML whose timestamps stay text, as protobuf's JSON mapping wants them."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def _load_yaml(text: bytes) -> object:
    """One YAML document.

    Raises:
        ValueError: it has aliases, by which a small file can stand for an endless one.
    """
    if b"*" in text and any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_Loader)):
        raise ValueError("aliases (*name) are not read")
    return yaml.load(text, Loader=_Loader)  # noqa: S506 (a safe loader)
