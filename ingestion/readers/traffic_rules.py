"""Rules of the road, signs, driving theory, and what a scene may show, as entities and facts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyoxigraph as ox

import kg
from ingestion.readers.base import Document, find_documents
from kg.model import Claim, Entity, Record, Rejected, Source, Value
from kg.turtle import EG, SKOS, instances, load_turtle, objects

_KNOWLEDGE = Path(kg.__file__).parent / "knowledge"
_CLASSES = {
    "TrafficRule": "rule",
    "RoadSign": "sign",
    "SceneReason": "scene",
    "DrivingAction": "manoeuvre",
    "TheoryTopic": "theory",
    "RoadUserKind": "road-user",
}
_OF_PREFIX = {prefix: class_ for class_, prefix in _CLASSES.items()}
_RELATIONS = {
    **{EG + name: name.upper() for name in ("when", "unless", "forbids", "permits", "requires", "describes", "bars")},
    SKOS + "broader": "IS_A",
}
_TEXTS = {EG + "wording": "wording", EG + "topicKind": "topic_kind"}
_LISTS = {EG + name: name for name in ("holds", "mistaken")}
_CODES = ("viennaCode", "stvoCode", "mutcdCode", "gtsrbClass")


class TrafficRulesReader:
    """One entity a rule, sign, manoeuvre and thing that a scene may show; without a path, those that come along."""

    name = "traffic_rules"
    version = "1"
    extensions: tuple[str, ...] = (".ttl",)
    example = "evigraph ingest traffic_rules"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """The documents under a file or folder, or those that come along; see `Reader.documents`."""
        return find_documents(self, _KNOWLEDGE if path is None else path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """A document's records; see `Reader.read`.

        Raises:
            InputError: it is no Turtle.
        """
        store = load_turtle([document.path])
        yield Source(document.id, "document", document=document.id)
        yield from _Rules(document.id, store).records()


class _Rules:
    def __init__(self, document: str, store: ox.Store) -> None:
        self._document = document
        self._store = store
        self._known: set[str] = set()

    def records(self) -> Iterator[Record]:
        kinds = {subject: class_ for class_ in _CLASSES for subject in instances(self._store, EG + class_)}
        for subject, class_ in sorted(kinds.items()):
            yield from self._thing(subject, class_)
        for subject in sorted(kinds):
            yield from self._facts(subject)

    def _thing(self, subject: str, class_: str) -> Iterator[Record]:
        id_ = _curie(subject)
        names = self._texts(subject, SKOS + "prefLabel")
        name = next((text for text, language in names if language in ("en", "")), None)
        if class_ == "TheoryTopic" and name is None and names:
            name = names[0][0]  # it is taught in one language
        if id_ is None or name is None:
            problem = f"needs a skos:prefLabel in English, and a name below {EG}"
            yield Rejected(problem, subject.removeprefix(EG), "", self._document)
            return
        others = {text for text, _ in (*names, *self._texts(subject, SKOS + "altLabel"))} - {name}
        properties: dict[str, Value] = {"name": name}
        if others:
            properties["synonyms"] = tuple(sorted(others))
        for predicate, key in _TEXTS.items():
            if texts := self._texts(subject, predicate):
                properties[key] = texts[0][0]
        for predicate, key in _LISTS.items():
            if texts := self._texts(subject, predicate):
                properties[key] = tuple(text for text, _ in texts)
        if articles := self._texts(subject, EG + "article"):
            properties["article"] = tuple(sorted(text for text, _ in articles))
        codes = [f"{code}={text}" for code in _CODES for text, _ in self._texts(subject, EG + code)]
        if codes:
            properties["codes"] = tuple(codes)
        if class_ == "TrafficRule":
            authorities = [value.rpartition("/")[2] for value in self._objects(subject, EG + "authority")]
            if authorities:
                properties["authority"] = authorities[0]
            if strengths := self._texts(subject, EG + "strength"):
                properties["strength"] = float(strengths[0][0])
        self._known.add(id_)
        yield Entity(id_, (class_,), self._document, properties, self._document, subject.removeprefix(EG))

    def _facts(self, subject: str) -> Iterator[Record]:
        id_, place = _curie(subject), subject.removeprefix(EG)
        if id_ not in self._known:
            return
        for predicate, relation in _RELATIONS.items():
            for value in sorted(self._objects(subject, predicate)):
                other = _curie(value)
                if other is None:
                    yield Rejected(f"{relation} leads to {value}, which is of no kind here", place, "", self._document)
                    continue
                if other not in self._known:  # another document describes it
                    self._known.add(other)
                    yield Entity(
                        other, (_OF_PREFIX[other.partition(":")[0]],), self._document, {}, self._document, place
                    )
                yield Claim(str(id_), relation, other, self._document, 1.0, {}, self._document, place)

    def _objects(self, subject: str, predicate: str) -> list[str]:
        return [value.value for value in objects(self._store, subject, predicate) if isinstance(value, ox.NamedNode)]

    def _texts(self, subject: str, predicate: str) -> list[tuple[str, str]]:
        texts = [value for value in objects(self._store, subject, predicate) if isinstance(value, ox.Literal)]
        return sorted((text.value, text.language or "") for text in texts)


def _curie(iri: str) -> str | None:
    """`https://w3id.org/evigraph/rule/red-light` → `rule:red-light`; None for what is of no kind here."""
    prefix, slash, name = iri.removeprefix(EG).partition("/")
    return f"{prefix}:{name}" if slash and iri.startswith(EG) and prefix in _OF_PREFIX else None
