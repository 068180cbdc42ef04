"""Opens pictures: upright RGB, refused before they are unpacked where they are too large."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from kg.errors import InputError

MOST_PIXELS = 50_000_000
"""A picture unpacked has three bytes a pixel, and models copy it."""
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")

Picture = np.ndarray
"""uint8, (height, width, 3): red, green, blue."""


def read_picture(source: Path | bytes, place: str = "") -> Picture:
    """A picture as its camera held it up; of an animation the first frame.

    Args:
        source: a file, or its content.
        place: what errors name; default: the file.

    Raises:
        InputError: it is no picture, is broken, or is too large.
    """
    return next(read_pictures(source, place, 1))


def read_pictures(source: Path | bytes, place: str = "", most: int = 1) -> Iterator[Picture]:
    """The pages of a TIFF, or the one picture that another file is; what shines through is put on white.

    Args:
        source: a file, or its content.
        place: what errors name; default: the file.
        most: pages that are allowed; 1 takes the first.

    Raises:
        InputError: it is no picture, is broken, is too large, or has more pages.
    """
    place = place or (str(source) if isinstance(source, Path) else "picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is checked here
            opened = Image.open(source if isinstance(source, Path) else io.BytesIO(source), formats=FORMATS)
        with opened as picture:
            pages = getattr(picture, "n_frames", 1) if picture.format == "TIFF" and most > 1 else 1
            if pages > most:
                raise InputError(f"has {pages:,} pages; at most {most} are read", place)
            for _, page in zip(range(pages), ImageSequence.Iterator(picture), strict=False):
                width, height = page.size
                if width * height > MOST_PIXELS:
                    allowed = f"{MOST_PIXELS // 1_000_000} megapixels"
                    raise InputError(f"has {width} × {height} pixels; at most {allowed} are read", place)
                yield np.asarray(_on_white(ImageOps.exif_transpose(page)))
    except Image.DecompressionBombError as error:
        raise InputError(f"has too many pixels: {error}", place) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        reason = "is no picture" if isinstance(error, UnidentifiedImageError) else f"can't be read: {error}"
        raise InputError(f"{reason}; {', '.join(FORMATS)} are read", place) from error


def _on_white(picture: Image.Image) -> Image.Image:
    """RGB; letters on a transparent ground are mostly dark."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layers = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
