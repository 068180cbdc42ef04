"""The link predictor as it is shipped, or with weights of one's own."""

from __future__ import annotations

from pathlib import Path

from encoders.graph.model import LinkPredictor
from encoders.weights import best_device, load_weights

SHIPPED = Path(__file__).with_name("ultra_3g.safetensors")
"""ULTRA's weights of three graphs (DeepGraphLearning/ULTRA, MIT)."""


def load_predictor(path: Path | None = None) -> LinkPredictor:
    """The link predictor with the weights of a file (None: the shipped ones), ready to predict, on the best device.

    Raises:
        InputError: as `load_weights`.
    """
    model = LinkPredictor()
    load_weights(model, path or SHIPPED)
    return model.to(best_device()).eval()
