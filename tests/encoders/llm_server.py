"""A server that speaks enough of OpenAI's protocol to fail as real ones do; what it answers, the test says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Failure = Callable[[int], str]
"""Number of a call → `busy`, `dead`, `denied`, `wrong`, or empty for an answer."""


class FailingServer:
    """What was asked, in order of arrival."""

    def __init__(self, answer: Callable[[dict[str, Any]], str], failure: Failure) -> None:
        self.answer, self.failure = answer, failure
        self.requests: list[dict[str, Any]] = []
        self.answered: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.lock = threading.Lock()
        self.at_once = self.most_at_once = 0
        self.url = ""


@contextmanager
def serving(answer: Callable[[dict[str, Any]], str], failure: Failure = lambda _: "") -> Iterator[FailingServer]:
    server = FailingServer(answer, failure)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with server.lock:
                server.requests.append(body)
                server.keys.add(self.headers.get("Authorization", ""))
                kind = server.failure(len(server.requests))
                server.at_once += 1
                server.most_at_once = max(server.most_at_once, server.at_once)
            try:
                self._reply(body, kind)
            finally:
                with server.lock:
                    server.at_once -= 1

        def _reply(self, body: dict[str, Any], kind: str) -> None:
            if kind == "dead":
                self.close_connection = True
                self.connection.close()
                return
            status = {"busy": 429, "denied": 401, "wrong": 400}.get(kind, 200)
            if kind:
                return self._send(status, {"error": {"message": "no, secret-key"}}, {"Retry-After": "0.05"})
            text = server.answer(body)
            with server.lock:
                server.answered.append(body)
            if body.get("stream"):
                pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
                events = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in pieces]
                lines = "".join(
                    f"data: {json.dumps({**_HEAD, 'object': 'chat.completion.chunk', **e})}\n\n" for e in events
                )
                return self._send_text(200, lines + "data: [DONE]\n\n", "text/event-stream", {})
            message = {"role": "assistant", "content": text}
            choice = {"index": 0, "message": message, "finish_reason": "length" if text.endswith("…") else "stop"}
            usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
            self._send(200, {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": usage}, {})
            return None

        def _send(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
            self._send_text(status, json.dumps(body), "application/json", headers)

        def _send_text(self, status: int, text: str, kind: str, headers: dict[str, str]) -> None:
            content = text.encode()
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()


_HEAD: dict[str, Any] = {"id": "x", "created": 0, "model": "m"}
