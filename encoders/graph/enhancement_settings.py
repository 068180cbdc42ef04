"""What an enhancement predicts. Apart from it, so that faces can check what is asked without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from kg.errors import InputError

if TYPE_CHECKING:
    from kg.ontology import Ontology

By = Literal["joined", "neighbours", "ultra"]
"""Ways to predict; see `encoders.graph.ways`."""
DEFAULT_WAY: By = "joined"


@dataclass(frozen=True, slots=True)
class EnhancementSettings:
    """What to predict.

    Attributes:
        relations: names, with `^` before it for the inverse.
        by: which way, one of `By`.
        only_changed: ask only what has changed since the last such run, and keep what that said of the others; see
            `encoders.graph.last_run`.
        top_k: predictions an entity and relation, at most.
        min_belief: below which nothing is written.
        hidden: share of a relation's facts that is hidden for the calibration.
        paths: that are kept for each prediction.
        seed: of what is drawn.
    """

    relations: tuple[str, ...]
    top_k: int = 5
    min_belief: float = 0.5
    hidden: float = 0.1
    paths: int = 3
    seed: int = 0
    by: str = DEFAULT_WAY
    only_changed: bool = False

    def check(self, ontology: Ontology, domain: str) -> None:
        """Whether a domain has what is asked.

        Raises:
            OntologyError: no such domain.
            InputError: it has no such relation, or none is asked; or there is no such way.
        """
        if self.by not in get_args(By):
            raise InputError(f"no way {self.by!r}; known: {', '.join(get_args(By))}", "by")
        known = ontology.domain_relations(domain)
        if not self.relations:
            raise InputError(f"name what to predict; known: {', '.join(known)}", "relations")
        for name in (asked.removeprefix("^") for asked in self.relations):
            if name not in known:
                raise InputError(f"the domain {domain!r} has no relation {name!r}", "relations")
