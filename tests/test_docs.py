"""The snippets of the README and of docs/ run as they stand.

A fenced block marked

* `bash` runs by `bash -e` in one folder for the whole page, in which all of HPO is loaded already, beside a server;
  a block must exit with 0 (write `|| true` where an error is shown);
* `python` runs by `python` in the same folder;
* `http` is a request as it goes over the wire; the server must answer below 400, or with the status that the line
  `# 404` at the end of the block names;
* `sh`, `text`, `json`, `cypher`, `turtle` and `mermaid` is shown, not run: what needs Docker, a network, or an
  installation.

A block with a file name after its language, as in "```turtle kitchen.ttl", is written to that file instead.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.api.server import Server, serving

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
RUN = ("bash", "python", "http")
SHOWN = ("sh", "text", "json", "cypher", "turtle", "mermaid")
_BLOCK = re.compile(r"^( *)```(\w*)(?: ([\w.-]+))?\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Snippet:
    page: Path
    line: int
    language: str
    file: str | None
    text: str


def snippets(page: Path) -> list[Snippet]:
    text = page.read_text(encoding="utf-8")
    return [
        Snippet(page, text.count("\n", 0, m.start()) + 1, m[2], m[3], textwrap.dedent(m[4]))
        for m in _BLOCK.finditer(text)
    ]


@dataclass(frozen=True)
class Place:
    folder: Path
    environment: dict[str, str]
    server: Server


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A folder with all of HPO and the cases of docs/, and a server beside it."""
    folder = tmp_path_factory.mktemp("docs")
    data = folder / "data"
    scripts = Path(sys.executable).parent
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EVIGRAPH_")}
    environment["PATH"] = f"{scripts}{os.pathsep}{environment['PATH']}"
    subprocess.run(["evigraph", "ingest", "hpo"], cwd=folder, env=environment, check=True, capture_output=True)
    (folder / "docs").symlink_to(ROOT / "docs")
    # The server has a data folder of its own, so that keys that a page makes do not close it for other pages.
    with serving(f"embedded:{data}", folder / "served") as server:
        yield Place(folder, environment | {"EVIGRAPH": server.url}, server)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_what_it_is(page: Path) -> None:
    unknown = [f"{s.page.name}:{s.line}: {s.language!r}" for s in snippets(page) if s.language not in (*RUN, *SHOWN)]
    assert not unknown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_snippets_run(page: Path, place: Place) -> None:
    for snippet in snippets(page):
        if snippet.file:
            (place.folder / snippet.file).write_text(snippet.text, encoding="utf-8")
        elif snippet.language == "bash":
            _run(snippet, place, ["bash", "-euo", "pipefail", "-c", snippet.text])
        elif snippet.language == "python":
            _run(snippet, place, [sys.executable, "-c", snippet.text])
        elif snippet.language == "http":
            _send(snippet, place.server)


def _run(snippet: Snippet, place: Place, command: list[str]) -> None:
    done = subprocess.run(command, cwd=place.folder, env=place.environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, f"{snippet.page.name}:{snippet.line}\n{snippet.text}\n{done.stdout}\n{done.stderr}"


def _send(snippet: Snippet, server: Server) -> None:
    text, _, expected = snippet.text.rstrip().partition("\n# ")
    head, _, body = text.partition("\n\n")
    first, *lines = head.splitlines()
    method, path = first.split()[:2]
    headers = dict(line.split(": ", 1) for line in lines)
    with httpx.Client(base_url=server.url, timeout=300) as client:
        response = client.request(method, path, headers=headers, content=body.encode() if body else None)
    where = f"{snippet.page.name}:{snippet.line} {first}\n{response.text[:2000]}"
    if expected:
        assert response.status_code == int(expected.split()[0]), where
    else:
        assert response.status_code < 400, where
