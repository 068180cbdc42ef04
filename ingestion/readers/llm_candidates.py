"""What an answer may hold: statements, entities described for themselves, and what is neither."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from ingestion.dead_letters import MAX_RECORD
from ingestion.readers.llm_structure import CUT, TWICE
from ingestion.readers.llm_words import readable


@dataclass(frozen=True, slots=True)
class End:
    """A subject or object in the model's words; `id` and `type` where it gives them."""

    text: str
    id: str = ""
    type: str = ""


NO_END = End("")


@dataclass(frozen=True, slots=True)
class Statement:
    """Subject, relation, object, and all else that the item has, by its keys.

    Attributes:
        relation: empty if the shape has none; then `hints` are words about it.
    """

    subject: End
    relation: str
    object_: End
    place: str
    item: object
    extras: Mapping[str, object] = field(default_factory=dict)
    hints: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The item as a dead letter shows it."""
        return shown(self.item)


@dataclass(frozen=True, slots=True)
class Thing:
    """An entity that is described for itself."""

    end: End
    place: str
    item: object
    description: str = ""

    @property
    def text(self) -> str:
        """The item as a dead letter shows it."""
        return shown(self.item)


@dataclass(frozen=True, slots=True)
class Unfit:
    """A candidate that no statement can be made of."""

    reason: str
    place: str
    text: str


Candidate = Statement | Thing | Unfit


def shown(value: object) -> str:
    """A value as a dead letter shows it."""
    text = value if isinstance(value, str) else json.dumps(_visible(value), ensure_ascii=False, default=str)
    return readable(text[:MAX_RECORD])


def _visible(value: object) -> object:
    """The value without the marks of what is wrong with it."""
    if isinstance(value, Mapping):
        return {str(k): _visible(v) for k, v in value.items() if k not in (CUT, TWICE)}
    if isinstance(value, list | tuple):
        return [_visible(v) for v in value if v != CUT]
    return value
