"""Rules of the road and what they ask for, read from Turtle: condition → effect, with article and authority.

The form is taught in `docs/traffic-rules.md`. Nothing of what a rule says is in this code.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pyoxigraph as ox

import kg
from kg.errors import InputError
from kg.turtle import EG, SKOS, instances, load_turtle, objects

_FILES = ("traffic_rules.ttl", "traffic_scenes.ttl", "traffic_signs.ttl", "traffic_limits.ttl")
KNOWLEDGE = tuple(Path(kg.__file__).parent / "knowledge" / name for name in _FILES)
"""What comes along."""

CODES = ("viennaCode", "stvoCode", "mutcdCode", "gtsrbClass")
"""Catalogues of signs."""
ROADS = ("urban", "rural", "motorway")
"""Kinds of road."""
_EFFECTS = ("forbids", "permits", "requires")
_SIGN = "authority/sign"
_SIGN_STRENGTH = 0.97


@dataclass(frozen=True, slots=True)
class Term:
    """A thing of the vocabulary: a manoeuvre, an authority, a matter.

    Attributes:
        id: without the common beginning, such as `manoeuvre/stop`.
        labels: preferred name by language; `en` is always there.
        broader: what it is an instance of.
    """

    id: str
    labels: Mapping[str, str]
    broader: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its English name."""
        return self.labels["en"]


@dataclass(frozen=True, slots=True)
class SceneConcept(Term):
    r"""What a scene may show.

    Attributes:
        names: all its names, of all languages.
        object_labels: a detector's classes that may mean it.
        zone: where a box of these has to be: `ahead`, `any`, or empty.
        phrases: lists of words that mean it where they stand in one clause; see `sentence`.
        patterns: regular expressions of a detector's classes, whose first group is a number: `^pl(\d+)$`.
        limits_speed: of a sign with a number: `maximum`, `minimum`, `end`, or empty.
        articles: of a sign: where it is laid down.
        codes: of a sign, by catalogue: `viennaCode`, `stvoCode`, `mutcdCode`, `gtsrbClass`.
    """

    names: tuple[str, ...] = ()
    object_labels: tuple[str, ...] = ()
    zone: str = ""
    phrases: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    limits_speed: str = ""
    articles: tuple[str, ...] = ()
    codes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """Where all of `when` and none of `unless` hold, the effects hold.

    Attributes:
        wording: what the rule says.
        articles: where it is laid down.
        authority: id of who lays it down.
        rank: of the authority; the larger outranks the smaller in the same matter.
        matters: ids of what it is about.
        strength: 0…1, how surely the effects hold where the conditions do.
        when, unless: ids of concepts or signs.
        forbids, permits, requires: ids of manoeuvres.
    """

    id: str
    labels: Mapping[str, str]
    wording: str
    articles: tuple[str, ...]
    authority: str
    rank: int
    matters: tuple[str, ...]
    strength: float
    when: tuple[str, ...]
    unless: tuple[str, ...]
    forbids: tuple[str, ...]
    permits: tuple[str, ...]
    requires: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its English name."""
        return self.labels["en"]


@dataclass(frozen=True, slots=True)
class DefaultLimits:
    """Speed limits of passenger cars where no sign tells.

    Attributes:
        kmh: by kind of road: urban, rural, motorway; a kind without a limit is absent.
        articles: where they are laid down.
        unit: `mph` where signs are in miles, else empty.
    """

    id: str
    kmh: Mapping[str, float]
    articles: tuple[str, ...]
    unit: str = ""


@dataclass(frozen=True)
class RuleBook:
    """All rules and their vocabulary."""

    rules: tuple[Rule, ...]
    concepts: Mapping[str, SceneConcept]
    manoeuvres: Mapping[str, Term]
    authorities: Mapping[str, Term]
    matters: Mapping[str, Term]
    contraries: Mapping[str, str]
    """Manoeuvre → the one that cannot be done where it has to be done."""
    releases: Mapping[str, str]
    """Manoeuvre → the one whose permission by a higher authority takes the duty to do it away."""
    limits: Mapping[str, DefaultLimits]
    """Country, by ISO 3166 code → its speed limits where no sign tells."""

    @cached_property
    def by_name(self) -> dict[str, SceneConcept]:
        """Lower-case name → concept."""
        return {name.casefold(): concept for concept in self.concepts.values() for name in concept.names}

    @cached_property
    def general(self) -> dict[str, tuple[str, ...]]:
        """Id of a concept or manoeuvre → itself and all that it is an instance of."""
        things: dict[str, Term] = {**self.concepts, **self.manoeuvres}
        return {name: tuple(_upwards(name, things)) for name in things}

    def most_specific(self, names: Sequence[str]) -> list[str]:
        """Without those that another of them is an instance of: one thing that is seen counts once."""
        return [name for name in names if not any(name != other and name in self.general[other] for other in names)]

    def narrower(self, manoeuvre: str) -> list[str]:
        """The manoeuvre itself and its narrower ones."""
        return [name for name in self.manoeuvres if manoeuvre in self.general[name]]


def load_rules(paths: Iterable[Path] = ()) -> RuleBook:
    """Reads the rules that come along, and more files or folders of Turtle.

    Raises:
        InputError: a file can't be read, or a rule makes no sense; names file, subject and property.
    """
    return _Reading(load_turtle([*KNOWLEDGE, *_files(paths)])).book()


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.glob("*.ttl")) if path.is_dir() else [path]


def _upwards(name: str, things: Mapping[str, Term]) -> Iterator[str]:
    todo, seen = [name], set()
    while todo:
        here = todo.pop()
        if here not in seen:
            seen.add(here)
            yield here
            todo.extend(things[here].broader if here in things else ())


class _Reading:
    def __init__(self, store: ox.Store) -> None:
        self._store = store
        self._authorities = {term: self._term(term) for term in self._all("Authority")}
        self._ranks = {term: int(self._number(term, "rank", 0, 1000)) for term in self._authorities}
        self._matters = {term: self._term(term) for term in self._all("Matter")}
        self._manoeuvres = {term: self._term(term) for term in self._all("DrivingAction")}
        self._signs = self._all("RoadSign")
        self._concepts = {term: self._concept(term) for term in (*self._all("SceneReason"), *self._signs)}

    def book(self) -> RuleBook:
        made = [self._rule(rule) for rule in self._all("TrafficRule")]
        made += [rule for rule in map(self._rule_of_sign, self._signs) if rule is not None]
        rules = tuple(sorted(made, key=lambda rule: rule.id))
        contraries = self._pairs("contrary")
        releases = contraries | self._pairs("releasedBy")
        limits = self._limits()
        return RuleBook(
            rules, self._concepts, self._manoeuvres, self._authorities, self._matters, contraries, releases, limits
        )

    def _limits(self) -> dict[str, DefaultLimits]:
        found = {}
        for subject in self._all("DefaultSpeedLimit"):
            kmh = {road: self._number(subject, road, 1, 300) for road in ROADS if self._texts(subject, EG + road)}
            found[subject.rpartition("/")[2]] = DefaultLimits(
                subject, kmh, self._texts(subject, EG + "article"), "".join(self._texts(subject, EG + "signsIn"))
            )
        return found

    def _pairs(self, name: str) -> dict[str, str]:
        found = {subject: self._known(subject, name, self._manoeuvres) for subject in self._manoeuvres}
        return {subject: objects[0] for subject, objects in found.items() if objects}

    def _rule(self, rule: str) -> Rule:
        wording = self._texts(rule, EG + "wording")
        when = self._known(rule, "when", self._concepts)
        effects = {name: self._known(rule, name, self._manoeuvres) for name in _EFFECTS}
        authority = self._known(rule, "authority", self._authorities)
        matters = self._known(rule, "matter", self._matters)
        articles = self._texts(rule, EG + "article")
        for name, found in (("when", when), ("wording", wording), ("article", articles), ("matter", matters)):
            if not found:
                raise InputError(f"rule without eg:{name}", rule)
        if len(authority) != 1:
            raise InputError("a rule has one eg:authority", rule)
        if not any(effects.values()):
            raise InputError("rule without effect: one of eg:forbids, eg:permits, eg:requires", rule)
        return Rule(
            rule,
            self._labels(rule),
            wording[0],
            articles,
            authority[0],
            self._ranks[authority[0]],
            matters,
            self._number(rule, "strength", 0.0, 1.0),
            when,
            self._known(rule, "unless", self._concepts),
            **effects,
        )

    def _rule_of_sign(self, sign: str) -> Rule | None:
        """What a sign orders, as a rule; None for a sign that only tells or warns."""
        effects = {name: self._known(sign, name, self._manoeuvres) for name in _EFFECTS}
        if not any(effects.values()):
            return None
        labels, matters = self._labels(sign), self._known(sign, "matter", self._matters)
        if not matters:
            raise InputError("sign that orders something, without eg:matter", sign)
        rank = self._ranks[_SIGN]
        articles = self._texts(sign, EG + "article")
        return Rule(
            sign,
            labels,
            f"Sign: {labels['en']}.",
            articles,
            _SIGN,
            rank,
            matters,
            _SIGN_STRENGTH,
            (sign,),
            (),
            **effects,
        )

    def _term(self, subject: str) -> Term:
        return Term(subject, self._labels(subject), self._ids(subject, SKOS + "broader"))

    def _concept(self, subject: str) -> SceneConcept:
        labels = self._labels(subject)
        return SceneConcept(
            subject,
            labels,
            self._ids(subject, SKOS + "broader"),
            (*labels.values(), *self._texts(subject, SKOS + "altLabel")),
            self._texts(subject, EG + "objectLabel"),
            "".join(self._texts(subject, EG + "zone")),
            self._texts(subject, EG + "phrase"),
            self._texts(subject, EG + "labelPattern"),
            "".join(self._texts(subject, EG + "limitsSpeed")),
            self._texts(subject, EG + "article"),
            {name: "".join(self._texts(subject, EG + name)) for name in CODES if self._texts(subject, EG + name)},
        )

    def _all(self, name: str) -> list[str]:
        return [_short(iri) for iri in instances(self._store, EG + name)]

    def _values(self, subject: str, predicate: str) -> list[ox.NamedNode | ox.Literal]:
        return objects(self._store, EG + subject, predicate)

    def _ids(self, subject: str, predicate: str) -> tuple[str, ...]:
        return tuple(sorted(_short(value.value) for value in self._values(subject, predicate)))

    def _texts(self, subject: str, predicate: str) -> tuple[str, ...]:
        return tuple(sorted(value.value for value in self._values(subject, predicate) if isinstance(value, ox.Literal)))

    def _labels(self, subject: str) -> dict[str, str]:
        values = self._values(subject, SKOS + "prefLabel")
        labels = {value.language or "en": value.value for value in values if isinstance(value, ox.Literal)}
        if "en" not in labels:
            raise InputError("needs a skos:prefLabel in English", subject)
        return dict(sorted(labels.items()))

    def _known(self, subject: str, name: str, things: Mapping[str, object]) -> tuple[str, ...]:
        found = self._ids(subject, EG + name)
        for thing in found:
            if thing not in things:
                raise InputError(f"eg:{name} names {thing}, which nothing defines", subject)
        return found

    def _number(self, subject: str, name: str, least: float, most: float) -> float:
        values: Sequence[str] = self._texts(subject, EG + name)
        try:
            (value,) = (float(value) for value in values)
        except ValueError:
            raise InputError(f"needs one number as eg:{name}, not {list(values)}", subject) from None
        if not least <= value <= most:
            raise InputError(f"eg:{name} must be in {least}…{most}, not {value}", subject)
        return value


def _short(iri: str) -> str:
    if not iri.startswith(EG):
        raise InputError(f"is no name below {EG}", iri)
    return iri.removeprefix(EG)
