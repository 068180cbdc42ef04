"""Latency of scenes and routes over real HTTP: BDD-OIA's flags, BDD-X's words, and trips of Ingolstadt's demand.

Starts the real server on a graph with Ingolstadt's network (loaded first, unless the data folder has it).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import orjson
from defusedxml.ElementTree import iterparse
from rich.console import Console
from rich.table import Table

from benchmarks.http_diagnosis import measure, server
from reasoning.traffic.scene_cases import read_cases

_DATA = Path(__file__).parents[2] / "shared" / "data" / "traffic"
_TOWN = "resco_ingolstadt7"


def main() -> None:
    """Prints a table and, if asked, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traffic", type=Path, default=_DATA, help="folder with bddoia/, bddx/ and sumo/")
    parser.add_argument("--limit", type=int, default=1000, help="requests of each kind")
    parser.add_argument("--data", type=Path, default=Path("data/traffic"), help="data folder")
    parser.add_argument("--json", type=Path, help="file to write")
    given = parser.parse_args()
    bodies = {
        ("scene, flags", "/v1/traffic/scene"): _scenes(given.traffic / "bddoia" / "gt_4a_21r_val.json", given.limit),
        ("scene, words", "/v1/traffic/scene"): _scenes(given.traffic / "bddx" / "val.jsonl", given.limit),
        ("route, 3 alternatives", "/v1/traffic/route"): _routes(given.traffic / "sumo" / _TOWN, given.limit),
    }
    rows = []
    net = given.traffic / "sumo" / _TOWN / "ingolstadt7.net.xml"
    given.data.mkdir(parents=True, exist_ok=True)
    with server(given.data.resolve(), "sumo_net", str(net.resolve())) as address:
        for (what, path), asked in bodies.items():
            rows += [{"what": what, **row} for row in measure(address, asked, (1, 8), path)]
    table = Table("question", "clients", "requests", "p50 ms", "p99 ms", "max ms", "requests/s")
    for row in rows:
        values = (f"{row[name]:.1f}" for name in ("ms_p50", "ms_p99", "ms_max", "per_second"))
        table.add_row(row["what"], str(row["clients"]), str(row["requests"]), *values)
    Console(width=140).print(table)
    if given.json:
        given.json.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2))


def _scenes(path: Path, limit: int) -> list[bytes]:
    cases = [case for case in read_cases(path) if case.flags or case.sentence.strip()][:limit]
    return [orjson.dumps({"flags": case.flags} if case.flags else {"sentence": case.sentence}) for case in cases]


def _routes(town: Path, limit: int) -> list[bytes]:
    bodies: list[bytes] = []
    for _, element in iterparse(next(town.glob("*.rou.xml"))):
        ends = element.get("from"), element.get("to")
        if all(ends) and len(bodies) < limit:
            start, end = (f"edge:ingolstadt7/{name}" for name in ends)
            bodies.append(orjson.dumps({"from": start, "to": end, "count": 3}))
    return bodies


if __name__ == "__main__":
    main()
