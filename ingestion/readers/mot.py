"""MOT challenge: ground truth, public detections and trackers' results, lines of `frame,id,left,top,width,height,…`."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingestion.readers.base import Document
from ingestion.readers.beside import Accompanied, folders_above, read_beside
from ingestion.readers.checked import MAX_PIXELS, Box, integer, parsed_number
from ingestion.readers.detection import (
    Detection,
    Medium,
    Said,
    Track,
    curie,
    detection_records,
    found_documents,
    guarded,
    key_of,
    run_of,
    stem_of,
)
from ingestion.readers.lines import lines
from ingestion.readers.object_classes import MOT
from kg.errors import InputError
from kg.model import Record, Rejected, Source

_MAX_LINE = 1 << 16
_FIELDS = ("frame", "id", "left", "top", "width", "height", "confidence", "class", "visibility")
_TRUTH_COLUMNS = 9
"""Ground truth has a class and a visibility; detections and results end in place holders."""


@dataclass(frozen=True, slots=True)
class _Sequence:
    name: str
    width: int = 0
    height: int = 0
    rate: float = 0.0


class MotReader:
    """Reads `gt.txt`, `det.txt` and results named for their sequence; `seqinfo.ini` beside or above, within
    what is loaded, has size and rate.

    Boxes and frames count from 1 in the files; boxes from 0 in the graph. Ground truth cites the document, all else the
    run, which the folder is named for.
    """

    name = "mot"
    version = "2"
    extensions: tuple[str, ...] = (".txt",)
    example = "evigraph ingest mot MOT17/train"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each file; see `Reader.documents`."""
        for document in found_documents(self, path, name):
            candidates = (folder / "seqinfo.ini" for folder in folders_above(document.path, path, 1))
            yield Accompanied(document, tuple(c for c in candidates if c.is_file())[:1])

    def read(self, document: Document) -> Iterator[Record]:
        """Each line's detection."""
        sequence = _Sequence(_sequence_name(document))
        for path in document.beside if isinstance(document, Accompanied) else ():
            try:
                sequence = _seqinfo(path, sequence.name)
            except InputError as error:
                yield Rejected(error.reason, path.name, "", document.id)
        file = _File(document, sequence)
        for line in lines(document, _MAX_LINE):
            if isinstance(line, Rejected):
                yield line
                continue
            number, content = line
            if content.strip():
                yield from guarded(
                    lambda n=number, c=content: file.detection(n, c.split(",")),  # type: ignore[misc]
                    document.id,
                    f"L{number}",
                    content,
                )


def _sequence_name(document: Document) -> str:
    """`MOT17-02` of `…/MOT17-02/gt/gt.txt` and of `…/MOT17-02.txt`."""
    *folders, file = key_of(document.id).split("/")
    kept = [folder for folder in folders if folder not in ("gt", "det")]
    return kept[-1] if kept and stem_of(file) in ("gt", "det") else stem_of(file)


def _seqinfo(path: Path, name: str) -> _Sequence:
    """What the file says of the sequence.

    Raises:
        InputError: it can't be read.
    """
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_beside(path), path.name)
        stated = parser["Sequence"]
        return _Sequence(
            stated.get("name", name),
            integer(parsed_number(stated["imWidth"], "imWidth", 1, MAX_PIXELS), "imWidth"),
            integer(parsed_number(stated["imHeight"], "imHeight", 1, MAX_PIXELS), "imHeight"),
            parsed_number(stated["frameRate"], "frameRate", 1e-3, 1e6),
        )
    except (configparser.Error, KeyError, ValueError) as error:
        raise InputError(f"no size and frame rate: {' '.join(str(error).split())}", path.name) from error


class _File:
    """The detections of one file."""

    def __init__(self, document: Document, sequence: _Sequence) -> None:
        self._id = document.id
        self._rate = sequence.rate
        self._said = Said()
        properties = {"frame_rate": sequence.rate} if sequence.rate else {}
        self._medium = Medium(
            curie("video", sequence.name), sequence.name, sequence.width, sequence.height, properties=properties
        )
        self._run = Source(run_of(document.id), "model", document=document.id)
        self._table = Source(document.id, "document", name=document.path.name, document=document.id)
        self._truth = stem_of(document.path.name) == "gt"

    def detection(self, line: int, cells: list[str]) -> Iterator[Record]:
        """Of one line."""
        if not 7 <= len(cells) <= 10:
            raise ValueError(f"{len(cells)} columns; wanted are 7 to 10: {','.join(_FIELDS)}")
        values = [parsed_number(cell, name) for cell, name in zip(cells, _FIELDS, strict=False)]
        frame = integer(values[0], "frame", 1)
        track = integer(values[1], "id", -1)
        left, top, width, height, flag = values[2:7]
        truth = self._truth or len(cells) == _TRUTH_COLUMNS
        label, attributes = "pedestrian", list[str]()
        if len(cells) == _TRUTH_COLUMNS:
            class_ = integer(values[7], "class", 1)
            if class_ not in MOT:
                raise ValueError(f"class: {class_} is none of MOT's 1…{max(MOT)}")
            label, attributes = MOT[class_], [f"visibility={values[8]:g}"]
        if truth and flag == 0:
            attributes.append("ignored=true")
        # Results and public detections write -1 where there is no confidence.
        confidence = 1.0 if truth or flag == -1 else parsed_number(cells[6], "confidence", 0.0, 1.0)
        source = self._table if truth else self._run
        detection = Detection(
            curie("detection", self._id, str(line)),
            self._medium,
            label,
            confidence,
            pixels=Box.of_size(left - 1, top - 1, width, height),
            frame=frame,
            frame_time=round((frame - 1) / self._rate, 6) if self._rate else None,
            track=Track(curie("track", self._id, str(track)), str(track), self._medium) if track >= 0 else None,
            attributes=tuple(attributes),
            box_name="box",
        )
        yield from detection_records(detection, source, f"L{line}", self._said)
