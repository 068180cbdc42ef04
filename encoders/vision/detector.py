"""Object detectors: pictures → boxes with a class and a confidence.

NanoDet's ONNX files by onnxruntime, or any detector of `transformers` from a local folder or by its hub name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from encoders.vision.coco import COCO_80
from encoders.vision.pictures import Picture
from kg.errors import InputError
from kg.extras import needs_extra

if TYPE_CHECKING:
    import onnxruntime

THRESHOLD = 0.35
"""Least confidence, as NanoDet's authors use."""
_OVERLAP = 0.5
_STRIDES = (8, 16, 32)
_BINS = 11
_MEAN = np.array([103.53, 116.28, 123.675], np.float32)
_SCALE = np.array([57.375, 57.12, 58.395], np.float32)
"""Of blue, green and red; those that NanoDet was trained with."""


@dataclass(frozen=True, slots=True)
class SeenBox:
    """What was seen where.

    Attributes:
        label: its class.
        confidence: 0…1.
        box: left, top, right, bottom as parts of the picture, 0…1.
        text: what OCR read in it.
        kind: `object`, or `text` for a line that OCR read.
    """

    label: str
    confidence: float
    box: tuple[float, float, float, float]
    text: str = ""
    kind: str = "object"


class ObjectDetector(Protocol):
    """Finds objects in pictures."""

    @property
    def name(self) -> str:
        """Name and version, for the source of its claims."""

    def encode(self, pictures: Sequence[Picture]) -> list[list[SeenBox]]:
        """Boxes of each picture, the surest first."""


def load_detector(path: str | Path, threshold: float = THRESHOLD) -> ObjectDetector:
    """A detector: an ONNX file of NanoDet's form, else what `transformers` loads from a folder or by name.

    Raises:
        InputError: nothing there is a detector.
    """
    if Path(path).suffix == ".onnx":
        return NanoDet(Path(path), threshold)
    return TransformersDetector(str(path), threshold)


class NanoDet:
    """NanoDet (github.com/RangiLyu/nanodet, Apache-2.0): class scores and box distributions at three strides."""

    def __init__(self, path: Path, threshold: float = THRESHOLD) -> None:
        """Opens the file.

        Raises:
            InputError: it can't be read, or is another model.
        """
        with needs_extra("vision", "the detector"):
            import onnxruntime

        self._threshold = threshold
        try:
            content = path.read_bytes()
            self._session: onnxruntime.InferenceSession = onnxruntime.InferenceSession(
                content, providers=onnxruntime.get_available_providers()
            )
        except Exception as error:
            raise InputError(f"is no model that onnxruntime can run: {error}", str(path)) from error
        shapes = [output.shape for output in self._session.get_outputs()]
        (given,) = (one.shape for one in self._session.get_inputs())
        self._size = int(given[-1]) if isinstance(given[-1], int) else 0
        cells = [(self._size // stride) ** 2 for stride in _STRIDES]
        wanted = [[1, count, width] for width in (len(COCO_80), 4 * _BINS) for count in cells]
        if shapes != wanted:
            raise InputError(f"is no NanoDet of COCO's 80 classes: its outputs have the shapes {shapes}", str(path))
        self.name = f"{path.stem}@{hashlib.sha256(content).hexdigest()[:8]}"

    def encode(self, pictures: Sequence[Picture]) -> list[list[SeenBox]]:
        """Boxes of each picture, the surest first; the model takes one picture at a time."""
        return [self._one(picture) for picture in pictures]

    def _one(self, picture: Picture) -> list[SeenBox]:
        import cv2

        resized = cv2.resize(picture[:, :, ::-1], (self._size, self._size), interpolation=cv2.INTER_AREA)
        values = (resized.astype(np.float32) - _MEAN) / _SCALE
        outputs = self._session.run(None, {self._session.get_inputs()[0].name: values.transpose(2, 0, 1)[None]})
        half = len(_STRIDES)
        scores = np.concatenate([of[0] for of in outputs[:half]])
        logits = np.concatenate([of[0] for of in outputs[half:]]).reshape(-1, 4, _BINS)
        logits = np.exp(logits - logits.max(-1, keepdims=True))
        sides = (logits / logits.sum(-1, keepdims=True)) @ np.arange(_BINS) * self._cells[:, 2:3]
        centre = self._cells[:, :2]
        corners = np.concatenate([centre - sides[:, :2], centre + sides[:, 2:]], axis=1).clip(0, self._size)
        at, classes = np.nonzero(scores >= self._threshold)
        boxes, found = corners[at], scores[at, classes]
        sizes = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        kept = cv2.dnn.NMSBoxesBatched(sizes.tolist(), found.tolist(), classes.tolist(), self._threshold, _OVERLAP)
        parts = boxes / self._size
        order = sorted(np.asarray(kept, np.int64).ravel().tolist(), key=lambda number: -found[number])
        return [
            SeenBox(COCO_80[classes[number]], round(float(found[number]), 4), _corners(parts[number].tolist()))
            for number in order
            if (parts[number, 2:] > parts[number, :2]).all()
        ]

    @cached_property
    def _cells(self) -> np.ndarray:
        """Centre x, y and stride of each cell."""
        cells = []
        for stride in _STRIDES:
            side = np.arange(self._size // stride)
            y, x = np.meshgrid(side, side, indexing="ij")
            centre = np.stack([x.ravel(), y.ravel()], 1) * stride + (stride - 1) / 2
            cells.append(np.concatenate([centre, np.full((len(centre), 1), stride)], 1))
        return np.concatenate(cells)


class TransformersDetector:
    """A detector of `transformers`, such as RT-DETR or YOLOS."""

    def __init__(self, path: str, threshold: float = THRESHOLD) -> None:
        """Loads it.

        Raises:
            InputError: there is none.
            ConfigurationError: transformers is not installed.
        """
        with needs_extra("models", "the detector"):
            import torch
            from transformers import AutoImageProcessor, AutoModelForObjectDetection
        self._torch = torch
        self._threshold = threshold
        self._device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        try:
            auto: Any = AutoImageProcessor
            self._processor = auto.from_pretrained(path)
            self._model: Any = AutoModelForObjectDetection.from_pretrained(path).to(self._device).eval()
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"is no detector: {error}", path) from error
        self.name = f"{Path(path).name}@{getattr(self._model.config, '_commit_hash', None) or 'local'}"

    def encode(self, pictures: Sequence[Picture]) -> list[list[SeenBox]]:
        """Boxes of each picture, the surest first; all at once."""
        if not pictures:
            return []
        sizes = [picture.shape[:2] for picture in pictures]
        inputs = self._processor(images=list(pictures), return_tensors="pt").to(self._device)
        with self._torch.inference_mode():
            outputs = self._model(**inputs)
        results = self._processor.post_process_object_detection(outputs, threshold=self._threshold, target_sizes=sizes)
        return [self._boxes(result, height, width) for result, (height, width) in zip(results, sizes, strict=True)]

    def _boxes(self, result: dict[str, Any], height: int, width: int) -> list[SeenBox]:
        scale = np.array([width, height, width, height], np.float64)
        found = []
        for score, label, box in zip(result["scores"], result["labels"], result["boxes"], strict=True):
            corners = np.clip(np.array(box.tolist()) / scale, 0, 1)
            if (corners[2:] > corners[:2]).all():
                name = str(self._model.config.id2label[int(label)])
                found.append(SeenBox(name, round(float(score), 4), _corners(corners.tolist())))
        return sorted(found, key=lambda seen: -seen.confidence)


def _corners(values: Sequence[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (round(value, 5) for value in values)
    return left, top, right, bottom
