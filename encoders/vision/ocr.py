"""Optical character recognition: pictures → lines of text with their boxes, English and Chinese (RapidOCR)."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any

import numpy as np

from encoders.vision.detector import SeenBox
from encoders.vision.pictures import Picture
from kg.extras import needs_extra

LEAST_CONFIDENCE = 0.6
"""Lines below are mostly wrong (measured by the makers of the weights' package)."""


class TextReader:
    """Reads text in pictures, with the weights that `rapidocr` ships."""

    def __init__(self, least: float = LEAST_CONFIDENCE) -> None:
        """Loads the weights, a second.

        Raises:
            ConfigurationError: rapidocr is not installed.
        """
        with needs_extra("vision", "reading text in pictures"):
            from rapidocr import RapidOCR
        logging.getLogger("RapidOCR").setLevel(logging.ERROR)
        self._engine: Any = RapidOCR(params={"Global.log_level": "error", "Global.text_score": least})
        self.name = f"rapidocr@{version('rapidocr')}"

    def encode(self, picture: Picture) -> list[SeenBox]:
        """Lines of text, from top to bottom as the engine orders them; the label of each is `text`."""
        height, width = picture.shape[:2]
        result = self._engine(np.ascontiguousarray(picture[:, :, ::-1]))
        if result.txts is None:
            return []
        lines = []
        for corners, text, score in zip(result.boxes, result.txts, result.scores, strict=True):
            points = np.clip(np.asarray(corners, np.float64) / (width, height), 0, 1)
            (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
            if text.strip() and right > left and bottom > top:
                box = (round(left, 5), round(top, 5), round(right, 5), round(bottom, 5))
                lines.append(SeenBox("text", round(float(score), 4), box, text.strip(), "text"))
        return lines
