"""The words of the graph: entities, claims, sources (DESIGN: one claim is one source saying one fact)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Scalar = str | int | float | bool
"""A value of a property or qualifier."""

Value = Scalar | tuple[str, ...]
"""A property value: one scalar, or several strings for a multi-valued property such as `synonyms`."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who said it: a publication, a detector or LLM run, a sensor, a person.

    Attributes:
        id: CURIE such as `PMID:31675180`, or a name of your own such as `yolo:v8n@camera-7`.
        kind: one of the ontology's source kinds (`publication`, `database`, `model`, `sensor`, `person`, `document`).
        reliability: the chance in 0…1 that a claim of this source with confidence 1 is true; None takes the kind's.
        document: id of the document that describes it; a source lives as long as a document describes it.
    """

    id: str
    kind: str
    name: str = ""
    model: str = ""
    version: str = ""
    url: str = ""
    reliability: float | None = None
    document: str = ""


@dataclass(frozen=True, slots=True)
class Entity:
    """What one source says of one thing: its classes and its own properties.

    Several sources may describe one id; the graph keeps each description and shows their union.

    Attributes:
        id: CURIE, the identity in the graph.
        classes: ontology class names, e.g. `("Disease",)`; superclasses are implied.
        properties: by ontology property name; unknown names are refused.
        place: where in the document, e.g. `L17` or `phenotypicFeatures[3]`.
    """

    id: str
    classes: tuple[str, ...]
    source: str
    properties: Mapping[str, Value] = field(default_factory=dict)
    document: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """One source says one fact: (subject, relation, object), with its confidence.

    Attributes:
        relation: ontology relation in upper snake case, e.g. `HAS_PHENOTYPE`.
        confidence: 0…1, how sure the source is.
        qualifiers: what narrows the claim (frequency, onset, evidence code …), by ontology qualifier name.
        document: id of the document it was read from; the pipeline fills it in.
        place: where in the document, e.g. `L17`; not part of the claim's identity.
    """

    subject: str
    relation: str
    object: str
    source: str
    confidence: float = 1.0
    qualifiers: Mapping[str, Scalar] = field(default_factory=dict)
    document: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that could not become claims: it goes to the dead letters with its reason, and the run goes on.

    Attributes:
        is_message: `record` is a message of claims by itself, so that it can be tried again without what it was in.
    """

    reason: str
    place: str
    record: str = ""
    document: str = ""
    is_message: bool = False


Record = Source | Entity | Claim | Rejected
"""What a reader yields."""
