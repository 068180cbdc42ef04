"""Cypher texts, honest and not, with what is expected of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Honest:
    name: str
    query: str
    parameters: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Attack:
    name: str
    query: str
    reason: str

    def __str__(self) -> str:
        return self.name


HONEST = [Honest(**case) for case in yaml.safe_load((_FOLDER / "honest.yaml").read_text(encoding="utf-8"))]
ATTACKS = [Attack(**case) for case in yaml.safe_load((_FOLDER / "attacks.yaml").read_text(encoding="utf-8"))]
