"""How Python runs while records pass by in bulk."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_COLLECT_EVERY = 200_000
"""Objects made between two garbage collections: batches are many small objects without cycles, and Python's own 700
make the collector take a third of the time."""
_SWITCH_S = 0.0005
"""How long the thread that prepares records may keep the interpreter when the one that writes has got the database's
answer."""

_lock = threading.Lock()
_before: list[tuple[tuple[int, int, int], float]] = []
"""What was set before each of those that are at work; the first is what is restored in the end."""


@contextmanager
def in_bulk() -> Iterator[None]:
    """Fewer garbage collections and quicker turns of threads, in the whole process, until the last one at work ends."""
    with _lock:
        _before.append((gc.get_threshold(), sys.getswitchinterval()))
        gc.set_threshold(_COLLECT_EVERY)
        sys.setswitchinterval(_SWITCH_S)
    try:
        yield
    finally:
        with _lock:
            collect, switch = _before[0]
            _before.pop()
            if not _before:
                gc.set_threshold(*collect)
                sys.setswitchinterval(switch)
