"""Settings of the interpreter while records pass by in bulk."""

from __future__ import annotations

import gc
import sys
from contextlib import ExitStack

from ingestion.throughput import in_bulk


def test_settings_come_back_when_the_last_of_several_ends() -> None:
    before = gc.get_threshold(), sys.getswitchinterval()
    first, second = ExitStack(), ExitStack()
    first.enter_context(in_bulk())
    during = gc.get_threshold(), sys.getswitchinterval()
    second.enter_context(in_bulk())
    first.close()
    assert (gc.get_threshold(), sys.getswitchinterval()) == during != before
    second.close()
    assert (gc.get_threshold(), sys.getswitchinterval()) == before
