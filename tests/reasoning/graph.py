"""A small graph for the diagnosis, and a ranker that needs no training."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from ingestion.readers.hpo import HpoReader
from kg.model import Claim, Entity, Rejected, Source
from kg.ontology import Ontology
from kg.snapshot import Snapshot, load_snapshot
from reasoning.diagnosis.diagnose import Reasoner
from reasoning.diagnosis.features import FEATURES
from reasoning.diagnosis.from_snapshot import annotations_of, solved_patients_of
from reasoning.diagnosis.ranking import Calibration, DiagnosisModel, Ranker
from tests.kg.memory_store import MemoryStore

ONTOLOGY = Ontology.load()


class LikelihoodRanker(Ranker):
    """Ranks by the sum of the likelihood ratios."""

    def __init__(self, threshold: float = 0.3) -> None:
        self.calibration = self.solved_calibration = Calibration(temperature=2.0, none=0.0, threshold=threshold)
        self.card = {"name": "likelihood", "threshold": threshold}

    def score(self, matrix: np.ndarray) -> np.ndarray:
        return matrix[:, FEATURES.index("likelihood")].astype(np.float64)


def store_of(folder: Path) -> MemoryStore:
    """A graph with the HPO release in a folder."""
    store = MemoryStore(ONTOLOGY, "test", batch=5000)
    reader = HpoReader()
    records = [record for document in reader.documents(folder) for record in reader.read(document)]
    assert not [record for record in records if isinstance(record, Rejected)]
    store.write(
        [record for record in records if isinstance(record, Source)],
        [record for record in records if isinstance(record, Entity)],
        [record for record in records if isinstance(record, Claim)],
    )
    return store


def snapshot_of(store: MemoryStore, cache: Path) -> Snapshot:
    """The medical domain of a graph."""
    return asyncio.run(load_snapshot(store, "medical", cache))


def reasoner_of(snapshot: Snapshot, *models: str, threshold: float = 0.3) -> Reasoner:
    """A reasoner on a snapshot."""
    annotations = annotations_of(snapshot, models)
    solved = solved_patients_of(snapshot, annotations)
    return Reasoner(snapshot, DiagnosisModel(annotations, LikelihoodRanker(threshold), solved=solved), models)
