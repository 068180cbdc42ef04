"""Forecasts of the graph's sensors by a trained forecaster, kept in step with both."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from api.settings import Settings
from encoders.forecast.forecast_graph import Written, write_forecast
from encoders.forecast.forecaster import Forecaster
from encoders.forecast.measurements import Measurement, Measurements
from encoders.forecast.newest import Newest, Window, newest
from encoders.forecast.posted import Measured, series_of_measured
from encoders.forecast.series import Array, SensorSeries, series_of_snapshot
from kg.errors import ConflictError, InputError, NotFoundError
from kg.snapshot import Snapshot, load_snapshot
from kg.store import GraphStore
from reasoning.traffic.forecast import answer, steps_until
from reasoning.traffic.forecast_answer import ForecastAnswer

_NONE = "no forecaster: make one by `evigraph train forecast --out DIR`, and name the folder by EVIGRAPH_FORECASTER"
_OWN = "forecast:"
"""With what the ids of written forecasts begin."""


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
        self._window: Window | None = None
        self._version = 0
        self._taken: dict[str, int] = {}
        self._lock = asyncio.Lock()

    async def _loaded(self) -> Forecaster:
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
            self._made, self._window = made, None
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
            forecaster = await self._loaded()
            steps_until(minutes, forecaster.series.step_s)
            version: int | None = None
            if posted is None:
                await self._follow(store, forecaster)
                window, version = _newest(self._window), self._version
            elif write:
                raise InputError("what is written must rest on the graph: push the values first", "write")
            else:
                if not all(":" in sensor for sensor in forecaster.series.sensors):  # the graph may know their ids
                    with contextlib.suppress(ConflictError):
                        await self._follow(store, forecaster)
                named = [_sensor(forecaster, one.sensor, f"series[{at}].sensor") for at, one in enumerate(posted)]
                measured = [Measured(name, one.times, one.values) for name, one in zip(named, posted, strict=True)]
                window = newest(series_of_measured(measured, forecaster.series), forecaster.series)
                sensors = sensors or named
            asked = _ids(forecaster, sensors)
            found: Array = await asyncio.to_thread(forecaster.ahead, window)
            answered = answer(forecaster, window, found, asked, minutes, version)
            written = await write_forecast(store, forecaster, window, found) if write else None
        return answered, written

    async def asked(self, sensors: Sequence[str] | None, minutes: float | None) -> tuple[list[str] | None, int]:
        """Ids of sensors that are asked for by id or name, and steps until a time ahead.

        Raises:
            ConflictError: there is no forecaster.
            NotFoundError: the forecaster has no such sensor; names the field.
            InputError: the time is too short or too long.
        """
        async with self._lock:
            forecaster = await self._loaded()
        return _ids(forecaster, sensors), steps_until(minutes, forecaster.series.step_s)

    async def follow(self, store: GraphStore) -> tuple[int, list[Measurement], Newest, Forecaster]:
        """What was measured since the last look, and the newest window with it; and the version of the graph.

        Raises:
            ConflictError: there is no forecaster, or the graph has no series of its sensors.
            InputError: the forecaster is damaged.
        """
        async with self._lock:
            forecaster = await self._loaded()
            new = await self._follow(store, forecaster)
            return self._version, new, _newest(self._window), forecaster

    async def _follow(self, store: GraphStore, forecaster: Forecaster) -> list[Measurement]:
        """Takes in what is new in the graph."""
        kept = forecaster.series
        reads = Measurements(store.ontology, kept.measure, kept.unit)
        version = await store.version()
        if self._window is not None and version == self._version:
            return []
        removed = None if self._window is None else await store.removed_since(self._version)
        if self._window is None or removed is None or any(not id_.startswith(_OWN) for id_ in removed[0]):
            snapshot = await load_snapshot(store, "traffic", self._settings.cache)
            self._window = await asyncio.to_thread(_window, snapshot, forecaster, reads)
            self._version, self._taken = snapshot.version, {}
            return []
        new: list[Measurement] = []
        taken: dict[str, int] = {}
        async for changed, measurements in reads.since(store, self._version):
            for one in measurements:
                taken[one.id] = changed
                if self._taken.get(one.id) != changed and self._window.add(
                    one.sensor, one.time, one.value, alone=one.alone
                ):
                    new.append(one)
        self._version, self._taken = version, taken
        return new


def _newest(window: Window | None) -> Newest:
    try:
        if window is not None:
            return window.newest()
    except InputError as error:
        raise ConflictError(f"the graph has nothing to forecast from: {error}") from error
    raise ConflictError("the graph has nothing to forecast from")


def _window(snapshot: Snapshot, forecaster: Forecaster, reads: Measurements) -> Window:
    """What the series and observations of a graph tell.

    Raises:
        ConflictError: the graph has neither of the forecaster's sensors.
    """
    observed = list(reads.observations(snapshot))
    series: SensorSeries | None = None
    reason = "no sensor has a value"
    try:
        series = series_of_snapshot(snapshot, forecaster.series.measure)
    except InputError as error:
        reason = str(error)
    forecaster.bound_to([*(series.sensors if series is not None else ()), *(one.sensor for one in observed)])
    window = Window(forecaster.series)
    if series is not None:
        try:
            window.fill(series)
        except InputError as error:
            reason = str(error)
    for one in sorted(observed, key=lambda one: one.time):
        window.add(one.sensor, one.time, one.value)
    if window.empty:
        raise ConflictError(f"the graph has nothing to forecast from: {reason}")
    return window


def _ids(forecaster: Forecaster, sensors: Sequence[str] | None) -> list[str] | None:
    if sensors is None:
        return None
    return [_sensor(forecaster, name, f"sensors[{at}]") for at, name in enumerate(sensors)]


def _sensor(forecaster: Forecaster, name: str, field: str) -> str:
    """The id of a sensor of the forecaster.

    Raises:
        NotFoundError: it has none of this id or name.
    """
    sensors = forecaster.series.sensors
    if name in forecaster.series.place:
        return name
    found = [id_ for id_ in sensors if name == id_.rpartition("/")[2] or id_ == name.rpartition("/")[2]]
    if len(found) != 1:
        raise NotFoundError(f"{field}: the forecaster knows no sensor {name!r}" + (", but several" if found else ""))
    return found[0]
