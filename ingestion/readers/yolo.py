"""YOLO: one text file a picture, a line `class x y width height [confidence [track]]` a box, in shares of its size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ingestion.readers.base import Document
from ingestion.readers.beside import Accompanied, folders_above, read_beside
from ingestion.readers.checked import Box, integer, numbers, parsed_number, text
from ingestion.readers.detection import (
    Detection,
    Medium,
    Said,
    Track,
    curie,
    detection_records,
    found_documents,
    guarded,
    image_id,
    key_of,
    run_folders,
    run_of,
    stem_of,
)
from ingestion.readers.lines import lines
from ingestion.readers.object_classes import ObjectClass
from kg.errors import InputError
from kg.model import Record, Rejected, Source

_NAMES_FILES = ("data.yaml", "data.yml", "dataset.yaml", "*.names", "classes.txt")
_ABOVE = 3
"""Folders above a label file in which its names may lie (`set/labels/train/a.txt`, `set/data.yaml`)."""
_WHOLE = re.compile(r"\d+")
_MAX_LINE = 1 << 16
_SHARE = 1.001
_NEAR, _MOST, _POINTS = 0.02, 0.9, 4
"""Keypoints lie within their box, most of them but for so much of the picture; fewer than so many prove nothing."""


class YoloReader:
    """Reads labels and results, boxes and polygons; a file's stem is the picture's name.

    Names of classes lie in `data.yaml`, `*.names` or `classes.txt` beside the files or above, within what is loaded;
    without them a class has its number for a name, and is the file's own. Rows are boxes with keypoints where the
    `data.yaml` has a `kpt_shape`. Boxes with a confidence cite the run, which its folder is named for;
    boxes without cite the document.
    """

    name = "yolo"
    version = "3"
    extensions: tuple[str, ...] = (".txt",)
    example = "evigraph ingest yolo runs/detect/exp"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each label file; see `Reader.documents`."""
        beside: dict[Path, tuple[Path, ...]] = {}
        for document in found_documents(self, path, name):
            folder = document.path.parent
            if document.path.name == "classes.txt":
                continue
            if folder not in beside:
                beside[folder] = _names_file(folders_above(document.path, path, _ABOVE))
            yield Accompanied(document, beside[folder])

    def read(self, document: Document) -> Iterator[Record]:
        """Each line's detection."""
        data = _DataSet()
        for path in document.beside if isinstance(document, Accompanied) else ():
            try:
                data = _data_set(path)
            except InputError as error:
                yield Rejected(error.reason, path.name, "", document.id)
        labels = _Labels(document, data)
        for line in lines(document, _MAX_LINE):
            if isinstance(line, Rejected):
                yield line
                continue
            number, content = line
            if content.strip() and not content.lstrip().startswith("#"):
                yield from guarded(
                    lambda n=number, c=content: labels.detection(n, c.split()),  # type: ignore[misc]
                    document.id,
                    f"L{number}",
                    content,
                )


def _names_file(folders: list[Path]) -> tuple[Path, ...]:
    for place in folders:
        for pattern in _NAMES_FILES:
            for candidate in sorted(place.glob(pattern)):
                if candidate.is_file():
                    return (candidate,)
    return ()


@dataclass(frozen=True, slots=True)
class _DataSet:
    """What a file of names says.

    Attributes:
        names: class number → name.
        keypoints: how many a box has, and how many numbers each (x, y and maybe how sure); 0 where it has none.
    """

    names: dict[int, str] = field(default_factory=dict)
    keypoints: tuple[int, int] = (0, 0)


def _data_set(path: Path) -> _DataSet:
    """What a file says.

    Raises:
        InputError: the file can't be read, or lists no names.
    """
    content = read_beside(path)
    try:
        if path.suffix not in (".yaml", ".yml"):
            return _DataSet({i: line.strip() for i, line in enumerate(content.splitlines()) if line.strip()})
        stated = yaml.load(content, Loader=yaml.CSafeLoader)
        names = stated.get("names") if isinstance(stated, dict) else None
        if isinstance(names, list):
            names = dict(enumerate(names))
        if not isinstance(names, dict) or not names:
            raise ValueError("names: neither a list nor a mapping of classes")
        keypoints = (0, 0)
        if (shape := stated.get("kpt_shape")) is not None:
            count, size = numbers(shape, "kpt_shape", 2)
            keypoints = integer(count, "kpt_shape[0]", 1, 10_000), integer(size, "kpt_shape[1]", 2, 3)
        return _DataSet({integer(key, "names"): text(name, f"names[{key}]") for key, name in names.items()}, keypoints)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"no names of classes: {' '.join(str(error).split())}", path.name) from error


class _Labels:
    """The detections of one file."""

    def __init__(self, document: Document, data: _DataSet) -> None:
        self._id = document.id
        self._names = data.names
        self._keypoints = data.keypoints
        self._said = Said()
        self._picture = stem_of(key_of(document.id).rpartition("/")[2]), stem_of(document.path.name)
        self._medium: Medium | None = None
        self._run = Source(run_of(document.id), "model", document=document.id)
        self._table = Source(document.id, "document", name=document.path.name, document=document.id)

    def detection(self, line: int, cells: list[str]) -> Iterator[Record]:
        """Of one line."""
        values = [parsed_number(cell, f"column {i}") for i, cell in enumerate(cells, 1)]
        class_ = integer(values[0], "class", 0, 1_000_000)
        keypoints: tuple[str, ...] = ()
        if self._keypoints[0] and len(values) != 5:  # a row of a pose may lack its points, but is never a polygon
            keypoints = self._taken_keypoints(values)
            cells = [*cells[:5], *cells[len(cells) - len(values) + 5 :]]
        rest = values[1:]
        confidence, track_id = None, ""
        if (len(rest) == 6 and _WHOLE.fullmatch(cells[6])) or (len(rest) >= 5 and _is_track(cells[-1])):
            track_id = cells[-1]
            rest = rest[:-1]
        if len(rest) == 5 or (len(rest) > 5 and len(rest) % 2):
            confidence = parsed_number(cells[len(rest)], "confidence", 0.0, 1.0)
            rest = rest[:-1]
        if len(rest) == 4:
            box, name = Box.around(*rest), "box"
            _check_shares(rest, ("x", "y", "width", "height"))
        elif len(rest) >= 6:
            if _may_be_pose(values[1:]):
                raise ValueError(f"{len(cells)} columns: a polygon, or keypoints, which need kpt_shape in data.yaml?")
            _check_shares(rest, ("x", "y") * (len(rest) // 2))
            box, name = Box(min(rest[::2]), min(rest[1::2]), max(rest[::2]), max(rest[1::2])), "polygon"
        else:
            raise ValueError(f"{len(cells)} columns; wanted are class, x, y, width, height and maybe a confidence")
        medium = self._medium = self._medium or self._first_medium(is_result=confidence is not None)
        track = Track(curie("track", self._run.id, track_id), track_id, medium) if track_id else None
        detection = Detection(
            curie("detection", self._id, str(line)),
            medium,
            self._names[class_] if class_ in self._names else self._unnamed(class_),
            1.0 if confidence is None else confidence,
            shares=box,
            track=track,
            attributes=keypoints,
            box_name=name,
        )
        source = self._table if confidence is None else self._run
        yield from detection_records(detection, source, f"L{line}", self._said)

    def _first_medium(self, *, is_result: bool) -> Medium:
        """The picture: labels are of one in their folder, results of one beside the run's folder, as other runs are."""
        folders = run_folders(self._id)
        if is_result:
            folders = folders[:-1] or folders
        picture, name = self._picture
        return Medium(image_id("/".join(folders), picture), name)

    def _taken_keypoints(self, values: list[float]) -> tuple[str, ...]:
        """Takes the keypoints out of a row's numbers, as attributes: `keypoint0=0.41,0.59,0.9`.

        Raises:
            ValueError: there are more or fewer than the data set's, or one lies outside the picture.
        """
        count, size = self._keypoints
        end = 5 + count * size
        if not end <= len(values) <= end + 2:
            wanted = f"5 or {end}, and maybe a confidence and a track"
            raise ValueError(f"{len(values)} columns; with kpt_shape [{count}, {size}] wanted are {wanted}")
        points = [values[at : at + size] for at in range(5, end, size)]
        for index, point in enumerate(points):
            _check_shares(point[:2], (f"keypoint {index} x", f"keypoint {index} y"))
        del values[5:end]
        return tuple(f"keypoint{i}={','.join(f'{n:g}' for n in point)}" for i, point in enumerate(points))

    def _unnamed(self, class_: int) -> ObjectClass:
        if self._names:
            raise ValueError(f"class: {class_} is not among the {len(self._names)} names")
        folder = key_of(self._id).partition("/")[0]
        return ObjectClass(curie("object", folder, f"class{class_}"), f"class{class_}")


def _is_track(cell: str) -> bool:
    """Whether a last column is a track's number, as trackers append it: no share and no confidence is beyond 1."""
    return _WHOLE.fullmatch(cell) is not None and int(cell) > 1


def _check_shares(values: list[float], names: tuple[str, ...]) -> None:
    """Checks coordinates.

    Raises:
        ValueError: one is no share of the picture.
    """
    for share, name in zip(values, names, strict=True):
        if not 0.0 <= share <= _SHARE:
            raise ValueError(f"{name}: {share:g} is no share of the picture (0…1)")


def _may_be_pose(values: list[float]) -> bool:
    """Whether columns may be a box and keypoints (x, y and how sure) within it, and maybe a confidence and a track."""
    left, top, right, bottom = Box.around(*values[:4]) if values[2] > 0 and values[3] > 0 else (1.0, 1.0, 0.0, 0.0)
    for extra in range(3):
        points = values[4 : len(values) - extra]
        if len(points) >= 3 * _POINTS and len(points) % 3 == 0:
            seen = list(zip(points[::3], points[1::3], strict=True))
            within = sum(
                (left - _NEAR <= x <= right + _NEAR and top - _NEAR <= y <= bottom + _NEAR) or x == y == 0.0
                for x, y in seen
            )
            if within >= _MOST * len(seen):
                return True
    return False
