"""Forecasts of the graph's sensors by a trained forecaster, kept in step with both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from api.settings import Settings
from encoders.forecast.forecast_graph import Written, write_forecast
from encoders.forecast.forecaster import Forecaster
from encoders.forecast.newest import Newest, newest
from encoders.forecast.posted import Measured, series_of_measured
from encoders.forecast.series import Array, series_of_snapshot
from kg.errors import ConflictError, InputError, NotFoundError
from kg.snapshot import Snapshot, load_snapshot, refresh_snapshot
from reasoning.traffic.forecast import answer, steps_until
from reasoning.traffic.forecast_answer import ForecastAnswer

if TYPE_CHECKING:
    from kg.store import GraphStore

_NONE = "no forecaster: make one by `evigraph train forecast --out DIR`, and name the folder by EVIGRAPH_FORECASTER"


class Forecasting:
    """Answers what sensors will measure.

    Args:
        settings: where the forecaster is.
        forecaster: instead of that of the settings.
    """

    def __init__(self, settings: Settings, forecaster: Forecaster | None = None) -> None:
        self._settings = settings
        self._forecaster = forecaster
        self._given = forecaster is not None
        self._made = 0
        self._snapshot: Snapshot | None = None
        self._newest: Newest | None = None
        self._lock = asyncio.Lock()

    async def forecaster(self) -> Forecaster:
        """The forecaster of the settings; loaded anew when it was trained anew.

        Raises:
            ConflictError: there is none.
            InputError: it is damaged.
        """
        if self._given and self._forecaster is not None:
            return self._forecaster
        folder = self._settings.forecaster
        if folder is None:
            raise ConflictError(_NONE)
        try:
            made = (folder / "card.json").stat().st_mtime_ns
        except OSError as error:
            raise ConflictError(f"{_NONE}; {folder} holds none") from error
        if self._forecaster is None or made != self._made:
            self._forecaster = await asyncio.to_thread(Forecaster.load, folder)
            self._made, self._newest = made, None
        return self._forecaster

    async def answer(
        self,
        store: GraphStore,
        sensors: Sequence[str] | None = None,
        minutes: float | None = None,
        posted: Sequence[Measured] | None = None,
        *,
        write: bool = False,
    ) -> tuple[ForecastAnswer, Written | None]:
        """What sensors will measure, from the graph's newest series or from posted ones.

        Args:
            store: the graph.
            sensors: ids or names; None: all, or of posted series those that came.
            minutes: how far ahead; None: as far as there is.
            posted: instead of the graph's series.
            write: the forecast of all sensors to the graph.

        Raises:
            ConflictError: there is no forecaster, or the graph has no series of its sensors.
            NotFoundError: the forecaster has no such sensor; names the field.
            InputError: what is asked or posted makes no sense; names the field.
        """
        async with self._lock:
            forecaster = await self.forecaster()
            kept = forecaster.series
            steps_until(minutes, kept.step_s)
            if posted is None:
                window, version = await self._of_graph(store, forecaster)
            elif write:
                raise InputError("what is written must rest on the graph: push the values first", "write")
            else:
                if not all(":" in sensor for sensor in kept.sensors):  # of a file; the graph may know their ids
                    with contextlib.suppress(ConflictError):
                        await self._of_graph(store, forecaster)
                    kept = forecaster.series
                named = [_sensor(forecaster, one.sensor, f"series[{at}].sensor") for at, one in enumerate(posted)]
                measured = [Measured(name, one.times, one.values) for name, one in zip(named, posted, strict=True)]
                series = series_of_measured(measured, kept)
                window, version, sensors = newest(series, kept.sensors, kept.step_s), None, sensors or named
            asked = None
            if sensors is not None:
                asked = [_sensor(forecaster, name, f"sensors[{at}]") for at, name in enumerate(sensors)]
            found: Array = await asyncio.to_thread(forecaster.ahead, window)
            answered = answer(forecaster, window, found, asked, minutes, version)
            written = await write_forecast(store, forecaster, window, found) if write else None
        return answered, written

    async def _of_graph(self, store: GraphStore, forecaster: Forecaster) -> tuple[Newest, int]:
        """The newest window of the graph, and the graph's version.

        Raises:
            ConflictError: the graph has no series of the forecaster's sensors.
        """
        before, cache = self._snapshot, self._settings.cache
        if before is None:
            self._snapshot = await load_snapshot(store, "traffic", cache)
        else:
            self._snapshot = await refresh_snapshot(before, store, cache)
        if self._newest is None or self._snapshot is not before:
            snapshot = self._snapshot
            self._newest = await asyncio.to_thread(_newest, snapshot, forecaster)
        return self._newest, self._snapshot.version


def _newest(snapshot: Snapshot, forecaster: Forecaster) -> Newest:
    kept = forecaster.series
    try:
        series = series_of_snapshot(snapshot, kept.measure)
        forecaster.bound_to(series.sensors)
        return newest(series, forecaster.series.sensors, kept.step_s)
    except InputError as error:
        raise ConflictError(f"the graph has nothing to forecast from: {error}") from error


def _sensor(forecaster: Forecaster, name: str, field: str) -> str:
    """The id of a sensor of the forecaster.

    Raises:
        NotFoundError: it has none of this id or name.
    """
    sensors = forecaster.series.sensors
    if name in sensors:
        return name
    found = [id_ for id_ in sensors if name == id_.rpartition("/")[2] or id_ == name.rpartition("/")[2]]
    if len(found) != 1:
        raise NotFoundError(f"{field}: the forecaster knows no sensor {name!r}" + (", but several" if found else ""))
    return found[0]
