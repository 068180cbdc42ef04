"""Opens pictures: upright RGB, refused before they are unpacked where they are too large."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

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
    place = place or (str(source) if isinstance(source, Path) else "picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is checked here
            opened = Image.open(source if isinstance(source, Path) else io.BytesIO(source), formats=FORMATS)
        with opened as picture:
            width, height = picture.size
            if width * height > MOST_PIXELS:
                most = f"{MOST_PIXELS // 1_000_000} megapixels"
                raise InputError(f"has {width} × {height} pixels; at most {most} are read", place)
            return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    except Image.DecompressionBombError as error:
        raise InputError(f"has too many pixels: {error}", place) from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        reason = "is no picture" if isinstance(error, UnidentifiedImageError) else f"can't be read: {error}"
        raise InputError(f"{reason}; {', '.join(FORMATS)} are read", place) from error
