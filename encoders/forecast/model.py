"""A spatio-temporal graph neural network: what each sensor measured, mixed with what its neighbours did.

Windows of values are read by a layer a sensor; graph convolutions mix them along the network, against it, and along a
network that is learned (Graph WaveNet, Wu et al. 2019). What comes out is added to the last value.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu
from torch_geometric.nn import DenseGraphConv

from encoders.forecast.windows import FEATURES, FUTURE, PAST

QUANTILES = (0.05, 0.5, 0.95)


class ForecastModel(nn.Module):
    """Forecasts of all sensors.

    Args:
        near: float32 (sensors, sensors), see `SensorSeries.near`; all 0: only the learned network counts.
        graph: whether sensors see each other at all.
        width: numbers of a sensor's state.
        own: numbers that are learned of each sensor.
        layers: of mixing.
        dropout: share of numbers that are left out in training.
    """

    along: Tensor
    against: Tensor

    def __init__(
        self, near: Tensor, *, graph: bool = True, width: int = 48, own: int = 8, layers: int = 2, dropout: float = 0.2
    ) -> None:
        super().__init__()
        sensors = len(near)
        self.graph, self.known = graph, bool((near != 0).any())
        self.register_buffer("along", _share(near))
        self.register_buffer("against", _share(near.T))
        self.own = nn.Parameter(0.1 * torch.randn(sensors, own))
        self.reads = nn.Parameter(0.3 * torch.randn(sensors, own))
        self.tells = nn.Parameter(0.3 * torch.randn(own, sensors))
        self.first = nn.Linear(FEATURES + own, width)
        ways = (3 if self.known else 2) if graph else 1
        self.mix = nn.ModuleList(
            nn.ModuleList(DenseGraphConv(width, width) for _ in range(ways)) for _ in range(layers)
        )
        self.norm = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.last = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, FUTURE * len(QUANTILES))
        )

    def forward(self, windows: Tensor) -> Tensor:
        """(windows, sensors, `FUTURE`, `QUANTILES`) of (windows, sensors, `FEATURES`), in spreads from the mean."""
        state = gelu(self.first(torch.cat((windows, self.own.expand(len(windows), -1, -1)), -1)))
        networks = [self.along]  # without links it leaves each sensor's own state
        if self.graph:
            networks += [self.against] * self.known + [self.learned()]
        for mix, norm in zip(self.mix, self.norm, strict=True):
            mixed = torch.zeros_like(state)
            for convolution, network in zip(mix, networks, strict=True):  # type: ignore[call-overload]
                mixed = mixed + convolution(state, network)
            state = norm(state + self.dropout(gelu(mixed)))
        change: Tensor = self.last(state).unflatten(-1, (FUTURE, len(QUANTILES)))
        return windows[..., PAST - 1, None, None] + change

    def learned(self) -> Tensor:
        """(sensors, sensors): how much each one of a row is told by each of a column, as was learned; rows sum to 1."""
        return torch.softmax(torch.relu(self.reads @ self.tells), 1)


def _share(near: Tensor) -> Tensor:
    return near / near.sum(1, keepdim=True).clamp(min=1e-6)
