"""Annotated scenes to learn from and to measure on: flags of reasons or a justification in words → actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from kg.errors import InputError
from reasoning.json_lines import json_lines
from reasoning.traffic.experience import MANOEUVRES
from reasoning.traffic.rules import RuleBook
from reasoning.traffic.scene import Observation, SceneEvidence

_LABELS = "label_names.json"
_FLAG_BELIEF = 0.97
"""In an annotator's flag."""
FLAGS = (
    "traffic light is green",
    "follow traffic",
    "road is clear",
    "traffic light (red/yellow)",
    "traffic sign",
    "obstacle: car",
    "obstacle: person",
    "obstacle: rider",
    "obstacle: others",
    *(f"{side} reason {number}" for side in ("left", "right", "no-left", "no-right") for number in (1, 2, 3)),
)
"""BDD-OIA's flags, where no file beside the scenes names them."""


@dataclass(frozen=True, slots=True)
class SceneCase:
    """A scene and what was done in it.

    Attributes:
        place: where it stands, for messages.
        flags: names of the flags that are set, or None for a scene in words.
        sentence: the justification, or empty.
        actions: one 0 or 1 for each of `MANOEUVRES`; None where the truth is held back.
    """

    place: str
    flags: tuple[str, ...] | None
    sentence: str
    actions: tuple[int, ...] | None


def read_cases(path: Path) -> list[SceneCase]:
    """Scenes of a BDD-OIA-shaped JSON object, or of BDD-X-shaped JSON lines.

    Raises:
        InputError: it can't be read, or a scene makes no sense; names file, and scene or line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(str(error), str(path)) from error
    try:
        whole = orjson.loads(content)
    except orjson.JSONDecodeError:
        whole = None
    if isinstance(whole, dict) and "justification" not in whole:
        names = _flag_names(path)
        cases = [_flagged(f"{path}:{key}", item, names) for key, item in whole.items()]
    else:
        cases = [_in_words(place, item) for place, item in json_lines(path)]
    if not cases:
        raise InputError("holds no scenes", str(path))
    return cases


def flag_observation(book: RuleBook, flag: str, confidence: float = _FLAG_BELIEF) -> Observation:
    """What a flag says that a scene shows.

    Raises:
        InputError: no concept has that name.
    """
    concept = book.by_name.get(flag.partition(" (index")[0].partition(" (amb")[0].casefold())
    if concept is None:
        raise InputError("nothing that a scene may show has this name", flag)
    return Observation(concept.id, confidence, SceneEvidence("flag", flag, confidence))


def _flag_names(path: Path) -> Sequence[str]:
    labels = path.with_name(_LABELS)
    if not labels.is_file():
        return FLAGS
    try:
        return [str(name) for name in orjson.loads(labels.read_bytes())["reasons"]]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(f"names no reasons: {error}", str(labels)) from error


def _flagged(place: str, item: object, names: Sequence[str]) -> SceneCase:
    if not isinstance(item, dict):
        raise InputError("a scene is an object with `reason` and `actions`", place)
    flags = _bits(item.get("reason"), len(names), "reason", place)
    actions = _bits(item["actions"], len(MANOEUVRES), "actions", place) if "actions" in item else None
    return SceneCase(place, tuple(name for name, flag in zip(names, flags, strict=True) if flag), "", actions)


def _in_words(place: str, item: Mapping[str, Any]) -> SceneCase:
    sentence = item.get("justification")
    if not isinstance(sentence, str):
        raise InputError("needs a text as `justification`", place)
    actions = _bits(item["actions"], len(MANOEUVRES), "actions", place) if "actions" in item else None
    return SceneCase(place, None, sentence, actions)


def _bits(value: object, count: int, name: str, place: str) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) != count or any(bit not in (0, 1) for bit in value):
        raise InputError(f"`{name}` must be a list of {count} times 0 or 1", place)
    return tuple(int(bit) for bit in value)
