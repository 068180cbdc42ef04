"""SUMO networks (`.net.xml`) and what stands on them (`.add.xml`): detectors, stops, signal programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

import orjson

from ingestion.readers.base import Document, find_documents
from ingestion.readers.sumo_xml import elements, measures, place_of
from ingestion.readers.traffic_ids import curie, dataset
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected, Scalar, Source, Value

_DETECTORS = {
    "e1Detector": "e1",
    "inductionLoop": "e1",
    "instantInductionLoop": "e1",
    "e2Detector": "e2",
    "laneAreaDetector": "e2",
}
_STOPS = ("busStop", "trainStop", "containerStop", "chargingStation", "parkingArea")
_ADDITIONAL_ROOTS = ("additional", "add", "routes")
_NOT_ROADS = ("internal", "crossing", "walkingarea")
_POSITIONS = {"pos": "position", "startPos": "position", "endPos": "end_position"}


class SumoNetReader:
    """Roads, lanes, junctions, turns and signals; the inside of junctions (`:…`) is left out."""

    name = "sumo_net"
    version = "1"
    extensions: tuple[str, ...] = (".net.xml", ".add.xml", ".net.xml.gz", ".add.xml.gz")
    example = "evigraph ingest sumo_net town.net.xml"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """The documents under a file or folder; see `Reader.documents`."""
        if path is None:
            raise InputError("needs a .net.xml or .add.xml file, or a folder of them")
        return find_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """A document's records; see `Reader.read`."""
        yield Source(document.id, "document", document=document.id)
        network = _Network(document)
        if ".net.xml" in document.path.name.lower():
            yield from network.read_net(document)
        else:
            yield from network.read_additional(document)


class _Network:
    """What one document says of one network.

    Memory grows with the number of roads and junctions, of which the ids are kept, and not with what they hold.
    """

    def __init__(self, document: Document) -> None:
        self._document = document.id
        self._dataset = dataset(document)
        self._roads: dict[str, tuple[str, int]] = {}
        self._known: set[str] = set()
        self._programs: set[tuple[str, str]] = set()
        self._controls: set[tuple[str, str]] = set()
        self._pairs: set[tuple[str, str]] = set()
        self._turning = ""

    def read_net(self, document: Document) -> Iterator[Record]:
        """Twice through the file: its junctions and signals come last, and roads refer to them."""
        for item in elements(document, {"net": ("junction", "tlLogic")}):
            if isinstance(item, Rejected):
                break  # the second reading says so
            yield from self._signal(item.element) if item.element.tag == "tlLogic" else self._junction(item.element)
        for item in elements(document, {"net": ("edge", "connection")}):
            if isinstance(item, Rejected):
                yield item
            else:
                yield from self._road(item.element) if item.element.tag == "edge" else self._turn(item.element)

    def read_additional(self, document: Document) -> Iterator[Record]:
        """Detectors, stops and signal programs; what else such a file may hold, as vehicle types, is left out."""
        for item in elements(document, dict.fromkeys(_ADDITIONAL_ROOTS, ("tlLogic", *_DETECTORS, *_STOPS))):
            if isinstance(item, Rejected):
                yield item
            elif item.element.tag == "tlLogic":
                yield from self._signal(item.element)
            else:
                yield from self._standing(item.element)

    # ---- junctions and signals ------------------------------------------------------------------------------------

    def _junction(self, element: Element) -> Iterator[Record]:
        id_, place = element.get("id", ""), place_of(element)
        if id_.startswith(":") or element.get("type") == "internal":
            return
        properties, refused = measures(element, {"x": "x", "y": "y"}, place, self._document)
        yield from refused
        if kind := element.get("type"):
            properties["junction_type"] = kind
        yield from self._once("junction", "Junction", id_, properties, place)

    def _signal(self, element: Element) -> Iterator[Record]:
        id_, program, place = element.get("id", ""), element.get("programID", ""), place_of(element)
        if not id_ or (id_, program) in self._programs:
            problem = f"program {program!r} of signal {id_} is there already" if id_ else "a signal without id"
            yield Rejected(problem, place, "", self._document)
            return
        phases = []
        for phase in element.iter("phase"):
            numbers, refused = measures(phase, {"duration": "duration"}, f"{place}/phase", self._document, lowest=0)
            if refused or "duration" not in numbers or not phase.get("state"):
                yield Rejected("a phase needs a duration from 0 up and a state", place, "", self._document)
                return
            phases.append([numbers["duration"], phase.get("state")])
        self._programs.add((id_, program))
        self._known.add(self._id("signal", id_))
        text = orjson.dumps({"program": program, "type": element.get("type", ""), "phases": phases}).decode()
        properties: dict[str, Value] = {"name": id_, "signal_programs": (text,)}
        yield self._entity("signal", "TrafficLight", id_, properties, place)

    # ---- roads and turns --------------------------------------------------------------------------------------------

    def _road(self, element: Element) -> Iterator[Record]:
        id_, place = element.get("id", ""), place_of(element)
        if id_.startswith(":") or element.get("function") in _NOT_ROADS:
            return
        start, end = element.get("from", ""), element.get("to", "")
        problem = ""
        if not (id_ and start and end):
            problem = "an edge needs id, from and to"
        elif id_ in self._roads:
            problem = f"edge {id_} is there already"
        if problem:
            yield Rejected(problem, place, "", self._document)
            return
        lanes: dict[str, dict[str, Value]] = {}
        for lane in element.iter("lane"):
            lane_id, lane_place = lane.get("id", ""), place_of(lane, f"{place}/")
            if not lane_id or lane_id in lanes:
                problem = f"lane {lane_id} is there already" if lane_id else "a lane without id"
                yield Rejected(problem, lane_place, "", self._document)
                continue
            lanes[lane_id], refused = _lane(lane, lane_place, self._document)
            yield from refused
        self._roads[id_] = end, len(lanes)
        properties, refused = measures(element, {"priority": "priority"}, place, self._document)
        yield from refused
        if "priority" in properties:
            properties["priority"] = int(float(str(properties["priority"])))
        properties["lane_count"] = len(lanes)
        for name in ("length", "speed_limit"):
            if numbers := [float(str(lane[name])) for lane in lanes.values() if name in lane]:
                properties[name] = max(numbers)
        for attribute, name in (("name", "name"), ("type", "road_type"), ("shape", "shape")):
            if text := element.get(attribute):
                properties[name] = text
        for junction in (start, end):
            yield from self._mentioned("junction", "Junction", junction, place)
        yield self._entity("edge", "RoadSegment", id_, properties, place)
        road = self._id("edge", id_)
        yield self._claim(road, "STARTS_AT", self._id("junction", start), place)
        yield self._claim(road, "ENDS_AT", self._id("junction", end), place)
        for lane_id, of_lane in lanes.items():
            yield self._entity("lane", "Lane", lane_id, of_lane, f"{place}/lane[@id='{lane_id}']")
            yield self._claim(road, "HAS_LANE", self._id("lane", lane_id), f"{place}/lane[@id='{lane_id}']")

    def _turn(self, element: Element) -> Iterator[Record]:
        start, end = element.get("from", ""), element.get("to", "")
        if start.startswith(":") or end.startswith(":"):
            return
        lanes = element.get("fromLane", ""), element.get("toLane", "")
        place = f"connection[@from='{start}'][@to='{end}'][@fromLane='{lanes[0]}'][@toLane='{lanes[1]}']"
        for road, lane in ((start, lanes[0]), (end, lanes[1])):
            if road not in self._roads:
                yield Rejected(f"leads over an unknown edge {road!r}", place, "", self._document)
                return
            if not lane.isdecimal() or int(lane) >= self._roads[road][1]:
                yield Rejected(f"edge {road} has no lane {lane!r}", place, "", self._document)
                return
        qualifiers: dict[str, Scalar] = {"direction": element.get("dir", "")} if element.get("dir") else {}
        if start != self._turning:  # a file has the turns of one road together
            self._turning = start
            self._pairs.clear()
        if (start, end) not in self._pairs:
            self._pairs.add((start, end))
            yield self._claim(self._id("edge", start), "LEADS_TO", self._id("edge", end), place, qualifiers)
        ids = self._id("lane", f"{start}_{lanes[0]}"), self._id("lane", f"{end}_{lanes[1]}")
        yield self._claim(ids[0], "LEADS_TO", ids[1], place, qualifiers)
        if signal := element.get("tl"):
            junction = self._roads[start][0]
            yield from self._mentioned("signal", "TrafficLight", signal, place)
            if (junction, signal) not in self._controls:
                self._controls.add((junction, signal))
                yield self._claim(self._id("junction", junction), "CONTROLLED_BY", self._id("signal", signal), place)

    # ---- detectors and stops ----------------------------------------------------------------------------------------

    def _standing(self, element: Element) -> Iterator[Record]:
        id_, lane, place = element.get("id", ""), element.get("lane", ""), place_of(element)
        lane = lane or element.get("lanes", "").split(" ")[0]
        if not id_ or not lane:
            yield Rejected("needs id and lane", place, "", self._document)
            return
        properties: dict[str, Value] = {"name": element.get("name") or id_}
        if kind := _DETECTORS.get(element.tag):
            prefix, class_ = "detector", "TrafficDetector"
            properties["detector_type"] = kind
        else:
            prefix, class_ = "stop", "StoppingPlace"
        positions, refused = measures(element, _POSITIONS, place, self._document)
        yield from refused
        before = len(self._known)
        yield from self._once(prefix, class_, id_, properties, place)
        if len(self._known) > before:
            yield from self._mentioned("lane", "Lane", lane, place)
            qualifiers: dict[str, Scalar] = {name: float(str(value)) for name, value in positions.items()}
            yield self._claim(self._id(prefix, id_), "LOCATED_ON", self._id("lane", lane), place, qualifiers)

    # ---- records --------------------------------------------------------------------------------------------------

    def _id(self, prefix: str, name: str) -> str:
        return curie(prefix, self._dataset, name)

    def _entity(self, prefix: str, class_: str, name: str, properties: dict[str, Value], place: str) -> Entity:
        return Entity(self._id(prefix, name), (class_,), self._document, properties, self._document, place)

    def _once(self, prefix: str, class_: str, name: str, properties: dict[str, Value], place: str) -> Iterator[Record]:
        """A description, unless the document has one under this id already."""
        id_ = self._id(prefix, name)
        if not name or id_ in self._known:
            problem = f"{prefix} {name} is there already" if name else f"a {prefix} without id"
            yield Rejected(problem, place, "", self._document)
        else:
            self._known.add(id_)
            yield self._entity(prefix, class_, name, properties, place)

    def _mentioned(self, prefix: str, class_: str, name: str, place: str) -> Iterator[Record]:
        """A bare entity for what this document names and has not described."""
        if self._id(prefix, name) not in self._known:
            yield from self._once(prefix, class_, name, {}, place)

    def _claim(
        self, subject: str, relation: str, object_: str, place: str, qualifiers: dict[str, Scalar] | None = None
    ) -> Claim:
        return Claim(subject, relation, object_, self._document, 1.0, qualifiers or {}, self._document, place)


def _lane(lane: Element, place: str, document: str) -> tuple[dict[str, Value], list[Rejected]]:
    properties, refused = measures(lane, {"speed": "speed_limit", "length": "length"}, place, document, lowest=0)
    if shape := lane.get("shape"):
        properties["shape"] = shape
    for attribute, name in (("allow", "allowed_classes"), ("disallow", "disallowed_classes")):
        if classes := lane.get(attribute, "").split():
            properties[name] = tuple(classes)
    return properties, refused
