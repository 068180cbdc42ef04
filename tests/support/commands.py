"""Commands run inside a test."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from api.cli import main


def run_json(capfd: pytest.CaptureFixture[str], *words: str) -> Any:
    """What a command that succeeds prints as JSON."""
    with pytest.raises(SystemExit) as end:
        main(words)
    printed = capfd.readouterr()
    assert end.value.code == 0, printed.err
    return orjson.loads(printed.out)
