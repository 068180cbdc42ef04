"""RDF: Evigraph's own exports, restored as they were; graphs of others, in the words that the ontology borrows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from rdflib import OWL, RDF, RDFS, SKOS, URIRef

from ingestion.readers.base import Document, find_documents
from ingestion.readers.graph_names import STATED_TYPES, GraphNames, convert, escape, shipped_ontology
from ingestion.readers.rdf_statements import FORMATS, Said, Statements, Term, statements
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected, Source, Value
from kg.ontology import EG, Ontology, Property
from kg.rdf_import import is_of_export, read_export
from kg.rdf_terms import PROV, SCHEMA

_TYPE = str(RDF.type)
_VOCABULARIES = tuple(str(namespace) for namespace in (RDF, RDFS, OWL))
_CONCEPTS = {str(SKOS.Concept), str(OWL.Class), str(RDFS.Class)}
"""Types whose members are known by id or name alone."""
_FORMALITIES = {str(OWL.NamedIndividual), str(OWL.Thing), str(RDFS.Resource)}
"""Types that say nothing."""
_TOO_WIDE = {f"{PROV}Entity", f"{SCHEMA}Person"}
"""Types that the ontology narrows: not every member is one of its class."""
_BORROWED = {
    str(RDFS.label): "name",
    str(SKOS.prefLabel): "name",
    "http://xmlns.com/foaf/0.1/name": "name",
    "http://purl.org/dc/terms/title": "name",
    "http://www.geneontology.org/formats/oboInOwl#hasExactSynonym": "synonyms",
    "http://www.geneontology.org/formats/oboInOwl#hasDbXref": "xrefs",
    str(OWL.sameAs): "xrefs",
    "http://purl.obolibrary.org/obo/IAO_0000115": "definition",
    "http://purl.org/dc/terms/description": "definition",
    "https://schema.org/description": "definition",
    str(RDFS.comment): "definition",
}
"""Others' predicate → property, beside those that the ontology aligns its own with."""


class RdfReader:
    """Reads Turtle, N-Triples, N-Quads, TriG, JSON-LD and RDF/XML; see `docs/load/graphs.md`.

    The document is the source of what it says, and in N-Quads and TriG each named graph of what is in it. Statements
    pass through a temporary database on disk, so that memory stays bounded and their order does not matter.
    """

    name = "rdf"
    version = "1"
    extensions: tuple[str, ...] = tuple(FORMATS)
    example = "evigraph ingest rdf graph.ttl"

    def __init__(self, ontology: Ontology | None = None) -> None:
        self._ontology = ontology

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each file; see `Reader.documents`."""
        if path is None:
            raise InputError("reader rdf needs a file or folder")
        return find_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """Records of an export as it has them; else of each graph: source, entities, claims.

        Raises:
            InputError: an export is not well-formed; it is restored as a whole, or not at all.
        """
        ontology = self._ontology or shipped_ontology()
        with Statements() as spool:
            rejected = []
            for statement in statements(document):
                if isinstance(statement, Rejected):
                    rejected.append(statement)
                elif is_of_export(statement.subject):
                    yield from _restored(document, ontology)
                    return
                else:
                    spool.add(statement)
            yield Source(document.id, "document", name=document.path.name, document=document.id)
            yield from rejected
            yield from _Graphs(document, GraphNames(ontology)).records(spool)


def _restored(document: Document, ontology: Ontology) -> Iterator[Record]:
    """The records of an export, under the documents that they were read from once."""

    def well_formed() -> Iterator:  # type: ignore[type-arg] # of quads
        for statement in statements(document):
            if isinstance(statement, Rejected):
                raise InputError(statement.reason, f"{document.path.name}:{statement.place}")
            yield statement

    described: set[str] = set()
    for record in read_export(well_formed(), ontology):
        if isinstance(record, Source):
            described.add(record.id)
        elif isinstance(record, (Entity, Claim)) and record.source not in described:
            about = record.id if isinstance(record, Entity) else f"{record.subject} {record.relation} {record.object}"
            yield Rejected(f"nothing describes its source {record.source}", record.place, about, document.id)
            continue
        yield (
            Rejected(record.reason, record.place, record.record, document.id)
            if isinstance(record, Rejected)
            else record
        )


class _Graphs:
    """Makes records of others' statements."""

    def __init__(self, document: Document, names: GraphNames) -> None:
        self._document = document.id
        self._names = names
        ontology = names.ontology
        self._classes = {f"{EG}{name}": name for name in ontology.classes if "Entity" in ontology.classes[name]}
        self._classes |= dict.fromkeys(sorted(_CONCEPTS), "Concept")
        self._relations: dict[str, str] = {}
        self._properties: dict[str, list[Property]] = defaultdict(list)
        self._align()
        self._blanks: set[str] = set()
        """Blank nodes that are entities."""

    def _align(self) -> None:
        """Reads which words of others stand for the ontology's; where several do, a relation or class is not sure."""
        ontology, graph = self._names.ontology, self._names.ontology.graph
        classes: dict[str, list[str]] = defaultdict(list)
        for iri, name in list(self._classes.items()):
            for wider in graph.objects(URIRef(iri), RDFS.subClassOf):
                classes[_https(str(wider))].append(name)
        for iri, names in classes.items():
            if len(names) == 1 and not iri.startswith(str(EG)) and iri not in _TOO_WIDE:
                self._classes.setdefault(iri, names[0])
        relations: dict[str, list[str]] = defaultdict(list)
        for relation in ontology.relations.values():
            self._relations[relation.iri] = relation.name
            for wider in graph.objects(URIRef(relation.iri), RDFS.subPropertyOf):
                relations[_https(str(wider))].append(relation.name)
        self._relations |= {iri: names[0] for iri, names in relations.items() if len(names) == 1 and iri != _TYPE}
        for known in ontology.properties.values():
            self._properties[known.iri].append(known)
            for wider in graph.objects(URIRef(known.iri), RDFS.subPropertyOf):
                self._properties[_https(str(wider))].append(known)
        for iri, name in _BORROWED.items():
            self._properties[iri].append(ontology.properties[name])

    def records(self, spool: Statements) -> Iterator[Record]:
        """Sources and entities of all graphs, then claims."""
        graphs: set[str] = set()
        for graph, subject, said in spool.grouped():
            if graph and graph not in graphs:
                graphs.add(graph)
                yield Source(self._source(graph), "document", name=graph, document=self._document)
            yield from self._entity(graph, subject, said)
        for graph, subject, said in spool.grouped():
            yield from self._claims(graph, subject, said)

    # ---- entities -------------------------------------------------------------------------------------------------

    def _entity(self, graph: str, subject: str, said: Sequence[Said]) -> Iterator[Record]:
        types = [term.text for predicate, term in said if predicate == _TYPE and term.kind == "iri"]
        classes = tuple(dict.fromkeys(c for t in types if (c := self._classes.get(_https(t)))))
        unknown = [t for t in types if _https(t) not in self._classes and t not in _FORMALITIES]
        text = " ; ".join(f"<{predicate}> {term.text}" for predicate, term in said)
        if subject.startswith("_:") and not classes:
            yield self._rejected("a blank node of no class of the ontology", subject, text)
            return
        if any(t.startswith(_VOCABULARIES) for t in unknown):
            yield self._rejected(f"is no entity but a {', '.join(map(_short, unknown))}", f"<{subject}>", text)
            return
        classes = classes or ("Entity",)
        implied = self._names.implied(classes)
        properties, problems = self._described(said, implied)
        if unknown and STATED_TYPES in self._names.ontology.properties:
            properties[STATED_TYPES] = tuple(self._names.id(t) or t for t in unknown)
        if not types and not properties and not problems:
            return  # only its relations are told
        place = _place(subject)
        entity = Entity(self._id(subject), classes, self._source(graph), properties, self._document, place)
        if problem := self._names.ontology.check_entity(entity):
            yield self._rejected(problem, place, str(properties))
            return
        if subject.startswith("_:"):
            self._blanks.add(subject)
        yield entity
        for predicate, reason, text in problems:
            yield self._rejected(reason, f"{place} <{predicate}>", text)

    def _described(
        self, said: Sequence[Said], implied: frozenset[str]
    ) -> tuple[dict[str, Value], list[tuple[str, str, str]]]:
        """Properties, and (predicate, reason, text) of what could not be taken: of several names the first is kept."""
        found: dict[str, Value] = {}
        names: list[str] = []
        problems: list[tuple[str, str, str]] = []
        for predicate, term in sorted(said, key=lambda item: (_language(item[1]), item[0] not in _BORROWED)):
            known = self._property(predicate, implied)
            if known is None or term.kind in ("blank", "triple"):
                continue
            text = self._names.id(term.text) or term.text if known.multi and term.kind == "iri" else term.text
            try:
                value = convert(text, known)
            except ValueError as error:
                problems.append((predicate, str(error), term.text))
                continue
            before = found.get(known.name)
            if known.name == "name":
                names.append(str(value))
            elif isinstance(value, tuple):
                found[known.name] = (*(before if isinstance(before, tuple) else ()), *value)
            elif before is None:
                found[known.name] = value
            elif before != value:
                problems.append((predicate, f"{known.name} takes one value, and has one already", term.text))
        if names:
            found["name"] = names[0]
            known_names = (*(found["synonyms"] if isinstance(found.get("synonyms"), tuple) else ()), *names[1:])  # type: ignore[misc]
            if others := tuple(dict.fromkeys(n for n in known_names if n != names[0])):
                found["synonyms"] = others
        return found, problems

    def _property(self, predicate: str, implied: frozenset[str]) -> Property | None:
        return next((p for p in self._properties.get(_https(predicate), ()) if p.domain & implied), None)

    # ---- claims ---------------------------------------------------------------------------------------------------

    def _claims(self, graph: str, subject: str, said: Sequence[Said]) -> Iterator[Record]:
        if subject.startswith("_:") and subject not in self._blanks:
            return  # refused before, with all that is said of it
        types = [term.text for predicate, term in said if predicate == _TYPE]
        if any(t.startswith(_VOCABULARIES) and t not in _CONCEPTS | _FORMALITIES for t in types):
            return
        classes = tuple(c for t in types if (c := self._classes.get(_https(t)))) or ("Entity",)
        implied = self._names.implied(classes)
        for predicate, term in said:
            if predicate != _TYPE and (self._property(predicate, implied) is None or term.kind in ("blank", "triple")):
                yield self._claim(graph, subject, predicate, term)

    def _claim(self, graph: str, subject: str, predicate: str, term: Term) -> Record:
        place = f"{_place(subject)} <{predicate}>"
        relation = self._relations.get(_https(predicate))
        if term.kind == "triple":
            return self._rejected("quoted triples are not understood", place, term.text)
        if term.kind == "literal":
            what = f"{relation} needs an entity, not a text" if relation else f"unknown property <{predicate}>"
            if relation is None and _https(predicate) in self._properties:
                what = f"{self._properties[_https(predicate)][0].name} is a property of other classes"
            return self._rejected(what, place, term.text)
        if term.kind == "blank" and term.text not in self._blanks:
            return self._rejected("its object is a blank node of no class of the ontology", place, term.text)
        if relation is None and (term.text.startswith(_VOCABULARIES) or predicate.startswith(_VOCABULARIES)):
            return self._rejected(f"<{predicate}> relates no entities", place, term.text)
        qualifiers = {} if relation else {"predicate": self._names.id(predicate) or predicate}
        claim = Claim(
            self._id(subject),
            relation or "RELATED_TO",
            self._id(term.text),
            self._source(graph),
            1.0,
            qualifiers,
            self._document,
            place,
        )
        problem = self._names.ontology.check_claim(claim)
        return self._rejected(problem, place, term.text) if problem else claim

    # ---- names ----------------------------------------------------------------------------------------------------

    def _id(self, node: str) -> str:
        """A CURIE; the IRI itself where the ontology has no prefix for it; an id of the document's for a blank node."""
        if node.startswith("_:"):
            return f"{self._document}#{node[2:]}"
        return self._names.id(node) or escape(node)

    def _source(self, graph: str) -> str:
        return self._id(graph) if graph else self._document

    def _rejected(self, reason: str, place: str, record: str) -> Rejected:
        return Rejected(reason, place, record, self._document)


def _https(iri: str) -> str:
    """schema.org's IRIs are written both ways."""
    return f"https{iri[4:]}" if iri.startswith("http://schema.org/") else iri


def _language(term: Term) -> tuple[bool, bool, str]:
    """Sorts what has no language or is English before the rest."""
    return (term.language != "" and not term.language.startswith("en"), term.language == "", term.language)


def _place(node: str) -> str:
    return node if node.startswith("_:") else f"<{node}>"


def _short(iri: str) -> str:
    return iri.rpartition("#")[2] or iri
