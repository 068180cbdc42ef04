from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api.keys import KeyRing, Role
from kg.errors import ConfigurationError, InputError, NotFoundError


def test_a_key_is_shown_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "new" / "keys.json")
    key, text = ring.create("clinic", Role.WRITER)
    assert len(text.split("_", 2)[2]) == 43  # 32 random bytes
    assert text.split("_", 2)[2] not in ring.path.read_text()
    assert stat.S_IMODE(ring.path.stat().st_mode) == 0o600
    assert ring.role_of(text) == (key.id, Role.WRITER)


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: t + "x", lambda t: t.upper(), lambda _: "", lambda _: "evg__"]
)
def test_what_is_not_the_key_is_refused(tmp_path: Path, change: object) -> None:
    ring = KeyRing(tmp_path / "keys.json")
    _, text = ring.create("a", Role.ADMIN)
    assert callable(change)
    assert ring.role_of(change(text)) is None


def test_another_process_revokes_at_once(tmp_path: Path) -> None:
    server, other = KeyRing(tmp_path / "keys.json"), KeyRing(tmp_path / "keys.json")
    key, text = other.create("a", Role.READER)
    assert server.role_of(text) is not None
    assert other.revoke(key.id) == key
    assert server.role_of(text) is None
    assert not server
    with pytest.raises(NotFoundError, match=key.id):
        other.revoke(key.id)


def test_keys_made_at_the_same_time_are_all_there(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: KeyRing(tmp_path / "keys.json").create(str(i), Role.READER), range(24)))
    ring = KeyRing(tmp_path / "keys.json")
    assert all(ring.role_of(text) == (key.id, Role.READER) for key, text in made)


def test_an_admin_key_of_the_settings_needs_no_file(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys.json", "k" * 40)
    assert ring
    assert ring.role_of("k" * 40) == ("admin", Role.ADMIN)
    assert ring.role_of("k" * 39) is None


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys.json")
    ring.create("a", Role.READER)
    ring.path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        KeyRing(ring.path).keys()


@pytest.mark.parametrize("text", ["", "[]", '{"keys": [{"id": "1"}]}', '{"keys": [3]}', "{"])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"keys\.json"):
        KeyRing(path).keys()


def test_an_unknown_role_names_the_known() -> None:
    with pytest.raises(InputError, match="reader, writer, admin"):
        Role.of("root")
