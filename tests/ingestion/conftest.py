from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion.readers.base import READERS
from kg.ontology import Ontology

_NOBODY = 65534


@pytest.fixture(scope="session")
def ontology() -> Ontology:
    return Ontology.load()


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder, and a process that file permissions hold for (they don't hold for root)."""
    for load in READERS.values():
        load()  # while we may still import it
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() != 0:
            yield folder
            return
        os.chown(folder, _NOBODY, -1)
        os.seteuid(_NOBODY)
        try:
            yield folder
        finally:
            os.seteuid(0)
