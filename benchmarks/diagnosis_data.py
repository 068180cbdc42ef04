"""What the diagnosis benchmarks run on: the HPO release that is installed, and published cases from a path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from api.phenopacket import known_cases
from ingestion.readers.hpo import HpoReader, packaged_data
from kg.model import Claim, Entity
from reasoning.diagnosis.annotations import (
    AnnotationRows,
    Aspect,
    PhenotypeAnnotations,
    build_annotations,
    stated_frequency,
)
from reasoning.diagnosis.cases import Case
from reasoning.diagnosis.notes import NoteReader

_ASPECTS = {
    "HAS_PHENOTYPE": Aspect.PHENOTYPE,
    "EXCLUDES_PHENOTYPE": Aspect.PHENOTYPE,
    "HAS_INHERITANCE": Aspect.INHERITANCE,
    "HAS_CLINICAL_COURSE": Aspect.COURSE,
}


def installed_annotations() -> PhenotypeAnnotations:
    """Annotations straight from the files, without a graph between."""
    terms: dict[str, str] = {}
    diseases: dict[str, str] = {}
    is_a: list[tuple[str, str]] = []
    replaced_by: dict[str, str] = {}
    genes: list[tuple[str, str]] = []
    statements: list[Claim] = []
    reader = HpoReader()
    for document in reader.documents():
        for record in reader.read(document):
            if isinstance(record, Entity):
                if record.id.startswith("HP:") and not record.properties.get("obsolete"):
                    terms.setdefault(record.id, str(record.properties.get("name", "")))
                elif "Disease" in record.classes:
                    name = diseases.get(record.id) or str(record.properties.get("name", ""))
                    diseases[record.id] = name
            elif isinstance(record, Claim):
                if record.relation == "IS_A":
                    is_a.append((record.subject, record.object))
                elif record.relation == "REPLACED_BY":
                    replaced_by.setdefault(record.subject, record.object)
                elif record.relation == "ASSOCIATED_WITH":
                    genes.append((record.object, record.subject))
                elif record.relation in _ASPECTS:
                    statements.append(record)
    term_at = {id_: at for at, id_ in enumerate(sorted(terms))}
    disease_at = {id_: at for at, id_ in enumerate(sorted(diseases))}
    sources = sorted({claim.source for claim in statements})
    source_at = {id_: at for at, id_ in enumerate(sources)}
    rows = []
    for claim in statements:
        term = replaced_by.get(claim.object, claim.object)
        if term in term_at:
            where = disease_at[claim.subject], term_at[term], source_at[claim.source], int(_ASPECTS[claim.relation])
            stated = stated_frequency(claim.qualifiers, excluded=claim.relation == "EXCLUDES_PHENOTYPE")
            rows.append((*where, *stated))
    disease, at, source, aspect, numerator, denominator, share, excluded = zip(*rows, strict=True)
    return build_annotations(
        terms=[(id_, terms[id_]) for id_ in term_at],
        is_a=is_a,
        replaced_by=replaced_by,
        diseases=[(id_, diseases[id_]) for id_ in disease_at],
        genes=genes,
        sources=sources,
        rows=AnnotationRows(
            np.array(disease, np.int64),
            np.array(at, np.int64),
            np.array(source, np.int64),
            np.array(aspect, np.int64),
            np.array(numerator, np.float64),
            np.array(denominator, np.float64),
            np.array(share, np.float64),
            np.array(excluded, np.bool_),
        ),
    )


def published_cases(path: Path) -> Iterator[Case]:
    """Patients of Phenopackets as the diagnosis takes them."""
    return (case for case in known_cases(path) if isinstance(case, Case))


def installed_note_reader(annotations: PhenotypeAnnotations) -> NoteReader:
    """Reads notes by all names of the installed HPO."""
    reader = HpoReader()
    synonyms: dict[str, Sequence[str]] = {}
    for document in reader.documents(packaged_data() / "hp.obo"):
        for record in reader.read(document):
            if isinstance(record, Entity) and isinstance(said := record.properties.get("synonyms"), tuple):
                synonyms.setdefault(record.id, tuple(map(str, said)))
    return NoteReader.of_terms(annotations, lambda id_: synonyms.get(id_, ()))
