"""Latency and throughput of `POST /v1/diagnosis` over real HTTP, with published cases, or else simulated patients.

    python -m benchmarks.http_diagnosis [--cases FILE] [--limit N] [--whole] [--json FILE]

Starts the real server on a graph with all of HPO (loaded first, unless the data folder has it), sends each case by one
client and notes the time from the first byte sent to the last byte read; then sends all of them by 16 clients at once.
Clients run in this process, on the same machine as the server.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.diagnosis_data import installed_annotations
from ingestion.readers.phenopackets import cases
from kg.model import Rejected
from reasoning.diagnosis.scan import Index, Parameters
from reasoning.diagnosis.simulation import simulate

CASES = Path(__file__).parents[2] / "shared" / "data" / "medical" / "phenopackets_dev.tar.xz"
HEADERS = {"Content-Type": "application/json"}
_WARM_UP = 50


def whole_bodies(path: Path, limit: int) -> list[bytes]:
    """Requests with each case's Phenopacket as it was published."""
    bodies = []
    with tarfile.open(path) as tar:
        for member in tar:
            file = tar.extractfile(member) if member.name.endswith(".json") else None
            if file is not None:
                bodies.append(orjson.dumps({"phenopacket": orjson.loads(file.read())}))
            if len(bodies) == limit:
                break
    return bodies


def finding_bodies(path: Path, limit: int) -> list[bytes]:
    """Requests with each case's findings, those left out that the installed HPO does not have."""
    annotations = installed_annotations()
    known = {id_ for id_, term in annotations.term_index.items() if annotations.is_finding[term]}
    bodies = []
    for case in cases(path):
        if isinstance(case, Rejected):
            continue
        present, excluded = ([id_ for id_ in ids if id_ in known] for ids in (case.present, case.excluded))
        if present:
            excluded = sorted(set(excluded) - set(present))
            bodies.append(orjson.dumps({"present": present, "excluded": excluded, "sex": case.sex or None}))
        if len(bodies) == limit:
            break
    return bodies


def simulated_bodies(limit: int) -> list[bytes]:
    """Requests with the findings of patients drawn from HPO's annotations."""
    annotations = installed_annotations()
    index = Index(annotations, Parameters())
    bodies = []
    for patient in itertools.islice(simulate(index, 2 * limit, seed=1), limit):
        present, excluded = (
            [annotations.term_ids[term] for term in terms.tolist()]
            for terms in (patient.findings.present, patient.findings.excluded)
        )
        bodies.append(orjson.dumps({"present": present, "excluded": excluded}))
    return bodies


@contextmanager
def server(folder: Path, *load: str) -> Iterator[tuple[str, int]]:
    """A server on a free port, ready, as (host, port); `evigraph ingest` gets `load`, or else loads HPO."""
    command = str(Path(sys.executable).with_name("evigraph"))
    environment = os.environ | {
        "EVIGRAPH_GRAPH": f"embedded:{folder}",
        "EVIGRAPH_DATA": str(folder),
        "EVIGRAPH_LOG_LEVEL": "warning",
    }
    subprocess.run([command, "ingest", *(load or ("hpo",))], env=environment, check=True)
    port = _free_port()
    process = subprocess.Popen([command, "serve", "--port", str(port)], env=environment)
    try:
        _wait_ready(process, port)
        yield "127.0.0.1", port
    finally:
        process.terminate()
        process.wait(30)


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("GET", "/v1/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.2)
    raise SystemExit("the server did not become ready")


def send(address: tuple[str, int], bodies: Sequence[bytes], path: str = "/v1/diagnosis") -> list[float]:
    """Milliseconds of each request, sent one after the other on one connection."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    times = []
    for body in bodies:
        started = time.perf_counter()
        connection.request("POST", path, body, HEADERS)
        response = connection.getresponse()
        answer = response.read()
        times.append((time.perf_counter() - started) * 1000)
        assert response.status == 200, answer[:500]
    connection.close()
    return times


def send_at_once(
    address: tuple[str, int], bodies: Sequence[bytes], clients: int, path: str = "/v1/diagnosis"
) -> tuple[float, list[float]]:
    """(seconds for all, milliseconds of each) with so many clients, each on a connection of its own."""
    times: list[float] = []

    def run(part: Sequence[bytes]) -> None:
        times.extend(send(address, part, path))

    threads = [threading.Thread(target=run, args=(bodies[number::clients],)) for number in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    assert len(times) == len(bodies), "a client failed"
    return seconds, times


def measure(
    address: tuple[str, int], bodies: Sequence[bytes], clients: Sequence[int], path: str = "/v1/diagnosis"
) -> list[dict[str, Any]]:
    """One row for each number of clients."""
    send(address, bodies[:_WARM_UP], path)
    rows = []
    for number in clients:
        seconds, times = send_at_once(address, bodies, number, path)
        p50, p99 = np.percentile(times, (50, 99))
        row = {"clients": number, "requests": len(times), "ms_p50": float(p50), "ms_p99": float(p99)}
        rows.append(row | {"ms_max": max(times), "per_second": len(times) / seconds})
    return rows


def main() -> None:
    """Prints a table and, if asked, writes JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, default=CASES)
    parser.add_argument("--limit", type=int, default=1000, help="cases to send")
    parser.add_argument("--whole", action="store_true", help="send whole Phenopackets instead of findings")
    parser.add_argument("--data", type=Path, default=Path("data"), help="data folder")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    if options.cases.exists():
        bodies = (whole_bodies if options.whole else finding_bodies)(options.cases, options.limit)
    else:
        print(f"{options.cases} is not there: simulated patients instead")
        bodies = simulated_bodies(options.limit)
    with server(options.data.resolve()) as address:
        rows = measure(address, bodies, (1, 16))
    table = Table("clients", "requests", "p50 ms", "p99 ms", "max ms", "requests/s")
    for row in rows:
        values = (f"{row[name]:.1f}" for name in ("ms_p50", "ms_p99", "ms_max", "per_second"))
        table.add_row(str(row["clients"]), str(row["requests"]), *values)
    Console(width=140).print(table)
    if options.json:
        made = {"published": options.cases.exists(), "whole": options.whole, "rows": rows}
        options.json.write_bytes(orjson.dumps(made, option=orjson.OPT_INDENT_2))


if __name__ == "__main__":
    main()
