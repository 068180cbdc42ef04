"""Pictures: the objects that a detector sees, the text that OCR reads, and the claims that extractors find in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from encoders.vision.load import load_reader
from ingestion.extraction.passages import Passage, Place
from ingestion.readers.base import Document
from ingestion.readers.beside import Accompanied, read_beside
from ingestion.readers.checked import Box
from ingestion.readers.detection import (
    Detection,
    Medium,
    Said,
    class_records,
    curie,
    detection_records,
    image_id,
    key_of,
    medium_records,
)
from ingestion.readers.object_classes import object_class
from ingestion.readers.written import ExtractingReader, content_of, model_source
from kg.errors import InputError, words_of
from kg.extras import needs_extra
from kg.model import Claim, Entity, Record, Rejected, Source

if TYPE_CHECKING:
    from encoders.vision.detector import SeenBox
    from encoders.vision.reading import PictureReader


_RELATIONS = {
    "on": ("SEEN_ON", False), "overlaps": ("SEEN_OVERLAPPING", False),
    "left of": ("SEEN_LEFT_OF", False), "right of": ("SEEN_LEFT_OF", True),
}  # fmt: skip
"""Relations of the graph for those of boxes, and whether their ends change places."""


class ImageReader(ExtractingReader):
    """Each object and each line of text is a detection with its box; the text on an object is the object's, too.

    A file of the same name that ends on `.txt` holds the words beside a picture, its caption or report.

    Attributes:
        detector: path or name of one, see `EVIGRAPH_DETECTOR`; None: text alone is read.
    """

    name = "image"
    extensions: tuple[str, ...] = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
    example = "evigraph ingest image pictures/"
    detector: str | None = None

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """Pictures, each with the words beside it; see `Reader.documents`."""
        for document in super().documents(path, name):
            words = document.path.with_suffix(".txt")
            yield Accompanied(document, (words,) if words.is_file() else ())

    @cached_property
    def _models(self) -> PictureReader:
        return load_reader(self.detector)

    def read(self, document: Document) -> Iterator[Record]:
        """The picture, what is seen in it, and what its text says; see `Reader.read`."""
        with needs_extra("vision", "reading pictures"):
            from encoders.vision.documents import in_reading_order
            from encoders.vision.pictures import read_picture
        try:
            picture = read_picture(content_of(document), str(document.path))
        except InputError as error:
            yield Rejected(error.reason, "", "", document.id)
            return
        seen = self._models.encode([picture])[0]
        height, width = picture.shape[:2]
        folder, _, file = key_of(document.id).rpartition("/")
        medium = Medium(image_id(folder, file), document.path.name, width, height)
        yield Source(document.id, "document", document=document.id)
        said = Said()
        for number, one in enumerate(seen):
            yield from detection_records(
                _detection(one, number, medium), self._source(one, document.id), f"[{number}]", said
            )
        lines = in_reading_order([one for one in seen if one.label == "text"])
        yield from self._scene(seen, medium, document)
        places, length = [], 0
        for line in lines:
            places.append(Place(length, length + len(line.text), 0, line.box, None, line.confidence))
            length += len(line.text) + 1
        yield from medium_records(medium, Source(document.id, "document", document=document.id), "picture", said)
        for record in self.claims(Passage(medium.id, "\n".join(line.text for line in lines), places)):
            yield replace(record, document=document.id)
        for path in document.beside if isinstance(document, Accompanied) else ():
            yield from self._words(path, medium, document)

    def _scene(self, seen: Sequence[SeenBox], medium: Medium, document: Document) -> Iterator[Record]:
        """What the picture shows, and how its things stand to one another."""
        from encoders.vision.relations import relations_of

        surest: dict[str, SeenBox] = {}
        for one in seen:
            if one.label != "text" and one.confidence > getattr(surest.get(one.label), "confidence", 0.0):
                surest[one.label] = one
        for label, one in surest.items():
            source = self._source(one, document.id)
            yield Claim(medium.id, "DEPICTS", object_class(label).id, source.id, one.confidence, {}, document.id, label)
        places = Source("model:places-of-boxes@1", "model", "Places of boxes", version="1", document=document.id)
        relations = relations_of(seen)
        if relations:
            yield places
        for found in relations:
            relation, turned = _RELATIONS[found.relation]
            numbers = (found.object, found.subject) if turned else (found.subject, found.object)
            both = round(seen[numbers[0]].confidence * seen[numbers[1]].confidence, 4)
            ends = [_detection_id(medium, number) for number in numbers]
            yield Claim(ends[0], relation, ends[1], places.id, both, {}, document.id, f"[{numbers[0]}]")

    def _words(self, path: Path, medium: Medium, document: Document) -> Iterator[Record]:
        """What the words beside a picture say: things that it shows, and what the extractors find."""
        from encoders.vision.description import SAID, named_things

        try:
            text = read_beside(path)
        except InputError as error:
            yield Rejected(words_of(error), path.name, "", document.id)
            return
        if not any(map(str.isalpha, text)):
            return  # boxes in numbers, as YOLO writes them beside pictures
        passage = Passage(curie("caption", key_of(medium.id)), text)
        words = Source("model:words-beside-pictures@1", "model", "Words beside pictures", version="1")
        yield replace(words, document=document.id)
        said = Said()
        yield Entity(passage.document, ("Document",), document.id, {"name": path.name}, document.id, path.name)
        yield Claim(medium.id, "MENTIONED_IN", passage.document, document.id, 1.0, {}, document.id, path.name)
        for label, (start, end) in named_things(text).items():
            yield from class_records(object_class(label), replace(words, document=document.id), path.name, said)
            qualifiers = passage.qualifiers(start, end) | {"mention": text[start:end]}
            claim = Claim(medium.id, "DEPICTS", object_class(label).id, words.id, SAID, qualifiers)
            yield replace(claim, document=document.id, place=f"c{start}")
        for record in self.claims(passage):
            yield replace(record, document=document.id)

    def _source(self, seen: SeenBox, document: str) -> Source:
        model = self._models.text_reader if seen.label == "text" else self._models.detector
        return model_source(model.name if model else "", document)


def _detection_id(medium: Medium, number: int) -> str:
    return curie("detection", key_of(medium.id), str(number))


def _detection(seen: SeenBox, number: int, medium: Medium) -> Detection:
    key = _detection_id(medium, number)
    return Detection(key, medium, seen.label, seen.confidence, shares=Box(*seen.box), text=seen.text)
