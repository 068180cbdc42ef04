"""COCO: results of detectors (a list of boxes with scores) and annotation files (images, annotations, categories)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ingestion.readers.base import Document
from ingestion.readers.beside import Accompanied
from ingestion.readers.checked import MAX_PIXELS, Box, integer, mapping, number, numbers, score, sequence, text
from ingestion.readers.detection import (
    Detection,
    Medium,
    Said,
    Track,
    class_records,
    curie,
    detection_records,
    found_documents,
    guarded,
    image_id,
    key_of,
    medium_records,
    source_records,
    stem_of,
)
from ingestion.readers.json_values import Item, starts_with_object, values
from ingestion.readers.object_classes import COCO, ObjectClass, object_class
from kg.model import Claim, Record, Rejected, Source

MAX_IMAGES = 1_000_000
"""Pictures of one file whose sizes are remembered; boxes in later ones are known in pixels only."""

_CATEGORY_FILES = ("categories.json", "annotations.json", "instances.json", "instances_*.json", "annotations_*.json")
_IMAGES, _ANNOTATIONS, _CATEGORIES = ("images",), ("annotations",), ("categories",)

Sizes = dict[str, tuple[int, int]]
Names = dict[int, str]


class CocoReader:
    """Reads results and annotation files of any size; pictures are told apart by folder and image id.

    Results cite the model that the file is named for. Their categories, and the pictures' sizes, are those of an
    annotation file beside them, else COCO's own. Annotations without a score cite the document.
    """

    name = "coco"
    version = "2"
    extensions: tuple[str, ...] = (".json",)
    example = "evigraph ingest coco val2017/"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each file; see `Reader.documents`."""
        for document in found_documents(self, path, name):
            yield Accompanied(document, _category_file(document.path))

    def read(self, document: Document) -> Iterator[Record]:
        """Of an annotation file: pictures, categories, annotations; of results: each box."""
        writer = _Writer(document)
        if starts_with_object(document):
            yield from writer.annotation_file()
        else:
            yield from writer.results()


def _category_file(path: Path) -> tuple[Path, ...]:
    """The annotation file beside results."""
    for pattern in _CATEGORY_FILES:
        for candidate in sorted(path.parent.glob(pattern)):
            if candidate != path and candidate.is_file():
                return (candidate,)
    return ()


class _Writer:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._said = Said()
        model = stem_of(document.id)
        self._model = Source(model, "model", name=stem_of(document.path.name), document=document.id)
        self._table = Source(document.id, "document", name=document.path.name, document=document.id)
        self._folder = key_of(document.id).rpartition("/")[0]
        self._names: Names = {}
        self._sizes: Sizes = {}

    def results(self) -> Iterator[Record]:
        beside = self._document.beside if isinstance(self._document, Accompanied) else ()
        for path in beside:
            for item in values(Document(self._document.id, path), _CATEGORIES, _IMAGES):
                try:
                    if isinstance(item, Item):
                        learn = self._learn_category if item.path == _CATEGORIES else self._learn_image
                        learn(item)
                except ValueError:
                    continue  # said where that file is loaded
        for item in values(self._document):
            yield from self._statement(item, known=False)

    def annotation_file(self) -> Iterator[Record]:
        """In two passes: categories and sizes of pictures mostly come behind what needs them."""
        found = False
        for item in values(self._document, _IMAGES, _CATEGORIES):
            if isinstance(item, Rejected):
                self._said.first((item.place, item.reason))
                yield item
                continue
            found = True
            records = self._category if item.path == _CATEGORIES else self._image
            yield from guarded(lambda i=item, r=records: r(i), self._document.id, item.place, item.value)  # type: ignore[misc]
        for item in values(self._document, _ANNOTATIONS):
            if isinstance(item, Item) or self._said.first((item.place, item.reason)):
                found = True
                yield from self._statement(item, known=True)
        if not found:
            yield Rejected("no images, annotations or categories inside", "", "", self._document.id)

    def _learn_category(self, item: Item) -> str:
        category = mapping(item.value, "category")
        name = text(category.get("name"), "name")
        self._names[integer(category.get("id"), "id")] = name
        return name

    def _category(self, item: Item) -> Iterator[Record]:
        class_ = object_class(self._learn_category(item))
        yield from source_records(self._table, self._said)
        yield from class_records(class_, self._table, item.place, self._said)
        if above := item.value.get("supercategory"):
            broader = object_class(text(above, "supercategory"))
            if broader.id != class_.id:
                yield from class_records(broader, self._table, item.place, self._said)
                yield Claim(class_.id, "IS_A", broader.id, self._table.id, 1.0, {}, self._document.id, item.place)

    def _learn_image(self, item: Item) -> tuple[str, int, int]:
        """Id, width, height."""
        image = mapping(item.value, "image")
        id_ = text(image.get("id"), "id")
        width, height = (
            integer(image[side], side, 1, MAX_PIXELS) if image.get(side) is not None else 0
            for side in ("width", "height")
        )
        if len(self._sizes) < MAX_IMAGES:
            self._sizes[id_] = (width, height)
        return id_, width, height

    def _image(self, item: Item) -> Iterator[Record]:
        id_, width, height = self._learn_image(item)
        image = item.value
        name = text(image["file_name"], "file_name") if image.get("file_name") else ""
        url = image.get("coco_url") or image.get("flickr_url")
        yield from source_records(self._table, self._said)
        medium = Medium(
            image_id(self._folder, id_), name, width, height, properties={"url": text(url, "url")} if url else {}
        )
        yield from medium_records(medium, self._table, item.place, self._said)

    def _statement(self, item: Item | Rejected, *, known: bool) -> Iterator[Record]:
        if isinstance(item, Rejected):
            yield item
        else:
            yield from guarded(lambda: self._detection(item, known=known), self._document.id, item.place, item.value)

    def _detection(self, item: Item, *, known: bool) -> Iterator[Record]:
        stated = mapping(item.value, "record")
        image = text(stated.get("image_id"), "image_id")
        confidence = score(stated.get("score"), "score")
        label, mention = self._label(stated, known=known)
        key = text(stated["id"], "id") if known and "id" in stated else item.key
        medium = Medium(image_id(self._folder, image), "", *self._sizes.get(image, (0, 0)))
        track = None
        if stated.get("track_id") is not None:
            number_ = text(stated["track_id"], "track_id")
            track = Track(curie("track", self._document.id, number_), number_, medium)
        detection = Detection(
            curie("detection", self._document.id, key),
            medium,
            label,
            confidence,
            mention,
            pixels=_box(stated),
            track=track,
            attributes=("iscrowd=true",) if stated.get("iscrowd") in (1, True) else (),
        )
        source = self._table if known and stated.get("score") is None else self._model
        yield from detection_records(detection, source, item.place, self._said)

    def _label(self, stated: dict[str, Any], *, known: bool) -> tuple[str | ObjectClass, str]:
        """The class, and the category's number where its name is only supposed."""
        category = integer(stated.get("category_id"), "category_id")
        if category in self._names:
            return self._names[category], ""
        if not self._names and not known and category in COCO:
            return COCO[category], f"category {category}"
        where = "the categories" if self._names or known else "COCO's categories, and no annotation file lies beside"
        raise ValueError(f"category_id: {category} is not among {where}")


def _box(stated: dict[str, Any]) -> Box:
    if stated.get("bbox") is not None:
        left, top, width, height = numbers(stated["bbox"], "bbox", 4)
        if width < 0 or height < 0:
            raise ValueError(f"bbox: width {width:g}, height {height:g}")
        return Box.of_size(left, top, width, height)
    points = [
        number(value, "segmentation")
        for polygon in sequence(stated.get("segmentation"), "segmentation")
        for value in sequence(polygon, "segmentation")
    ]
    if len(points) < 6 or len(points) % 2:
        raise ValueError("bbox: there is none, and no polygon either")
    return Box(min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2]))
