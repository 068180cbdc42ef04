"""The diagnosis kept in step with the graph, and the threads that it works in."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import structlog

from api.settings import Settings
from kg.errors import ConflictError
from kg.snapshot import Snapshot, load_snapshot, refresh_snapshot
from kg.store import GraphStore
from reasoning.diagnosis.annotations import PhenotypeAnnotations
from reasoning.diagnosis.diagnose import Reasoner, same_annotations
from reasoning.diagnosis.from_snapshot import annotations_of, solved_patients_of
from reasoning.diagnosis.ranking import DiagnosisModel, Ranker

T = TypeVar("T")

log = structlog.get_logger("diagnosis")

_THREADS = 2
_MANY = 1_000_000
_NO_HPO = "the graph has no disease with findings to rank; load HPO first: evigraph ingest hpo"


class Diagnosing:
    """The reasoner of the newest version that is ready; an older one answers until then."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._snapshot: Snapshot | None = None
        self._reasoner: Reasoner | None = None
        self._ranker: Ranker | None = None
        self._pool = ThreadPoolExecutor(_THREADS, "diagnosis")

    async def refresh(self, store: GraphStore) -> int:
        """Takes in what has changed in the graph; returns the version that answers are from.

        Raises:
            StoreUnavailableError: the graph can't be read.
            ConfigurationError: there is no usable ranker.
        """
        cache = self._settings.cache
        if self._snapshot is None:
            snapshot = await load_snapshot(store, "medical", cache)
        else:
            snapshot = await refresh_snapshot(self._snapshot, store, cache)
        if snapshot is not self._snapshot:
            predictions = await _predictions(store)
            models = await _models(store, predictions)
            ignored = () if self._settings.predicted else predictions
            self._reasoner = await asyncio.to_thread(lambda: self._build(snapshot.without(ignored), models))
            self._snapshot = snapshot
        return snapshot.version

    def _build(self, snapshot: Snapshot, models: list[str]) -> Reasoner | None:
        """A reasoner for a snapshot; what is derived from annotations is kept if these have not changed."""
        started = time.perf_counter()
        annotations = _annotations(snapshot, models)
        if annotations is None:
            return None
        solved = solved_patients_of(snapshot, annotations)
        kept = self._reasoner is not None and same_annotations(annotations, self._reasoner.annotations)
        if kept and self._reasoner is not None:
            model = self._reasoner.model
            if not solved.same(model.index.solved):
                model = model.with_solved(solved)
        else:
            if self._ranker is None:
                self._ranker = Ranker.load(self._settings.ranker)
            model = DiagnosisModel(annotations, self._ranker, solved=solved)
        reasoner = Reasoner(snapshot, model, models)
        if not kept:  # millions of objects that live for long: the collector need not look at them again and again
            gc.unfreeze()
            gc.collect()
            gc.freeze()
        seconds = round(time.perf_counter() - started, 3)
        log.info("diagnosis.ready", version=snapshot.version, kept=kept, seconds=seconds)
        return reasoner

    async def run(self, work: Callable[[Reasoner], T]) -> T:
        """Runs work with the reasoner in a thread of its own.

        Raises:
            ConflictError: the graph has no disease with findings.
        """
        reasoner = self._reasoner
        if reasoner is None:
            raise ConflictError(_NO_HPO)
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, reasoner)

    def close(self) -> None:
        """Ends the threads once they are done; work that waits is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)


async def load_annotations(settings: Settings, store: GraphStore) -> PhenotypeAnnotations:
    """What the graph knows of diseases, for training: needs no ranker.

    Raises:
        ConflictError: the graph has no disease with findings.
        StoreUnavailableError: the graph can't be read.
    """
    snapshot = await load_snapshot(store, "medical", settings.cache)
    predictions = await _predictions(store)
    models = await _models(store, predictions)
    annotations = await asyncio.to_thread(lambda: _annotations(snapshot.without(predictions), models))
    if annotations is None:
        raise ConflictError(_NO_HPO)
    return annotations


def _annotations(snapshot: Snapshot, models: list[str]) -> PhenotypeAnnotations | None:
    """What a snapshot knows of diseases; None if it has no disease with findings."""
    if len(snapshot.facts("HAS_PHENOTYPE")) == 0:
        return None
    annotations = annotations_of(snapshot, models)
    return annotations if len(annotations.rows) else None


async def _predictions(store: GraphStore) -> list[str]:
    """Ids of the sources that infer links from the graph."""
    return [source["id"] for source in await store.sources(kind="prediction", limit=_MANY)]


async def _models(store: GraphStore, predictions: list[str]) -> list[str]:
    """Ids of the sources that predict and do not observe, or that are in quarantine."""
    found = [*await store.sources(kind="model", limit=_MANY), *await store.sources(quarantined=True, limit=_MANY)]
    return sorted({source["id"] for source in found} | {*predictions})
