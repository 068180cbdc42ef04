"""Places what a language model says in the ontology: relations and classes by their names, ends as ids or mentions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from rdflib import SH

from ingestion.mentions import MENTION, mention_id
from ingestion.readers.hpo_annotations import add_frequency
from ingestion.readers.llm_candidates import Candidate, End, Statement, Thing, Unfit, shown
from ingestion.readers.llm_words import NOTHING, clean, plain_key
from kg.model import Claim, Entity, Record, Rejected, Scalar, Value
from kg.ontology import Ontology, Relation, snake, words

UNSTATED = 0.8
"""Confidence of a claim whose model does not say how sure it is: below *high*, above *medium*."""

CONFIDENCE_WORDS = {
    "certain": 1.0, "definite": 1.0, "explicit": 1.0, "确定": 1.0,
    "very high": 0.95, "很高": 0.95,
    "high": 0.9, "strong": 0.9, "高": 0.9,
    "medium": 0.6, "moderate": 0.6, "likely": 0.6, "probable": 0.6, "中": 0.6, "中等": 0.6,
    "low": 0.3, "weak": 0.3, "possible": 0.3, "uncertain": 0.3, "低": 0.3,
    "very low": 0.1, "很低": 0.1,
}  # fmt: skip
"""How sure a model says it is, in words → confidence. Judgement."""

FREQUENCY_WORDS = {
    "obligate": "HP:0040280", "very obligate": "HP:0040280", "always": "HP:0040280",
    "very frequent": "HP:0040281", "very common": "HP:0040281", "非常常见": "HP:0040281",
    "frequent": "HP:0040282", "common": "HP:0040282", "常见": "HP:0040282",
    "occasional": "HP:0040283", "uncommon": "HP:0040283", "偶见": "HP:0040283",
    "very rare": "HP:0040284", "rare": "HP:0040284", "罕见": "HP:0040284",
    "excluded": "HP:0040285", "never": "HP:0040285",
}  # fmt: skip
"""Orphanet's classes of frequency, and plain words for them → HPO term."""
_EXCLUDED = "HP:0040285"

_CURIE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,31}:(?!//)[^\s:,;()\[\]<>\"']+")
_NAMED_CURIE = re.compile(rf"(?P<name>.*\S)\s*[(\[](?P<id>{_CURIE.pattern})[)\]]")
_TYPED = re.compile(r"(?P<name>[^()]{1,400}) \((?P<type>[A-Za-z ]{3,40})\)")
"""`Marfan syndrome (Disease)`"""
_CONFIDENCES = ("confidence", "confidencescore", "score", "certainty", "probability", "conf", "置信度")
_QUOTES = ("quote", "evidence", "evidencetext", "sentence", "supportingtext", "context", "span", "原文", "证据")
_FREQUENCIES = ("frequency", "freq", "frequencyclass", "prevalence", "频率")
_NEGATIONS = ("negated", "negation", "isnegated", "excluded", "absent")
_WEIGHTS = ("strength", "weight", "relationshipstrength")
_PHENOTYPE = "HAS_PHENOTYPE"
_MAX_QUOTE = 2000


class _MisplacedError(ValueError):
    """Why a statement has no place in the ontology."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """An end in the graph: its id, and the description that comes with it, if any."""

    id: str
    classes: frozenset[str]
    entity: Entity | None
    words: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where candidates come from.

    Attributes:
        source: id of the model's source.
        document: id of the document.
        read_in: the text that the model read, if it is told.
    """

    source: str
    document: str
    read_in: str = ""


class Placing:
    """Turns candidates into records.

    Args:
        ontology: whose relations and classes they are placed in.
    """

    def __init__(self, ontology: Ontology) -> None:
        self._ontology = ontology
        graph = ontology.graph
        self._catalogues = {str(graph.value(entry, SH.prefix)) for entry in graph.objects(None, SH.declare)}

    def is_relation(self, text: str) -> bool:
        """Whether a text names a relation."""
        return self._named(text) is not None

    def records(self, candidate: Candidate, origin: Origin) -> Iterator[Record]:
        """Entities and claim of a candidate, or `Rejected` with what keeps it from being one."""
        if not candidate.place:
            candidate = replace(candidate, place="L1")
        try:
            match candidate:
                case Statement():
                    yield from self._statement(candidate, origin)
                case Thing():
                    yield from self._thing(candidate, origin)
                case Unfit():
                    raise _MisplacedError(candidate.reason)
        except _MisplacedError as error:
            yield Rejected(str(error), candidate.place, candidate.text, origin.document)

    # ---- statements -------------------------------------------------------------------------------------------------

    def _statement(self, said: Statement, origin: Origin) -> Iterator[Record]:
        relation, inverse, own_words = self._relation(said)
        extras = {plain_key(k): v for k, v in reversed(list(said.extras.items())) if v not in (None, "", [], {})}
        confidence = _confidence(extras)
        qualifiers = self._qualifiers(extras, said.extras)
        if relation.name == _PHENOTYPE and _add_frequency(qualifiers, extras):
            relation = self._opposite(relation)
        if _negated(extras):
            relation = self._opposite(relation)
        subject, object_ = (said.object_, said.subject) if inverse else (said.subject, said.object_)
        ends = (
            self._placed(subject, relation.domain, said, origin, f"{relation.name} starts at"),
            self._placed(object_, relation.range, said, origin, f"{relation.name} ends at"),
        )
        if problem := self._ontology.check_ends(relation.name, ends[0].classes, ends[1].classes):
            raise _MisplacedError(problem)
        for end, qualifier in zip(ends, ("subject_mention", "mention"), strict=True):
            if end.words != end.id:
                qualifiers[qualifier] = end.words
        if words(own_words) != words(relation.name):
            qualifiers["predicate"] = own_words[:_MAX_QUOTE]
        if origin.read_in:
            qualifiers["read_in"] = origin.read_in
        claim = Claim(
            ends[0].id,
            relation.name,
            ends[1].id,
            origin.source,
            confidence,
            qualifiers,
            origin.document,
            said.place,
        )
        if problem := self._ontology.check_claim(claim):
            raise _MisplacedError(problem)
        yield from (end.entity for end in ends if end.entity)
        yield claim

    def _named(self, text: str) -> tuple[Relation, bool] | None:
        """A relation, and whether the text reads it from the object."""
        if relation := self._ontology.relation_named(text):
            return relation, False
        relation = self._ontology.inverse_named(text)
        return (relation, True) if relation else None

    def _relation(self, said: Statement) -> tuple[Relation, bool, str]:
        """The relation, whether it is inverse, and the model's words for it.

        Raises:
            _MisplacedError: the ontology has none of this name.
        """
        if said.relation:
            named = self._named(said.relation)
            if named is None:
                raise _MisplacedError(f"unknown relation {said.relation!r}")
            return *named, said.relation
        for hint in said.hints:
            for part in (hint, *re.split(r"[,;，；、]", hint)):
                if part.strip() and (named := self._named(part)):
                    return *named, part.strip()
        return self._ontology.relation("RELATED_TO"), False, "; ".join(said.hints)

    def _opposite(self, relation: Relation) -> Relation:
        if len(relation.contradicts) != 1:
            raise _MisplacedError(f"negated, and {relation.name} has no opposite")
        return self._ontology.relation(next(iter(relation.contradicts)))

    def _qualifiers(self, extras: Mapping[str, object], given: Mapping[str, object]) -> dict[str, Scalar]:
        """What else an item says, as far as the ontology has qualifiers of that name."""
        found: dict[str, Scalar] = {}
        quoted = next((extras[k] for k in _QUOTES if isinstance(extras.get(k), str)), None)
        if isinstance(quoted, str) and (text := clean(quoted)):
            found["quote"] = text[:_MAX_QUOTE]
        weight = next((extras[k] for k in _WEIGHTS if k in extras), None)
        if isinstance(weight, int | float) and not isinstance(weight, bool):
            found["number"] = float(weight)
        reserved = {"mention", "predicate", "quote", "read_in", "evidence", "number"}
        for key, value in given.items():
            name = snake(key)
            if name in self._ontology.qualifiers and name not in reserved and value not in (None, "", [], {}):
                value = clean(value) if isinstance(value, str) else value
                if problem := self._ontology.qualifiers[name].check(value):
                    raise _MisplacedError(problem)
                if isinstance(value, str | int | float):
                    found[name] = value
        return found

    # ---- ends -------------------------------------------------------------------------------------------------------

    def _placed(self, end: End, allowed: frozenset[str], said: Statement, origin: Origin, where: str) -> _Placed:
        """An end as an id.

        Raises:
            _MisplacedError: it can't stand there.
        """
        if not end.type and (typed := _TYPED.fullmatch(end.text)) and self._ontology.class_named(typed["type"]):
            end = replace(end, text=typed["name"], type=typed["type"])
        id_, name = _identified(end)
        class_ = self._ontology.class_named(end.type) if end.type else "Entity"
        if class_ is None and "Entity" not in allowed:
            raise _MisplacedError(f"{where} {'/'.join(sorted(allowed))}, not at {end.type!r}, which no class is named")
        stated = (end.type,) if class_ is None else ()
        entity = None
        if end.type and class_ not in self._ontology.closed_classes:
            entity = self._described(id_, class_ or "Entity", name, stated, origin, said.place)
        implied = self._ontology.classes[class_] if class_ else frozenset[str]()
        return _Placed(id_, implied, entity, name or id_)

    def _described(
        self,
        id_: str,
        class_: str,
        name: str,
        stated: tuple[str, ...],
        origin: Origin,
        place: str,
        definition: str = "",
    ) -> Entity | None:
        """What the model says of an entity; None where only the vocabulary itself may describe it.

        Raises:
            _MisplacedError: the ontology refuses it.
        """
        is_mention = id_.startswith(MENTION)
        if not is_mention and class_ in self._ontology.closed_classes:
            return None
        if id_.partition(":")[0] in self._catalogues:
            name = ""  # its catalogue says what it is called; a model may have mixed up the ids
        properties: dict[str, Value] = {"name": name, "definition": definition, "stated_types": stated}
        told = {k: v for k, v in properties.items() if v}
        entity = Entity(id_, (class_,), origin.source, told, origin.document, place)
        if problem := self._ontology.check_entity(entity):
            raise _MisplacedError(problem)
        return entity

    def _thing(self, thing: Thing, origin: Origin) -> Iterator[Record]:
        id_, name = _identified(thing.end)
        named = self._ontology.class_named(thing.end.type) if thing.end.type else "Entity"
        stated = (thing.end.type,) if named is None else ()
        entity = self._described(id_, named or "Entity", name, stated, origin, thing.place, thing.description)
        if entity is not None:
            yield entity


def _identified(end: End) -> tuple[str, str]:
    """Id and name of an end; the id is made of the name unless one is given.

    Raises:
        _MisplacedError: the name can't be an id.
    """
    name = end.text
    if len(name) > 512:
        raise _MisplacedError(f"a name of {len(name):,} characters is too long")
    if "\ufffd" in name:
        raise _MisplacedError(f"{shown(name)!r} holds a broken character")
    for text in (end.id, end.text):
        if _CURIE.fullmatch(text):
            return text, name if name != text else ""
    if match := _NAMED_CURIE.fullmatch(name):
        return match["id"], match["name"]
    id_ = mention_id(name)
    if len(id_) > 512:
        raise _MisplacedError(f"a name of {len(name):,} characters is too long")
    return id_, name


def _confidence(extras: Mapping[str, object]) -> float:
    """How sure the model is: 0…1, 0…100, or in words.

    Raises:
        _MisplacedError: it says something else.
    """
    given = next((extras[k] for k in _CONFIDENCES if k in extras), None)
    if given is None:
        return UNSTATED
    value = given
    if isinstance(given, str):
        text = clean(given).rstrip("%").strip()
        if (known := CONFIDENCE_WORDS.get(words(text))) is not None:
            return known
        try:
            value = float(text) / (100 if given.strip().endswith("%") else 1)
        except ValueError:
            value = None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100:
        return float(value) if value <= 1 else value / 100
    raise _MisplacedError(f"confidence {shown(given)!r} is neither 0…1, 0…100 nor a known word")


def _negated(extras: Mapping[str, object]) -> bool:
    given = next((extras[k] for k in _NEGATIONS if k in extras), None)
    polarity = str(extras.get("polarity", "")).casefold()
    return given is True or str(given).casefold() in ("true", "yes", "1", "negated") or polarity in ("negative", "neg")


def _add_frequency(qualifiers: dict[str, Scalar], extras: Mapping[str, object]) -> bool:
    """Adds how often a phenotype is seen, in the model's own words if need be; True if it is never."""
    given = next((extras[k] for k in _FREQUENCIES if k in extras), None)
    if given is None:
        return False
    text = clean(str(given))
    if text.casefold() in NOTHING:
        return False
    if term := FREQUENCY_WORDS.get(words(text.partition("(")[0])):
        qualifiers["frequency_term"] = term
        return term == _EXCLUDED
    try:
        return add_frequency(qualifiers, text)
    except ValueError:
        qualifiers["frequency_stated"] = text[:_MAX_QUOTE]
        return False
