"""What happens now: each tick the new measurements, the forecast that takes them in, and alerts.

The graph is followed, whoever writes to it: this server, or a process that reads a broker. It is looked at only while
somebody listens. The forecast is made once a tick, however many measurements came.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import structlog

from api.errors import problem_of
from api.forecasting import Forecasting
from encoders.forecast.forecast_graph import iso
from encoders.forecast.forecaster import Forecaster
from encoders.forecast.measurements import Measurement
from encoders.forecast.newest import Newest
from encoders.forecast.series import Array
from encoders.forecast.windows import PAST
from kg.errors import EvigraphError, words_of
from kg.store import GraphStore
from reasoning.traffic.alerts import Alert, Alerts

log = structlog.get_logger("live")


@dataclass(frozen=True, slots=True, eq=False)
class Tick:
    """What is known after a look at the graph.

    Attributes:
        number: grows by one each time.
        measurements: that were new.
        problem: why nothing is known.
    """

    number: int
    version: int = 0
    measurements: Sequence[Measurement] = ()
    alerts: Sequence[Alert] = ()
    newest: Newest | None = None
    found: Array | None = None
    forecaster: Forecaster | None = None
    problem: dict[str, Any] | None = None

    def view(self, sensors: Sequence[str] | None, steps: int) -> dict[str, Any]:
        """What listeners see.

        Args:
            sensors: ids of those that are wanted; None: all.
            steps: how many steps ahead.
        """
        if self.newest is None or self.found is None or self.forecaster is None:
            return {"problem": self.problem}
        newest, kept = self.newest, self.forecaster.series
        wanted = kept.sensors if sensors is None else [name for name in sensors if name in kept.place]
        among = set(wanted)
        rounded = np.round(self.found[:, :steps].astype(np.float64), 2)
        forecasts = {
            name: dict(zip(("low", "median", "high"), rounded[kept.place[name]].T.tolist(), strict=True))
            for name in wanted
            if newest.measured[kept.place[name]]
        }
        return {
            "graph_version": self.version,
            "model_version": self.forecaster.version,
            "measure": kept.measure,
            "unit": newest.series.unit or None,
            "measured_until": iso(newest.end),
            "measurements": [
                {"id": one.id, "sensor": one.sensor, "time": iso(int(one.time)), "value": one.value}
                for one in self.measurements
                if one.sensor in among
            ],
            "predicted": True,
            "started_at": iso(newest.time(PAST)),
            "step_seconds": kept.step_s,
            "forecasts": forecasts,
            "abstained": {name: newest.why_not[name] for name in wanted if name in newest.why_not},
            "alerts": [
                {
                    "kind": one.kind, "sensor": one.sensor, "time": iso(int(one.time)), "value": one.value,
                    "score": one.score, "low": one.low, "median": one.median, "high": one.high, "text": one.text,
                }
                for one in self.alerts
                if one.sensor in among
            ],
        }  # fmt: skip


class Live:
    """Ticks, for as many listeners as there are.

    Args:
        forecasting: follows the graph.
        store: gives the graph.
        every_s: seconds between looks.
    """

    def __init__(self, forecasting: Forecasting, store: Callable[[], GraphStore], every_s: float) -> None:
        self._forecasting, self._store, self._every_s = forecasting, store, every_s
        self._tick = Tick(0)
        self._changed = asyncio.Event()
        self._alerts = Alerts()
        self._listeners = 0
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    async def ready(self) -> None:
        """Looks at the graph, if nobody listens yet.

        Raises:
            ConflictError: there is no forecaster, or the graph has nothing to forecast from.
            InputError: the forecaster is damaged.
            StoreUnavailableError: the database is away.
        """
        if self._task is None:
            await self._look(anyway=True)

    async def follow(self) -> AsyncIterator[Tick]:
        """The last tick, then each one as it comes, until the end; a slow listener misses some."""
        self._listeners += 1
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="live")
        try:
            while not self._ended:
                changed, tick = self._changed, self._tick
                yield tick
                await changed.wait()
        finally:
            self._listeners -= 1
            if not self._listeners:
                self._rest()

    def end(self) -> None:
        """Lets listeners go, and looks no more."""
        self._ended = True
        self._changed.set()
        self._rest()

    def _rest(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while True:
            started = time.monotonic()
            try:
                await self._look()
            except Exception as error:
                problem = problem_of(error)
                if problem != self._tick.problem:
                    log.warning("nothing live", reason=words_of(error), exc_info=not isinstance(error, EvigraphError))
                    self._show(Tick(self._tick.number + 1, problem=problem))
            await asyncio.sleep(max(self._every_s - (time.monotonic() - started), 0.01))

    async def _look(self, *, anyway: bool = False) -> None:
        before = self._tick
        version, new, newest, forecaster = await self._forecasting.follow(self._store())
        if not anyway and not new and before.newest is not None and before.version == version:
            return
        alerts = self._alerts.check(new)
        found = await asyncio.to_thread(forecaster.ahead, newest)
        self._alerts.forecast(newest, found)
        self._show(Tick(before.number + 1, version, new, alerts, newest, found, forecaster))

    def _show(self, tick: Tick) -> None:
        self._tick = tick
        self._changed.set()
        self._changed = asyncio.Event()
