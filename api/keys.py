"""API keys: made once, shown once, kept as hashes in a JSON file that only its owner may read.

A key holds 256 random bits, so nobody can guess its SHA-256 backwards however fast the hash is: slow password hashes
protect short human passwords, and would cost tens of milliseconds on every request here.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path

import orjson

from kg.errors import ConfigurationError, InputError, NotFoundError

_PREFIX = "evg"


class Role(IntEnum):
    """What a key may do; a higher role may do all that a lower one may."""

    READER = 1
    WRITER = 2
    ADMIN = 3

    @classmethod
    def of(cls, name: str) -> Role:
        """The role of this name.

        Raises:
            InputError: there is none.
        """
        try:
            return cls[name.upper()]
        except KeyError:
            known = ", ".join(role.name.lower() for role in cls)
            raise InputError(f"unknown role {name!r}; known: {known}", "role") from None


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key: never the key itself."""

    id: str
    name: str
    role: str
    sha256: str
    created: str


class KeyRing:
    """The keys in one file; changes that other processes make are seen at once.

    Args:
        path: the file; it need not be there.
        admin_key: one more key, which no file has.
    """

    def __init__(self, path: Path, admin_key: str | None = None) -> None:
        self.path = path
        self._admin = _hash(admin_key) if admin_key else None
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def keys(self) -> list[Key]:
        """All keys of the file.

        Raises:
            ConfigurationError: the file can't be read, is damaged, or others may read it.
        """
        self._reload()
        return list(self._keys.values())

    def __bool__(self) -> bool:
        return self._admin is not None or bool(self.keys())

    def role_of(self, token: str) -> tuple[str, Role] | None:
        """(id, role) of the key, or None if it is not one of ours. Compares in constant time.

        Raises:
            ConfigurationError: as `keys`.
        """
        digest = _hash(token)
        if self._admin is not None and hmac.compare_digest(digest, self._admin):
            return "admin", Role.ADMIN
        self._reload()
        parts = token.split("_", 2)
        key = self._keys.get(parts[1]) if len(parts) == 3 else None
        if key is not None and hmac.compare_digest(digest, key.sha256):
            return key.id, Role.of(key.role)
        return None

    def create(self, name: str, role: Role) -> tuple[Key, str]:
        """A new key, and its text: the only time that it is known.

        Raises:
            ConfigurationError: the file can't be written.
        """
        with self._changing():
            id_ = secrets.token_hex(4)
            token = f"{_PREFIX}_{id_}_{secrets.token_urlsafe(32)}"
            created = datetime.now(UTC).isoformat(timespec="seconds")
            self._keys[id_] = Key(id_, name, role.name.lower(), _hash(token), created)
        return self._keys[id_], token

    def revoke(self, id_: str) -> Key:
        """Removes a key; running servers refuse it from then on.

        Raises:
            NotFoundError: no such key.
            ConfigurationError: the file can't be written.
        """
        with self._changing():
            if id_ not in self._keys:
                raise NotFoundError(f"no key {id_!r}; `evigraph keys list` shows the ids")
            return self._keys.pop(id_)

    def _reload(self) -> None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self._keys, self._seen = {}, None
            return
        except OSError as error:
            raise ConfigurationError(f"{self.path}: {error.strerror}") from error
        seen = (status.st_mtime_ns, status.st_size, status.st_ino)
        if seen == self._seen:
            return
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise ConfigurationError(f"{self.path}: others may read it; `chmod 600 {self.path}` first")
        try:
            items = orjson.loads(self.path.read_bytes())["keys"]
            keys = [Key(**item) for item in items]
            self._keys = {key.id: key for key in keys if Role.of(key.role)}
        except (OSError, ValueError, KeyError, TypeError, InputError) as error:
            raise ConfigurationError(f"{self.path}: not a file of keys ({type(error).__name__})") from error
        self._seen = seen

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Holds the file's lock, and replaces the file in one step afterwards."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ConfigurationError(f"{self.path}: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._reload()
            yield
            data = orjson.dumps({"keys": [asdict(key) for key in self._keys.values()]}, option=orjson.OPT_INDENT_2)
            new = self.path.with_name(self.path.name + ".new")
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            new.replace(self.path)
        except OSError as error:
            raise ConfigurationError(f"{self.path}: {error.strerror}") from error
        finally:
            os.close(lock)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
