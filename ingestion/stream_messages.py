"""From a message's bytes to records: by the message functions of readers, or by reading it as a small file."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from ingestion.claims import claims_of, parse
from ingestion.readers import deepstream, frigate, onvif
from ingestion.readers.base import Document, get_reader
from ingestion.readers.detection import Said
from kg.errors import InputError
from kg.model import Record, Rejected

ReadMessage = Callable[[bytes, str, Said], Iterator[Record]]
"""(body, document, what the batch has said already) → records. Places are within the message, so that a message that
is published again says nothing new."""


def message_function(reader: str, topic: str) -> ReadMessage:
    """How messages of a format are read.

    Args:
        reader: `claims`, or a reader's name.
        topic: whose last part names the camera of ONVIF's messages, which do not.

    Raises:
        InputError: there is no such reader.
    """
    if reader == "claims":
        return lambda body, document, _: claims_of(parse(body), document)
    if reader == "frigate":
        return lambda body, document, said: frigate.records_of(parse(body), document, "", said)
    if reader == "deepstream":
        return lambda body, document, said: deepstream.records_of(parse(body), document, "", said)
    if reader == "onvif":
        camera = re.split(r"[./]", topic.rstrip(".>#*+/"))[-1] or topic
        return lambda body, document, said: _frames(body, document, camera, said)
    found = get_reader(reader)
    return lambda body, document, _: found.read(_Message(document, body))


def version_of(reader: str) -> str:
    """Name and version, as the ledger has them."""
    return f"{reader}@{'1' if reader == 'claims' else get_reader(reader).version}"


def _frames(body: bytes, document: str, camera: str, said: Said) -> Iterator[Record]:
    try:
        frames = onvif.frames_of(body)
    except ValueError as error:
        raise InputError(str(error)) from error
    if not frames:
        yield Rejected("no frames (tt:Frame) inside", "", "", document)
    for index, frame in enumerate(frames):
        yield from onvif.records_of(frame, document, f"Frame[{index}]", camera, said)


class _Message(Document):
    """A message that a reader takes for a file."""

    def __init__(self, id_: str, body: bytes) -> None:
        super().__init__(id_, Path())
        self._body = body

    def open(self) -> IO[bytes]:
        """The bytes from the start."""
        return io.BytesIO(self._body)
