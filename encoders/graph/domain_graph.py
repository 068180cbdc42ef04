"""A domain's snapshot as triples: the same positions for entities, and one relation a relation of the ontology."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from encoders.graph.triples import Triples
from kg.ontology import Ontology
from kg.snapshot import Snapshot


def triples_of(snapshot: Snapshot) -> Triples:
    """All facts with belief above 0; relations are numbered as in `snapshot.relations`."""
    tables = snapshot.tables
    keep = tables.fact_belief > 0
    columns = (tables.fact_subject, tables.fact_relation, tables.fact_object)
    head, relation, tail = (torch.from_numpy(column[keep].astype(np.int64)) for column in columns)
    return Triples(head, relation, tail, len(snapshot), len(snapshot.relations))


class AllowedTails:
    """Which entities the ontology allows at the end of a relation, and at its start for the inverse."""

    def __init__(self, snapshot: Snapshot, ontology: Ontology) -> None:
        self._snapshot, self._ontology = snapshot, ontology
        self._kept: dict[int, Tensor] = {}

    def __call__(self, relation: int) -> Tensor:
        """int64 positions, ascending."""
        if relation not in self._kept:
            inverse, number = divmod(relation, len(self._snapshot.relations))
            found = self._ontology.relation(self._snapshot.relations[number])
            members = [self._snapshot.entities(name) for name in sorted(found.domain if inverse else found.range)]
            self._kept[relation] = torch.from_numpy(np.unique(np.concatenate(members)))
        return self._kept[relation]
