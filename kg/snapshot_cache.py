"""Snapshots on disk: a folder a version, written whole or not at all, and mapped into memory when read."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import structlog

from kg.ontology import Ontology
from kg.snapshot_arrays import Array, Tables

_FORMAT = 1
_KEPT = 2
_ABANDONED_S = 3600.0
_UNFINISHED = ".unfinished-"

log = structlog.get_logger(__name__)


class SnapshotCache:
    """The snapshots of one domain of one graph: `<root>/<domain>/<version>-<schema>/`.

    A folder counts only if its `meta.json` is whole, names this graph, this schema and this format, and every array
    has the size that it says; otherwise it is passed over with a line in the log, and written anew in time. The last
    two are kept, since another process may be about to map the one before the last.

    Args:
        graph: identity of the graph, so that a cache is not taken for that of another one.
    """

    def __init__(self, root: Path, domain: str, ontology: Ontology, graph: str) -> None:
        self._folder = root / domain
        self._stamp = {"format": _FORMAT, "domain": domain, "schema": schema_hash(ontology, domain), "graph": graph}

    def newest(self) -> tuple[int, Tables] | None:
        """Version and tables, memory-mapped, of the newest snapshot that is whole and ours."""
        for version, folder in sorted(self._versions(), reverse=True):
            try:
                return version, self._load(folder, version)
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.warning("snapshot.rejected", folder=str(folder), reason=str(error))
        return None

    def save(self, version: int, tables: Tables) -> None:
        """Writes a snapshot; one that can't be written is logged, since it costs only time at the next start."""
        try:
            self._save(version, tables)
        except OSError as error:
            log.warning("snapshot.not_cached", folder=str(self._folder), reason=str(error))

    def _versions(self) -> list[tuple[int, Path]]:
        found = []
        for folder in self._folder.glob(f"*-{self._stamp['schema']}"):
            number = folder.name.partition("-")[0]
            if number.isdecimal():
                found.append((int(number), folder))
        return found

    def _load(self, folder: Path, version: int) -> Tables:
        meta = orjson.loads((folder / "meta.json").read_bytes())
        checksum = meta.pop("checksum")
        if checksum != _checksum(meta):
            raise ValueError("meta.json is damaged")
        sizes: dict[str, int] = meta.pop("bytes")
        if meta != self._stamp | {"version": version}:
            raise ValueError("it is of another graph, schema or format")
        arrays: dict[str, Array] = {}
        for name, size in sizes.items():
            path = folder / f"{name}.npy"
            if (found := path.stat().st_size) != size:
                raise ValueError(f"{path.name} has {found} bytes instead of {size}")
            arrays[name] = _map(path)
        return Tables.of_arrays(arrays)

    def _save(self, version: int, tables: Tables) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._folder))
        sizes = {}
        for name, values in tables.arrays().items():
            path = unfinished / f"{name}.npy"
            np.save(path, values, allow_pickle=False)
            sizes[name] = path.stat().st_size
        meta: dict[str, Any] = self._stamp | {"version": version, "bytes": sizes}
        meta["checksum"] = _checksum(meta)
        (unfinished / "meta.json").write_bytes(orjson.dumps(meta))
        target = self._folder / f"{version}-{self._stamp['schema']}"
        if target.exists():  # a foreign or damaged one; or another process was faster, and wrote the same
            target.rename(Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._folder)) / target.name)
        unfinished.rename(target)
        self._remove_old(keep=target)

    def _remove_old(self, keep: Path) -> None:
        others = [f for f in self._folder.iterdir() if not f.name.startswith(_UNFINISHED) and f != keep]
        others.sort(key=lambda f: f.stat().st_mtime, reverse=True)
        abandoned = [f for f in self._folder.glob(f"{_UNFINISHED}*") if time.time() - f.stat().st_mtime > _ABANDONED_S]
        for folder in others[_KEPT - 1 :] + abandoned:
            shutil.rmtree(folder, ignore_errors=True)


def schema_hash(ontology: Ontology, domain: str) -> str:
    """A hash of what the arrays of a domain depend on besides the graph's content."""
    schema = {
        "relations": ontology.domain_relations(domain),
        "qualifiers": {name: str in q.types for name, q in ontology.qualifiers.items()},
        "properties": {name: p.multi for name, p in ontology.properties.items()},
    }
    return hashlib.blake2b(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()


def _checksum(meta: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(meta, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _map(path: Path) -> Array:
    try:
        mapped: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError:  # nothing to map in an empty array
        mapped = np.load(path, allow_pickle=False)
    return np.asarray(mapped)
