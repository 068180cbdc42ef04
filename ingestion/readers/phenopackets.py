"""GA4GH Phenopackets: what is known of single patients, families and cohorts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ingestion.readers.base import Document, find_documents
from ingestion.readers.phenopacket_files import MESSAGE_EXTENSIONS, TAR_EXTENSIONS
from ingestion.readers.phenopacket_messages import parse
from ingestion.readers.phenopacket_model import CandidateGene, Case, Diagnosis, Finding, Group, Time
from kg.errors import InputError
from kg.model import Claim, Entity, Record, Rejected, Scalar, Source, Value

_PROGRESS_CONFIDENCES = {"": 1.0, "SOLVED": 1.0, "COMPLETED": 0.9, "IN_PROGRESS": 0.5, "UNKNOWN_PROGRESS": 0.5}
"""How sure a diagnosis is by the progress of its interpretation. Only *solved* claims a full explanation (schema,
`ProgressStatus`); the values are judgement. The disease list, without progress, states diagnoses made."""


class PhenopacketReader:
    """Reads schema v1 and v2, JSON and YAML: files, folders, archives; packets, families, cohorts.

    Claims about a patient cite the publication that the packet names, or else the document itself. Names of diseases
    and genes are the document's. Genes keep the id given, mostly HGNC, and their symbol as name.
    """

    name = "phenopackets"
    version = "1"
    extensions: tuple[str, ...] = (*MESSAGE_EXTENSIONS, *TAR_EXTENSIONS, ".zip")
    example = "evigraph ingest phenopackets cases/"

    def documents(self, path: Path | None = None, name: str | None = None) -> Iterator[Document]:
        """One document for each file or archive; see `Reader.documents`."""
        if path is None:
            raise InputError("reader phenopackets needs a file or folder")
        return find_documents(self, path, name)

    def read(self, document: Document) -> Iterator[Record]:
        """A group, then its members; of a patient: source, entity, findings, diagnoses, genes."""
        writer = _Writer(document)
        for item in parse(document):
            if isinstance(item, Rejected):
                yield item
            elif isinstance(item, Group):
                yield from writer.group(item)
            else:
                yield from writer.case(item)


def cases(path: Path) -> Iterator[Case | Rejected]:
    """Patients of a file, folder or archive as plain data, without a graph: for evaluation.

    Raises:
        InputError: the path is missing, holds nothing to read, or may not be read.
    """
    for document in PhenopacketReader().documents(path):
        for item in parse(document):
            if not isinstance(item, Group):
                yield item


class _Writer:
    """Records of one document; remembers which sources and names it has given already."""

    def __init__(self, document: Document) -> None:
        self._document = document.id
        self._title = document.path.name
        self._sources: set[str] = set()
        self._named: set[tuple[str, str]] = set()

    def group(self, group: Group) -> Iterator[Record]:
        source, records = self._source(group.references)
        yield from records
        place = f"{group.place}id"
        described: dict[str, Value] = {"name": group.name}
        if group.description:
            described["definition"] = group.description
        yield Entity(group.id, ("Cohort",), source, described, self._document, place)
        for id_, name, sex, where in group.members:
            properties = {"name": name} | ({"sex": sex} if sex else {})
            yield Entity(id_, ("Patient",), source, properties, self._document, where)
            yield Claim(id_, "MEMBER_OF", group.id, source, 1.0, {}, self._document, where)
        for subject, kinship, other in group.relatives:
            qualifiers = {"kinship": kinship} if kinship else {}
            where = f"{group.place}pedigree" if kinship else f"{group.place}relatives"
            yield Claim(subject, "RELATIVE_OF", other, source, 1.0, qualifiers, self._document, where)

    def case(self, case: Case) -> Iterator[Record]:
        source, records = self._source((case.publication,) if case.publication else case.references)
        yield from records
        for place, reason in case.problems:
            yield Rejected(reason, place, case.name, self._document)
        yield Entity(case.id, ("Patient",), source, _patient(case), self._document, f"{case.place}subject")
        for finding in case.findings:
            relation = "EXCLUDES_PHENOTYPE" if finding.excluded else "HAS_PHENOTYPE"
            yield self._claim(case, relation, finding.term, source, _finding(finding), finding.place)
        for diagnosis in case.diagnoses:
            yield from self._name(diagnosis.disease, "Disease", diagnosis.label, diagnosis.place)
            relation = "EXCLUDES_DIAGNOSIS" if diagnosis.excluded else "HAS_DIAGNOSIS"
            yield self._claim(
                case,
                relation,
                diagnosis.disease,
                source,
                _diagnosis(diagnosis),
                diagnosis.place,
                _PROGRESS_CONFIDENCES[diagnosis.progress],
            )
        for gene in case.genes:
            yield from self._name(gene.gene, "Gene", gene.symbol, gene.place)
            yield self._claim(case, "HAS_CANDIDATE_GENE", gene.gene, source, _gene(gene), gene.place)

    def _claim(
        self,
        case: Case,
        relation: str,
        object_: str,
        source: str,
        qualifiers: Mapping[str, Scalar],
        place: str,
        confidence: float = 1.0,
    ) -> Claim:
        return Claim(case.id, relation, object_, source, confidence, qualifiers, self._document, place)

    def _source(self, references: tuple[tuple[str, str], ...]) -> tuple[str, list[Record]]:
        """The source to cite: the first reference, or the document; with its record when it is new."""
        id_, title = references[0] if references else (self._document, self._title)
        if id_ in self._sources:
            return id_, []
        self._sources.add(id_)
        is_publication = id_.startswith(("PMID:", "PMC:", "DOI:", "doi:"))
        kind = "publication" if is_publication else "document"
        return id_, [Source(id_, kind, name=title, document=self._document)]

    def _name(self, id_: str, class_: str, name: str, place: str) -> Iterator[Record]:
        """What the document calls a disease or gene, once for each name."""
        if (id_, name) in self._named:
            return
        self._named.add((id_, name))
        source, records = self._source(())
        yield from records
        yield Entity(id_, (class_,), source, {"name": name} if name else {}, self._document, place)


def _patient(case: Case) -> dict[str, Value]:
    synonyms = tuple(dict.fromkeys(s for s in (case.subject, *case.aliases) if s and s != case.name))
    properties: dict[str, Value] = {
        "name": case.name,
        "synonyms": synonyms,
        "sex": case.sex,
        "age": case.age.age,
        "age_end": case.age.age_end,
        "gestational_age": case.age.gestational_age,
        "age_term": case.age.term,
        "vital_status": case.vital_status,
    }
    return {name: value for name, value in properties.items() if value}


def _stated(**qualifiers: str) -> dict[str, Scalar]:
    return {name: value for name, value in qualifiers.items() if value}


def _onset(onset: Time) -> dict[str, Scalar]:
    return _stated(
        onset_age=onset.age,
        onset_age_end=onset.age_end,
        onset_gestational_age=onset.gestational_age,
        onset_term=onset.term,
    )


def _finding(finding: Finding) -> dict[str, Scalar]:
    return _onset(finding.onset) | _stated(
        resolution_age=finding.resolution.age,
        severity=finding.severity,
        modifiers=finding.modifiers,
        evidence=finding.evidence,
    )


def _diagnosis(diagnosis: Diagnosis) -> dict[str, Scalar]:
    return _onset(diagnosis.onset) | _stated(progress=diagnosis.progress)


def _gene(gene: CandidateGene) -> dict[str, Scalar]:
    return _stated(interpretation=gene.interpretation, variant=gene.variant)
