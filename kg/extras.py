"""Parts that are installed on demand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kg.errors import ConfigurationError


@contextlib.contextmanager
def needs_extra(extra: str, what: str) -> Iterator[None]:
    """Around imports of what an extra brings, and calls that import it.

    Args:
        extra: its name.
        what: needs it, for the message.

    Raises:
        ConfigurationError: something of it is not installed; says how to install it.
    """
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(f"{what} needs {error.name}: pip install 'evigraph[{extra}]'") from error
