"""Checks records against the ontology and its controlled vocabularies, and brings obsolete ids up to date."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rdflib import RDFS, URIRef

from ingestion.identifiers import Identifiers
from ingestion.mentions import MENTION, Mentions
from ingestion.names import Match
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected, Scalar, Source
from kg.ontology import EG, Ontology
from kg.store import GraphStore

ORIGINAL_ID = "original_id"
"""Qualifier that keeps the id which the record named."""

MAX_REMEMBERED = 1_000_000
"""Entities of one document whose classes are remembered, to check claims about them; later ones are not checked."""


class VocabularyResolver:
    """Lets a claim pass only if it fits the ontology and names live members of closed vocabularies.

    A vocabulary is what the graph and the records so far describe as members of a closed class. An obsolete id with
    one replacement is replaced; one that was split, or that is unknown, is refused. It must see every record in order,
    also those that are committed already, so that a resumed run decides as an uninterrupted one would.

    Args:
        ontology: what records have to comply with.
        mentions: whether records may name things by words only; then the names in the graph are read too.
    """

    def __init__(self, ontology: Ontology, *, mentions: bool = False) -> None:
        self.ontology = ontology
        self._identifiers = Identifiers(ontology)
        self._mentions = Mentions(ontology, self._identifiers) if mentions else None
        closed = ontology.closed_classes
        self._closed = closed
        self._relations = {r.name for r in ontology.relations.values() if r.range <= closed}
        self._qualifiers: dict[str, str] = {}
        self._lists: dict[str, str] = {}
        for name, qualifier in ontology.qualifiers.items():
            iri = URIRef(qualifier.iri)
            for found, predicate in ((self._qualifiers, RDFS.range), (self._lists, EG.itemsFrom)):
                class_ = str(ontology.graph.value(iri, predicate)).removeprefix(str(EG))
                if class_ in closed:
                    found[name] = class_
        self._members: dict[str, frozenset[str]] = {}
        self._obsolete: dict[str, tuple[str, ...]] = {}
        self._local: dict[str, frozenset[str]] = {}
        self._refused: set[str] = set()
        self._implied: dict[tuple[str, ...], frozenset[str]] = {}

    # ---- learning -------------------------------------------------------------------------------------------------

    async def learn(self, store: GraphStore, stale: Iterable[str] = ()) -> None:
        """Reads the closed vocabularies from the graph (by label, not the whole graph), forgetting what it knew.

        Args:
            store: the graph.
            stale: documents that have changed and are about to be read anew: what only they say is left out.
        """
        parameters = {"stale": sorted(stale)}
        if self._mentions is not None:
            await self._mentions.learn(store)
        self._members.clear()
        self._obsolete.clear()
        tops = [c for c in sorted(self._closed) if not (self.ontology.classes[c] - {c}) & self._closed]
        for label in tops:
            query = (
                f"MATCH (n:{label}) WHERE any(d IN n.documents WHERE NOT d IN $stale) "
                "RETURN n.id AS id, labels(n) AS labels, n.obsolete AS obsolete"
            )
            async for row in store.read(query, parameters, timeout_s=60.0):
                self._describe(row["id"], row["labels"], obsolete=bool(row["obsolete"]))
            query = (
                f"MATCH (a:{label})-[f:REPLACED_BY]->(b) WHERE any(d IN f.documents WHERE NOT d IN $stale) "
                "AND f.belief > 0 RETURN a.id AS old, b.id AS new ORDER BY old, new"
            )
            async for row in store.read(query, parameters, timeout_s=60.0):
                self._replace(row["old"], row["new"])

    def start_document(self) -> None:
        """Forgets the entities of the document before, whose records a resumed run does not see again."""
        self._local.clear()
        self._refused.clear()
        if self._mentions is not None:
            self._mentions.start_document()

    def _classes(self, names: Iterable[str]) -> frozenset[str]:
        key = tuple(names)
        if key not in self._implied:
            known = (self.ontology.classes.get(name, frozenset()) for name in key)
            self._implied[key] = frozenset().union(*known)
        return self._implied[key]

    def _describe(self, id_: str, classes: Iterable[str], *, obsolete: bool) -> None:
        implied = self._classes(classes)
        if implied & self._closed:
            if obsolete:
                self._obsolete.setdefault(id_, ())
                self._members.pop(id_, None)
            elif id_ not in self._obsolete:
                self._members[id_] = self._members.get(id_, frozenset()) | implied
        elif len(self._local) < MAX_REMEMBERED:
            self._local[id_] = self._local.get(id_, frozenset()) | implied

    def _replace(self, old: str, new: str) -> None:
        known = self._obsolete.get(old, ())
        if new not in known:
            self._obsolete[old] = (*known, new)

    # ---- checking -------------------------------------------------------------------------------------------------

    def resolve_all(self, record: Record) -> Sequence[Record]:
        """The records that may be written in place of one: more than one where it names things by their words only.

        Ids get their one spelling first (`ingestion.identifiers`).

        Raises:
            InputError: as `resolve`.
        """
        spelt = self._identifiers.one_spelling
        if isinstance(record, Claim):
            if record.object.startswith(MENTION) or record.subject.startswith(MENTION):
                return self._expand(record)
            subject, object_ = spelt(record.subject), spelt(record.object)
            if (subject, object_) != (record.subject, record.object):
                record = replace(record, subject=subject, object=object_)
        elif isinstance(record, Entity):
            if record.id.startswith(MENTION):
                return self._expand(record)
            if (id_ := spelt(record.id)) != record.id:
                record = replace(record, id=id_)
            resolved = self.resolve(record)
            if self._mentions is not None and isinstance(resolved, Entity):
                self._mentions.describe(resolved)
            return (resolved,)
        return (self.resolve(record),)

    def match(self, words: str, relation: str) -> Match | None:
        """How the words that a claim has for its object were found; None if they were not, or are an id."""
        if self._mentions is None:
            return None
        return self._mentions.index.find(words, self.ontology.relation(relation).range)

    def _expand(self, record: Claim | Entity) -> Sequence[Record]:
        """The records for one with mentions; only the first problem is told.

        Raises:
            RuntimeError: the reader did not say that it yields mentions.
        """
        if self._mentions is None:
            raise RuntimeError(f"a record with a mention from a reader without `mentions`: {record}")
        problem = self.ontology.check_claim(record) if isinstance(record, Claim) else self.ontology.check_entity(record)
        if problem is None and record.source in self._refused:
            problem = f"its source {record.source} was refused"
        if problem:
            return (_refuse(record, problem),)
        try:
            found = [self.resolve(part) for part in self._mentions.expand(record)]
        except LookupError as error:
            return (_refuse(record, str(error.args[0])),)
        if refused := [part for part in found if isinstance(part, Rejected)]:
            return refused[:1]
        self._mentions.said(found)
        return found

    def resolve(self, record: Record) -> Record:
        """The record as it may be written, or `Rejected` with the reason.

        Raises:
            InputError: a claim needs a vocabulary of which not one member is known.
        """
        if isinstance(record, Claim):
            return self._resolve_claim(record)
        if isinstance(record, Entity):
            problem = self.ontology.check_entity(record)
            if problem is None and record.source in self._refused:
                problem = f"its source {record.source} was refused"
            if problem:
                return _refuse(record, problem)
            self._describe(record.id, record.classes, obsolete=record.properties.get("obsolete") is True)
            return record
        if isinstance(record, Source) and (problem := self.ontology.check_source(record)):
            self._refused.add(record.id)
            return Rejected(problem, "", f"source {record.id}", record.document)
        return record

    def _resolve_claim(self, claim: Claim) -> Record:
        problem = self.ontology.check_claim(claim)
        if problem is None and claim.source in self._refused:
            problem = f"its source {claim.source} was refused"
        if problem:
            return _refuse(claim, problem)
        try:
            changed = self._up_to_date(claim)
        except LookupError as error:
            return _refuse(claim, str(error.args[0]))
        if problem := self.ontology.check_ends(
            changed.relation, self._classes_of(changed.subject), self._classes_of(changed.object)
        ):
            return _refuse(claim, problem)
        if changed.relation == "REPLACED_BY":
            self._replace(changed.subject, changed.object)
        return changed

    def _classes_of(self, id_: str) -> frozenset[str]:
        return self._members.get(id_) or self._local.get(id_, frozenset())

    def _up_to_date(self, claim: Claim) -> Claim:
        """The claim with live ids.

        Raises:
            LookupError: an id has no live replacement, or is not a member of the class wanted.
        """
        object_ = claim.object
        if claim.relation in self._relations and object_ not in self._members:
            object_ = self._live(object_)
        new: dict[str, Scalar] = {}
        for name, value in claim.qualifiers.items():
            if name in self._qualifiers and (live := self._member(str(value), self._qualifiers[name], name)) != value:
                new[name] = live
            elif name in self._lists:
                items = sorted({self._member(i, self._lists[name], name) for i in str(value).split(";") if i})
                if (joined := ";".join(items)) != value:
                    new[name] = joined
        if object_ != claim.object:
            new[ORIGINAL_ID] = claim.object
        if not new:
            return claim
        return replace(claim, object=object_, qualifiers={**claim.qualifiers, **new})

    def _member(self, id_: str, class_: str, qualifier: str) -> str:
        live = id_ if id_ in self._members else self._live(id_)
        if class_ not in self._members[live]:
            raise LookupError(f"{qualifier} {id_} is no {class_}")
        return live

    def _live(self, id_: str) -> str:
        """What stands for an id that is not a live member."""
        if not self._members and not self._obsolete:
            raise InputError(
                f"the graph holds no member of {', '.join(sorted(self._closed))}, so {id_} can't be checked; "
                "load the vocabulary first: evigraph ingest hpo"
            )
        seen = {id_}
        current = id_
        while current not in self._members:
            replacements = self._obsolete.get(current)
            if replacements is None:
                raise LookupError(f"unknown id {current}")
            if not replacements:
                raise LookupError(f"{current} is obsolete, and nothing replaces it")
            if len(replacements) > 1:
                raise LookupError(f"{current} is obsolete, and was split into {' and '.join(replacements)}")
            current = replacements[0]
            if current in seen:
                raise LookupError(f"{id_} is obsolete, and its replacements run in a circle")
            seen.add(current)
        return current


def _refuse(record: Claim | Entity, reason: str) -> Rejected:
    if isinstance(record, Entity):
        text = f"{record.id} {dict(record.properties)}"
    else:
        text = f"{record.subject} {record.relation} {record.object} {dict(record.qualifiers)}"
    return Rejected(reason, record.place, text, record.document)
