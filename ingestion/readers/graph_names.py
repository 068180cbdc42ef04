"""How the words of foreign graphs and tables are matched with the ontology, and their values brought to its types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote

from kg.model import Scalar, Value
from kg.ontology import Ontology, Property, words
from kg.rdf_terms import Terms

CONFIDENCE = "confidence"
STATED_TYPES = "stated_types"
"""Property that keeps what a source calls a thing, where no class has that name."""

_CURIE = re.compile(r"[A-Za-z][\w.+-]*:\S+")
_SAFE = "/:@!$'()*,;=+&~"
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}(?:\.0+)?")
_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_PROPERTY_ALIASES = {
    "label": "name",
    "title": "name",
    "alias": "synonyms",
    "aliases": "synonyms",
    "synonym": "synonyms",
    "description": "definition",
    "xref": "xrefs",
    "lat": "latitude",
    "lon": "longitude",
    "lng": "longitude",
}
_QUALIFIER_ALIASES = {"weight": "number"}
_ID_NAMES = ("id", "curie", "iri", "uri", "identifier")

Problem = tuple[str, str]
"""Name of a property or qualifier that could not be taken, and why."""


@cache
def shipped_ontology() -> Ontology:
    """The ontology of the package, read once."""
    return Ontology.load()


def escape(text: str) -> str:
    """Text as a part of an id: without blanks."""
    return quote(text, safe=_SAFE)


class GraphNames:
    """Finds classes, relations, properties and qualifiers by what others call them: any case, snake or camel."""

    def __init__(self, ontology: Ontology) -> None:
        self.ontology = ontology
        self._terms = Terms(ontology)
        self._properties = {words(name): known for name, known in ontology.properties.items()}
        self._qualifiers = {words(name): known for name, known in ontology.qualifiers.items()}

    # ---- names ----------------------------------------------------------------------------------------------------

    def class_(self, label: str) -> str | None:
        """The class of entities that a label names; None if none does."""
        found = self.ontology.class_named(label)
        return found if found is not None and "Entity" in self.ontology.classes[found] else None

    def classes(self, labels: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The classes that labels name, `Entity` if none does; and the labels that name none."""
        known: dict[str, None] = {}
        unknown: dict[str, None] = {}
        for label in labels:
            found = self.class_(label)
            if found is None:
                unknown[label] = None
            else:
                known[found] = None
        return tuple(known) or ("Entity",), tuple(unknown)

    def implied(self, classes: Iterable[str]) -> frozenset[str]:
        """Classes with their superclasses."""
        return frozenset().union(*(self.ontology.classes[name] for name in classes))

    def relation(self, text: str) -> tuple[str, bool] | None:
        """The relation that a text names, and whether it is read from the object to the subject; None if none is."""
        if found := self.ontology.relation_named(text):
            return found.name, False
        if found := self.ontology.inverse_named(text):
            return found.name, True
        return None

    def property_(self, name: str, implied: frozenset[str]) -> Property | None:
        """The property of these classes that is called so; None if there is none."""
        wanted = words(name)
        for found in (self._properties.get(wanted), self.ontology.properties.get(_PROPERTY_ALIASES.get(wanted, ""))):
            if found is not None and found.domain & implied:
                return found
        return None

    def qualifier(self, name: str) -> Property | None:
        """The qualifier that is called so; None if there is none."""
        wanted = words(name)
        return self._qualifiers.get(wanted) or self.ontology.qualifiers.get(_QUALIFIER_ALIASES.get(wanted, ""))

    # ---- values ---------------------------------------------------------------------------------------------------

    def properties(
        self, given: Mapping[str, object], classes: Iterable[str]
    ) -> tuple[dict[str, Value], tuple[Problem, ...]]:
        """Properties of an entity of some classes, and what could not be taken. None stands for no value.

        Several names for one thing make the first its name and the others synonyms.
        """
        implied = self.implied(classes)
        found: dict[str, Value] = {}
        problems: list[Problem] = []
        names: list[str] = []
        for name, value in sorted(given.items(), key=lambda item: words(item[0]) not in self._properties):
            if value is None:
                continue
            known = self.property_(name, implied)
            if known is None:
                belongs = "unknown property" if words(name) not in self._properties else "a property of other classes"
                problems.append((name, f"{belongs}: {name!r}"))
                continue
            try:
                converted = convert(value, known)
            except ValueError as error:
                problems.append((name, str(error)))
                continue
            if known.name in found and not known.multi:
                if known.name == "name":
                    names.append(str(converted))
                elif found[known.name] != converted:
                    problems.append((name, f"{known.name} is given twice, with different values"))
            elif known.multi:
                found[known.name] = (*_texts(found.get(known.name)), *_texts(converted))
            else:
                found[known.name] = converted
        if names := [n for n in dict.fromkeys(names) if n not in (found["name"], *_texts(found.get("synonyms")))]:
            found["synonyms"] = (*_texts(found.get("synonyms")), *names)
        return found, tuple(problems)

    def qualifiers(self, given: Mapping[str, object]) -> tuple[dict[str, Scalar], tuple[Problem, ...]]:
        """Qualifiers of a claim, and what could not be taken."""
        found: dict[str, Scalar] = {}
        problems: list[Problem] = []
        for name, value in given.items():
            if value is None:
                continue
            known = self.qualifier(name)
            if known is None:
                problems.append((name, f"unknown qualifier: {name!r}"))
            elif known.name in found:
                problems.append((name, f"{known.name} is given twice"))
            else:
                try:
                    found[known.name] = _scalar(value, known)
                except ValueError as error:
                    problems.append((name, str(error)))
        return found, tuple(problems)

    # ---- ids ------------------------------------------------------------------------------------------------------

    def id(self, text: str) -> str | None:
        """The CURIE that a text is, or that an IRI is by the ontology's prefixes; another IRI as it is; else None."""
        if text.startswith(("http://", "https://")):
            try:
                return self._terms.id(text)
            except ValueError:
                return escape(text)
        return text if _CURIE.fullmatch(text) else None

    def id_of(self, given: dict[str, object]) -> str | None:
        """Takes the id out of properties, if one is a CURIE or IRI; another value of `id` becomes a cross-reference."""
        for name in _ID_NAMES:
            if isinstance(text := given.get(name), str) and (found := self.id(text)):
                del given[name]
                return found
        if isinstance(own := given.get("id"), (str, int)) and "xrefs" not in given:
            del given["id"]
            given["xrefs"] = [str(own)]
        return None


def convert(value: object, known: Property) -> Value:
    """A value, often a text, as one that the property takes.

    Raises:
        ValueError: it can't be; says why, naming the property.
    """
    if not known.multi:
        return _scalar(value, known)
    items = value if isinstance(value, (list, tuple)) else [value]
    if any(isinstance(item, (dict, list)) or item is None for item in items):
        raise ValueError(f"{known.name} takes a list of strings")
    return tuple(text_of(item) for item in items)


def text_of(value: object) -> str:
    """A value as text, numbers and booleans as others write them: 5.0 as `5`, True as `true`.

    Raises:
        ValueError: it is no single value.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1 << 53 else repr(value)
    if isinstance(value, int):
        return str(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    raise ValueError(f"not a single value: {type(value).__name__}")


def confidence(value: object) -> float:
    """A confidence.

    Raises:
        ValueError: it is no number in 0…1.
    """
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        found = -1.0
    if isinstance(value, bool) or not 0.0 <= found <= 1.0:
        raise ValueError(f"confidence {str(value)[:40]!r} is not a number in 0…1")
    return found


def _texts(value: object) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()


def _scalar(value: object, known: Property) -> Scalar:
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if isinstance(value, (dict, list, tuple)):
        raise ValueError(f"{known.name} takes one value, got a {'list' if isinstance(value, list) else 'structure'}")
    type_ = known.types[0]
    found: Any = value
    try:
        if type_ is str:
            found = text_of(value)
        elif isinstance(value, str) and type_ is bool:
            found = _BOOLEANS[value.strip().lower()]
        elif isinstance(value, str) and type_ is float:
            found = float(value)
        elif isinstance(value, str) and type_ is int:
            if not _INTEGER.fullmatch(value.strip()):
                raise ValueError
            found = int(value.strip().partition(".")[0])
        elif isinstance(value, float) and type_ is int and value.is_integer():
            found = int(value)
    except (KeyError, ValueError, OverflowError):
        raise ValueError(f"{known.name} takes {type_.__name__}, got {str(value)[:40]!r}") from None
    if problem := known.check(found) if not known.multi else None:
        raise ValueError(problem)
    return found  # type: ignore[no-any-return] # checked
