"""SUMO's outputs: edge and lane data, detectors' intervals, positions of vehicles (FCD)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree.ElementTree import Element

from ingestion.readers.base import Document, find_documents
from ingestion.readers.sumo_xml import Found, elements, measures
from ingestion.readers.traffic_ids import curie, dataset, stem
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected, Scalar, Source, Value

_ROAD = {
    "sampledSeconds": "sampled_seconds",
    "traveltime": "travel_time",
    "density": "density",
    "occupancy": "occupancy",
    "waitingTime": "waiting_time",
    "timeLoss": "time_loss",
    "speed": "speed",
    "speedRelative": "speed_relative",
    "flow": "flow",
    "departed": "departed",
    "arrived": "arrived",
    "entered": "entered",
    "left": "left",
}
_DETECTOR = {
    "nVehContrib": "vehicle_count",
    "nVehSeen": "vehicle_count",
    "flow": "flow",
    "occupancy": "occupancy",
    "meanOccupancy": "occupancy",
    "speed": "speed",
    "meanSpeed": "speed",
}
_VEHICLE = {"x": "x", "y": "y", "speed": "speed", "angle": "heading"}
_INTERVAL = {"begin": "begin_seconds", "end": "end_seconds"}
_WANTED = {"meandata": ("edge", "lane"), "detector": ("interval",), "fcd-export": ("vehicle",)}
_MARKS_NOTHING = ("speed", "occupancy", "travel_time")
"""What SUMO gives as -1 where there was no vehicle."""


class SumoOutputsReader:
    """One `TrafficObservation` for each road, lane or detector and interval, and for each vehicle and time step."""

    name = "sumo_outputs"
    version = "1"
    extensions: tuple[str, ...] = (".xml", ".xml.gz")
    example = "evigraph ingest sumo_outputs fcd.xml --name town/fcd.xml"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """The documents under a file or folder; see `Reader.documents`."""
        if path is None:
            raise InputError("needs an output file of SUMO, or a folder of them")
        return find_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """A document's records; see `Reader.read`."""
        yield Source(document.id, "model", model="SUMO", document=document.id)
        run = _Run(document)
        for item in elements(document, _WANTED):
            if isinstance(item, Rejected):
                yield item
            else:
                yield from run.read(item)


class _Run:
    """The output of one run of a simulation. Memory grows with the number of things observed, of which ids are kept."""

    def __init__(self, document: Document) -> None:
        self._document = document.id
        self._dataset = dataset(document)
        self._stem = stem(document)
        self._known: set[str] = set()
        self._interval = ""
        self._seen: set[str] = set()

    def read(self, found: Found) -> Iterator[Record]:
        """The records of one element."""
        element, around = found.element, found.around
        if element.tag == "vehicle":
            yield from self._vehicle(element, around[0].get("time", ""))
        elif element.tag == "interval":
            yield from self._observed(element, "detector", "TrafficDetector", _DETECTOR, element.attrib)
        elif not element.get("id", "").startswith(":"):
            interval = next((outer for outer in around if "begin" in outer), {})
            if element.tag == "lane":
                yield from self._observed(element, "lane", "Lane", _ROAD, interval)
            elif len(element.attrib) > 1:  # else the edge is but a frame around its lanes
                yield from self._observed(element, "edge", "RoadSegment", _ROAD, interval)

    def _observed(
        self, element: Element, prefix: str, class_: str, names: Mapping[str, str], interval: Mapping[str, str]
    ) -> Iterator[Record]:
        id_ = element.get("id", "")
        times = {name: interval.get(name, "") for name in _INTERVAL}
        place = f"interval[@begin='{times['begin']}']/{element.tag}[@id='{id_}']"
        begin, end = (_seconds(times[name]) for name in _INTERVAL)
        if not id_ or begin is None or end is None or end <= begin:
            yield Rejected("needs an id, and an interval with begin and end", place, "", self._document)
            return
        if not self._first(times["begin"], f"{prefix} {id_}"):
            yield Rejected(f"{prefix} {id_} is there already in this interval", place, "", self._document)
            return
        properties, refused = measures(element, names, place, self._document)
        yield from refused
        properties = {"begin_seconds": begin, "end_seconds": end, **_without_marks(properties)}
        observation = curie("observation", self._dataset, self._stem, prefix, id_, times["begin"])
        yield from self._told(observation, properties, curie(prefix, self._dataset, id_), class_, {}, place)

    def _vehicle(self, element: Element, time: str) -> Iterator[Record]:
        id_ = element.get("id", "")
        place = f"timestep[@time='{time}']/vehicle[@id='{id_}']"
        at = _seconds(time)
        if not id_ or at is None:
            yield Rejected("needs an id, and a timestep with its time", place, "", self._document)
            return
        if not self._first(time, id_):
            yield Rejected(f"vehicle {id_} is there already in this timestep", place, "", self._document)
            return
        properties, refused = measures(element, _VEHICLE, place, self._document)
        yield from refused
        properties = {"begin_seconds": at, **_without_marks(properties)}
        kind = element.get("type")
        of_vehicle: dict[str, Value] = {"vehicle_type": kind} if kind else {}
        vehicle = curie("vehicle", self._dataset, id_)
        observation = curie("observation", self._dataset, self._stem, "vehicle", id_, time)
        yield from self._told(observation, properties, vehicle, "Vehicle", of_vehicle, place)
        lane = element.get("lane", "")
        if lane and not lane.startswith(":"):
            on = curie("lane", self._dataset, lane)
            yield from self._mentioned(on, "Lane", {}, place)
            position, refused = measures(element, {"pos": "position"}, place, self._document)
            yield from refused
            qualifiers: dict[str, Scalar] = {name: float(str(value)) for name, value in position.items()}
            yield Claim(observation, "LOCATED_ON", on, self._document, 1.0, qualifiers, self._document, place)

    def _told(
        self,
        observation: str,
        properties: dict[str, Value],
        thing: str,
        class_: str,
        of_thing: dict[str, Value],
        place: str,
    ) -> Iterator[Record]:
        yield from self._mentioned(thing, class_, of_thing, place)
        yield Entity(observation, ("TrafficObservation",), self._document, properties, self._document, place)
        yield Claim(observation, "OBSERVES", thing, self._document, 1.0, {}, self._document, place)

    def _mentioned(self, id_: str, class_: str, properties: dict[str, Value], place: str) -> Iterator[Record]:
        if id_ not in self._known:
            self._known.add(id_)
            yield Entity(id_, (class_,), self._document, properties, self._document, place)

    def _first(self, interval: str, thing: str) -> bool:
        """Whether this is the first word on a thing in an interval."""
        if interval != self._interval:
            self._interval = interval
            self._seen.clear()
        before = len(self._seen)
        self._seen.add(thing)
        return len(self._seen) > before


def _seconds(text: str) -> float | None:
    """Seconds of a simulation; None if the text is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _without_marks(properties: dict[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in properties.items() if value != -1 or name not in _MARKS_NOTHING}
