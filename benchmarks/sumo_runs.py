"""Runs of SUMO in three real towns, with incidents at random places; what is seen of them is edge data alone.

Needs SUMO: `uv sync --group sumo`, or `pip install eclipse-sumo libsumo`.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from defusedxml.ElementTree import iterparse
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DATA = Path(__file__).parents[2] / "shared" / "data" / "traffic" / "sumo"
STEP_S = 60
"""s of each interval of edge data."""
_LAST_S = 3600
_SLOWED = 0.2
_STOPPER_M = 5.0


@dataclass(frozen=True, slots=True)
class Town:
    """A network with its demand.

    Attributes:
        begin: s, of the demand.
    """

    name: str
    net: Path
    routes: tuple[Path, ...]
    additional: tuple[Path, ...]
    begin: float


@dataclass(frozen=True, slots=True)
class Incident:
    """What happens on an edge.

    Attributes:
        kind: `lane` (a vehicle stands on one lane), `road` (on all of them), `slow` (a fifth of the limit).
        position: share of the edge's length.
        begin, end: s.
    """

    edge: str
    kind: str
    position: float
    lane: int
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Probe:
    """A vehicle that is sent over a route.

    Attributes:
        depart: s.
    """

    name: str
    edges: tuple[str, ...]
    depart: float


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What a run shows. K intervals, E edges.

    Attributes:
        edges: ids, ascending.
        begin: s, of the first interval.
        speed, density, occupancy, left, entered, waiting, time_loss, sampled: (K, E); speed is NaN where nobody drove.
        arrivals: probe → s of its way; one that did not arrive is absent.
        total_loss: s, of all vehicles.
    """

    edges: list[str]
    begin: float
    speed: Floats
    density: Floats
    left: Floats
    entered: Floats
    waiting: Floats
    time_loss: Floats
    sampled: Floats
    arrivals: dict[str, float] = field(default_factory=dict)

    @property
    def total_loss(self) -> float:
        """Seconds that all vehicles lost against driving freely."""
        return float(np.nansum(self.time_loss))


_FIELDS = {
    "speed": "speed",
    "density": "density",
    "left": "left",
    "entered": "entered",
    "waiting": "waitingTime",
    "time_loss": "timeLoss",
    "sampled": "sampledSeconds",
}


def can_run(folder: Path) -> bool:
    """Whether SUMO and the networks are there; says what is missing."""
    if importlib.util.find_spec("libsumo") is None:
        print("not run: needs SUMO, by `uv sync --group sumo`")
        return False
    if not folder.is_dir():
        print(f"not run: needs the networks in {folder}")
        return False
    return True


def towns(folder: Path = DATA) -> list[Town]:
    """Ingolstadt, Cologne and Bologna."""
    bologna = folder / "bologna_acosta"
    added = tuple(bologna / f"acosta_{name}.add.xml" for name in ("vtypes", "bus_stops", "tls"))
    return [
        _resco(folder, "ingolstadt7", 57600),
        _resco(folder, "cologne8", 25200),
        Town(
            "bologna",
            bologna / "acosta_buslanes.net.xml",
            (bologna / "acosta.rou.xml", bologna / "acosta_busses.rou.xml"),
            added,
            0,
        ),
    ]


def _resco(folder: Path, name: str, begin: float) -> Town:
    place = folder / f"resco_{name}"
    return Town(name, place / f"{name}.net.xml", (place / f"{name}.rou.xml",), (), begin)


def simulate(
    town: Town,
    seed: int,
    incidents: Sequence[Incident] = (),
    probes: Sequence[Probe] = (),
    seconds: float = _LAST_S,
) -> Run:
    """One run from the beginning of the demand; nobody is teleported out of a jam."""
    import libsumo

    with tempfile.TemporaryDirectory() as folder:
        out, config = Path(folder) / "edges.xml", Path(folder) / "edges.add.xml"
        config.write_text(
            f'<additional><edgeData id="e" file="{out}" freq="{STEP_S}" excludeEmpty="false"/></additional>',
            encoding="utf-8",
        )
        options = ["--no-step-log", "--no-warnings", "--time-to-teleport", "-1", "--seed", str(seed)]
        files = ["-n", str(town.net), "-r", ",".join(map(str, town.routes))]
        files += ["-a", ",".join(map(str, (*town.additional, config)))]
        libsumo.start(["sumo", *files, "-b", str(town.begin), *options])
        try:
            arrivals = _drive(libsumo, town, incidents, probes, seconds)
        finally:
            libsumo.close()
        return _edge_data(out, arrivals)


def _drive(
    libsumo: object, town: Town, incidents: Sequence[Incident], probes: Sequence[Probe], seconds: float
) -> dict[str, float]:
    sim = libsumo
    begun: set[Incident] = set()
    ended: set[Incident] = set()
    waiting = sorted(probes, key=lambda probe: probe.depart)
    on_the_way = {probe.name: probe.depart for probe in probes}
    arrivals: dict[str, float] = {}
    time = town.begin
    while time < town.begin + seconds and (not probes or on_the_way or waiting):
        for incident in incidents:
            if incident not in begun and time >= incident.begin:
                _begin(sim, incident)
                begun.add(incident)
            if incident not in ended and time >= incident.end:
                _end(sim, incident)
                ended.add(incident)
        while waiting and waiting[0].depart <= time:
            probe = waiting.pop(0)
            sim.route.add(f"r{probe.name}", probe.edges)  # type: ignore[attr-defined]
            sim.vehicle.add(probe.name, f"r{probe.name}", departLane="best")  # type: ignore[attr-defined]
        sim.simulationStep()  # type: ignore[attr-defined]
        time = sim.simulation.getTime()  # type: ignore[attr-defined]
        for name in sim.simulation.getArrivedIDList():  # type: ignore[attr-defined]
            if name in on_the_way:
                arrivals[name] = time - on_the_way.pop(name)
    return arrivals


def _begin(sim: object, incident: Incident) -> None:
    if incident.kind == "slow":
        limit = max(sim.lane.getMaxSpeed(lane) for lane in _lanes(sim, incident.edge))  # type: ignore[attr-defined]
        sim.edge.setMaxSpeed(incident.edge, _SLOWED * limit)  # type: ignore[attr-defined]
        return
    lanes = _lanes(sim, incident.edge)
    chosen = lanes if incident.kind == "road" else [lanes[incident.lane % len(lanes)]]
    length = sim.lane.getLength(lanes[0])  # type: ignore[attr-defined]
    position = min(max(incident.position * length, _STOPPER_M + 1), length - 0.5)
    for lane_id in chosen:
        lane = int(lane_id.rpartition("_")[2])
        name = f"incident-{incident.edge}-{lane}"
        try:
            sim.route.add(name, [incident.edge])  # type: ignore[attr-defined]
            sim.vehicle.add(name, name, departLane=str(lane), departPos=str(position - 0.1), departSpeed="0")  # type: ignore[attr-defined]
            sim.vehicle.setStop(name, incident.edge, position, lane, incident.end - incident.begin)  # type: ignore[attr-defined]
        except Exception as error:
            raise RuntimeError(f"no incident on {lane_id}: {error}") from error


def _end(sim: object, incident: Incident) -> None:
    if incident.kind == "slow":
        for lane in _lanes(sim, incident.edge):
            sim.lane.setMaxSpeed(lane, sim.lane.getMaxSpeed(lane) / _SLOWED)  # type: ignore[attr-defined]
        return
    for name in sim.vehicle.getIDList():  # type: ignore[attr-defined]
        if name.startswith(f"incident-{incident.edge}-"):
            sim.vehicle.remove(name)  # type: ignore[attr-defined]


def _lanes(sim: object, edge: str) -> list[str]:
    """The lanes of an edge that cars may use."""
    names = [f"{edge}_{number}" for number in range(sim.edge.getLaneNumber(edge))]  # type: ignore[attr-defined]
    return [name for name in names if _for_cars(sim, name)] or names


def _for_cars(sim: object, lane: str) -> bool:
    allowed = sim.lane.getAllowed(lane)  # type: ignore[attr-defined]
    return not allowed or "passenger" in allowed


def _edge_data(path: Path, arrivals: dict[str, float]) -> Run:
    rows: list[dict[str, dict[str, float]]] = []
    begin = 0.0
    for event, element in iterparse(path, events=("start", "end")):
        if event == "start" and element.tag == "interval":
            begin = begin or float(element.get("begin", 0))
            rows.append({})
        elif event == "end" and element.tag == "edge" and not element.get("id", "").startswith(":"):
            rows[-1][element.get("id", "")] = {name: float(element.get(own, "nan")) for name, own in _FIELDS.items()}
        if event == "end" and element.tag == "interval":
            element.clear()
    edges = sorted({edge for row in rows for edge in row})
    tables = {
        name: np.array([[row.get(edge, {}).get(name, np.nan) for edge in edges] for row in rows]) for name in _FIELDS
    }
    for name in ("density", "left", "entered", "waiting", "time_loss", "sampled"):
        tables[name] = np.nan_to_num(tables[name])
    return Run(edges, begin, arrivals=arrivals, **tables)
