"""Sensor series as one array, from `Series` entities and `NEAR` facts, whether out of a file or out of the graph."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, Self

import numpy as np
import orjson
from numpy.typing import NDArray

from encoders.forecast.places import Place, named, weights_of_places
from kg.errors import InputError
from kg.model import Claim, Entity, Record
from kg.snapshot import Snapshot

Array = NDArray[np.float32]
DAY_S = 86_400
_THURSDAY, _SATURDAY = 3, 5
"""Days of the week counted from Monday; 1970 began on a Thursday."""
_MOST = 200_000_000
"""Numbers of an array, at most: about 0.8 GB."""


@dataclass(frozen=True, eq=False)
class SensorSeries:
    """What sensors measured, step by step.

    Attributes:
        measure: what they measured, e.g. `speed`.
        sensors: ids.
        start: seconds since 1970, UTC, of the first step.
        step_s: seconds between steps.
        values: float32 (steps, sensors); NaN where nothing was measured.
        near: float32 (sensors, sensors), how near the one of a row is to the one of a column, 0…1; 0 on the diagonal.
        unit: UCUM, of the values; empty if none is stated.
    """

    measure: str
    sensors: tuple[str, ...]
    start: int
    step_s: int
    values: Array
    near: Array
    unit: str = ""

    @cached_property
    def place(self) -> dict[str, int]:
        """Column of each sensor."""
        return {sensor: at for at, sensor in enumerate(self.sensors)}

    def __len__(self) -> int:
        """How many steps."""
        return len(self.values)

    @property
    def slots(self) -> int:
        """Steps of a day."""
        return DAY_S // self.step_s

    def slot(self, step: NDArray[np.int64]) -> NDArray[np.int64]:
        """Time of day of steps, in steps."""
        return (self.start // self.step_s + step) % self.slots

    def day(self, step: NDArray[np.int64]) -> NDArray[np.int64]:
        """Day of steps, counted since 1970."""
        return (self.start // self.step_s + step) // self.slots

    def moment(self, step: NDArray[np.int64]) -> NDArray[np.int64]:
        """Time of day of steps, in steps; on Saturdays and Sundays beyond those of other days."""
        weekend = (self.day(step) + _THURSDAY) % 7 >= _SATURDAY
        return self.slot(step) + self.slots * weekend

    def part(self, first: int, last: int) -> Self:
        """The steps from one to before another."""
        return replace(self, start=self.start + first * self.step_s, values=self.values[first:last])

    def of_sensors(self, sensors: tuple[str, ...]) -> Self:
        """The same of these sensors, in this order; those that it does not have measured nothing.

        Raises:
            InputError: it has none of them.
        """
        at = np.array([self.place.get(sensor, -1) for sensor in sensors])
        if (at < 0).all():
            raise InputError(f"none of the sensors, such as {sensors[0]!r}, has a series of {self.measure}", "sensors")
        values = np.where(at >= 0, self.values[:, at], np.nan).astype(np.float32)
        near = np.where((at >= 0)[:, None] & (at >= 0), self.near[np.ix_(at, at)], 0.0).astype(np.float32)
        return replace(self, sensors=sensors, values=values, near=near)


def series_of_records(records: Iterable[Record], measure: str | None = None) -> SensorSeries:
    """From what a reader yields; sensors are called by their names, since ids tell files apart.

    Raises:
        InputError: as `_series`.
    """
    days: dict[str, dict[str, Any]] = {}
    names: dict[str, str] = {}
    observed: dict[str, str] = {}
    places: dict[str, Place] = {}
    near: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    for record in records:
        if isinstance(record, Entity) and "Series" in record.classes:
            days[record.id] = dict(record.properties)
        elif isinstance(record, Entity) and (place := _place(record.properties)) is not None:
            places[record.id] = place  # named by its street, perhaps
        elif isinstance(record, Entity):
            names[record.id] = str(record.properties.get("name", record.id))
        elif isinstance(record, Claim) and record.relation == "OBSERVES":
            observed[record.subject] = record.object
        elif isinstance(record, Claim) and record.relation == "NEAR":
            pair = record.subject, record.object
            near[str(record.qualifiers.get("predicate", ""))][pair] = float(record.qualifiers.get("number", 1.0))
    called = {id_: names.get(sensor, sensor) for id_, sensor in observed.items()}
    pairs = {
        network: {(names.get(one, one), names.get(other, other)): number for (one, other), number in of.items()}
        for network, of in near.items()
    }
    standing = {names.get(id_) or named(id_, set(called.values())): place for id_, place in places.items()}
    return _series(days, called, pairs, standing, measure)


def series_of_snapshot(snapshot: Snapshot, measure: str | None = None) -> SensorSeries:
    """From the traffic domain of a graph.

    Raises:
        InputError: as `_series`.
    """
    days = {snapshot.id(at): snapshot.properties(at) for at in snapshot.entities("Series").tolist()}
    observes = snapshot.facts("OBSERVES")
    ends = zip(observes.subject.tolist(), observes.object.tolist(), strict=True)
    observed = {snapshot.id(subject): snapshot.id(object_) for subject, object_ in ends}
    near: dict[str, dict[tuple[str, str], float]] = defaultdict(dict)
    first = snapshot.facts("NEAR").first
    for fact in range(first, first + len(snapshot.facts("NEAR"))):
        pair = snapshot.id(snapshot.subject(fact)), snapshot.id(snapshot.object(fact))
        for claim in snapshot.claims(fact):
            near[str(claim.qualifiers.get("predicate", ""))][pair] = float(claim.qualifiers.get("number", 1.0))
    sensors = {id_: snapshot.properties(at) for id_, at in zip(*_of_ids(snapshot, observed.values()), strict=True)}
    places = {id_: place for id_, properties in sensors.items() if (place := _place(properties)) is not None}
    return _series(days, observed, near, places, measure)


def _of_ids(snapshot: Snapshot, ids: Iterable[str]) -> tuple[list[str], list[int]]:
    unique = sorted(set(ids))
    return unique, snapshot.indices(unique).tolist()


def _place(properties: Mapping[str, Any]) -> Place | None:
    if "latitude" not in properties or "longitude" not in properties:
        return None
    return float(properties["latitude"]), float(properties["longitude"])


def _series(
    days: Mapping[str, Mapping[str, Any]],
    observed: Mapping[str, str],
    near: Mapping[str, Mapping[tuple[str, str], float]],
    places: Mapping[str, Place],
    measure: str | None,
) -> SensorSeries:
    """One array of them all.

    Raises:
        InputError: no series of the measure, several measures and none named, several units, unequal steps, or too long
            a time.
    """
    measures = Counter(str(day.get("measure", "")) for day in days.values())
    if measure is None and len(measures) > 1:
        raise InputError(f"name one of the measures: {', '.join(sorted(measures))}", "measure")
    chosen = measure if measure is not None else next(iter(measures), "")
    parts = []
    units = set()
    for id_, day in days.items():
        if str(day.get("measure", "")) == chosen and "step_seconds" in day and id_ in observed:
            start = datetime.fromisoformat(str(day["started_at"])).timestamp()
            parts.append((observed[id_], start, float(day["step_seconds"]), str(day["values"])))
            units.add(str(day.get("measure_unit", "")))
    if not parts:
        raise InputError(f"no series of {chosen or 'anything'} at equal steps", "measure")
    step = min(step for _, _, step, _ in parts)
    if step < 1 or any(s % step for _, _, s, _ in parts) or DAY_S % step:
        raise InputError(
            f"steps of {step:g} s and others, which are not parts of a day or of each other", "step_seconds"
        )
    sensors = sorted({sensor for sensor, *_ in parts})
    place = {sensor: at for at, sensor in enumerate(sensors)}
    begin = min(start for _, start, _, _ in parts)
    rows: list[tuple[int, NDArray[np.int64], Array]] = []
    last = 0
    for sensor, start, own, values in parts:
        numbers = np.array([np.nan if value is None else value for value in orjson.loads(values)], np.float32)
        at = int((start - begin) // step) + int(own // step) * np.arange(len(numbers))
        rows.append((place[sensor], at, numbers))
        last = max(last, int(at[-1]) + 1)
    if last * len(sensors) > _MOST:
        raise InputError(f"{last:,} steps of {len(sensors):,} sensors are too many to hold", "started_at")
    table = np.full((last, len(sensors)), np.nan, np.float32)
    for column, at, numbers in rows:
        table[at, column] = numbers
    if len(units) > 1:
        raise InputError(f"several units of {chosen}: {', '.join(sorted(units))}", "measure_unit")
    weights = _weights(near, place) if near else weights_of_places([places.get(sensor) for sensor in sensors])
    return SensorSeries(chosen, tuple(sensors), int(begin), int(step), table, weights, units.pop())


def _weights(near: Mapping[str, Mapping[tuple[str, str], float]], place: Mapping[str, int]) -> Array:
    """Of the network that says most: numbers up to 1 are weights, others distances.

    Distances become weights by a Gaussian kernel of their spread (as in DCRNN, Li et al. 2018). What is said of one
    direction only holds for both.
    """
    table = np.zeros((len(place), len(place)), np.float32)
    network = max(near.values(), key=lambda pairs: (len(set(pairs.values())), len(pairs)))
    number = np.array(list(network.values()))
    weight = number if number.max() <= 1 else np.exp(-((number / max(float(number.std()), 1e-9)) ** 2))
    for (one, other), value in zip(network, weight.tolist(), strict=True):
        if one in place and other in place and one != other:
            table[place[one], place[other]] = value
            if (other, one) not in network:
                table[place[other], place[one]] = value
    return table
