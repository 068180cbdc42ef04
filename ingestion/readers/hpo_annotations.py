"""HPO's tables: `phenotype.hpoa` (diseases × terms) and `genes_to_phenotype.txt` (genes × diseases)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ingestion.readers.base import Document
from ingestion.readers.lines import lines
from kg.model import Claim, Entity, Record, Rejected, Scalar, Source

_HPOA_HEADER = (
    "database_id\tdisease_name\tqualifier\thpo_id\treference\tevidence\tonset\tfrequency\tsex\tmodifier\taspect\t"
    "biocuration"
)
_GENES_HEADER = "ncbi_gene_id\tgene_symbol\thpo_id\thpo_name\tfrequency\tdisease_id"
_RELATIONS = {
    "P": "HAS_PHENOTYPE",
    "I": "HAS_INHERITANCE",
    "C": "HAS_CLINICAL_COURSE",
    "M": "HAS_CLINICAL_MODIFIER",
    "H": "HAS_MEDICAL_HISTORY",
}
"""HPOA aspect → relation."""

CONFIDENCES = {
    "PCS": 0.95,  # published clinical study: patients were looked at and counted
    "TAS": 0.9,  # traceable author statement: an author's summary (OMIM, Orphanet), not counted
    "IEA": 0.7,  # inferred from electronic annotation: text-mined from OMIM's synopses, seen by no curator
}
"""Evidence code → confidence of the claim. The order is HPO's own ranking of its evidence; the values are judgement."""

_GENE_CONFIDENCE = 0.9  # taken over from OMIM's and Orphanet's tables, as TAS
_KINDS = {
    "PMID": "publication",
    "ISBN": "publication",
    "ISBN-10": "publication",
    "ISBN-13": "publication",
    "OMIM": "database",
    "ORPHA": "database",
    "DECIPHER": "database",
}
"""Prefix of a reference → kind of source; all else is a document."""
_RELEASE = "Human Phenotype Ontology"


def read_release(table: Path) -> str:
    """The release that a `phenotype.hpoa` states in its head; `undated` if it does not, or is not there."""
    if table.is_file():
        for item in lines(Document("", table)):
            if isinstance(item, Rejected) or not item[1].startswith("#"):
                break
            head, _, value = item[1].partition(":")
            if head == "#version":
                return value.strip()
    return "undated"


def _rows(document: Document, header: str) -> Iterator[tuple[str, str, list[str]] | Rejected]:
    """Rows of a tab-separated table as (place, line, cells), comments and header left out.

    Another header ends the table with one `Rejected`, since its columns can't be trusted; so does no header at all.
    """
    columns = header.count("\t") + 1
    header_seen = False
    for item in lines(document):
        if isinstance(item, Rejected):
            yield item
            continue
        number, line = item
        place = f"L{number}"
        if not header_seen:
            if line.startswith("#"):
                continue
            if line != header:
                yield Rejected("unknown header; the file is not read", place, line[:2000], document.id)
                return
            header_seen = True
            continue
        cells = line.split("\t")
        if len(cells) != columns:
            yield Rejected(f"{len(cells)} columns instead of {columns}", place, line[:2000], document.id)
            continue
        yield place, line, cells
    if not header_seen:
        yield Rejected("no header; the file is empty or cut off", "L1", "", document.id)


def read_annotations(document: Document) -> Iterator[Record]:
    """Rows of `phenotype.hpoa`: one claim for each reference of a row; the reference is the claim's source.

    Relation: by aspect. A row that says NOT, or that counts 0 of n patients, says that the finding was looked for and
    not found: `EXCLUDES_PHENOTYPE`, with its count.
    """
    release = read_release(document.path)
    source = f"hpo:{release}"
    yield Source(source, "database", name=_RELEASE, version=release, document=document.id)
    names: dict[str, set[str]] = {}
    sources: set[str] = set()
    for row in _rows(document, _HPOA_HEADER):
        if isinstance(row, Rejected):
            yield row
            continue
        place, line, cells = row
        try:
            relation, qualifiers = _statement(cells)
        except ValueError as error:
            yield Rejected(str(error), place, line[:2000], document.id)
            continue
        disease, name, term, references, evidence = cells[0], cells[1], cells[3], cells[4], cells[5]
        known = names.get(disease)
        if known is None:
            names[disease] = {name}
            yield Entity(disease, ("Disease",), source, {"name": name} if name else {}, document.id, place)
        elif name and name not in known:
            known.add(name)
            yield Entity(disease, ("Disease",), source, {"synonyms": (name,)}, document.id, place)
        for reference in filter(None, dict.fromkeys(references.split(";"))):
            if reference not in sources:
                sources.add(reference)
                yield _source(reference, document.id)
            yield Claim(disease, relation, term, reference, CONFIDENCES[evidence], qualifiers, document.id, place)


def _statement(cells: list[str]) -> tuple[str, dict[str, Scalar]]:
    """Relation and qualifiers of a row.

    Raises:
        ValueError: a cell is not what HPO's format allows.
    """
    _, _, negated, _, references, evidence, onset, frequency, sex, modifiers, aspect, curator = cells
    if negated not in ("", "NOT"):
        raise ValueError(f"unknown qualifier {negated!r}")
    if not references.strip(";"):
        raise ValueError("no reference")
    if evidence not in CONFIDENCES:
        raise ValueError(f"unknown evidence code {evidence!r}")
    if sex not in ("", "MALE", "FEMALE"):
        raise ValueError(f"unknown sex {sex!r}")
    if aspect not in _RELATIONS:
        raise ValueError(f"unknown aspect {aspect!r}")
    if not curator.endswith("]"):
        raise ValueError("the last column is cut off")
    qualifiers: dict[str, Scalar] = {"evidence": evidence, "aspect": aspect, "curator": curator}
    never_seen = add_frequency(qualifiers, frequency)
    if onset:
        qualifiers["onset_term"] = onset
    if sex:
        qualifiers["only_in_sex"] = sex
    if modifiers:
        qualifiers["modifiers"] = modifiers
    return "EXCLUDES_PHENOTYPE" if negated or never_seen else _RELATIONS[aspect], qualifiers


def add_frequency(qualifiers: dict[str, Scalar], text: str) -> bool:
    """Adds a frequency in any of its three notations: `HP:0040283`, `7/12`, `45%`.

    Returns:
        Whether it says that none of those looked at had the finding.

    Raises:
        ValueError: it is none of the three, or no possible count.
    """
    if not text:
        return False
    if text.startswith("HP:"):
        qualifiers["frequency_term"] = text
        return False
    if text.endswith("%"):
        share = _number(text[:-1], text)
        if not 0 <= share <= 100:
            raise ValueError(f"frequency {text} is outside 0…100 %")
        qualifiers["frequency_percent"] = share
        return share == 0
    had, slash, of = text.partition("/")
    if not (slash and had.isascii() and had.isdigit() and of.isascii() and of.isdigit()):
        raise ValueError(f"frequency {text!r} is no HPO term, count or percentage")
    if len(of) > 9 or len(had) > 9 or int(of) == 0 or int(had) > int(of):
        raise ValueError(f"frequency {text} is no possible count")
    qualifiers["frequency_numerator"] = int(had)
    qualifiers["frequency_denominator"] = int(of)
    return int(had) == 0


def _number(digits: str, text: str) -> float:
    if not digits.replace(".", "", 1).isdigit() or not digits.isascii():
        raise ValueError(f"frequency {text!r} is no HPO term, count or percentage")
    return float(digits)


def _source(reference: str, document: str) -> Source:
    prefix = reference.partition(":")[0]
    url = reference if prefix in ("http", "https") else ""
    return Source(reference, _KINDS.get(prefix, "document"), url=url, document=document)


def read_genes(document: Document, release: str) -> Iterator[Record]:
    """Genes and `ASSOCIATED_WITH` claims, gene → disease, once for each pair.

    The rows' phenotypes are not written: a row is gene → disease → phenotype multiplied out, and the second step is
    in `phenotype.hpoa` with its sources.
    """
    source = f"hpo:{release}"
    yield Source(source, "database", name=_RELEASE, version=release, document=document.id)
    genes: set[str] = set()
    diseases: set[str] = set()
    pairs: set[tuple[str, str]] = set()
    for row in _rows(document, _GENES_HEADER):
        if isinstance(row, Rejected):
            yield row
            continue
        place, line, cells = row
        gene, symbol, disease = cells[0], cells[1], cells[5]
        if (gene, disease) in pairs:
            continue
        if not gene.isdigit() or ":" not in disease:
            yield Rejected("no gene number or disease id", place, line[:2000], document.id)
            continue
        pairs.add((gene, disease))
        if gene not in genes:
            genes.add(gene)
            named = {"name": symbol} if symbol not in ("", "-") else {}
            yield Entity(f"NCBIGene:{gene}", ("Gene",), source, named, document.id, place)
        if disease not in diseases:
            diseases.add(disease)
            yield Entity(disease, ("Disease",), source, {}, document.id, place)
        yield Claim(f"NCBIGene:{gene}", "ASSOCIATED_WITH", disease, source, _GENE_CONFIDENCE, {}, document.id, place)
