"""Rules of the road, signs, driving theory, and what a scene may show, as entities and facts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyoxigraph as ox

import kg
from ingestion.readers.base import Document, find_documents
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected, Source, Value

_EG = "https://w3id.org/evigraph/"
_SKOS = "http://www.w3.org/2004/02/skos/core#"
_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
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
    **{_EG + name: name.upper() for name in ("when", "unless", "forbids", "permits", "requires", "describes", "bars")},
    _SKOS + "broader": "IS_A",
}
_TEXTS = {_EG + "wording": "wording", _EG + "topicKind": "topic_kind"}
_LISTS = {_EG + name: name for name in ("holds", "mistaken")}
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
        store = ox.Store()
        try:
            store.bulk_load(path=str(document.path), format=ox.RdfFormat.TURTLE)
        except (SyntaxError, OSError) as error:
            raise InputError(f"is no Turtle: {error}", str(document.path)) from error
        yield Source(document.id, "document", document=document.id)
        yield from _Rules(document.id, store).records()


class _Rules:
    def __init__(self, document: str, store: ox.Store) -> None:
        self._document = document
        self._store = store
        self._known: set[str] = set()

    def records(self) -> Iterator[Record]:
        kinds = {
            str(quad.subject.value): class_
            for class_ in _CLASSES
            for quad in self._store.quads_for_pattern(None, ox.NamedNode(_TYPE), ox.NamedNode(_EG + class_))
            if isinstance(quad.subject, ox.NamedNode)
        }
        for subject, class_ in sorted(kinds.items()):
            yield from self._thing(subject, class_)
        for subject in sorted(kinds):
            yield from self._facts(subject)

    def _thing(self, subject: str, class_: str) -> Iterator[Record]:
        id_ = _curie(subject)
        names = self._texts(subject, _SKOS + "prefLabel")
        english = next((text for text, language in names if language in ("en", "")), None)
        if class_ == "TheoryTopic" and english is None and names:
            english = names[0][0]  # it is taught in one language
        if id_ is None or english is None:
            problem = f"needs a skos:prefLabel in English, and a name below {_EG}"
            yield Rejected(problem, subject.removeprefix(_EG), "", self._document)
            return
        others = {text for text, _ in (*names, *self._texts(subject, _SKOS + "altLabel"))} - {english}
        properties: dict[str, Value] = {"name": english}
        if others:
            properties["synonyms"] = tuple(sorted(others))
        for predicate, name in _TEXTS.items():
            if texts := self._texts(subject, predicate):
                properties[name] = texts[0][0]
        for predicate, name in _LISTS.items():
            if texts := self._texts(subject, predicate):
                properties[name] = tuple(text for text, _ in texts)
        if articles := self._texts(subject, _EG + "article"):
            properties["article"] = tuple(sorted(text for text, _ in articles))
        codes = [f"{name}={text}" for name in _CODES for text, _ in self._texts(subject, _EG + name)]
        if codes:
            properties["codes"] = tuple(codes)
        if class_ == "TrafficRule":
            authorities = [value.rpartition("/")[2] for value in self._objects(subject, _EG + "authority")]
            if authorities:
                properties["authority"] = authorities[0]
            if strengths := self._texts(subject, _EG + "strength"):
                properties["strength"] = float(strengths[0][0])
        self._known.add(id_)
        yield Entity(id_, (class_,), self._document, properties, self._document, subject.removeprefix(_EG))

    def _facts(self, subject: str) -> Iterator[Record]:
        id_, place = _curie(subject), subject.removeprefix(_EG)
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
        found = self._store.quads_for_pattern(ox.NamedNode(subject), ox.NamedNode(predicate), None)
        return [quad.object.value for quad in found if isinstance(quad.object, ox.NamedNode)]

    def _texts(self, subject: str, predicate: str) -> list[tuple[str, str]]:
        found = self._store.quads_for_pattern(ox.NamedNode(subject), ox.NamedNode(predicate), None)
        texts = [quad.object for quad in found if isinstance(quad.object, ox.Literal)]
        return sorted((text.value, text.language or "") for text in texts)


def _curie(iri: str) -> str | None:
    """`https://w3id.org/evigraph/rule/red-light` → `rule:red-light`; None for what is of no kind here."""
    prefix, slash, name = iri.removeprefix(_EG).partition("/")
    return f"{prefix}:{name}" if slash and iri.startswith(_EG) and prefix in _OF_PREFIX else None
