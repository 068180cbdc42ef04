"""What belongs to the repository as a whole: docs that leave nothing out, packaging, containers, lock file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import pytest
import typer.main
import yaml

from api.app import create_app
from api.cli import app
from api.settings import PREFIX, Settings
from ingestion.readers.base import READERS, get_reader
from kg.model import Entity

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


# ---- docs leave nothing out, and name nothing that is not there


def _commands(command: object, name: str = "") -> Iterator[str]:
    children = getattr(command, "commands", None)
    if children is None:
        yield name
    else:
        for child in children:
            yield from _commands(children[child], f"{name} {child}".strip())


def test_docs_list_every_command_and_no_other() -> None:
    documented = set()
    for row in re.findall(r"^\| (`.*?) \|", (DOCS / "cli.md").read_text(), re.MULTILINE):
        group = ""
        for text in re.findall(r"`([^`]+)`", row):
            words = [w for w in text.removeprefix("evigraph ").split() if re.fullmatch(r"[a-z][a-z-]*", w)]
            if text.startswith("evigraph "):
                group = words[0]
            documented.add(" ".join(words if words[0] == group else [group, *words]))
    assert documented == set(_commands(typer.main.get_command(app)))


def test_docs_list_every_route_and_no_other(tmp_path: Path) -> None:
    paths = create_app(Settings(data=tmp_path)).openapi()["paths"]
    served = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    documented = re.findall(r"^\| `([A-Z]+ /\S+)` \|", (DOCS / "http-api.md").read_text(), re.MULTILINE)
    assert {re.sub(r"{.*?}", "{}", r) for r in documented} == {re.sub(r"{.*?}", "{}", r) for r in served}


def test_docs_show_every_reader() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    for name in READERS:
        assert re.search(rf"^evigraph ingest {name}\b", text, re.MULTILINE), name


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if urlparse(link).scheme:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target.read_text()), link


def test_readme_leads_to_every_page() -> None:
    found: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        page = todo.pop().resolve()
        if page not in found:
            found.add(page)
            todo += [page.parent / link for link in re.findall(r"\]\(([\w./-]+\.md)", page.read_text())]
    assert set(DOCS.rglob("*.md")) <= found


def test_changelog_has_this_version() -> None:
    assert f"\n## {PROJECT['version']} " in (ROOT / "CHANGELOG.md").read_text()


def test_cases_name_live_terms_by_their_labels() -> None:
    reader = get_reader("hpo")
    terms = next(d for d in reader.documents() if d.id.endswith("hp.obo"))
    names = {e.id: e.properties.get("name") for e in reader.read(terms) if isinstance(e, Entity)}
    dead = {e.id for e in reader.read(terms) if isinstance(e, Entity) and e.properties.get("obsolete")}
    cases = sorted(DOCS.glob("cases/*.json"))
    assert len(cases) == 3
    for case in cases:
        packet = json.loads(case.read_text())
        for feature in packet["phenotypicFeatures"]:
            stated = [feature["type"], feature.get("onset", {}).get("ontologyClass")]
            for term in filter(None, stated):
                assert (names[term["id"]], term["id"] in dead) == (term["label"], False)
        assert packet["metaData"]["externalReferences"][0]["reference"].startswith("https://")


# ---- what is shipped


def test_wheel_holds_the_packages_with_their_data_and_nothing_else(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    shipped = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    packages = ("api", "encoders", "ingestion", "kg", "reasoning")
    files = (path for package in packages for path in (ROOT / package).rglob("*") if path.is_file())
    assert shipped == {path.relative_to(ROOT).as_posix() for path in files if path.suffix != ".pyc"}
    assert {"kg/ontologies/core.ttl", "kg/ontologies/medical.ttl", "kg/py.typed"} <= shipped


def test_lock_file_fits_the_project_and_names_the_public_index_only() -> None:
    text = (ROOT / "uv.lock").read_text()
    assert {urlparse(u).hostname for u in re.findall(r'https?://[^"]+', text)} == {"pypi.org", "files.pythonhosted.org"}
    (own,) = (p for p in tomllib.loads(text)["package"] if p["name"] == "evigraph")
    locked = {(d["name"], d["specifier"]) for d in own["metadata"]["requires-dist"] if "marker" not in d}
    stated = {tuple(re.fullmatch(r"([\w-]+)(?:\[\w+\])?(\S+)", d).groups()) for d in PROJECT["dependencies"]}  # type: ignore[union-attr]
    assert locked == stated


# ---- containers


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, object]]:
    services: dict[str, dict[str, object]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert set(services) == {"neo4j", "api", "llm"}
    return services


def test_compose_services_are_healthy_keep_their_data_and_are_reached_from_here_only(
    services: dict[str, dict[str, object]],
) -> None:
    named = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["volumes"]
    for name, service in services.items():
        assert service["healthcheck"]["test"]  # type: ignore[index]
        if name == "llm":  # only when asked for; its weights are the user's own
            assert service["profiles"] == ["llm"]
            assert [v.endswith(":/models:ro") for v in service["volumes"]] == [True]  # type: ignore[attr-defined]
        else:
            assert [v.split(":")[0] in named for v in service["volumes"]] == [True]  # type: ignore[attr-defined]
        assert all(p.startswith("127.0.0.1:") for p in service["ports"])  # type: ignore[attr-defined]
    assert services["api"]["depends_on"] == {"neo4j": {"condition": "service_healthy"}}


def test_compose_has_no_secret_of_its_own_and_names_real_settings(services: dict[str, dict[str, object]]) -> None:
    environment = services["api"]["environment"] | services["neo4j"]["environment"]  # type: ignore[operator]
    secrets = {n: v for n, v in environment.items() if re.search("PASSWORD|KEY|AUTH", n)}
    assert secrets.pop("EVIGRAPH_LLM_KEY") == "${EVIGRAPH_LLM_KEY:-}"  # a model's server may want none
    assert set(secrets) == {"NEO4J_AUTH", "EVIGRAPH_GRAPH_PASSWORD", "EVIGRAPH_ADMIN_KEY"}
    assert all(re.fullmatch(r"(neo4j/)?\$\{\w+:\?[^}]+\}", value) for value in secrets.values())
    image = dict(re.findall(r"(EVIGRAPH_\w+)=(\S+)", (ROOT / "Dockerfile").read_text()))
    for name in (*environment, *image):
        if name.startswith(PREFIX):
            assert name.removeprefix(PREFIX).lower() in Settings.model_fields
    assert services["api"]["image"] == f"evigraph:{PROJECT['version']}"


def test_image_runs_without_root_and_reports_its_health() -> None:
    text = (ROOT / "Dockerfile").read_text()
    final = text.rpartition("\nFROM ")[2]
    assert text.count("\nFROM ") == 2
    assert re.findall(r"^USER (.*)$", final, re.MULTILINE) == ["evigraph"]
    assert "\nHEALTHCHECK " in final
    assert "/v1/healthz" in final
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE)
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {name for line in copied for name in line.split()} == allowed
    assert all((ROOT / name).exists() for name in allowed)


# ---- make and CI


def test_ci_runs_what_a_developer_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in script.read_text()
    for shell in (script, ROOT / ".ci" / "need"):
        subprocess.run(["bash", "-n", str(shell)], check=True)
    (targets,) = re.findall(r"^for target in (.*); do$", script.read_text(), re.MULTILINE)
    assert {"lint", "test"} <= set(targets.split())
    for target in ("install", "demo", "test", "lint", "bench"):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_make_runs_every_benchmark() -> None:
    commands = {p.stem for p in (ROOT / "benchmarks").glob("*.py") if '__name__ == "__main__"' in p.read_text()}
    shown = subprocess.run(["make", "--dry-run", "bench"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    (names,) = re.findall(r"^for name in (.*); do", shown, re.MULTILINE)
    assert set(names.split()) == commands
    assert len(commands) >= 3
    for name in commands:
        assert '"--json"' in (ROOT / "benchmarks" / f"{name}.py").read_text(), name
