"""Mentions become entities: what a reader knows by its words only is looked up by id, name and likeness.

A reader that reads words yields ids `mention:` and the words, percent-encoded (`mention_id`), in claims and in
entities that state the classes of a mention; and it says so by an attribute `mentions = True`.

What a mention becomes depends on what the graph holds when the run begins and what the run itself describes by id
before it, never on other mentions: their entities are told apart by class and normalised name alone, so that neither
the order of documents, nor a resumed run, nor a document loaded again makes a difference. Whether two of *them* are
one is for `evigraph same find` to propose.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote

from ingestion.identifiers import Identifiers
from ingestion.names import Match, NameIndex, fold, key
from kg.messages import chunks
from kg.model import Claim, Entity, Record, Scalar
from kg.ontology import Ontology
from kg.store import GraphStore

MENTION = "mention:"
NAMED = "named:"
"""Prefix of entities that are known by a mention only."""

_MAX_KEY = 300
_READ_S = 600.0


def mention_id(text: str) -> str:
    """The id under which a reader yields what it knows by these words only."""
    return MENTION + quote(text, safe="")


def named_id(class_: str, text: str) -> str:
    """Id of the entity of a class that is known by its name only: the same for names that differ in writing.

    Raises:
        LookupError: there is nothing in the text to tell it by.
    """
    folded = fold(text)
    if not folded:
        raise LookupError("an empty name")
    told_by = key(folded).replace(" ", "_") or quote(folded, safe="")
    if len(told_by) > _MAX_KEY:
        told_by = hashlib.blake2b(told_by.encode(), digest_size=16).hexdigest()
    return f"{NAMED}{class_}/{told_by}"


class Mentions:
    """Replaces mentions in the records of a run.

    Args:
        ontology: says which classes a relation's ends have, and which are closed: those get no new members.
        identifiers: brings ids to their one spelling.
        index: of what the graph holds, if it was read already.
    """

    def __init__(self, ontology: Ontology, identifiers: Identifiers, index: NameIndex | None = None) -> None:
        self._ontology = ontology
        self._identifiers = identifiers
        self.index = index or NameIndex()
        self._store: GraphStore | None = None
        """whose entities are in the index, as of `_version` but for those of the run"""
        self._version = 0
        self._of_run: set[str] = set()
        self._stated: dict[str, frozenset[str]] = {}
        """mention → the classes that the document states of it"""
        self._told: set[tuple[str, str]] = set()
        """(source, entity) of those that the document has described"""

    async def learn(self, store: GraphStore) -> None:
        """Reads the entities that have names from the graph, but for those known by mentions only.

        Of a graph that it has read before it reads again only what has changed since, by whomever. Memory grows with
        the names: about 1.5 kB an entity.
        """
        version = await store.version()
        known = store is self._store and self._version <= version
        removed = await store.removed_since(self._version) if known else None
        if removed is None:
            self.index = NameIndex()
            self._of_run.clear()
            await self._add_rows(store.read(_NAMED_ENTITIES, {"made": NAMED}, _READ_S))
        else:
            changed = self._of_run.union(removed[0])
            async for row in store.read(_CHANGED, {"since": self._version}, _READ_S):
                changed.add(row["id"])
            for id_ in changed:
                self.index.discard(id_)
            self._of_run.clear()
            for ids in chunks(sorted(changed)):
                await self._add_rows(store.read(_NAMED_OF, {"ids": ids, "made": NAMED}, _READ_S))
        self._store, self._version = store, version

    async def _add_rows(self, rows: AsyncIterator[dict[str, Any]]) -> None:
        known: dict[tuple[str, ...], frozenset[str]] = {}
        async for row in rows:
            labels = tuple(row["labels"])
            if labels not in known:
                known[labels] = frozenset(self._ontology.labels(set(labels) & self._ontology.classes.keys()))
            self._add(row["id"], known[labels], row)

    def describe(self, entity: Entity) -> None:
        """Takes in an entity that a record of the run describes by its id."""
        self._of_run.add(entity.id)
        classes = frozenset(self._ontology.labels(entity.classes))
        self._add(entity.id, classes, entity.properties)

    def _add(self, id_: str, classes: frozenset[str], properties: Mapping[str, object]) -> None:
        if properties.get("obsolete"):
            self.index.add(id_, classes, "")
        else:
            synonyms = properties.get("synonyms") or ()
            name = str(properties.get("name") or "")
            self.index.add(id_, classes, name, (str(s) for s in synonyms))  # type: ignore[attr-defined]

    def start_document(self) -> None:
        """Forgets what the document before stated."""
        self._stated.clear()
        self._told.clear()

    def said(self, records: Iterable[Record]) -> None:
        """Notes that these records are written, so that what they describe need not be described again."""
        self._told.update((r.source, r.id) for r in records if isinstance(r, Entity))

    # ---- records ----------------------------------------------------------------------------------------------------

    def expand(self, record: Claim | Entity) -> Iterator[Record]:
        """The records that stand for one with mentions: descriptions and doubts first, then itself.

        Raises:
            LookupError: a mention means no member of a closed class, or nothing says what it is.
        """
        if isinstance(record, Entity):
            yield from self._entity(record)
            return
        relation = self._ontology.relation(record.relation)
        ends = {"subject": record.subject, "object": record.object}
        qualifiers: dict[str, Scalar] = dict(record.qualifiers)
        for side, id_, wanted, qualifier in (
            ("subject", record.subject, relation.domain, "subject_mention"),
            ("object", record.object, relation.range, "mention"),
        ):
            if id_.startswith(MENTION):
                words = unquote(id_.removeprefix(MENTION))
                stated = self._stated.get(id_, frozenset())
                ends[side], described = self._resolve(words, stated, wanted, record)
                yield from described
                qualifiers[qualifier] = words
        changed = replace(record, subject=ends["subject"], object=ends["object"], qualifiers=qualifiers)
        classes = self.index.classes(changed.subject), self.index.classes(changed.object)
        if problem := self._ontology.check_ends(changed.relation, *classes):
            raise LookupError(problem)
        yield changed

    def _entity(self, record: Entity) -> Iterator[Record]:
        words = unquote(record.id.removeprefix(MENTION))
        stated = frozenset(record.classes)
        self._stated[record.id] = self._stated.get(record.id, frozenset()) | stated
        id_, described = self._resolve(words, stated, frozenset(), record)
        yield from described
        rest = {name: value for name, value in record.properties.items() if name not in ("name", "synonyms")}
        if rest and not stated <= self._ontology.closed_classes:
            yield replace(record, id=id_, properties=rest)

    def _resolve(
        self, words: str, stated: frozenset[str], wanted: frozenset[str], record: Claim | Entity
    ) -> tuple[str, list[Record]]:
        """The id for words, and what must be said of it first.

        Raises:
            LookupError: as `expand`.
        """
        classes = self._narrowed(stated, wanted)
        if id_ := self._as_id(words):
            return id_, []
        match = self.index.find(words, classes)
        if match is not None and match.id:
            return match.id, []
        if classes and classes <= self._ontology.closed_classes:
            if match is not None and match.how == "detail":  # the term is a wider one of what the words say
                return match.candidates[0][0], []
            raise LookupError(_unknown(words, classes, match))
        class_ = self._own_class(words, stated or classes)
        id_ = named_id(class_, words)
        if (record.source, id_) in self._told:
            return id_, []
        described: list[Record] = [
            Entity(
                id_,
                tuple(sorted(stated)) or (class_,),
                record.source,
                {"name": words.strip()},
                record.document,
                record.place,
            )
        ]
        described += [
            Claim(id_, "POSSIBLY_SAME", other, record.source, score, {"mention": words}, record.document, record.place)
            for other, _, score in (match.candidates if match else ())
        ]
        return id_, described

    def _as_id(self, words: str) -> str:
        """The id that the words are; empty if they are none."""
        if words in self.index:
            return words
        return self._identifiers.canonical(words) or ""

    def _narrowed(self, stated: frozenset[str], wanted: frozenset[str]) -> frozenset[str]:
        """The classes to look among: those stated where the relation takes them, else the relation's."""
        if not wanted:
            return stated
        implied = self._ontology.classes
        fitting = frozenset(c for c in stated if implied.get(c, frozenset()) & wanted)
        return fitting or wanted

    def _own_class(self, words: str, classes: frozenset[str]) -> str:
        """The class under which an entity known by its name only is kept.

        Raises:
            LookupError: several are possible.
        """
        if classes <= {"Entity"}:
            return "Concept"
        specific = [c for c in sorted(classes) if not any(c != d and c in self._ontology.classes[d] for d in classes)]
        if len(specific) > 1:
            raise LookupError(
                f"nothing is called {words!r}, and it is not said whether it is a {' or a '.join(specific)}"
            )
        return specific[0]


_ENTITY_NAMES = """WHERE (n.name IS NOT NULL OR n.synonyms IS NOT NULL) AND NOT n.id STARTS WITH $made
RETURN n.id AS id, labels(n) AS labels, n.name AS name, n.synonyms AS synonyms, n.obsolete AS obsolete"""
_NAMED_ENTITIES = f"MATCH (n:Entity) {_ENTITY_NAMES}"
_NAMED_OF = f"UNWIND $ids AS id MATCH (n:Entity {{id: id}}) {_ENTITY_NAMES}"
_CHANGED = "MATCH (n:Entity) WHERE n.version > $since RETURN n.id AS id"


def _unknown(words: str, classes: frozenset[str], match: Match | None) -> str:
    what = "/".join(sorted(classes))
    if match is None:
        return f"no {what} is called {words!r}"
    named = ", ".join(f"{id_} ({name}, {score:.2f})" for id_, name, score in match.candidates)
    if match.how == "ambiguous":
        return f"more than one {what} is called {words!r}: {named}"
    return f"no {what} is called {words!r}; the nearest: {named}"
