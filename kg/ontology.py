"""The ontology: Turtle files from which labels, relation types, validation, JSON schema and index plans are derived.

Names are translated once, here: `eg:hasPhenotype` in Turtle is the relation type `HAS_PHENOTYPE`, the property
`eg:vitalStatus` is `vital_status`. Cypher may only hold identifiers that come from this module.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from itertools import combinations
from pathlib import Path
from typing import Any

from rdflib import OWL, RDF, RDFS, SKOS, XSD, Graph, Namespace, URIRef
from rdflib.collection import Collection
from rdflib.term import Node

from kg.belief import COMPARING, STRATEGIES
from kg.errors import OntologyError
from kg.model import Claim, Entity, Source

EG = Namespace("https://w3id.org/evigraph/")

_PYTHON_TYPES: dict[URIRef, tuple[type, ...]] = {
    XSD.string: (str,),
    XSD.duration: (str,),
    XSD.boolean: (bool,),
    XSD.integer: (int,),
    XSD.double: (float, int),
}
_JSON_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number"}
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_CURIE = re.compile(r"[^\s:]+:\S+")
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NAMESPACE = re.compile(r"^(?:\w+://\S*[/#]|[A-Za-z]\w*:(?=[A-Za-z]))")
_NO_WORD = re.compile(r"[\W_]+")
_MAX_NAME = 200
"""Characters of a text that is remembered as a name."""


def snake(name: str) -> str:
    """`vitalStatus` → `vital_status`."""
    return _WORD_START.sub("_", name).lower()


def words(text: str) -> str:
    """What names are compared by: `hasPhenotype`, `HAS_PHENOTYPE`, `biolink:has_phenotype` → `has phenotype`."""
    return _words(text) if len(text) <= _MAX_NAME else _words.__wrapped__(text)


@lru_cache(maxsize=10_000)
def _words(text: str) -> str:
    return _NO_WORD.sub(" ", snake(_NAMESPACE.sub("", text.strip()))).strip().casefold()


@dataclass(frozen=True, slots=True)
class Property:
    """A datatype property of entities, or a qualifier of claims.

    Attributes:
        types: the Python types that a value may have.
        multi: more than one value; then the value is a tuple of strings.
        domain: classes whose members may have it; empty for a qualifier.
    """

    name: str
    iri: str
    types: tuple[type, ...]
    multi: bool
    domain: frozenset[str]
    full_text: bool = False

    def check(self, value: object) -> str | None:
        """What is wrong with a value, or None."""
        if self.multi:
            if isinstance(value, (tuple, list)) and all(isinstance(item, str) for item in value):
                return None
            return f"{self.name} takes a list of strings"
        if isinstance(value, bool) and bool not in self.types:
            return f"{self.name} takes {self.types[0].__name__}, got a boolean"
        if not isinstance(value, self.types):
            return f"{self.name} takes {self.types[0].__name__}, got {type(value).__name__}"
        if isinstance(value, float) and not -1e308 < value < 1e308:
            return f"{self.name} is not a finite number"
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return f"{self.name} is beyond 64 bits"
        return None


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation type: its IRI, and the classes that its two ends may have (subclasses included).

    Attributes:
        contradicts: relations that can't hold of the same pair.
        functional: a subject has one object.
        fusion: name of the strategy that makes belief out of claims, see `kg.belief`.
    """

    name: str
    iri: str
    domain: frozenset[str]
    range: frozenset[str]
    contradicts: frozenset[str]
    domain_of: str
    functional: bool = False
    fusion: str = "noisy-or"


class Ontology:
    """The one schema, read from Turtle.

    Attributes:
        graph: the parsed triples, SHACL shapes included.
        classes: class name → names of all its superclasses, itself included.
        relations: relation types by name.
        properties: properties of entities by name.
        qualifiers: what a claim may carry, by name.
        source_kinds: kind → reliability of a source of this kind.
    """

    def __init__(
        self, graph: Graph, modules: Mapping[str, frozenset[str]], domain_classes: Mapping[str, frozenset[str]]
    ) -> None:
        self.graph = graph
        self._modules = modules
        self._domain_classes = domain_classes
        self.classes = self._read_classes()
        self.relations = self._read_relations()
        self.properties = self._read_properties(qualifiers=False)
        self.qualifiers = self._read_properties(qualifiers=True)
        self.source_kinds = {
            str(self._local(kind)): float(str(graph.value(kind, EG.reliability)))
            for kind in graph.subjects(RDF.type, EG.SourceKind)
        }

    @classmethod
    def load(cls, paths: Iterable[Path] | None = None) -> Ontology:
        """Reads Turtle files; by default those that ship with the package.

        Raises:
            OntologyError: a file is not Turtle, or names something that can't be a database identifier.
        """
        if paths is None:
            folder = resources.files("kg") / "ontologies"
            paths = sorted(Path(str(entry)) for entry in folder.iterdir() if entry.name.endswith(".ttl"))
        graph = Graph()
        modules: dict[str, frozenset[str]] = {}
        classes: dict[str, frozenset[str]] = {}
        for path in paths:
            part = Graph()
            try:
                part.parse(path, format="turtle")
            except (SyntaxError, ValueError, OSError) as error:
                raise OntologyError(f"{path}: {error}") from error
            modules[Path(path).stem] = frozenset(
                _upper(str(subject).removeprefix(str(EG)))
                for subject in part.subjects(RDF.type, OWL.ObjectProperty)
                if (subject, RDF.type, EG.Qualifier) not in part
            )
            classes[Path(path).stem] = frozenset(
                str(subject).removeprefix(str(EG))
                for subject in part.subjects(RDF.type, OWL.Class)
                if str(subject).startswith(str(EG))
            )
            graph += part
        return cls(graph, modules, classes)

    # ---- what the database needs ------------------------------------------------------------------------------

    def labels(self, classes: Iterable[str]) -> tuple[str, ...]:
        """Node labels for a set of classes: the classes and their superclasses, `Entity` first, then by name.

        Raises:
            OntologyError: a class is unknown.
        """
        found: set[str] = set()
        for name in classes:
            if name not in self.classes:
                raise OntologyError(f"unknown class {name!r}; known: {', '.join(sorted(self.classes))}")
            found |= self.classes[name]
        return ("Entity", *sorted(found - {"Entity"}))

    @cached_property
    def full_text_properties(self) -> tuple[str, ...]:
        """Entity properties that the full-text index covers."""
        return tuple(sorted(p.name for p in self.properties.values() if p.full_text))

    @cached_property
    def settled(self) -> dict[str, tuple[str, ...]]:
        """Relation → relations whose facts' belief is to be settled anew where its facts change; see `kg.groups`."""
        found: dict[str, list[str]] = {}
        for name, relation in sorted(self.relations.items()):
            if relation.fusion != "noisy-or":
                for concerned in (name, *relation.contradicts):
                    found.setdefault(concerned, []).append(name)
        return {name: tuple(names) for name, names in found.items()}

    @cached_property
    def disjoint_classes(self) -> tuple[tuple[str, str], ...]:
        """Pairs of classes that no entity may have both of, sorted."""
        pairs = {(self._local(a), self._local(b)) for a, b in self.graph.subject_objects(OWL.disjointWith)}
        for group in self.graph.subjects(RDF.type, OWL.AllDisjointClasses):
            if (members := self.graph.value(group, OWL.members)) is not None:
                names = [self._local(member) for member in Collection(self.graph, members)]
                pairs |= set(combinations(names, 2))
        return tuple(sorted({(min(pair), max(pair)) for pair in pairs}))

    @cached_property
    def closed_classes(self) -> frozenset[str]:
        """Classes whose members come from a controlled vocabulary."""
        closed = {str(self._local(c)) for c in self.graph.subjects(EG.closed, None)}
        return frozenset(closed)

    @cached_property
    def read_classes(self) -> frozenset[str]:
        """Classes whose members are looked for in texts, by their names; subclasses included."""
        read = {str(self._local(c)) for c in self.graph.subjects(EG.readInTexts, None)}
        return frozenset(name for name, above in self.classes.items() if above & read)

    def domain_relations(self, domain: str) -> tuple[str, ...]:
        """Relation types of one domain (the name of a Turtle file) and of `core`, sorted.

        Raises:
            OntologyError: no such domain.
        """
        if domain not in self._modules:
            raise OntologyError(f"unknown domain {domain!r}; known: {', '.join(sorted(self._modules))}")
        return tuple(sorted(self._modules[domain] | self._modules.get("core", frozenset())))

    def domain_classes(self, domain: str) -> frozenset[str]:
        """Classes that a domain's own Turtle file defines.

        Raises:
            OntologyError: no such domain.
        """
        self.domain_relations(domain)
        return self._domain_classes[domain]

    def relation(self, name: str) -> Relation:
        """The relation type of this name.

        Raises:
            OntologyError: no such relation.
        """
        try:
            return self.relations[name]
        except KeyError:
            known = ", ".join(sorted(self.relations))
            raise OntologyError(f"unknown relation {name!r}; known: {known}") from None

    def relation_named(self, text: str) -> Relation | None:
        """The relation of this name, `rdfs:label` or `skos:altLabel`, however spelt; None if none is."""
        return self._relations_by_words.get(words(text))

    def inverse_named(self, text: str) -> Relation | None:
        """The relation whose `owl:inverseOf` has this label: `symptom of` is `HAS_PHENOTYPE` read from the object."""
        return self._inverses_by_words.get(words(text))

    def class_named(self, text: str) -> str | None:
        """The class of this name, `rdfs:label` or `skos:altLabel`, however spelt; None if none is."""
        return self._classes_by_words.get(words(text))

    @cached_property
    def _relations_by_words(self) -> dict[str, Relation]:
        own = {words(r.name): r for r in self.relations.values()}
        return {w: r for r in self.relations.values() for w in self._labels(URIRef(r.iri))} | own

    @cached_property
    def _inverses_by_words(self) -> dict[str, Relation]:
        inverses = ((r, i) for r in self.relations.values() for i in self.graph.objects(URIRef(r.iri), OWL.inverseOf))
        return {w: relation for relation, inverse in inverses for w in self._labels(inverse)}

    @cached_property
    def _classes_by_words(self) -> dict[str, str]:
        return {w: c for c in self.classes for w in self._labels(EG[c])} | {words(c): c for c in self.classes}

    def _labels(self, node: Node) -> Iterator[str]:
        for predicate in (RDFS.label, SKOS.altLabel):
            for label in self.graph.objects(node, predicate):
                yield words(str(label))

    # ---- validation ---------------------------------------------------------------------------------------------

    def check_source(self, source: Source) -> str | None:
        """What is wrong with a source, or None."""
        if not source.id:
            return "a source needs an id"
        if source.kind not in self.source_kinds:
            return f"unknown source kind {source.kind!r}; known: {', '.join(sorted(self.source_kinds))}"
        if source.reliability is not None and not 0.0 <= source.reliability <= 1.0:
            return f"reliability {source.reliability} is outside 0…1"
        return None

    def check_entity(self, entity: Entity) -> str | None:
        """What is wrong with an entity's description, or None."""
        if problem := _check_id(entity.id, "entity id"):
            return problem
        if not entity.source:
            return "an entity's description needs a source"
        if not entity.classes:
            return "an entity needs at least one class"
        implied: set[str] = set()
        for name in entity.classes:
            if name not in self.classes:
                return f"unknown class {name!r}"
            implied |= self.classes[name]
        for name, value in entity.properties.items():
            known = self.properties.get(name)
            if known is None:
                return f"unknown property {name!r}"
            if not known.domain & implied:
                return f"property {name!r} does not belong to {', '.join(entity.classes)}"
            if problem := known.check(value):
                return problem
        return None

    def check_claim(self, claim: Claim) -> str | None:
        """What is wrong with a claim by itself (not its ends' classes), or None."""
        if claim.relation not in self.relations:
            return f"unknown relation {claim.relation!r}"
        if problem := _check_id(claim.subject, "subject") or _check_id(claim.object, "object"):
            return problem
        if not claim.source:
            return "a claim needs a source"
        if not 0.0 <= claim.confidence <= 1.0:
            return f"confidence {claim.confidence} is outside 0…1"
        for name, value in claim.qualifiers.items():
            known = self.qualifiers.get(name)
            if known is None:
                return f"unknown qualifier {name!r}"
            if problem := known.check(value):
                return problem
        return None

    def check_ends(self, relation: str, subject: frozenset[str], object_: frozenset[str]) -> str | None:
        """Whether the ends' classes (superclasses included) fit the relation; None if they do or are not known yet.

        Of what is an `Entity` and no more, the class is not known yet.
        """
        known = self.relation(relation)
        if (told := subject - {"Entity"}) and not subject & known.domain:
            return f"{relation} does not start at {'/'.join(sorted(told))}"
        if (told := object_ - {"Entity"}) and not object_ & known.range:
            return f"{relation} does not end at {'/'.join(sorted(told))}"
        return None

    def claim_json_schema(self, domain: str) -> dict[str, Any]:
        """JSON schema (2020-12) of a claim of one domain, for extractors that fill it in."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": ["subject", "relation", "object", "source"],
            "additionalProperties": False,
            "properties": {
                "subject": {"type": "string", "pattern": f"^{_CURIE.pattern}$"},
                "relation": {"enum": list(self.domain_relations(domain))},
                "object": {"type": "string", "pattern": f"^{_CURIE.pattern}$"},
                "source": {"type": "string", "minLength": 1},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                "place": {"type": "string"},
                "qualifiers": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {n: {"type": _JSON_TYPES[q.types[0]]} for n, q in sorted(self.qualifiers.items())},
                },
            },
        }

    # ---- reading ------------------------------------------------------------------------------------------------

    @staticmethod
    def _local(node: Node) -> str:
        name = str(node).removeprefix(str(EG))
        if not _IDENTIFIER.fullmatch(name):
            raise OntologyError(f"{name!r} can't be a database identifier (letters, digits and _ only)")
        return name

    def _own(self, type_: URIRef) -> list[URIRef]:
        return sorted(
            s for s in self.graph.subjects(RDF.type, type_) if isinstance(s, URIRef) and s.startswith(str(EG))
        )

    def _read_classes(self) -> dict[str, frozenset[str]]:
        own = {c: self._local(c) for c in self._own(OWL.Class) if self.graph.value(c, OWL.unionOf) is None}
        return {
            name: frozenset(own[s] for s in self.graph.transitive_objects(c, RDFS.subClassOf) if s in own)  # type: ignore[index]
            for c, name in own.items()
        }

    def _members(self, node: Node | None) -> frozenset[str]:
        """A domain or range: one class, or the members of a union."""
        if node is None:
            return frozenset({"Entity"})
        union = self.graph.value(node, OWL.unionOf)
        return frozenset(self._local(n) for n in (Collection(self.graph, union) if union else [node]))

    def _is_qualifier(self, iri: URIRef) -> bool:
        return (iri, RDF.type, EG.Qualifier) in self.graph

    def _read_relations(self) -> dict[str, Relation]:
        relations = {}
        disjoint = [(s, o) for s, o in self.graph.subject_objects(OWL.propertyDisjointWith)]
        for iri in self._own(OWL.ObjectProperty):
            if self._is_qualifier(iri):
                continue
            name = _upper(self._local(iri))
            opposed = {o for s, o in disjoint if s == iri} | {s for s, o in disjoint if o == iri}
            relations[name] = Relation(
                name=name,
                iri=str(iri),
                domain=self._members(self.graph.value(iri, RDFS.domain)),
                range=self._members(self.graph.value(iri, RDFS.range)),
                contradicts=frozenset(_upper(self._local(o)) for o in opposed),
                domain_of=next(m for m, names in self._modules.items() if name in names),
                functional=(iri, RDF.type, OWL.FunctionalProperty) in self.graph,
                fusion=self._fusion(iri, alone=not opposed),
            )
        return relations

    def _fusion(self, iri: URIRef, *, alone: bool) -> str:
        name = str(self.graph.value(iri, EG.fusion) or "noisy-or")
        if name not in STRATEGIES:
            known = ", ".join(sorted(STRATEGIES))
            raise OntologyError(f"eg:{self._local(iri)}: unknown eg:fusion {name!r}; known: {known}")
        if name in COMPARING and alone and (iri, RDF.type, OWL.FunctionalProperty) not in self.graph:
            reason = "the property is neither functional nor disjoint with another, so that facts have no competitors"
            raise OntologyError(f"eg:{self._local(iri)}: eg:fusion {name!r} compares, but {reason}")
        return name

    def _read_properties(self, *, qualifiers: bool) -> dict[str, Property]:
        found = {}
        candidates = set(self._own(OWL.DatatypeProperty)) | set(self._own(EG.Qualifier))
        for iri in sorted(candidates):
            if self._is_qualifier(iri) != qualifiers:
                continue
            range_ = self.graph.value(iri, RDFS.range)
            name = snake(self._local(iri))
            found[name] = Property(
                name=name,
                iri=str(iri),
                types=_PYTHON_TYPES.get(range_, (str,)) if isinstance(range_, URIRef) else (str,),
                multi=not qualifiers and (iri, RDF.type, OWL.FunctionalProperty) not in self.graph,
                domain=frozenset() if qualifiers else self._members(self.graph.value(iri, RDFS.domain)),
                full_text=bool(self.graph.value(iri, EG.fullText)),
            )
        return found


def _upper(local: str) -> str:
    return snake(local).upper()


def _check_id(value: str, what: str) -> str | None:
    if len(value) > 512:
        return f"{what} is longer than 512 characters"
    if not _CURIE.fullmatch(value):
        return f"{what} {value!r} is not a CURIE such as HP:0001250"
    return None
