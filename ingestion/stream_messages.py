"""From a message's bytes to records: by the message functions of readers, or by reading it as a small file."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import IO

import structlog

from ingestion.claims import claims_of, parse
from ingestion.readers import deepstream, frigate, onvif
from ingestion.readers.base import Document, Reader, get_reader
from ingestion.readers.detection import Said, key_of, stem_of
from kg.errors import InputError, words_of
from kg.model import Record, Rejected, Source

log = structlog.get_logger("stream")

ReadMessage = Callable[[bytes, str, str, Said], Iterator[Record]]
"""(body, the message's own topic, document, what the batch has said already) → records. Places are within the message,
so that a message that is published again says nothing new."""

_NOWHERE = Path(os.devnull)
"""Folder of messages: nothing lies beside them."""
_BY_NAME = frozenset({"series"})
"""Readers whose ids are of sensors and times, never of places, and which may learn the sensor from the file's name."""


def message_function(reader: str) -> ReadMessage:
    """How messages of a format are read.

    Args:
        reader: `claims`, or a reader's name.

    Raises:
        InputError: there is no such reader.
    """
    if reader == "claims":
        return lambda body, _topic, document, _said: claims_of(parse(body), document)
    if reader == "frigate":
        return lambda body, _topic, document, said: frigate.records_of(parse(body), document, "", said)
    if reader == "deepstream":
        return lambda body, _topic, document, said: deepstream.records_of(parse(body), document, "", said)
    if reader == "onvif":
        return lambda body, topic, document, said: _frames(body, document, _camera(topic), said)
    found = get_reader(reader)
    return lambda body, _topic, document, _said: _as_file(found, body, document)


def records_of(read: ReadMessage, id_: str, body: bytes, topic: str, document: str, said: Said) -> list[Record]:
    """The records of one message; what can't be read is one `Rejected` behind those that could.

    Args:
        read: how; see `message_function`.
        id_: of the message, for the log.
        body: the message.
        topic: its own.
        document: of the stream.
        said: by other messages of the batch.
    """
    records: list[Record] = []
    try:
        records.extend(read(body, topic, document, said))
    except InputError as error:
        records.append(Rejected(error.reason, error.place, "", document))
    except Exception as error:  # one message must not stop all that come after it
        log.exception("a message can't be read", id=id_)
        records.append(Rejected(f"the reader failed: {words_of(error)}", "", "", document))
    return records


def version_of(reader: str) -> str:
    """Name and version, as the ledger has them."""
    return f"{reader}@{'1' if reader == 'claims' else get_reader(reader).version}"


def _camera(topic: str) -> str:
    """The last part of a topic, which names the camera of ONVIF's messages, which do not."""
    return re.split(r"[./]", topic.rstrip(".>#*+/"))[-1] or topic


def _frames(body: bytes, document: str, camera: str, said: Said) -> Iterator[Record]:
    try:
        frames = onvif.frames_of(body)
    except ValueError as error:
        raise InputError(str(error)) from error
    if not frames:
        yield Rejected("no frames (tt:Frame) inside", "", "", document)
    for index, frame in enumerate(frames):
        yield from onvif.records_of(frame, document, f"Frame[{index}]", camera, said)


def _as_file(reader: Reader, body: bytes, stream: str) -> Iterator[Record]:
    """The records of a message that a reader takes for a file in a folder of the stream's name.

    Ids that a reader makes of a document and of a place there are thus the message's own, and the same when it is sent
    again. What it says is said by the stream: the message is neither a document nor a source in the graph.
    """
    message = _Message(stream, body, reader.extensions[0], whole=reader.name in _BY_NAME)
    own = (message.id, stem_of(message.id)) if message.id != stream else ()
    for record in reader.read(message):
        document = stream if record.document == message.id else record.document
        if isinstance(record, Source):
            yield replace(record, document=document, id=stream if record.id in own else record.id)
        elif isinstance(record, Rejected):
            yield replace(record, document=document)
        else:
            yield replace(record, document=document, source=stream if record.source in own else record.source)


class _Message(Document):
    """A message that a reader takes for a file: its name is the stream's, its id has a hash of its content.

    Args:
        stream: id of the stream's document.
        body: the message.
        extension: of the reader's files.
        whole: the id is the stream's.
    """

    def __init__(self, stream: str, body: bytes, extension: str, *, whole: bool) -> None:
        name = key_of(stream).rsplit("/", 1)[-1]
        own = f"{stream}/{blake2b(body, digest_size=12).hexdigest()}{extension}"
        super().__init__(stream if whole else own, _NOWHERE / f"{name}{extension}")
        self._body = body

    def open(self) -> IO[bytes]:
        """The bytes from the start."""
        return io.BytesIO(self._body)
