"""SUMO: networks, what stands on them, outputs; broken files; three real networks."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from defusedxml.ElementTree import parse

from ingestion.readers.base import Document, get_reader
from kg.model import Claim, Entity, Record, Rejected, Source
from kg.ontology import Ontology
from tests.ingestion.samples import SHARED
from tests.ingestion.test_reader_contract import ReaderContract, read_all

SUMO = SHARED / "traffic" / "sumo"
SIGNAL = (
    '<tlLogic id="t" type="static" programID="{}"><phase duration="30" state="Gr"/><phase duration="3" state="yr"/>'
)
NET = f"""<?xml version="1.0" encoding="UTF-8"?>
<net version="1.9">
    <!-- generated -->
    <location netOffset="0,0" convBoundary="0,0,1,1"/>
    <edge id=":j_0" function="internal"><lane id=":j_0_0" index="0" speed="5" length="3" shape="0,0 1,1"/></edge>
    <edge id="a#1" from="i" to="j" priority="3" type="highway.primary" name="High Street" shape="0,0 9,9">
        <lane id="a#1_0" index="0" disallow="tram rail" speed="13.89" length="50.5" shape="0,0 9,9"/>
        <lane id="a#1_1" index="1" allow="bus" speed="8" length="50" shape="0,1 9,8"/>
    </edge>
    <edge id="b c" from="j" to="k" priority="-1"><lane id="b c_0" index="0" speed="13.89" length="20"/></edge>
    {SIGNAL.format(0)}</tlLogic>
    <junction id="i" type="dead_end" x="0.5" y="-1"/>
    <junction id="j" type="traffic_light" x="9" y="9"/>
    <junction id=":j_0" type="internal" x="9" y="9"/>
    <connection from="a#1" to="b c" fromLane="0" toLane="0" via=":j_0_0" tl="t" linkIndex="0" dir="s" state="o"/>
    <connection from="a#1" to="b c" fromLane="1" toLane="0" tl="t" linkIndex="1" dir="s" state="o"/>
    <connection from=":j_0" to="b c" fromLane="0" toLane="0" dir="s" state="M"/>
</net>
"""
ADDITIONAL = f"""<additional>
    <e1Detector id="d 1" lane="a#1_0" pos="23.5" freq="900" file="e1.xml"/>
    <laneAreaDetector id="d2" lanes="a#1_1 b c_0" pos="-5" endPos="9" file="e2.xml"/>
    <busStop id="s#1" lane="a#1_0" startPos="10" endPos="30" name="Market"/>
    {SIGNAL.format("rush")}</tlLogic>
    <vType id="car"/>
</additional>
"""
EDGES = """<meandata>
    <interval begin="0.00" end="900.00" id="dump">
        <edge id="a#1" sampledSeconds="31.5" traveltime="10" density="1.5" occupancy="0.7" waitingTime="2" timeLoss="3"
              speed="12.5" entered="3" left="2" departed="0" arrived="1"/>
        <edge id=":j_0" speed="3"/>
        <edge id="b c" sampledSeconds="0.00"/>
    </interval>
    <interval begin="900.00" end="1800.00" id="dump">
        <edge id="a#1"><lane id="a#1_0" speed="-1" traveltime="-1" density="0"/></edge>
    </interval>
</meandata>
"""
LOOPS = """<detector>
    <interval begin="0.00" end="900.00" id="d 1" nVehContrib="7" flow="28" occupancy="2.5" speed="11.5" length="5"/>
    <interval begin="900.00" end="1800.00" id="d 1" nVehContrib="0" flow="0" occupancy="0" speed="-1" length="-1"/>
</detector>
"""
FCD = """<fcd-export>
    <timestep time="0.00">
        <vehicle id="v 1" x="1.5" y="-2" angle="90" type="car" speed="3" pos="5.1" lane="a#1_0" slope="0"/>
        <person id="p" x="0" y="0" angle="0" speed="1" pos="0" edge="a#1" slope="0"/>
    </timestep>
    <timestep time="1.00"><vehicle id="v 1" x="2" y="-2" angle="90" speed="4" pos="1" lane=":j_0_0"/></timestep>
</fcd-export>
"""


def write(folder: Path, **files: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def read_net(folder: Path, text: str | bytes = NET, file: str = "x.net.xml") -> list[Record]:
    return read_all(get_reader("sumo_net"), write(folder / "town", **{file: text}))


def read_output(folder: Path, text: str | bytes, file: str = "out.xml") -> list[Record]:
    return read_all(get_reader("sumo_outputs"), write(folder / "town", **{file: text}))


def entities(records: list[Record]) -> dict[str, dict[str, Any]]:
    return {r.id: dict(r.properties) for r in records if isinstance(r, Entity)}


def claims(records: list[Record]) -> list[tuple[str, str, str]]:
    return [(r.subject, r.relation, r.object) for r in records if isinstance(r, Claim)]


def rejected(records: list[Record]) -> list[tuple[str, str]]:
    return [(r.place, r.reason) for r in records if isinstance(r, Rejected)]


class TestSumoNetContract(ReaderContract):
    name = "sumo_net"

    def write_good(self, folder: Path) -> Path:
        return write(folder, **{"a.net.xml": NET, "b.add.xml": ADDITIONAL})

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        bad = '<edge id="z" from="i"><lane id="z_0" speed="1" length="1"/></edge></net>'
        return write(folder, **{"a.net.xml": NET.replace("</net>", bad), "b.add.xml": ADDITIONAL}), "edge[@id='z']"


class TestSumoOutputsContract(ReaderContract):
    name = "sumo_outputs"

    def write_good(self, folder: Path) -> Path:
        return write(folder, **{"edges.xml": EDGES, "e1.xml": LOOPS, "fcd.xml": FCD})

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        self.write_good(folder)
        bad = '<interval begin="0" end="soon" id="d9" flow="1"/></detector>'
        write(folder, **{"e1.xml": LOOPS.replace("</detector>", bad)})
        return folder, "interval[@begin='0']/interval[@id='d9']"


# ---- networks -------------------------------------------------------------------------------------------------------


def test_a_network(tmp_path: Path) -> None:
    records = read_net(tmp_path)
    assert not rejected(records)
    found = entities(records)
    program = json.loads(found.pop("signal:town/t")["signal_programs"][0])
    assert program == {"program": "0", "type": "static", "phases": [[30.0, "Gr"], [3.0, "yr"]]}
    assert found == {
        "junction:town/i": {"x": 0.5, "y": -1.0, "junction_type": "dead_end"},
        "junction:town/j": {"x": 9.0, "y": 9.0, "junction_type": "traffic_light"},
        "junction:town/k": {},  # an edge ends there, and nothing describes it
        "edge:town/a#1": {
            "priority": 3,
            "lane_count": 2,
            "length": 50.5,
            "speed_limit": 13.89,
            "name": "High Street",
            "road_type": "highway.primary",
            "shape": "0,0 9,9",
        },
        "lane:town/a#1_0": {
            "speed_limit": 13.89,
            "length": 50.5,
            "shape": "0,0 9,9",
            "disallowed_classes": ("tram", "rail"),
        },
        "lane:town/a#1_1": {"speed_limit": 8.0, "length": 50.0, "shape": "0,1 9,8", "allowed_classes": ("bus",)},
        "edge:town/b%20c": {"priority": -1, "lane_count": 1, "length": 20.0, "speed_limit": 13.89},
        "lane:town/b%20c_0": {"speed_limit": 13.89, "length": 20.0},
    }
    assert Counter(claims(records)) == Counter(
        [
            ("edge:town/a#1", "STARTS_AT", "junction:town/i"),
            ("edge:town/a#1", "ENDS_AT", "junction:town/j"),
            ("edge:town/a#1", "HAS_LANE", "lane:town/a#1_0"),
            ("edge:town/a#1", "HAS_LANE", "lane:town/a#1_1"),
            ("edge:town/b%20c", "STARTS_AT", "junction:town/j"),
            ("edge:town/b%20c", "ENDS_AT", "junction:town/k"),
            ("edge:town/b%20c", "HAS_LANE", "lane:town/b%20c_0"),
            ("edge:town/a#1", "LEADS_TO", "edge:town/b%20c"),
            ("lane:town/a#1_0", "LEADS_TO", "lane:town/b%20c_0"),
            ("lane:town/a#1_1", "LEADS_TO", "lane:town/b%20c_0"),
            ("junction:town/j", "CONTROLLED_BY", "signal:town/t"),
        ]
    )
    turns = [dict(r.qualifiers) for r in records if isinstance(r, Claim) and r.relation == "LEADS_TO"]
    assert turns == [{"direction": "s"}] * 3


def test_what_stands_on_it(tmp_path: Path) -> None:
    records = read_net(tmp_path, ADDITIONAL, "x.add.xml")
    assert not rejected(records)
    found = entities(records)
    assert found["detector:town/d%201"] == {"name": "d 1", "detector_type": "e1"}
    assert found["stop:town/s#1"] == {"name": "Market"}
    assert json.loads(found["signal:town/t"]["signal_programs"][0])["program"] == "rush"
    located = {r.subject: (r.object, dict(r.qualifiers)) for r in records if isinstance(r, Claim)}
    assert located == {
        "detector:town/d%201": ("lane:town/a#1_0", {"position": 23.5}),
        "detector:town/d2": ("lane:town/a#1_1", {"position": -5.0, "end_position": 9.0}),
        "stop:town/s#1": ("lane:town/a#1_0", {"position": 10.0, "end_position": 30.0}),
    }


def test_a_zipped_network_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, **{"x.net.xml.gz": gzip.compress(NET.encode())}) / "x.net.xml.gz"
    records = read_all(get_reader("sumo_net"), path, name="town/x.net.xml.gz")
    assert entities(records) == entities(read_net(tmp_path))


@pytest.mark.parametrize(
    ("old", "new", "place", "reason"),
    [
        ('speed="8"', 'speed="NaN"', "edge[@id='a#1']/lane[@id='a#1_1']/@speed", "'NaN' is no finite number"),
        ('speed="8"', 'speed="1e999"', "edge[@id='a#1']/lane[@id='a#1_1']/@speed", "'1e999' is no finite number"),
        ('speed="8"', 'speed="-8"', "edge[@id='a#1']/lane[@id='a#1_1']/@speed", "'-8' is no finite number from 0 up"),
        ('length="50"', 'length="long"', "edge[@id='a#1']/lane[@id='a#1_1']/@length", "'long' is no finite number"),
        ('priority="-1"', 'priority="Infinity"', "edge[@id='b c']/@priority", "'Infinity' is no finite number"),
        ('x="0.5"', 'x="0,5"', "junction[@id='i']/@x", "'0,5' is no finite number"),
        ('id="a#1_1"', 'id="a#1_0"', "edge[@id='a#1']/lane[@id='a#1_0']", "lane a#1_0 is there already"),
        ('junction id=":j_0" type="internal"', 'junction id="j"', "junction[@id='j']", "junction j is there already"),
        ('duration="3"', 'duration="-3"', "tlLogic[@id='t']", "a phase needs a duration"),
        ('junction id="i"', "junction", "junction", "a junction without id"),
    ],
)
def test_a_broken_element(tmp_path: Path, old: str, new: str, place: str, reason: str) -> None:
    assert old in NET
    records = read_net(tmp_path, NET.replace(old, new, 1))
    told = dict(rejected(records))
    assert reason in told[place]
    assert ("edge:town/a#1", "LEADS_TO", "edge:town/b%20c") in claims(records)


@pytest.mark.parametrize(
    ("turn", "reason"),
    [
        ('from="x" to="a#1" fromLane="0" toLane="0"', "unknown edge 'x'"),
        ('from="a#1" to="b c" fromLane="7" toLane="0"', "edge a#1 has no lane '7'"),
        ('from="a#1" to="b c" fromLane="0"', "edge b c has no lane ''"),
        ('from="a#1"', "edge a#1 has no lane ''"),
    ],
)
def test_a_broken_turn(tmp_path: Path, turn: str, reason: str) -> None:
    records = read_net(tmp_path, NET.replace("</net>", f"<connection {turn}/></net>"))
    assert [told for _, told in rejected(records)] == [told for _, told in rejected(records) if reason in told] != []
    assert [r for r in records if not isinstance(r, Rejected)] == read_net(tmp_path / "good")


BROKEN_FILES = [
    pytest.param(lambda _: b"", "no element found", id="empty"),
    pytest.param(lambda text: text.replace(b"</", b"<", 1), "no well-formed XML", id="open tag"),
    pytest.param(lambda text: text.replace(b'id="', b'id="" id="', 1), "duplicate attribute", id="attribute twice"),
    pytest.param(lambda text: text.replace(b'id="', b'id="\xe9', 1), "not well-formed", id="latin-1"),
    pytest.param(lambda text: b"{}" + text, "not well-formed", id="no XML"),
    pytest.param(
        lambda text: b'<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>' + text.split(b"?>\n")[-1],
        "DTDForbidden",
        id="entities",
    ),
    pytest.param(lambda _: b"<html><body/></html>", "the root is <html>; this reader takes <", id="other root"),
    pytest.param(lambda _: b'<?xml version="1.0" encoding="klingon"?><net/>', "encoding", id="unknown encoding"),
]


@pytest.mark.parametrize(("damage", "reason"), BROKEN_FILES)
@pytest.mark.parametrize(
    ("reader", "file", "text"),
    [("sumo_net", "x.net.xml", NET), ("sumo_net", "x.add.xml", ADDITIONAL), ("sumo_outputs", "x.xml", FCD)],
)
def test_a_broken_file(tmp_path: Path, reader: str, file: str, text: str, damage: Any, reason: str) -> None:
    path = write(tmp_path / "town", **{file: damage(text.encode())})
    [(_, told)] = rejected(read_all(get_reader(reader), path))
    assert reason in told


@pytest.mark.parametrize(
    ("reader", "file", "text"),
    [("sumo_net", "x.net.xml", NET), ("sumo_net", "x.add.xml", ADDITIONAL), ("sumo_outputs", "x.xml", EDGES)],
)
def test_a_file_cut_anywhere_keeps_what_came_before(tmp_path: Path, reader: str, file: str, text: str) -> None:
    whole = read_all(get_reader(reader), write(tmp_path / "whole" / "town", **{file: text}))
    path = write(tmp_path / "town", **{file: text})
    for size in range(60, len(text) - 20, 41):
        write(tmp_path / "town", **{file: text[:size]})
        records = read_all(get_reader(reader), path)
        assert [place[:1] for place, _ in rejected(records)][-1:] == ["L"]
        kept = [r for r in records if isinstance(r, Claim)]
        assert kept == [r for r in whole if isinstance(r, Claim)][: len(kept)]


def test_a_damaged_gzip(tmp_path: Path) -> None:
    data = gzip.compress(NET.encode())
    [(_, reason)] = rejected(read_net(tmp_path, data[:-30], "x.net.xml.gz"))
    assert "not read on" in reason


@pytest.mark.parametrize("piece", ["<edge id='{}'/>", "<!--{}-->", "{}"])
def test_an_endless_piece_takes_bounded_memory(tmp_path: Path, piece: str) -> None:
    path = write(tmp_path / "town", **{"x.net.xml": NET.replace("</net>", "")}) / "x.net.xml"
    start, end = piece.split("{}")
    with path.open("a") as file:
        file.write(start)
        for _ in range(8):
            file.write("9" * (1 << 20))
        file.write(end + "</net>")
    records = read_all(get_reader("sumo_net"), path.parent)
    assert rejected(records) == [
        ("", "no well-formed XML, and not read on: a tag or text of more than 4,194,304 bytes")
    ]
    assert [r for r in records if not isinstance(r, Rejected)] == read_net(tmp_path / "good")


def test_an_edge_of_endless_lanes(tmp_path: Path) -> None:
    edge = '<edge id="z" from="i" to="j">' + "<lane/>" * 100_001 + "</edge></net>"
    records = read_net(tmp_path, NET.replace("</net>", edge))
    [(_, reason)] = rejected(records)
    assert "more than 100,000 elements inside one" in reason
    assert [r for r in records if not isinstance(r, Rejected)] == read_net(tmp_path / "good")


# ---- outputs --------------------------------------------------------------------------------------------------------


def test_edge_data(tmp_path: Path) -> None:
    records = read_output(tmp_path, EDGES, "edges.xml")
    assert not rejected(records)
    found = entities(records)
    assert found["observation:town/edges/edge/a#1/0.00"] == {
        "begin_seconds": 0.0,
        "end_seconds": 900.0,
        "sampled_seconds": 31.5,
        "travel_time": 10.0,
        "density": 1.5,
        "occupancy": 0.7,
        "waiting_time": 2.0,
        "time_loss": 3.0,
        "speed": 12.5,
        "entered": 3.0,
        "left": 2.0,
        "departed": 0.0,
        "arrived": 1.0,
    }
    empty = {"begin_seconds": 900.0, "end_seconds": 1800.0, "density": 0.0}
    assert found["observation:town/edges/lane/a#1_0/900.00"] == empty
    assert claims(records) == [
        ("observation:town/edges/edge/a#1/0.00", "OBSERVES", "edge:town/a#1"),
        ("observation:town/edges/edge/b%20c/0.00", "OBSERVES", "edge:town/b%20c"),
        ("observation:town/edges/lane/a#1_0/900.00", "OBSERVES", "lane:town/a#1_0"),
    ]
    assert [(r.kind, r.model) for r in records if isinstance(r, Source)] == [("model", "SUMO")]


def test_loops(tmp_path: Path) -> None:
    found = entities(read_output(tmp_path, LOOPS, "e1.xml"))
    first = found["observation:town/e1/detector/d%201/0.00"]
    assert first == {
        "begin_seconds": 0.0,
        "end_seconds": 900.0,
        "vehicle_count": 7.0,
        "flow": 28.0,
        "occupancy": 2.5,
        "speed": 11.5,
    }
    second = found["observation:town/e1/detector/d%201/900.00"]
    assert second == {
        "begin_seconds": 900.0,
        "end_seconds": 1800.0,
        "vehicle_count": 0.0,
        "flow": 0.0,
        "occupancy": 0.0,
    }  # -1: no vehicle, no speed


def test_positions(tmp_path: Path) -> None:
    records = read_output(tmp_path, FCD, "fcd.xml")
    assert not rejected(records)
    found = entities(records)
    assert found["vehicle:town/v%201"] == {"vehicle_type": "car"}
    first = "observation:town/fcd/vehicle/v%201/0.00"
    assert found[first] == {"begin_seconds": 0.0, "x": 1.5, "y": -2.0, "heading": 90.0, "speed": 3.0}
    located = [
        (r.subject, r.object, dict(r.qualifiers)) for r in records if r.__class__ is Claim and r.relation[0] == "L"
    ]
    assert located == [(first, "lane:town/a#1_0", {"position": 5.1})]


def test_outputs_meet_their_network(tmp_path: Path) -> None:
    net = entities(read_net(tmp_path)) | entities(read_net(tmp_path / "add", ADDITIONAL, "x.add.xml"))
    for text in (EDGES, LOOPS, FCD):
        observed = {o for _, _, o in claims(read_output(tmp_path / "out", text)) if not o.startswith("vehicle:")}
        assert observed <= set(net)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('speed="11.5"', 'speed="NaN"', "'NaN' is no finite number"),
        ('speed="11.5"', 'speed="1e400"', "'1e400' is no finite number"),
        ('flow="28"', 'flow="many"', "'many' is no finite number"),
        ('begin="900.00"', 'begin="inf"', "an interval with begin and end"),
        ('begin="0.00" end="900.00"', 'begin="900" end="0"', "an interval with begin and end"),
        ('begin="0.00" end="900.00" id="d 1"', 'begin="0.00" end="900.00"', "needs an id"),
        ('begin="900.00" end="1800.00"', 'begin="0.00" end="900.00"', "detector d 1 is there already in this interval"),
    ],
)
def test_a_broken_interval(tmp_path: Path, old: str, new: str, reason: str) -> None:
    assert old in LOOPS
    records = read_output(tmp_path, LOOPS.replace(old, new, 1))
    [(_, told)] = rejected(records)
    assert reason in told
    assert any(isinstance(r, Claim) for r in records)


def test_a_vehicle_twice(tmp_path: Path) -> None:
    vehicle = FCD[FCD.index("<vehicle") : FCD.index("/>") + 2]
    records = read_output(tmp_path, FCD.replace(vehicle, vehicle * 2, 1))
    assert rejected(records) == [
        ("timestep[@time='0.00']/vehicle[@id='v 1']", "vehicle v 1 is there already in this timestep")
    ]
    assert [r for r in records if not isinstance(r, Rejected)] == read_output(tmp_path / "good", FCD)


def test_a_long_output_takes_bounded_memory(tmp_path: Path) -> None:
    path = tmp_path / "fcd.xml"
    vehicles = "".join(f'<vehicle id="{i}" x="1" y="2" speed="3" pos="4" lane="a_0"/>' for i in range(500))
    with path.open("w") as file:
        file.write("<fcd-export>")
        file.writelines(f'<timestep time="{t}">{vehicles}</timestep>' for t in range(60))
        file.write("</fcd-export>")
    document = Document("sumo_outputs:fcd.xml", path)
    tracemalloc.start()
    try:
        count = sum(isinstance(record, Entity) for record in get_reader("sumo_outputs").read(document))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 500 * 60 + 500 + 1
    assert peak < 2 << 20


# ---- real networks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["bologna_acosta", "resco_cologne8", "resco_ingolstadt7"])
def test_real_networks(folder: str, ontology: Ontology) -> None:
    path = SUMO / folder
    if not path.is_dir():
        pytest.skip(f"needs {path}")
    records = read_all(get_reader("sumo_net"), path)
    assert not rejected(records)
    assert not any(ontology.check_entity(r) for r in records if isinstance(r, Entity))
    assert not any(ontology.check_claim(r) for r in records if isinstance(r, Claim))
    net = parse(next(path.glob("*.net.xml"))).getroot()
    count = Counter(c for r in records if isinstance(r, Entity) and "net.xml" in r.document for c in r.classes)
    roads = [edge for edge in net.iter("edge") if not edge.get("id").startswith(":")]
    assert count["RoadSegment"] == len(roads)
    assert count["Lane"] == sum(len(edge.findall("lane")) for edge in roads)
    assert count["Junction"] == sum(j.get("type") != "internal" for j in net.iter("junction"))
    assert count["TrafficLight"] == len({t.get("id") for t in net.iter("tlLogic")})
    turns = [c for c in net.iter("connection") if not c.get("from").startswith(":")]
    leads = [r for r in records if isinstance(r, Claim) and r.relation == "LEADS_TO"]
    assert len(leads) == len(turns) + len({(c.get("from"), c.get("to")) for c in turns})
    assert {r.object for r in records if isinstance(r, Claim) and r.relation == "CONTROLLED_BY"} == {
        r.id for r in records if isinstance(r, Entity) and "TrafficLight" in r.classes and "net.xml" in r.document
    }


def test_a_network_is_no_output() -> None:
    path = SUMO / "resco_cologne8" / "cologne8.net.xml"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    assert rejected(read_all(get_reader("sumo_outputs"), path)) == [
        ("/net", "the root is <net>; this reader takes <meandata>, <detector>, <fcd-export>")
    ]
