"""Random signs for names: what stands for an entity, a relation or a word in sums of few numbers."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor


def signatures(names: Iterable[str], width: int) -> Tensor:
    """float32 (names, width), each number width⁻½ or −width⁻½, the same for the same name everywhere and for ever.

    Two names' signatures are about orthogonal, so that the products of sums of signatures are about those of the sums
    (random projection by signs: Achlioptas 2003); the error of a cosine is about width⁻½.

    Args:
        names: n of them.
        width: a multiple of 8.
    """
    bits = b"".join(hashlib.shake_128(name.encode()).digest(width // 8) for name in names)
    signs: Tensor = torch.from_numpy(np.unpackbits(np.frombuffer(bits, np.uint8)).reshape(-1, width)).float()
    return (signs * 2 - 1) / math.sqrt(width)
