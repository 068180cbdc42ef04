"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it, and of how much; may be called from a thread; what it raises ends the work."""


def quiet(_what: str, _done: int, _of: int) -> None:
    """Tells nobody."""
