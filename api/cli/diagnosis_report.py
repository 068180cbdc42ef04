"""How `evigraph diagnose` shows an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.common import out, table
from reasoning.diagnosis.answer import Answer, Result
from reasoning.diagnosis.explain import FindingExplained
from reasoning.diagnosis.query import Understood
from reasoning.diagnosis.questions import Question
from reasoning.diagnosis.write import percent

_SOURCES = 4


def print_report(answer: Answer) -> None:
    """Prints what was understood, the ranking, the first disease's evidence, what to ask next, and the text."""
    console = out()
    _print_query(console, answer.query)
    console.print(_ranking(answer))
    if answer.results:
        _print_titled(console, f"Why {answer.results[0].name}", _why(answer.results[0]))
    if answer.next_questions:
        _print_titled(console, "What to look for next", _questions(answer.next_questions))
    console.print(Text("In words", "bold"))
    for line in answer.text.splitlines():
        console.print(f"  {line}")
    _print_evidence(console, answer)
    console.print(
        f"\n{answer.ranked:,} diseases ranked; none of these: {percent(answer.none_of_these)}; "
        f"graph version {answer.graph_version}, model {answer.model_version}"
    )


def _print_titled(console: Console, title: str, shown: Table) -> None:
    console.print(Text(title, "bold"))
    console.print(shown)


def _print_query(console: Console, query: Understood) -> None:
    for label, things in (
        ("present", query.present),
        ("excluded", query.excluded),
        ("genes", query.genes),
        ("inheritance", query.inheritance),
    ):
        if things:
            listed = ", ".join(f"{thing.name} ({thing.id})" for thing in things)
            console.print(Text.assemble((f"{label}: ", "bold"), listed))
    for replaced in query.replaced:
        console.print(f"{replaced.place}: {replaced.given} is obsolete, {replaced.used} stands for it")
    for ignored in query.ignored:
        given = f"{ignored.given} " if ignored.given else ""
        console.print(f"{ignored.place}: {given}left out, {ignored.reason}")


def _ranking(answer: Answer) -> Table:
    rows = _columns(table(), "", "disease:", "id", "probability", "score", "fit", "against")
    for result in answer.results:
        fit = sum(finding.contribution > 0 and finding.state == "present" for finding in result.findings)
        rows.add_row(
            str(result.rank),
            result.name,
            result.id,
            percent(result.probability),
            f"{result.score - answer.results[0].score:.1f}",
            f"{fit}/{len(answer.query.present)}",
            str(len(result.against) or ""),
        )
    return rows


def _why(result: Result) -> Table:
    rows = _columns(table(), "finding:", "matched by:", "seen in", "overall", "nats", "")
    for finding in sorted(result.findings, key=lambda f: -f.contribution):
        seen = "" if finding.frequency is None else finding.reported or f"about {percent(finding.frequency)}"
        rows.add_row(
            finding.name if finding.state == "present" else f"excluded: {finding.name}",
            _match(finding),
            seen.replace(" patients", ""),
            percent(finding.background),
            Text(f"{finding.contribution:+.1f}", "green" if finding.contribution > 0 else "red"),
            " ".join(f"[{number}]" for number in finding.evidence),
        )
    return rows


def _columns(rows: Table, *names: str) -> Table:
    """Adds columns; those whose name ends with a colon may be narrowed, the others stay whole."""
    for name in names:
        rows.add_column(name.removesuffix(":"), no_wrap=not name.endswith(":"))
    return rows


def _match(finding: FindingExplained) -> str:
    if finding.annotation is None:
        return "nothing"
    if finding.match == "exact":
        return "itself"
    return finding.annotation.name + (f" (both: {finding.through.name})" if finding.through else "")


def _questions(questions: Sequence[Question]) -> Table:
    rows = _columns(table(), "finding:", "id", "bits", "yes", "if yes:", "if no:")
    for question in questions:
        outlooks = [f"{o.name} {percent(o.probability)}" for o in (question.if_yes, question.if_no)]
        rows.add_row(question.name, question.id, f"{question.information:.2f}", percent(question.yes), *outlooks)
    return rows


def _print_evidence(console: Console, answer: Answer) -> None:
    """The evidence that the text and the first result cite; `--json` has all of it."""
    cited = {int(number) for number in re.findall(r"\[(\d+)\]", answer.text)}
    if answer.results:
        cited.update(number for finding in answer.results[0].findings for number in finding.evidence)
    console.print(Text("\nEvidence", "bold"))
    for evidence in answer.evidence:
        if evidence.number in cited:
            sources = list(dict.fromkeys(claim.source for claim in evidence.claims))
            more = f" and {len(sources) - _SOURCES} more" if len(sources) > _SOURCES else ""
            predicted = ", predicted" if evidence.predicted else ""
            console.print(
                f"  [{evidence.number}] {evidence.subject} {evidence.relation} {evidence.object}: "
                f"{', '.join(sources[:_SOURCES])}{more} (belief {evidence.belief:.2f}{predicted})"
            )
