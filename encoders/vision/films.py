"""Frames of films at a chosen rate; refused before they are unpacked where they are too long or too large."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

from encoders.vision.pictures import MOST_PIXELS, Picture
from kg.errors import InputError
from kg.extras import needs_extra

MOST_SECONDS = 6 * 3600


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a film.

    Attributes:
        number: in the film, from 0.
        seconds: since its beginning.
    """

    number: int
    seconds: float
    picture: Picture


def frames_of(content: bytes, rate: float, place: str = "film") -> Iterator[Frame]:
    """Frames, at most so many a second, in their order.

    Args:
        content: of a file of any form that FFmpeg reads.
        rate: frames a second.
        place: what errors name.

    Raises:
        InputError: it is no film, or too long, or its pictures are too large.
    """
    with needs_extra("vision", "reading films"):
        import av
        from av.error import FFmpegError

    try:
        with av.open(io.BytesIO(content), "r") as container:
            if not container.streams.video:
                raise InputError("has no pictures", place)
            stream = container.streams.video[0]
            seconds = (container.duration or 0) / av.time_base
            if seconds > MOST_SECONDS:
                raise InputError(f"has {seconds:,.0f} seconds; at most {MOST_SECONDS:,} are read", place)
            if stream.width * stream.height > MOST_PIXELS:
                raise InputError(f"has pictures of {stream.width} × {stream.height} pixels", place)
            due = 0.0
            for number, frame in enumerate(container.decode(stream)):
                at = float(frame.time) if frame.time is not None else number / float(stream.average_rate or 25)
                if at > MOST_SECONDS:  # a header may not know it
                    raise InputError(f"has more than {MOST_SECONDS:,} seconds", place)
                if at + 1e-6 >= due:
                    due = at + 1 / rate
                    yield Frame(number, round(at, 3), frame.to_ndarray(format="rgb24"))
    except (FFmpegError, ValueError) as error:
        raise InputError(f"is no film: {error}", place) from error
