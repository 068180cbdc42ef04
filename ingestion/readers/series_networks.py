"""Where sensors stand, and which are neighbours: tables of places, edge lists, adjacency matrices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ingestion.readers.base import Document
from ingestion.readers.series_days import Floats
from ingestion.readers.series_layout import plain, sensor_columns
from ingestion.readers.series_tables import Batch, Table, numbers, texts
from ingestion.readers.traffic_ids import curie, dataset
from kg.model import Claim, Entity, Record, Rejected, Scalar, Source, Value

_LATITUDE, _LONGITUDE = ("latitude", "lat"), ("longitude", "lon", "lng", "long")
_NAME = ("name", "location", "street", "road", "address", "description")
_FROM, _TO = ("from", "source", "from_id", "src"), ("to", "target", "to_id", "dst")
_WEIGHT = ("cost", "distance", "weight", "length")


def read_network(
    document: Document, table: Table, first: Batch, batches: Iterable[Batch | Rejected]
) -> Iterator[Record]:
    """The records of a table without times.

    Raises:
        ValueError: it is none of the three.
    """
    names = [plain(name) for name in table.names]
    network = Network(document)
    if _position(names, _LATITUDE) >= 0 and _position(names, _LONGITUDE) >= 0:
        read = _Places(network, table, names).read
    elif _position(names, _FROM) >= 0 and _position(names, _TO) >= 0:
        read = _Edges(network, table, names).read
    elif list(texts(first.columns[0])[: len(names) - 1]) == table.names[1 : len(first.lines) + 1]:
        read = _Matrix(network, table).read
    else:
        raise ValueError("no column of times, no places (id, latitude, longitude), no edges (from, to), no adjacency")
    yield network.source
    for batch in batches:
        if isinstance(batch, Rejected):
            yield batch
        else:
            yield from read(batch)


def _position(names: Sequence[str], wanted: Sequence[str]) -> int:
    """Of the first column that has one of these names; -1 if none has."""
    return next((names.index(name) for name in wanted if name in names), -1)


class Network:
    """Sensors and neighbours that one document tells of."""

    def __init__(self, document: Document) -> None:
        self.document = document.id
        self.source = Source(document.id, "document", document=document.id)
        self._dataset = dataset(document)
        self._known: set[str] = set()

    def sensor(self, name: str, place: str, properties: dict[str, Value]) -> Entity:
        """A sensor's description."""
        self._known.add(name)
        id_ = curie("detector", self._dataset, name)
        return Entity(id_, ("TrafficDetector",), self.document, {"name": name, **properties}, self.document, place)

    def near(self, one: str, other: str, number: float | None, place: str, predicate: str = "") -> Iterator[Record]:
        """Two sensors are neighbours."""
        for name in (one, other):
            if name not in self._known:
                yield self.sensor(name, place, {})
        ids = curie("detector", self._dataset, one), curie("detector", self._dataset, other)
        qualifiers: dict[str, Scalar] = {} if number is None else {"number": number}
        if predicate:
            qualifiers["predicate"] = predicate
        yield Claim(ids[0], "NEAR", ids[1], self.document, 1.0, qualifiers, self.document, place)

    def matrix(self, names: Sequence[str], weights: Floats, place: str, predicate: str = "") -> Iterator[Record]:
        """Neighbours by a square matrix: what is not 0 and not on the diagonal; equal both ways is said once."""
        for i, j in np.argwhere((weights != 0) & ~np.isnan(weights)).tolist():
            if i < j or (i > j and weights[i, j] != weights[j, i]):
                yield from self.near(names[i], names[j], float(weights[i, j]), place.format(i=i, j=j), predicate)


class _Places:
    def __init__(self, network: Network, table: Table, names: Sequence[str]) -> None:
        ids = sensor_columns(names)
        if not ids:
            raise ValueError("places without a column for the sensor's id")
        self._id = next((i for i in ids if names[i].endswith("id")), ids[0])
        self._latitude, self._longitude = _position(names, _LATITUDE), _position(names, _LONGITUDE)
        self._name = next((i for n in _NAME if n in names and (i := names.index(n)) != self._id), -1)
        self._network, self._table = network, table
        self._lines: dict[str, int] = {}

    def read(self, batch: Batch) -> Iterator[Record]:
        ids = texts(batch.columns[self._id])
        titles = texts(batch.columns[self._name]) if self._name >= 0 else [""] * len(ids)
        latitudes, longitudes = (numbers(batch.columns[i])[0] for i in (self._latitude, self._longitude))
        rows = zip(ids, titles, latitudes.tolist(), longitudes.tolist(), batch.lines.tolist(), strict=True)
        for row, (id_, title, latitude, longitude, line) in enumerate(rows):
            problem = ""
            if not id_.strip():
                problem = "no sensor is named"
            elif id_ in self._lines:
                problem = f"sensor {id_} stands at {self._table.place(self._lines[id_])} already"
            elif not (abs(latitude) <= 90 and abs(longitude) <= 180):
                problem = "latitude and longitude are no degrees within ±90 and ±180"
            if problem:
                yield Rejected(problem, self._table.place(line), batch.record(row), self._network.document)
                continue
            self._lines[id_] = line
            properties: dict[str, Value] = {"latitude": latitude, "longitude": longitude}
            if title.strip():
                properties["name"] = title.strip()
            yield self._network.sensor(id_.strip(), self._table.place(line), properties)


class _Edges:
    def __init__(self, network: Network, table: Table, names: Sequence[str]) -> None:
        self._from, self._to, self._weight = _position(names, _FROM), _position(names, _TO), _position(names, _WEIGHT)
        self._network, self._table = network, table

    def read(self, batch: Batch) -> Iterator[Record]:
        ones, others = texts(batch.columns[self._from]), texts(batch.columns[self._to])
        weights, bad = numbers(batch.columns[self._weight]) if self._weight >= 0 else (np.full(len(ones), np.nan), [])
        refused = set(bad)
        for row, (one, other, weight) in enumerate(zip(ones, others, weights.tolist(), strict=True)):
            place = self._table.place(int(batch.lines[row]))
            if row in refused or not one.strip() or not other.strip():
                problem = "an edge needs two sensors, and a finite number if it has a weight"
                yield Rejected(problem, place, batch.record(row), self._network.document)
            else:
                number = None if weight != weight else weight
                yield from self._network.near(one.strip(), other.strip(), number, place)


class _Matrix:
    def __init__(self, network: Network, table: Table) -> None:
        self._network, self._table = network, table
        self._row = 0

    def read(self, batch: Batch) -> Iterator[Record]:
        """Row by row: a matrix equal both ways can't be told before its end, so each direction is said."""
        names = self._table.names[1:]
        columns = [numbers(column) for column in batch.columns[1:]]
        refused = {row for _, bad in columns for row in bad}
        weights = np.column_stack([values for values, _ in columns])
        for row, one in enumerate(texts(batch.columns[0])):
            place = self._table.place(int(batch.lines[row]))
            if row in refused or self._row >= len(names) or one != names[self._row]:
                problem = "not all of the row are finite numbers, or it is another sensor's than the header says"
                yield Rejected(problem, place, batch.record(row), self._network.document)
            else:
                for column in np.flatnonzero((weights[row] != 0) & ~np.isnan(weights[row])).tolist():
                    if column != self._row:
                        yield from self._network.near(one, names[column], float(weights[row, column]), place)
            self._row += 1
