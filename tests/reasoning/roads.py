"""Small road networks."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ingestion.readers.base import get_reader
from kg.model import Record
from reasoning.traffic.road_network import RoadNetwork

SMALL = """<net>
<edge id="in" from="a" to="b" priority="1"><lane id="in_0" index="0" speed="10" length="100" shape="0,0 100,0"/></edge>
<edge id="left" from="b" to="c" priority="1"><lane id="left_0" index="0" speed="10" length="100"
 shape="100,0 200,100"/></edge>
<edge id="right" from="b" to="d" priority="1"><lane id="right_0" index="0" speed="10" length="100"
 shape="100,0 200,-100"/></edge>
<edge id="path" from="b" to="e" priority="1">
 <lane id="path_0" index="0" allow="bicycle pedestrian" speed="5" length="50" shape="100,0 150,0"/></edge>
<tlLogic id="b" type="static" programID="0" offset="0">
 <phase duration="30" state="GG"/><phase duration="30" state="rr"/></tlLogic>
<junction id="a" type="dead_end" x="0" y="0"/><junction id="b" type="traffic_light" x="100" y="0"/>
<junction id="c" type="dead_end" x="200" y="100"/><junction id="d" type="dead_end" x="200" y="-100"/>
<junction id="e" type="dead_end" x="150" y="0"/>
<connection from="in" to="left" fromLane="0" toLane="0" tl="b" linkIndex="0" dir="l" state="o"/>
<connection from="in" to="path" fromLane="0" toLane="0" tl="b" linkIndex="1" dir="s" state="o"/>
</net>"""


def network(size: int, turns: Sequence[tuple[int, int]], length: np.ndarray) -> RoadNetwork:
    """Segments `edge:x/0` and so on, 50 km/h, without signals."""
    ids = [f"edge:x/{number}" for number in range(size)]
    pairs = np.array(turns, np.int64).reshape(-1, 2)
    none = [""] * size
    return RoadNetwork(
        ids,
        ids,
        np.asarray(length, np.float64),
        np.full(size, 13.89),
        none,
        none,
        pairs[:, 0],
        pairs[:, 1],
        [""] * len(pairs),
        np.zeros(len(pairs)),
        [np.zeros((0, 2))] * size,
    )


def sumo_records(text: str) -> list[Record]:
    """What the reader yields of a network."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.net.xml"
        path.write_text(text, encoding="utf-8")
        reader = get_reader("sumo_net")
        return [record for document in reader.documents(path) for record in reader.read(document)]
