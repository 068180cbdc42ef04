from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.settings import PREFIX, Settings, load_settings
from kg.errors import ConfigurationError

DOCS = Path(__file__).parents[2] / "docs" / "operate.md"
_ROW = re.compile(r"^\| `(EVIGRAPH_\w+)` \| (.*?) \| (.*?) \|$", re.MULTILINE)


def _default(value: object) -> str:
    if value is None or value == ():
        return "–"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int):
        return f"`{value:,}`" if value >= 10_000 else f"`{value}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def test_docs_list_every_setting_with_its_default_and_no_other() -> None:
    documented = {name: (default, text) for name, default, text in _ROW.findall(DOCS.read_text())}
    declared = {
        PREFIX + name.upper(): (_default(field.default), field.description)
        for name, field in Settings.model_fields.items()
    }
    assert documented == declared


def test_settings_come_from_the_environment_and_overrides_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIGRAPH_PORT", "9000")
    monkeypatch.setenv("EVIGRAPH_HOST", "::1")
    monkeypatch.setenv("EVIGRAPH_INGESTION_FOLDERS", "/a:/b c")
    monkeypatch.setenv("EVIGRAPH_CORS_ORIGINS", "https://a.org, https://b.org")
    settings = load_settings(port=9001, host=None)
    assert (settings.port, settings.host, settings.is_loopback) == (9001, "::1", True)
    assert settings.ingestion_folders == (Path("/a"), Path("/b c"))
    assert settings.cors_origins == ("https://a.org", "https://b.org")


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "70000"), ("GRAPH", "mysql://x"), ("ADMIN_KEY", "short-secret"), ("REQUEST_TIMEOUT_S", "0")],
)
def test_a_bad_value_is_named_by_its_variable_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"EVIGRAPH_{name}", value)
    with pytest.raises(ConfigurationError) as caught:
        load_settings()
    assert f"EVIGRAPH_{name}" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_secrets_do_not_show() -> None:
    settings = load_settings(admin_key=SecretStr("s" * 40), graph_password=SecretStr("hidden"))
    assert "s" * 40 not in repr(settings)
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("localhost", True), ("0.0.0.0", False), ("example.org", False)],
)
def test_loopback(host: str, is_loopback: bool) -> None:
    assert load_settings(host=host).is_loopback is is_loopback


def test_nothing_is_read_at_import() -> None:
    code = (
        "import os, wsgiref.handlers\n"  # which copies all of the environment for a library
        "class Spy(dict):\n"
        "    def __getitem__(self, k):\n"
        "        assert b'EVIGRAPH' not in k, k\n"
        "        return super().__getitem__(k)\n"
        "os.environ._data = Spy(os.environ._data)\n"
        "import api.app, api.cli, api.service\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"EVIGRAPH_PORT": "nonsense", "PATH": "/usr/bin:/bin"})
