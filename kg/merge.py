"""Claims of one fact, and descriptions of one entity, as the parallel lists that the database holds.

The lists are canonical: sorted by identity, one element for each. The same claims in any order and any number of
batches thus give the same properties, and `key`, a hash of the identities, tells at a glance whether two are equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from kg.belief import noisy_or
from kg.model import Claim, Entity, Source, Value
from kg.ontology import Ontology

Reliability = Callable[[str], float]
"""Source id → reliability in 0…1."""


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no blanks: one text for one value."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _key(rows: Sequence[tuple[object, ...]]) -> str:
    return hashlib.blake2b(orjson.dumps(rows), digest_size=12).hexdigest()


@dataclass(slots=True)
class FactClaims:
    """All claims of one fact: identity (source, document, qualifiers as JSON) → (confidence, place)."""

    claims: dict[tuple[str, str, str], tuple[float, str]]

    @classmethod
    def empty(cls) -> FactClaims:
        """No claims yet."""
        return cls({})

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> FactClaims:
        """Reads what `properties` wrote."""
        keys = zip(properties["sources"], properties["documents"], properties["qualifiers"], strict=True)
        rest = zip(properties["confidences"], properties["places"], strict=True)
        return cls(dict(zip(keys, rest, strict=True)))

    def add(self, claim: Claim) -> None:
        """Adds one claim; said twice, the greater confidence and the smaller place stay."""
        qualifiers = canonical_json(claim.qualifiers) if claim.qualifiers else "{}"
        self._add((claim.source, claim.document, qualifiers), float(claim.confidence), claim.place)

    def merged(self, other: FactClaims) -> FactClaims:
        """The claims of both."""
        both = FactClaims(dict(self.claims))
        for identity, (confidence, place) in other.claims.items():
            both._add(identity, confidence, place)
        return both

    def _add(self, identity: tuple[str, str, str], confidence: float, place: str) -> None:
        known = self.claims.get(identity)
        if known is not None:
            confidence, place = max(confidence, known[0]), min(place, known[1])
        self.claims[identity] = (confidence, place)

    def without(self, source: str) -> FactClaims:
        """The claims that neither come from this source nor were read from this document."""
        return FactClaims({i: c for i, c in self.claims.items() if source not in (i[0], i[1])})

    def properties(self, reliability: Reliability) -> dict[str, Any]:
        """Relationship properties, belief included, without `version`."""
        columns = self.columns()
        return {"belief": belief_of(columns, reliability), **columns}

    def columns(self) -> dict[str, Any]:
        """Relationship properties without `belief` and `version`."""
        rows = [(*identity, *rest) for identity, rest in self.claims.items()]
        if len(rows) == 1:  # as most facts have: in half the time
            columns = [[value] for value in rows[0]]
        else:
            rows.sort()
            columns = [list(column) for column in zip(*rows, strict=True)]
        sources, documents, qualifiers, confidences, places = columns
        return {
            "sources": sources,
            "confidences": confidences,
            "documents": documents,
            "qualifiers": qualifiers,
            "places": places,
            "key": _key(rows),
        }


def belief_of(columns: Mapping[str, Any], reliability: Reliability) -> float:
    """Belief of a fact, out of its properties `sources` and `confidences`."""
    return noisy_or([(s, reliability(s), c) for s, c in zip(columns["sources"], columns["confidences"], strict=True)])


@dataclass(slots=True)
class Descriptions:
    """All that sources say of one entity: (source, document, JSON of classes and properties) → place."""

    entries: dict[tuple[str, str, str], str]

    @classmethod
    def empty(cls) -> Descriptions:
        """No descriptions yet."""
        return cls({})

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> Descriptions:
        """Reads what `properties` wrote; an entity that nobody has described yet has none."""
        if not properties.get("sources"):
            return cls({})
        columns = (properties[c] for c in ("sources", "documents", "descriptions"))
        return cls(dict(zip(zip(*columns, strict=True), properties["places"], strict=True)))

    def add(self, entity: Entity) -> None:
        """Adds one description; said twice, the smaller place stays."""
        content = canonical_json({"classes": sorted(entity.classes), "properties": dict(entity.properties)})
        self._add((entity.source, entity.document, content), entity.place)

    def merged(self, other: Descriptions) -> Descriptions:
        """The descriptions of both."""
        both = Descriptions(dict(self.entries))
        for identity, place in other.entries.items():
            both._add(identity, place)
        return both

    def _add(self, identity: tuple[str, str, str], place: str) -> None:
        known = self.entries.get(identity)
        self.entries[identity] = place if known is None else min(place, known)

    def without(self, source: str) -> Descriptions:
        """The descriptions that neither come from this source nor were read from this document."""
        return Descriptions({i: p for i, p in self.entries.items() if source not in (i[0], i[1])})

    def labels(self, ontology: Ontology, reliability: Reliability) -> tuple[str, ...]:
        """Node labels: the union of the classes in all descriptions that count and their superclasses, `Entity` first.

        What a source of reliability 0 says, one in quarantine above all, is kept but does not count.
        """
        counted = (content for source, _, content in self.entries if reliability(source) > 0.0)
        return ontology.labels({c for content in counted for c in orjson.loads(content)["classes"]})

    def properties(self, ontology: Ontology, reliability: Reliability) -> dict[str, Any]:
        """Node properties without `id` and `version`: the union of what counts (as in `labels`), and all descriptions.

        A property with one value takes that of the most reliable source (of equals, the first by id); values of
        multi-valued properties are joined, sorted. A second name is kept as a synonym.
        """
        rows = sorted((*identity, place) for identity, place in self.entries.items())
        merged: dict[str, Any] = {}
        multi: dict[str, set[str]] = {}
        counted = [row for row in rows if reliability(row[0]) > 0.0]
        for _, _, content, _ in sorted(counted, key=lambda row: (-reliability(row[0]), row)):
            said: dict[str, Value] = orjson.loads(content)["properties"]
            for name, value in said.items():
                if ontology.properties[name].multi:
                    multi.setdefault(name, set()).update(value)  # type: ignore[arg-type]
                elif merged.setdefault(name, value) != value and name == "name":
                    multi.setdefault("synonyms", set()).add(str(value))
        multi.get("synonyms", set()).discard(merged.get("name", ""))
        merged |= {name: sorted(values) for name, values in multi.items() if values}
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            merged |= dict(zip(("sources", "documents", "descriptions", "places"), columns, strict=True))
        merged["key"] = _key(rows)
        return merged


def source_properties(source: Source) -> dict[str, Any]:
    """What a source says of itself: its non-empty fields, without `id` and `document`."""
    fields = ("kind", "name", "model", "version", "url", "reliability")
    return {name: value for name in fields if (value := getattr(source, name)) not in ("", None)}


@dataclass(slots=True)
class SourceDescriptions:
    """How documents describe one source: the set of (document, JSON of its properties)."""

    entries: set[tuple[str, str]]

    @classmethod
    def from_properties(cls, properties: Mapping[str, Any]) -> SourceDescriptions:
        """Reads what `properties` wrote."""
        return cls(set(zip(properties["documents"], properties["descriptions"], strict=True)))

    def add(self, source: Source) -> None:
        """Adds one description."""
        self.entries.add((source.document, canonical_json(source_properties(source))))

    def without(self, document: str) -> SourceDescriptions:
        """The descriptions by other documents."""
        return SourceDescriptions({entry for entry in self.entries if entry[0] != document})

    def properties(self, ontology: Ontology) -> dict[str, Any]:
        """Node properties without `id`; where documents differ, the first value in order stays.

        `reliability` is always there: the lowest stated, else that of the kind.
        """
        merged: dict[str, Any] = {}
        rows = sorted(self.entries)
        for name in ("kind", "name", "model", "version", "url", "reliability"):
            values = [said[name] for _, content in rows if name in (said := orjson.loads(content))]
            if values:
                merged[name] = min(values)
        merged.setdefault("reliability", ontology.source_kinds[merged["kind"]])
        documents, descriptions = map(list, zip(*rows, strict=True))
        return merged | {"documents": documents, "descriptions": descriptions, "key": _key(rows)}
