"""From Phenopacket messages of schema v1 and v2 to cases and groups.

Read: subject, phenotypic features, interpretations, diseases, genes, variants, pedigree, external references. Not
read, since no relation of the ontology says them: measurements, biosamples, medical actions, files.
Schema: https://phenopacket-schema.readthedocs.io (Jacobsen et al., Nat. Biotechnol. 40:817, 2022).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from ingestion.readers.base import Document
from ingestion.readers.phenopacket_files import Parsed, messages
from ingestion.readers.phenopacket_model import CandidateGene, Case, Diagnosis, Finding, Group, Time
from kg.model import Rejected

Message = Any
"""A protobuf message; the generated classes of v1 and v2 share no type that names their fields."""

Problems = list[tuple[str, str]]
"""(place, what is wrong) of what had to be left out."""

_DURATION = re.compile(r"P(?=[\dT])(\d+(\.\d+)?Y)?(\d+(\.\d+)?M)?(\d+(\.\d+)?W)?(\d+(\.\d+)?D)?(T(?=\d)[\d.HMS]+)?")
_PREFIXES = {"Orphanet": "ORPHA", "ORPHANET": "ORPHA", "orphanet": "ORPHA", "MIM": "OMIM", "hp": "HP"}
"""Spellings of CURIE prefixes → the one that HPO uses."""
_ANTENATAL_ONSET = "HP:0030674"
_SAFE = "-._~:/+@,()"
_EXPRESSIONS = ("hgvs.c", "hgvs.n", "hgvs.g", "hgvs.m", "hgvs.p", "hgvs")
"""Which notation of a variant is taken, best first."""


def parse(document: Document) -> Iterator[Case | Group | Rejected]:
    """Patients, families and cohorts of one document, in order; a group comes before its members."""
    for parsed in messages(document):
        if isinstance(parsed, Rejected):
            yield parsed
            continue
        if parsed.problem:
            reason = f"left out, the rest is loaded: {parsed.problem}"
            yield Rejected(reason, parsed.place.removesuffix("#"), "", document.id)
        yield from _parts(parsed, document)


def _parts(parsed: Parsed, document: Document) -> Iterator[Case | Group | Rejected]:
    message: Message = parsed.message
    kind = message.DESCRIPTOR.name
    if not message.id:
        yield Rejected(f"a {kind} without id", f"{parsed.place}id", str(message)[:2000], document.id)
    elif kind == "Phenopacket":
        yield _case(message, curie("phenopacket", message.id), parsed.place, ())
    else:
        packets = _packets(message, parsed.place)
        yield _group(message, packets, parsed.place)
        for id_, packet, place in packets:
            yield _case(packet, id_, place, _references(message))


def curie(prefix: str, local: str) -> str:
    """An id from a free text: what can't stand in an id is percent-encoded."""
    return f"{prefix}:{quote(local, safe=_SAFE)}"


# ---- families and cohorts -----------------------------------------------------------------------------------------


def _packets(message: Message, place: str) -> list[tuple[str, Message, str]]:
    """(patient id, packet, prefix of places) of the members that have packets."""
    if message.DESCRIPTOR.name == "Cohort":
        found = [(f"{place}members[{i}].", m) for i, m in enumerate(message.members)]
        return [(curie("phenopacket", m.id or f"{message.id}/{m.subject.id}"), m, where) for where, m in found]
    found = [(f"{place}proband.", message.proband)] if message.HasField("proband") else []
    found += [(f"{place}relatives[{i}].", r) for i, r in enumerate(message.relatives)]
    return [(_person(message, m.subject.id or m.id), m, where) for where, m in found]


def _person(family: Message, id_: str) -> str:
    """A member of a family: a pedigree knows subjects, whose ids are unique within the family only."""
    return curie("phenopacket", f"{family.id}/{id_}")


def _group(message: Message, packets: list[tuple[str, Message, str]], place: str) -> Group:
    members = {id_: (id_, m.id or m.subject.id, "", where.removesuffix(".")) for id_, m, where in packets}
    relatives: dict[tuple[str, str, str], None] = {}
    if message.DESCRIPTOR.name == "Family":
        for i, person in enumerate(message.pedigree.persons):
            id_ = _person(message, person.individual_id)
            where = f"{place}pedigree.persons[{i}]"
            members.setdefault(id_, (id_, person.individual_id, _enum(person, "sex"), where))
            for kinship, parent in (("father", person.paternal_id), ("mother", person.maternal_id)):
                if parent not in ("", "0"):  # PED files write 0 for a founder's parents
                    relatives[_person(message, parent), kinship, id_] = None
        stated = {pair for a, _, b in relatives for pair in ((a, b), (b, a))}
        for id_, _, _ in packets[1:]:
            if (id_, packets[0][0]) not in stated:
                relatives[id_, "", packets[0][0]] = None
    return Group(
        id=curie(message.DESCRIPTOR.name.lower(), message.id),
        name=message.id,
        description=getattr(message, "description", ""),
        references=_references(message),
        members=tuple(members.values()),
        relatives=tuple(relatives),
        place=place,
    )


# ---- one packet -----------------------------------------------------------------------------------------------------


def _case(packet: Message, id_: str, place: str, inherited: tuple[tuple[str, str], ...]) -> Case:
    problems: Problems = []
    subject = packet.subject
    vital = _enum(subject.vital_status, "status") if hasattr(subject, "vital_status") else ""
    return Case(
        id=id_,
        name=packet.id or subject.id,
        subject=subject.id,
        aliases=tuple(subject.alternate_ids),
        sex=_enum(subject, "sex"),
        age=_subject_age(subject, f"{place}subject", problems),
        vital_status=vital,
        findings=tuple(_findings(packet, place, problems)),
        diagnoses=tuple(_diagnoses(packet, place, problems)),
        genes=tuple(_genes(packet, place)),
        references=_references(packet) or inherited,
        place=place,
        problems=tuple(problems),
    )


def _enum(message: Message, name: str) -> str:
    """Name of an enum's value; empty for the unknown one, which is number 0 throughout the schema."""
    number: int = getattr(message, name)
    values = message.DESCRIPTOR.fields_by_name[name].enum_type.values_by_number
    return str(values[number].name) if number and number in values else ""


def _id(term: Message) -> str:
    """The id of an ontology class, its prefix spelled as HPO does."""
    prefix, colon, local = str(term.id).strip().partition(":")
    return f"{_PREFIXES.get(prefix, prefix)}{colon}{local}"


def _references(packet: Message) -> tuple[tuple[str, str], ...]:
    return tuple((r.id, " ".join(r.description.split())) for r in packet.meta_data.external_references if r.id)


def _findings(packet: Message, place: str, problems: Problems) -> Iterator[Finding]:
    for i, feature in enumerate(packet.phenotypic_features):
        where = f"{place}phenotypicFeatures[{i}]"
        if not feature.type.id:
            problems.append((where, "a feature without type.id"))
            continue
        is_v1 = hasattr(feature, "negated")
        yield Finding(
            term=_id(feature.type),
            excluded=feature.negated if is_v1 else feature.excluded,
            place=where,
            onset=_onset(feature, f"{where}.onset", packet.subject, problems),
            resolution=Time()
            if is_v1
            else _time(feature, "resolution", f"{where}.resolution", packet.subject, problems),
            severity=_id(feature.severity),
            modifiers=";".join(sorted({_id(m) for m in feature.modifiers})),
            evidence=";".join(filter(None, (_evidence(e) for e in feature.evidence))),
        )


def _evidence(evidence: Message) -> str:
    return " ".join(filter(None, (evidence.evidence_code.id, evidence.reference.id)))


def _diagnoses(packet: Message, place: str, problems: Problems) -> Iterator[Diagnosis]:
    """Those of the interpretations, then the disease list's others; an unsolved interpretation has no diagnosis."""
    listed: dict[str, Diagnosis] = {}
    for i, disease in enumerate(packet.diseases):
        where = f"{place}diseases[{i}]"
        if not disease.term.id:
            problems.append((where, "a disease without term.id"))
            continue
        id_ = _id(disease.term)
        onset = _onset(disease, f"{where}.onset", packet.subject, problems)
        listed[id_] = Diagnosis(id_, disease.term.label, getattr(disease, "excluded", False), onset, "", where)
    for i, interpretation in enumerate(getattr(packet, "interpretations", ())):
        disease = interpretation.diagnosis.disease
        progress = _enum(interpretation, "progress_status") or "UNKNOWN_PROGRESS"
        if not disease.id or progress == "UNSOLVED":
            continue
        id_ = _id(disease)
        onset = listed[id_].onset if id_ in listed else Time()
        if id_ in listed and not listed[id_].excluded:
            del listed[id_]
        where = f"{place}interpretations[{i}].diagnosis"
        yield Diagnosis(id_, disease.label, False, onset, progress, where)
    yield from listed.values()


def _genes(packet: Message, place: str) -> Iterator[CandidateGene]:
    for i, interpretation in enumerate(getattr(packet, "interpretations", ())):
        for j, call in enumerate(interpretation.diagnosis.genomic_interpretations):
            descriptor = call.variant_interpretation.variation_descriptor
            gene = call.gene if call.HasField("gene") else descriptor.gene_context
            if gene.value_id:
                status = _enum(call, "interpretation_status") or "UNKNOWN_STATUS"
                where = f"{place}interpretations[{i}].diagnosis.genomicInterpretations[{j}]"
                yield CandidateGene(gene.value_id, gene.symbol, status, _variant(descriptor), where)
    genes = getattr(packet, "genes", ())
    # v1 lists genes and variants apart; only with a single gene is it clear whose the variants are
    variants = [_v1_variant(v) for v in packet.variants] if len(genes) == 1 else []
    for i, gene in enumerate(genes):
        for variant in filter(None, variants) if any(variants) else ("",):
            yield CandidateGene(gene.id, gene.symbol, "CANDIDATE", variant, f"{place}genes[{i}]")


def _variant(descriptor: Message) -> str:
    by_syntax = {e.syntax.lower(): e.value for e in reversed(descriptor.expressions)}
    best = next((by_syntax[s] for s in _EXPRESSIONS if s in by_syntax), "")
    return str(best or " ".join(descriptor.label.split()) or descriptor.id)


def _v1_variant(variant: Message) -> str:
    kind = variant.WhichOneof("allele")
    if kind == "hgvs_allele":
        return str(variant.hgvs_allele.hgvs)
    if kind == "vcf_allele":
        allele = variant.vcf_allele
        return f"{allele.genome_assembly} {allele.chr}:{allele.pos}{allele.ref}>{allele.alt}".strip()
    return str(getattr(variant, kind).id) if kind else ""


# ---- times ----------------------------------------------------------------------------------------------------------


def _subject_age(subject: Message, place: str, problems: Problems) -> Time:
    if hasattr(subject, "time_at_last_encounter"):
        return _time(subject, "time_at_last_encounter", f"{place}.timeAtLastEncounter", subject, problems)
    if subject.HasField("age_range_at_collection"):
        span = subject.age_range_at_collection
        return _ages(span.start.age, span.end.age, f"{place}.ageRangeAtCollection", problems)
    return _ages(subject.age_at_collection.age, "", f"{place}.ageAtCollection", problems)


def _onset(message: Message, place: str, subject: Message, problems: Problems) -> Time:
    """The onset of a feature or disease, which v1 spreads over three fields."""
    if not hasattr(message, "class_of_onset"):
        return _time(message, "onset", place, subject, problems)
    if message.HasField("class_of_onset"):
        return Time(term=_id(message.class_of_onset))
    if message.HasField("age_range_of_onset"):
        return _ages(message.age_range_of_onset.start.age, message.age_range_of_onset.end.age, place, problems)
    return _ages(message.age_of_onset.age, "", place, problems)


def _time(message: Message, name: str, place: str, subject: Message, problems: Problems) -> Time:
    """A v2 TimeElement. A point in time counts from the date of birth, in whole days."""
    if not message.HasField(name):
        return Time()
    element = getattr(message, name)
    kind = element.WhichOneof("element")
    if kind == "age":
        return _ages(element.age.iso8601duration, "", place, problems)
    if kind == "age_range":
        return _ages(element.age_range.start.iso8601duration, element.age_range.end.iso8601duration, place, problems)
    if kind == "gestational_age":
        days = element.gestational_age.weeks * 7 + element.gestational_age.days
        if days < 0:
            problems.append((place, "a negative gestational age; left out"))
            return Time()
        return Time(gestational_age=f"P{days}D", term=_ANTENATAL_ONSET if name == "onset" else "")
    if kind == "ontology_class":
        return Time(term=_id(element.ontology_class))
    if kind is None:
        return Time()
    if not subject.HasField("date_of_birth"):
        problems.append((place, "a point in time of a subject without date of birth; left out"))
        return Time()
    moments = (element.timestamp,) if kind == "timestamp" else (element.interval.start, element.interval.end)
    days = [(moment.seconds - subject.date_of_birth.seconds) // 86400 for moment in moments]
    if min(days) < 0:
        problems.append((place, "a point in time before birth; left out"))
        return Time()
    return Time(age=f"P{days[0]}D", age_end=f"P{days[1]}D" if len(days) > 1 else "")


def _ages(start: str, end: str, place: str, problems: Problems) -> Time:
    for text in (start, end):
        if text and not _DURATION.fullmatch(text):
            problems.append((place, f"{text[:50]!r} is no ISO 8601 duration; left out"))
            return Time()
    return Time(age=start, age_end=end)
