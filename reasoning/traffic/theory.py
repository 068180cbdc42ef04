"""Driving theory: what holds of each sign and rule, and what it is mistaken for, read from Turtle."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyoxigraph as ox

import kg
from kg.errors import InputError
from kg.turtle import EG, SKOS, instances, load_turtle, objects

KNOWLEDGE = Path(kg.__file__).parent / "knowledge" / "driving_theory_it.ttl"
"""What comes along: Italian."""
_PREFIX = EG + "theory/"
_USERS = EG + "road-user/"


@dataclass(frozen=True, slots=True)
class Topic:
    """A sign, a signal or a rule; or a category of them.

    Attributes:
        id: `category.topic`, or `category` alone.
        kind: such as `warning`, `prohibitory`, `theory`; of the category.
        holds: sentences that are true of it.
        mistaken: sentences that are false of it.
        articles: where it is laid down.
        sign: the sign of the scene rules that it describes, or empty.
        bars: ids of the road users that it bars.
        names: of a category of signs: what they are called, such as `divieto`.
    """

    id: str
    name: str
    kind: str
    holds: tuple[str, ...]
    mistaken: tuple[str, ...]
    articles: tuple[str, ...]
    sign: str = ""
    bars: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoadUser:
    """A kind of road user.

    Attributes:
        name: its Italian name.
        names: all its Italian names, singular and plural.
        broader: the kind that it belongs to, or empty.
    """

    name: str
    names: tuple[str, ...]
    broader: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the knowledge, in the topic or category that it stands in."""

    text: str
    holds: bool
    topic: Topic


@dataclass(frozen=True)
class TheoryBook:
    """All topics and their categories."""

    categories: Mapping[str, Topic]
    topics: Mapping[str, Topic]
    road_users: Mapping[str, RoadUser]

    def broader_users(self, user: str) -> set[str]:
        """A kind of road user, and all that it belongs to."""
        found: set[str] = set()
        while user and user not in found:
            found.add(user)
            user = self.road_users[user].broader
        return found

    def road_users_in(self, text: str) -> list[tuple[str, str]]:
        """The names of road users in a text in small letters, and their kinds; the longer name goes before."""
        return [(found[0], self._user_of_name[found[0]]) for found in self._user_names.finditer(text)]

    @cached_property
    def _user_of_name(self) -> dict[str, str]:
        return {name: id_ for id_, user in self.road_users.items() for name in user.names}

    @cached_property
    def _user_names(self) -> re.Pattern[str]:
        names = sorted(self._user_of_name, key=len, reverse=True)
        return re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b")

    @cached_property
    def sentences(self) -> tuple[Sentence, ...]:
        """All of them: each category's, then its topics'."""
        everything = (*self.categories.values(), *self.topics.values())
        return tuple(
            Sentence(text, holds, topic)
            for topic in sorted(everything, key=lambda topic: topic.id)
            for holds, texts in ((True, topic.holds), (False, topic.mistaken))
            for text in texts
        )


def load_theory(paths: Iterable[Path] = (KNOWLEDGE,)) -> TheoryBook:
    """The topics of Turtle files.

    Raises:
        InputError: a file can't be read; a topic is without name, kind or articles, or in no category; names it.
    """
    store = load_turtle(paths)
    subjects = instances(store, EG + "TheoryTopic")
    if not subjects:
        raise InputError("holds no eg:TheoryTopic", ", ".join(map(str, paths)))
    users = _road_users(store)
    categories: dict[str, Topic] = {}
    topics: dict[str, Topic] = {}
    for subject in sorted(subjects, key=lambda subject: (bool(_values(store, subject, SKOS + "broader")), subject)):
        topic = _topic(store, subject, categories)
        if unknown := set(topic.bars) - set(users):
            raise InputError(f"eg:bars leads to {', '.join(sorted(unknown))}, which is no eg:RoadUserKind", topic.id)
        (topics if "." in topic.id else categories)[topic.id] = topic
    return TheoryBook(categories, topics, users)


def _road_users(store: ox.Store) -> dict[str, RoadUser]:
    users = {}
    for subject in instances(store, EG + "RoadUserKind"):
        names = _values(store, subject, SKOS + "prefLabel", "it")
        if len(names) != 1:
            raise InputError("needs one Italian skos:prefLabel", subject)
        others = _values(store, subject, SKOS + "altLabel", "it")
        broader = "".join(value.removeprefix(_USERS) for value in _values(store, subject, SKOS + "broader"))
        users[subject.removeprefix(_USERS)] = RoadUser(names[0], (names[0], *others), broader)
    if unknown := {user.broader for user in users.values() if user.broader} - set(users):
        raise InputError("is no eg:RoadUserKind", ", ".join(sorted(unknown)))
    return users


def _topic(store: ox.Store, subject: str, categories: Mapping[str, Topic]) -> Topic:
    id_ = subject.removeprefix(_PREFIX)
    broader = [value.removeprefix(_PREFIX) for value in _values(store, subject, SKOS + "broader")]
    names = _values(store, subject, SKOS + "prefLabel")
    if id_ == subject or len(names) != 1:
        raise InputError(f"needs a name below {_PREFIX} and one skos:prefLabel", id_)
    if "." in id_ and (len(broader) != 1 or broader[0] not in categories or id_.partition(".")[0] != broader[0]):
        raise InputError("needs its category, with which its name begins, as skos:broader", id_)
    above = categories[broader[0]] if broader else None
    kinds = _values(store, subject, EG + "topicKind") or ([above.kind] if above else [])
    articles = _values(store, subject, EG + "article") or (above.articles if above else ())
    if len(kinds) != 1 or not articles:
        raise InputError("needs one eg:topicKind, and eg:article", id_)
    return Topic(
        id_,
        names[0],
        kinds[0],
        tuple(_values(store, subject, EG + "holds")),
        tuple(_values(store, subject, EG + "mistaken")),
        tuple(articles),
        "".join(value.removeprefix(EG) for value in _values(store, subject, EG + "describes")),
        tuple(value.removeprefix(_USERS) for value in _values(store, subject, EG + "bars")),
        tuple(_values(store, subject, EG + "categoryName")),
    )


def _values(store: ox.Store, subject: str, predicate: str, language: str = "") -> list[str]:
    """Values in order; with a language, only texts of it."""
    found = objects(store, subject, predicate)
    return sorted(value.value for value in found if language in ("", getattr(value, "language", None)))
