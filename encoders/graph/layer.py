"""One step of conditional message passing."""

from __future__ import annotations

from torch import Tensor, nn

from encoders.graph.propagation import Propagation


class ConditionalLayer(nn.Module):
    """x ← x + ReLU(LayerNorm(W [x ‖ m])), where m = boundary + Σ of tails' states ⊙ their relations' vectors.

    The DistMult message and the sum of NBFNet (Zhu et al. 2021, §3.3), with the shortcut of ULTRA.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * width, width)
        self.layer_norm = nn.LayerNorm(width)

    def update(self, states: Tensor, messages: Tensor) -> Tensor:
        """The next states, from two tensors of (nodes, queries, width)."""
        width = states.shape[-1]
        # W [x ‖ m] without making [x ‖ m]
        mixed = nn.functional.linear(states, self.linear.weight[:, :width], self.linear.bias)
        mixed = mixed + nn.functional.linear(messages, self.linear.weight[:, width:])
        return states + nn.functional.relu(self.layer_norm(mixed))


class RelationLayer(ConditionalLayer):
    """A layer on the graph of relations: each of the four kinds of meeting has a vector of its own."""

    def __init__(self, width: int, kinds: int) -> None:
        super().__init__(width)
        self.relation = nn.Embedding(kinds, width)

    def forward(self, states: Tensor, boundary: Tensor, propagation: Propagation) -> Tensor:
        """The next states.

        Args:
            states: (relations, queries, width).
            boundary: like `states`: what each query starts from.
            propagation: along the graph of relations.
        """
        return self.update(states, propagation(states, self.relation.weight[:, None]) + boundary)


class EntityLayer(ConditionalLayer):
    """A layer on the graph itself: projects the vectors that the graph of relations gave, in a way of its own."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.relation_projection = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
