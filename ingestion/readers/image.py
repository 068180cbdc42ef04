"""Pictures: the objects that a detector sees, the text that OCR reads, and the claims that extractors find in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from encoders.vision.load import load_reader
from ingestion.extraction.passages import Passage, Place
from ingestion.readers.base import Document
from ingestion.readers.checked import Box
from ingestion.readers.detection import (
    Detection,
    Medium,
    Said,
    curie,
    detection_records,
    image_id,
    key_of,
    medium_records,
)
from ingestion.readers.written import ExtractingReader, content_of, model_source
from kg.errors import InputError
from kg.extras import needs_extra
from kg.model import Record, Rejected, Source

if TYPE_CHECKING:
    from encoders.vision.detector import SeenBox
    from encoders.vision.reading import PictureReader


class ImageReader(ExtractingReader):
    """Each object and each line of text is a detection with its box; the text on an object is the object's, too.

    Attributes:
        detector: path or name of one, see `EVIGRAPH_DETECTOR`; None: text alone is read.
    """

    name = "image"
    extensions: tuple[str, ...] = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
    example = "evigraph ingest image pictures/"
    detector: str | None = None

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
        places, length = [], 0
        for line in lines:
            places.append(Place(length, length + len(line.text), 0, line.box, None, line.confidence))
            length += len(line.text) + 1
        yield from medium_records(medium, Source(document.id, "document", document=document.id), "picture", said)
        for record in self.claims(Passage(medium.id, "\n".join(line.text for line in lines), places)):
            yield replace(record, document=document.id)

    def _source(self, seen: SeenBox, document: str) -> Source:
        model = self._models.text_reader if seen.label == "text" else self._models.detector
        return model_source(model.name if model else "", document)


def _detection(seen: SeenBox, number: int, medium: Medium) -> Detection:
    key = curie("detection", key_of(medium.id), str(number))
    return Detection(key, medium, seen.label, seen.confidence, shares=Box(*seen.box), text=seen.text)
