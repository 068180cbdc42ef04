"""Moments of driving: BDD-OIA-shaped JSON (flags of reasons and actions), BDD-X-shaped lines (reasons in words)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from ingestion.readers.base import Document, find_documents
from ingestion.readers.beside import Accompanied, read_beside
from ingestion.readers.checked import mapping, number, text
from ingestion.readers.json_values import TOP, starts_with_object, values
from ingestion.readers.traffic_ids import curie, dataset
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected, Source, Value

LABELS = "label_names.json"
"""Beside the scenes: `actions` and `reasons` name the flags, in their order."""
ACTIONS = ("forward", "stop/slow", "left", "right")
"""The flags of actions where no names lie beside."""
_MEMBERS = (TOP, ("",))
"""The members of the outermost object one by one, rather than the object as a line of its own."""


class ScenesReader:
    """One `Scene` for each moment: what it shows as reasons or words, and which actions it allows."""

    name = "scenes"
    version = "1"
    extensions: tuple[str, ...] = (".json", ".jsonl")
    example = "evigraph ingest scenes scenes.jsonl"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """The documents under a file or folder; see `Reader.documents`."""
        if path is None:
            raise InputError("needs a file or folder of scenes")
        for document in find_documents(self, path, name):
            labels = document.path.with_name(LABELS)
            if document.path != labels:
                yield Accompanied(document, (labels,) if labels.is_file() else ())

    def read(self, document: Document) -> Iterator[Record]:
        """A document's records; see `Reader.read`."""
        names = _Names.beside(document.path)
        yield Source(document.id, "document", document=document.id)
        one_by_one = document.path.suffix.lower() == ".json" and starts_with_object(document)
        scenes = _Scenes(document, names)
        for item in values(document, *(_MEMBERS if one_by_one else ())):
            if isinstance(item, Rejected):
                yield item
                continue
            try:
                fields = mapping(item.value, "a scene")
                if "reason" in fields:
                    yield from scenes.flags(
                        item.key if one_by_one else text(fields.get("name"), "name"), fields, item.place
                    )
                else:
                    yield from scenes.words(fields, item.place)
            except ValueError as error:
                shown = json.dumps(item.value, ensure_ascii=False)[:2000]
                yield Rejected(str(error), item.place, shown, document.id)


@dataclass(frozen=True, slots=True)
class _Names:
    """Names of the flags; `reasons` is None where nothing names them."""

    actions: Sequence[str]
    reasons: Sequence[str] | None

    @classmethod
    def beside(cls, path: Path) -> _Names:
        """The names in the file beside the scenes.

        Raises:
            InputError: it holds none.
        """
        labels = path.with_name(LABELS)
        if not labels.is_file():
            return cls(ACTIONS, None)
        try:
            content = mapping(orjson.loads(read_beside(labels)), "it")
            actions, reasons = ([text(name, key) for name in content[key]] for key in ("actions", "reasons"))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"needs lists of names, actions and reasons: {error}", LABELS) from error
        return cls(actions, reasons)


class _Scenes:
    """The scenes of one document. Memory grows with their number: the ids are kept, to tell a second one."""

    def __init__(self, document: Document, names: _Names) -> None:
        self._document = document.id
        self._dataset = dataset(document)
        self._names = names
        self._known: set[str] = set()

    def flags(self, name: str, fields: dict[str, Any], place: str) -> Iterator[Record]:
        """A scene by flags: an action whose flag is 0 is forbidden.

        Raises:
            ValueError: it makes no sense; names the field.
        """
        named = self._names.reasons
        reasons = _flags(fields, "reason", None if named is None else len(named))
        actions = _flags(fields, "actions", len(self._names.actions))
        scene = self._new(curie("scene", self._dataset, name))
        yield self._entity(scene, "Scene", {"name": name}, place)
        for index, flag in enumerate(reasons):
            if flag:
                label = f"reason {index}" if named is None else named[index]
                own = curie("reason", self._dataset, str(index))
                reason = own if named is None else f"reason:{_slug(label)}"
                yield from self._mentioned(reason, "SceneReason", label, place)
                yield self._claim(scene, "SHOWS_REASON", reason, place)
        for label, flag in zip(self._names.actions, actions, strict=True):
            yield from self._action(scene, "ALLOWS_ACTION" if flag else "FORBIDS_ACTION", label, place)

    def words(self, fields: dict[str, Any], place: str) -> Iterator[Record]:
        """A scene in words: its flags say what the driver did, which thus is allowed; of the rest nothing is known.

        Raises:
            ValueError: it makes no sense; names the field.
        """
        video = text(fields.get("video"), "video")
        start, end = (number(fields.get(name), name, 0.0, 1e7) for name in ("start", "end"))
        if end < start:
            raise ValueError("it ends before it starts")
        properties: dict[str, Value] = {"name": video, "begin_seconds": start, "end_seconds": end}
        for name in ("description", "justification"):
            if fields.get(name) is not None:
                properties[name] = text(fields[name], name)
        flags = _flags(fields, "actions", len(self._names.actions)) if "actions" in fields else []
        if not flags and "justification" not in properties:
            raise ValueError("neither reason, nor justification, nor actions")
        scene = self._new(curie("scene", self._dataset, video, f"{start:g}-{end:g}"))
        yield self._entity(scene, "Scene", properties, place)
        for label, flag in zip(self._names.actions, flags, strict=False):
            if flag:
                yield from self._action(scene, "ALLOWS_ACTION", label, place)

    def _new(self, scene: str) -> str:
        if scene in self._known:
            raise ValueError(f"{scene} is there already")
        self._known.add(scene)
        return scene

    def _action(self, scene: str, relation: str, label: str, place: str) -> Iterator[Record]:
        action = f"action:{_slug(label)}"
        yield from self._mentioned(action, "DrivingAction", label, place)
        yield self._claim(scene, relation, action, place)

    def _mentioned(self, id_: str, class_: str, name: str, place: str) -> Iterator[Record]:
        if id_ not in self._known:
            self._known.add(id_)
            yield self._entity(id_, class_, {"name": name}, place)

    def _entity(self, id_: str, class_: str, properties: dict[str, Value], place: str) -> Entity:
        return Entity(id_, (class_,), self._document, properties, self._document, place)

    def _claim(self, subject: str, relation: str, object_: str, place: str) -> Claim:
        return Claim(subject, relation, object_, self._document, 1.0, {}, self._document, place)


def _flags(fields: dict[str, Any], name: str, count: int | None) -> list[int]:
    """A list of 0 and 1.

    Raises:
        ValueError: it is none, or of another length.
    """
    found = fields.get(name)
    if not isinstance(found, list) or not all(type(flag) is int and flag in (0, 1) for flag in found):
        raise ValueError(f"{name}: {repr(found)[:60]} is not a list of 0 and 1")
    if count is not None and len(found) != count:
        raise ValueError(f"{name}: {len(found)} flags instead of {count}")
    return found


def _slug(name: str) -> str:
    """`traffic light (red/yellow)` → `traffic-light-red-yellow`"""
    return re.sub(r"\W+", "-", name.lower()).strip("-")
