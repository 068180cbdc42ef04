"""The text of an answer: a template whose sentences cite evidence by number, and a check that the citations hold."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reasoning.diagnosis.answer import Answer, Result
from reasoning.diagnosis.evidence import EvidenceList, reported
from reasoning.diagnosis.explain import FindingExplained, PatientExplained
from reasoning.diagnosis.query import Named, Understood
from reasoning.diagnosis.questions import Question

_SHOWN = 5
_CITED = re.compile(r"\[(\d+)\]")
_COUNT = re.compile(r"\d+ of \d+ patients")
_WITHOUT_EVIDENCE = ("No annotation of ", "The evidence does not suffice", "Asking for ")
"""Beginnings of sentences that state nothing of the graph, or that it lacks something."""


def write(
    query: Understood, reason: str, results: Sequence[Result], questions: Sequence[Question], evidence: EvidenceList
) -> str:
    """The answer in words, a sentence a line."""
    lines = []
    if reason:
        lines.append(f"The evidence does not suffice: {reason}.")
    if results:
        lines.append(_lead(results[0], "fits best"))
        lines += _details(results[0], query)
    if len(results) > 1:
        lines.append(_lead(results[1], "comes next"))
    if questions:
        lines.append(_question(questions[0], evidence))
    return "\n".join(lines)


def _of(thing: Named | FindingExplained | PatientExplained | Result | Question) -> str:
    return f"{thing.name} ({thing.id})" if thing.name != thing.id else thing.id


def percent(share: float) -> str:
    """A probability for people."""
    return "below 1 %" if share < 0.01 else "above 99 %" if share > 0.99 else f"{share:.0%}".replace("%", " %")


def _cite(numbers: Sequence[int]) -> str:
    return "".join(f" [{number}]" for number in numbers).replace("] [", "][")


def _lead(result: Result, place: str) -> str:
    present = [f for f in result.findings if f.state == "present"]
    explained = [f for f in present if f.contribution > 0 and f.evidence]
    best = sorted(explained, key=lambda f: -f.contribution)[:_SHOWN]
    numbers = [number for finding in best for number in finding.evidence]
    numbers += [number for gene in result.genes if gene.given for number in gene.evidence]
    share = f"{len(explained)} of {len(present)} present findings fit" if present else "no finding is present"
    start = "" if numbers else "No annotation of it fits: "
    cited = _cite(sorted(set(numbers)))
    return f"{start}{_of(result)} {place}, probability {percent(result.probability)}; {share}{cited}."


def _details(result: Result, query: Understood) -> list[str]:
    present = [f for f in result.findings if f.state == "present"]
    best = sorted(present, key=lambda f: -f.contribution)[:_SHOWN]
    lines = [_fits(f, f.annotation, result) for f in best if f.contribution > 0 and f.annotation]
    lines += [
        f"{gene.name} ({gene.id}), a candidate gene, is a gene of {result.id}{_cite(gene.evidence)}."
        for gene in result.genes
        if gene.given
    ]
    lines += [
        f"{mode.name} ({mode.id}) fits the family and {result.id}{_cite(mode.evidence)}."
        for mode in result.inheritance
        if mode.fits
    ]
    lines += [
        f"{_of(patient)}, a patient with similar findings ({percent(patient.similarity)}), has {result.id}"
        f"{_cite(patient.evidence)}."
        for patient in result.alike[:1]
    ]
    unexplained = [f for f in present if f.match == "none"]
    if unexplained:
        lines.append(f"No annotation of {result.id} explains {_list([_of(f) for f in unexplained])}.")
    lines += [_speaks_against(f, f.annotation, result) for f in against(result.findings)[:_SHOWN] if f.annotation]
    if query.inheritance and result.inheritance and not any(mode.fits for mode in result.inheritance):
        modes = _list([f"{mode.name} ({mode.id})" for mode in result.inheritance])
        numbers = [number for mode in result.inheritance for number in mode.evidence]
        lines.append(f"Against {result.id}: it is known with {modes} only{_cite(numbers)}.")
    return lines


def against(findings: Sequence[FindingExplained]) -> list[FindingExplained]:
    """Findings that speak against a disease, the weightiest first."""
    return sorted((f for f in findings if f.contribution < 0), key=lambda f: f.contribution)


def _fits(finding: FindingExplained, annotation: Named, result: Result) -> str:
    what = _of(annotation)
    if finding.match == "descendant":
        what += f", a kind of {_of(finding)},"
    elif finding.match == "ancestor" and finding.through:
        what += f", which is near {_of(finding)} (both {_of(finding.through)}),"
    return f"{what} is a finding of {result.id}{_how_often(finding)}{_cite(finding.evidence)}."


def _speaks_against(finding: FindingExplained, annotation: Named, result: Result) -> str:
    if finding.state == "excluded":
        what = f"{_of(finding)} was excluded, and "
        what += "is" if annotation.id == finding.id else f"{_of(annotation)}, a kind of it, is"
        return f"Against {result.id}: {what} one of its findings{_how_often(finding)}{_cite(finding.evidence)}."
    if finding.match == "exact":
        what = f"{_of(finding)} is less frequent in it than on average"
    else:
        what = f"it explains {_of(finding)} only loosely, by {_of(annotation)}"
    return f"Against {result.id}: {what}{_how_often(finding)}{_cite(finding.evidence)}."


def _how_often(finding: FindingExplained) -> str:
    return f" ({finding.reported})" if finding.reported else ""


def _question(question: Question, evidence: EvidenceList) -> str:
    outlooks = {"yes": question.if_yes, "no": question.if_no}
    told = "; ".join(
        f"with {answer}, {outlook.name} ({outlook.id}) has {percent(outlook.probability)}"
        for answer, outlook in outlooks.items()
    )
    numbers = {n for outlook in outlooks.values() for n in evidence.cite(outlook.id, "HAS_PHENOTYPE", question.id)}
    return f"Asking for {_of(question)} would tell most: {told}{_cite(sorted(numbers))}."


def _list(items: Sequence[str]) -> str:
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def citation_problems(answer: Answer) -> list[str]:
    """Where the citations of an answer do not hold; empty if all do.

    Each number must be that of a listed evidence, which has claims; a sentence must name one end of every fact that it
    cites, and the disease or gene that the fact is about; its counts must be those of the claims; and only sentences
    that state nothing of the graph may cite nothing.
    """
    problems = []
    listed = {evidence.number: evidence for evidence in answer.evidence}
    if list(listed) != list(range(1, len(answer.evidence) + 1)):
        problems.append("evidence is not numbered from 1")
    problems += [f"[{n}] has no claims" for n, evidence in listed.items() if not evidence.claims]
    for line in answer.text.splitlines():
        numbers = [int(number) for number in _CITED.findall(line)]
        if not numbers and not line.startswith(_WITHOUT_EVIDENCE):
            problems.append(f"cites nothing: {line}")
        found = [listed[number] for number in numbers if number in listed]
        if len(found) < len(numbers):
            problems.append(f"cites what is not listed: {line}")
        for evidence in found:
            if f"{evidence.subject}" not in line and f"{evidence.object}" not in line:
                problems.append(f"[{evidence.number}] is about something else: {line}")
        said = [count for evidence in found for count in _COUNT.findall(reported(evidence.claims, str))]
        problems += [f"nobody counted {count}: {line}" for count in _COUNT.findall(line) if count not in said]
    for result in answer.results:
        cited = [(f.evidence, (result.id, f.annotation.id if f.annotation else "")) for f in result.findings]
        cited += [(gene.evidence, (gene.id, result.id)) for gene in result.genes]
        cited += [(patient.evidence, (patient.id, result.id)) for patient in result.alike]
        cited += [(term.evidence, (result.id, term.id)) for term in (*result.inheritance, *result.onset)]
        for numbers, ends in cited:
            for number in numbers:
                if number not in listed or (listed[number].subject, listed[number].object) != ends:
                    problems.append(f"[{number}] is not about {' and '.join(ends)}")
    return problems
