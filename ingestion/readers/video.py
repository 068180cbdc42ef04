"""Films: the objects that a detector sees in frames of a chosen rate, followed from one to the next."""

from __future__ import annotations

from collections.abc import Iterator

from ingestion.readers.base import Document
from ingestion.readers.checked import Box
from ingestion.readers.detection import Detection, Medium, Said, Track, curie, detection_records, key_of
from ingestion.readers.written import ModelReader, content_of, model_source
from kg.errors import ConfigurationError, InputError
from kg.extras import needs_extra
from kg.model import Record, Rejected

RATE = 2.0
"""Frames a second that are looked at."""


class VideoReader(ModelReader):
    """Each box is a detection at its second, and each thing that is followed a track.

    Attributes:
        detector: path or name of one, see `EVIGRAPH_DETECTOR`.
    """

    name = "video"
    extensions: tuple[str, ...] = (".mp4", ".mkv", ".mov", ".avi")
    example = "evigraph ingest video films/"
    detector: str | None = None

    def read(self, document: Document) -> Iterator[Record]:
        """What is seen; see `Reader.read`.

        Raises:
            ConfigurationError: no detector is set.
        """
        if self.detector is None:
            raise ConfigurationError("no detector reads films here: set EVIGRAPH_DETECTOR")
        with needs_extra("vision", "reading films"):
            from encoders.vision.detector import load_detector
            from encoders.vision.films import frames_of
            from encoders.vision.tracking import Tracker
        detector, tracker, said = load_detector(self.detector), Tracker(), Said()
        source = model_source(detector.name, document.id)
        film = curie("video", key_of(document.id))
        try:
            for frame in frames_of(content_of(document), RATE, str(document.path)):
                height, width = frame.picture.shape[:2]
                medium = Medium(film, document.path.name, width, height)
                seen = detector.encode([frame.picture])[0]
                for number, (one, track) in enumerate(zip(seen, tracker.update(frame.seconds, seen), strict=True)):
                    key = curie("detection", key_of(document.id), str(frame.number), str(number))
                    followed = None
                    if track is not None:
                        followed = Track(curie("track", key_of(document.id), str(track)), str(track), medium, one.label)
                    detection = Detection(
                        key, medium, one.label, one.confidence, shares=Box(*one.box), frame=frame.number,
                        frame_time=frame.seconds, track=followed,
                    )  # fmt: skip
                    yield from detection_records(detection, source, f"frame {frame.number}[{number}]", said)
        except InputError as error:
            yield Rejected(error.reason, "", "", document.id)
