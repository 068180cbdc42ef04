"""Forecasts in the graph: an entity for each sensor, said by a source of its own that is a prediction.

What a forecaster says of a measure is one document, `forecast:speed`: a new forecast replaces it, and retracting it, or
its source, takes it back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

import orjson

from encoders.forecast.forecaster import Forecaster
from encoders.forecast.model import QUANTILES
from encoders.forecast.newest import Newest
from encoders.forecast.series import Array
from encoders.forecast.windows import FUTURE, PAST
from kg.derived import DerivedDocument
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Source, Value
from kg.store import GraphStore

READER = "forecast@1"
MODEL = "spatio-temporal graph network"
COVERAGE = round(QUANTILES[-1] - QUANTILES[0], 6)
"""Share of what comes that lies between low and high."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes:
        document: retracting it takes the forecast back; so does retracting the source.
        sensors: that are forecast; the others measured nothing in the window.
    """

    document: str
    source: str
    sensors: int


def iso(seconds: int) -> str:
    """A time of seconds since 1970, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def write_forecast(store: GraphStore, forecaster: Forecaster, newest: Newest, found: Array) -> Written:
    """Writes a forecast instead of the last one of the measure.

    Args:
        store: the graph.
        forecaster: whose sensors are called as in the graph.
        newest: what it rests on.
        found: see `Forecaster.ahead`.

    Raises:
        InputError: a sensor is not called by an id, so that it can't be one of the graph's.
        StoreUnavailableError: the database stayed away.
    """
    measure = quote(forecaster.series.measure, safe="")
    document, source = f"forecast:{measure}", f"evigraph:forecast/{measure}"
    if nameless := [sensor for sensor in forecaster.series.sensors if ":" not in sensor]:
        raise InputError(f"no sensor of the graph is called {nameless[0]!r}", "sensors")
    version = f"{READER}, weights {forecaster.version}"
    name = f"forecast of {forecaster.series.measure}"
    described = Source(source, "prediction", name=name, model=MODEL, version=version, document=document)
    derived = DerivedDocument(store, document, READER, [described])
    await derived.write(list(_records(described, forecaster, newest, found)))
    await derived.end()
    return Written(document, source, int(newest.measured.sum()))


def _records(source: Source, forecaster: Forecaster, newest: Newest, found: Array) -> Iterator[Record]:
    kept = forecaster.series
    texts = [[orjson.dumps([round(value, 3) for value in row.tolist()]).decode() for row in of.T] for of in found]
    times = {"valid_from": iso(newest.time(PAST)), "valid_to": iso(newest.time(PAST + FUTURE - 1))}
    for at, sensor in enumerate(kept.sensors):
        if not newest.measured[at]:
            continue
        low, median, high = texts[at]
        properties: dict[str, Value] = {
            "measure": kept.measure,
            "started_at": times["valid_from"],
            "step_seconds": float(kept.step_s),
            "values": median,
            "low_values": low,
            "high_values": high,
            "measured_until": iso(newest.time(int(newest.last[at]))),
        }
        if kept.unit:
            properties["measure_unit"] = kept.unit
        id_ = f"forecast:{sensor}/{quote(kept.measure, safe='')}"
        yield Entity(id_, ("Forecast",), source.id, properties, source.document)
        yield Claim(id_, "FORECASTS", sensor, source.id, COVERAGE, times, source.document)
