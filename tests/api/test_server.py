"""The real server, in a process of its own."""

from __future__ import annotations

import http.client
import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.samples import packet
from tests.api.server import Server, serving


@pytest.fixture(scope="module")
def server(graph_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(graph_url, tmp_path_factory.mktemp("server")) as started:
        yield started


def test_it_answers_logs_json_and_stops_on_sigterm(graph_url: str, tmp_path: Path) -> None:
    with serving(graph_url, tmp_path / "data") as server:
        _ask_and_stop(server)


def _ask_and_stop(server: Server) -> None:
    answer = httpx.post(f"{server.url}/v1/diagnosis", json={"phenopacket": packet()})
    assert answer.status_code == 200, answer.text
    assert answer.json()["results"][0]["id"] == "OMIM:100001"
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) in (0, -signal.SIGTERM)
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    requests = [line for line in lines if line["event"] == "request" and line["path"] == "/v1/diagnosis"]
    assert requests[0]["status"] == 200
    assert "Traceback" not in server.log.read_text()


def test_sigterm_ends_an_open_stream_of_events(tmp_path: Path) -> None:
    # A graph of its own, since this loads a part of HPO.
    with serving(f"embedded:{tmp_path / 'graph'}", tmp_path / "data") as server:
        _stop_while_following(server)


def _stop_while_following(server: Server) -> None:
    held = httpx.post(f"{server.url}/v1/ingestions", json={"reader": "hpo"})
    assert held.status_code == 202
    with httpx.stream("GET", f"{server.url}/v1/ingestions/{held.json()['id']}/events", timeout=30) as events:
        lines = events.iter_lines()
        assert next(lines).startswith("event:")
        server.process.send_signal(signal.SIGTERM)
        rest = list(lines)
    assert "event: cancelled" in rest
    assert server.process.wait(20) in (0, -signal.SIGTERM)


def test_chunked_bodies_are_limited_too(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    part = b'{"query": "' + b"x" * 100_000
    try:
        connection.request(
            "POST", "/v1/cypher", iter([part] * 50), {"Content-Type": "application/json"}, encode_chunked=True
        )
        response = connection.getresponse()
        assert response.status == 413
        assert json.loads(response.read())["type"] == "urn:evigraph:problem:too-large"
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server closed while we still sent: it did not read on
    finally:
        connection.close()
    assert httpx.get(f"{server.url}/v1/healthz").status_code == 200


def test_a_garbled_request_does_no_harm(server: Server) -> None:
    for text in (b"\x00\xff\r\n\r\n", b"GET /v1/entities/%ff%00 HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(text)
            assert connection.recv(100).startswith(b"HTTP/1.1 4")
    assert httpx.get(f"{server.url}/v1/healthz").status_code == 200
