"""What an enhancement predicts. Apart from it, so that faces can check what is asked without torch."""

from __future__ import annotations

from dataclasses import dataclass

from kg.errors import InputError
from kg.ontology import Ontology


@dataclass(frozen=True, slots=True)
class EnhancementSettings:
    """What to predict.

    Attributes:
        relations: names, with `^` before it for the inverse.
        top_k: predictions an entity and relation, at most.
        min_belief: below which nothing is written.
        hidden: share of a relation's facts that is hidden for the calibration.
        queries: at most so many entities of a sort are asked to calibrate: those that lost all facts, some, none.
        paths: that are kept for each prediction.
        seed: of what is drawn.
    """

    relations: tuple[str, ...]
    top_k: int = 5
    min_belief: float = 0.5
    hidden: float = 0.1
    queries: int = 300
    paths: int = 3
    seed: int = 0

    def check(self, ontology: Ontology, domain: str) -> None:
        """Whether a domain has what is asked.

        Raises:
            OntologyError: no such domain.
            InputError: it has no such relation, or none is asked.
        """
        known = ontology.domain_relations(domain)
        if not self.relations:
            raise InputError(f"name what to predict; known: {', '.join(known)}", "relations")
        for name in (asked.removeprefix("^") for asked in self.relations):
            if name not in known:
                raise InputError(f"the domain {domain!r} has no relation {name!r}", "relations")
