"""Several scorers of links joined to one: boosted trees rank what any of them finds (LambdaMART, Burges 2010)."""

from __future__ import annotations

from collections.abc import Mapping

import lightgbm
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from encoders.graph.ranking import Answers, Scorer
from encoders.graph.triples import Triples, join

_PARAMETERS = {
    "objective": "lambdarank",
    "learning_rate": 0.05,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "lambdarank_truncation_level": 20,
    "verbose": -1,
    "deterministic": True,
    "force_row_wise": True,  # else it takes what is quicker at the moment, which rounds otherwise
    "num_threads": 2,
}

NOT_LOOKED_AT = -1e9
"""Score of what no part has among its best."""


class JoinedScorer:
    """Ranks the best candidates of each part by all parts; whatever no part finds comes after them.

    Args:
        parts: scorers by name; all on the same graph.
        candidates: bool (nodes,): what may be a tail.
        best: how many candidates of each part are looked at.
        rounds: trees.
    """

    def __init__(self, parts: Mapping[str, Scorer], candidates: Tensor, *, best: int = 50, rounds: int = 100) -> None:
        self._parts, self._best, self._rounds = dict(parts), best, rounds
        self._nodes = len(candidates)
        self._candidates = torch.nonzero(candidates).squeeze(1)
        self._place = torch.full((self._nodes,), -1, dtype=torch.int64)
        self._place[self._candidates] = torch.arange(len(self._candidates))
        self._booster: lightgbm.Booster | None = None

    def fit(self, hidden: Triples, known: list[Triples], batch: int = 64, seed: int = 0) -> None:
        """Learns from facts that none of the parts has seen; those whose truth no part finds teach nothing.

        Args:
            hidden: facts whose tails are asked for.
            known: all known facts, with inverses if these are asked for; their tails are not wrong answers.
            batch: queries scored at once.
            seed: of the trees.

        Raises:
            ValueError: no part finds any of the hidden facts.
        """
        answers = Answers(join(known))
        rows, labels, sizes = [], [], []
        for part in torch.arange(len(hidden)).split(batch):
            head, relation, tail = hidden.head[part], hidden.relation[part], hidden.tail[part]
            scores = self._scores(head, relation)
            query, others = answers.of(head, relation)
            places = self._place[others]
            wrong = (others != tail[query]) & (places >= 0)
            scores[:, query[wrong], places[wrong]] = -torch.inf
            for at, truth in enumerate(self._place[tail].tolist()):
                chosen, features = self._features(scores[:, at])
                right = chosen == truth
                if right.any():
                    rows.append(features)
                    labels.append(right.astype(np.int32))
                    sizes.append(len(chosen))
        if not rows:
            raise ValueError("no part finds any of the hidden facts")
        data = lightgbm.Dataset(np.concatenate(rows), np.concatenate(labels), group=sizes)
        self._booster = lightgbm.train(_PARAMETERS | {"seed": seed}, data, self._rounds)

    @property
    def learned(self) -> str:
        """The trees, as LightGBM's text."""
        return self._trees().model_to_string()

    def recall(self, learned: str) -> None:
        """Takes over the trees of another one with parts of the same sort."""
        self._booster = lightgbm.Booster(model_str=learned)

    def _trees(self) -> lightgbm.Booster:
        if self._booster is None:
            raise RuntimeError("fit it first")
        return self._booster

    def __call__(self, head: Tensor, relation: Tensor) -> Tensor:
        """(queries, nodes) scores; what is not looked at shares the least."""
        trees = self._trees()
        scores = self._scores(head, relation)
        joined = torch.full((len(head), self._nodes), NOT_LOOKED_AT)
        for query in range(len(head)):
            chosen, features = self._features(scores[:, query])
            joined[query, self._candidates[chosen]] = torch.from_numpy(trees.predict(features)).float()
        return joined

    def _scores(self, head: Tensor, relation: Tensor) -> Tensor:
        """(parts, queries, candidates)."""
        return torch.stack([part(head, relation)[:, self._candidates] for part in self._parts.values()])

    def _features(self, scores: Tensor) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The candidates of one query, and (candidates, 3 × parts): score, gap to the best, log of the rank."""
        order = torch.argsort(-scores, dim=1, stable=True)
        chosen = torch.unique(order[:, : self._best])
        chosen = chosen[torch.isfinite(scores[:, chosen]).all(0)]
        rank = torch.empty_like(order)
        rank.scatter_(1, order, torch.arange(order.shape[1]).expand_as(order))
        own = scores[:, chosen]
        gap = own - scores.amax(1, keepdim=True)
        features = torch.cat((own, gap, torch.log1p(rank[:, chosen].float())))
        return chosen.numpy(), features.T.numpy()
