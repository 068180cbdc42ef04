"""The OpenAPI document and the running server agree, whatever is sent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx

from tests.api.samples import packet, write_sample
from tests.api.server import serving

_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
)


def test_no_undocumented_answer(tmp_path: Path) -> None:
    graph = f"embedded:{tmp_path / 'graph'}"
    evigraph, schemathesis = (str(Path(sys.executable).with_name(name)) for name in ("evigraph", "schemathesis"))
    environment = os.environ | {"EVIGRAPH_GRAPH": graph, "EVIGRAPH_DATA": str(tmp_path / "data")}
    subprocess.run([evigraph, "ingest", "hpo", str(write_sample(tmp_path / "hpo"))], env=environment, check=True)
    with serving(graph, tmp_path / "data") as server:
        assert httpx.post(f"{server.url}/v1/diagnosis", json={"phenopacket": packet()}).status_code == 200
        command = [schemathesis, "run", f"{server.url}/openapi.json", "--checks", ",".join(_CHECKS)]
        bounds = ["--max-examples", "25", "--seed", "1", "--generation-database", "none", "--request-timeout", "40"]
        done = subprocess.run([*command, *bounds], cwd=tmp_path, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stdout[-8000:] + server.log.read_text()[-3000:]
        assert server.process.poll() is None
