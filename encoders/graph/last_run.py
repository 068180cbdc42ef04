"""What the last enhancement of a relation found, so that the next one asks only where the graph has changed.

An entity has changed if its name, its classes or a fact about it have. That reaches those that have a fact with it,
unless it has more than `MOST` facts: what so many share says little of one of them.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import orjson
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoders.graph.enhancement import Calibration, Prediction
from encoders.graph.triples import Triples
from kg.snapshot import Snapshot

MOST = 100
"""Facts of an entity that still tells on its neighbours when it changes."""

Marks = NDArray[np.uint64]
_ODD = np.uint64(0x9E3779B97F4A7C15)


def marks(snapshot: Snapshot, facts: Triples) -> Marks:
    """uint64 (entities,): of each one's name, classes and facts, the same wherever the graph is kept."""
    names = [*snapshot.relations, *(f"^{name}" for name in snapshot.relations)]
    relation = _hashes(names)
    id_ = _hashes([snapshot.id(at) for at in range(len(snapshot))])
    found = _hashes([f"{snapshot.name(at)}\n{sorted(snapshot.labels(at))}" for at in range(len(snapshot))])
    both = facts.with_inverses()
    head, tail, number = both.head.numpy(), both.tail.numpy(), both.relation.numpy()
    said = id_[tail] * _ODD + relation[number]  # uint64 numbers wrap around
    said = (said ^ (said >> np.uint64(29))) * _ODD
    np.add.at(found, head, said)  # in any order
    return found


@dataclass(frozen=True, slots=True, eq=False)
class LastRun:
    """Of one relation, by one way and with the same settings.

    Attributes:
        marks: by id of the entity.
        predictions: that were written.
    """

    calibration: Calibration
    marks: dict[str, int]
    predictions: list[Prediction]

    @classmethod
    def of(cls, snapshot: Snapshot, marks_: Marks, calibration: Calibration, predictions: list[Prediction]) -> LastRun:
        """With the marks of a snapshot."""
        return cls(calibration, _by_id(snapshot, marks_), predictions)

    @property
    def key(self) -> str:
        """Of the graph that was read."""
        return hashlib.blake2b(repr(sorted(self.marks.items())).encode(), digest_size=6).hexdigest()

    @classmethod
    def load(cls, path: Path) -> LastRun | None:
        """From a file; None if there is none that can be read."""
        try:
            value = orjson.loads(path.read_bytes())
            predictions = [Prediction(**row | {"paths": tuple(row["paths"])}) for row in value["predictions"]]
            return cls(Calibration.of_json(value["calibration"]), dict(value["marks"]), predictions)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, path: Path) -> None:
        """Into a file, which is there whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(orjson.dumps(asdict(self), option=orjson.OPT_SERIALIZE_NUMPY))
        partial.replace(path)

    def reached(self, snapshot: Snapshot, facts: Triples, marks_: Marks, heads: Tensor) -> Tensor:
        """The heads that have changed since, or have a fact with what has and tells on them; in their order."""
        now = _by_id(snapshot, marks_).items()
        changed = torch.tensor([self.marks.get(id_) != mark for id_, mark in now], dtype=torch.bool)
        both = facts.with_inverses()
        tells = changed & (torch.bincount(both.head, minlength=facts.nodes) <= MOST)
        reached = changed.clone()
        reached[both.tail[tells[both.head]]] = True
        return heads[reached[heads]]


def _by_id(snapshot: Snapshot, marks_: Marks) -> dict[str, int]:
    return {snapshot.id(at): mark for at, mark in enumerate(marks_.tolist())}


def _hashes(names: list[str]) -> Marks:
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    return np.frombuffer(digests, np.uint64).copy()
