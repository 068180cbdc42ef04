"""How well diseases are ranked for patients' own words, and how much the questions that are asked next help.

A patient's answer to a question is known where the record has the finding as present or absent, or asked for later;
other questions are asked in vain, and count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from encoders.progress import Progress, quiet
from kg.errors import InputError
from reasoning.diagnosis.cases import Case
from reasoning.diagnosis.evaluation import rank_of
from reasoning.diagnosis.notes import NoteReader, present_and_excluded
from reasoning.diagnosis.questions import next_questions
from reasoning.diagnosis.ranking import DiagnosisModel, Ranking
from reasoning.diagnosis.scan import findings_of
from reasoning.json_lines import json_lines

_OFFERED = 40
"""Questions among which the first that was not asked yet is taken."""
_LISTS = ("present", "absent", "asked_present", "asked_absent")


@dataclass(frozen=True, slots=True)
class Complaint:
    """A patient's own words, with what a doctor found and asked.

    Attributes:
        place: where it stands, for messages.
        text: may be empty; then `present` and `absent` are told by name.
        present, absent, asked_present, asked_absent: names of findings.
        disease: name of the diagnosis.
    """

    place: str
    text: str
    present: tuple[str, ...]
    absent: tuple[str, ...]
    asked_present: tuple[str, ...]
    asked_absent: tuple[str, ...]
    disease: str


def read_complaints(path: Path) -> list[Complaint]:
    """JSON lines with `text`, the lists of names, and `disease`.

    Raises:
        InputError: it can't be read, or a line lacks something; names file and line.
    """
    found = []
    for place, item in json_lines(path):
        lists = [item.get(name, []) for name in _LISTS]
        if not all(isinstance(one, list) and all(isinstance(name, str) for name in one) for one in lists):
            raise InputError(f"{', '.join(_LISTS)} must be lists of texts", place)
        text, disease = item.get("text", ""), item.get("disease")
        if not isinstance(text, str) or not isinstance(disease, str) or not disease:
            raise InputError("needs `text` and `disease`", place)
        present, absent, asked_present, asked_absent = map(tuple, lists)
        found.append(Complaint(place, text, present, absent, asked_present, asked_absent, disease))
    if not found:
        raise InputError("holds no complaints", str(path))
    return found


def evaluate_complaints(
    model: DiagnosisModel,
    notes: NoteReader,
    diseases: NoteReader,
    complaints: Sequence[Complaint],
    questions: int = 5,
    progress: Progress = quiet,
) -> dict[str, float]:
    """How often the diagnosis is found.

    Returns:
        `n`; `n_unknown`, whose diagnosis is not in the graph; `without_finding`, of n; per cent whose diagnosis is
        `top1`, `top3`, `top10` of all diseases of the graph, and `among_` those that the file has, before and after
        questions (`_asked`); and per cent of questions that could be `answered`.

    Args:
        model: of the graph.
        notes: reads findings.
        diseases: reads names of diseases.
        complaints: patients.
        questions: asked of each.
        progress: told how far it is.
    """
    names = {one.disease: _disease(one.disease, diseases, model) for one in complaints}
    among = np.array(sorted({at for at in names.values() if at is not None}))
    ranks: dict[str, list[float]] = {"": [], "_asked": []}
    own: dict[str, list[float]] = {"": [], "_asked": []}
    unknown = without = answered = asked_for = 0
    for done, one in enumerate(complaints):
        progress("complaints", done, len(complaints))
        truth = names[one.disease]
        if truth is None:
            unknown += 1
            continue
        told = notes.findings(one.text) if one.text else []
        present, excluded = present_and_excluded(told)
        if not one.text:
            present, excluded = _ids(one.present, notes), _ids(one.absent, notes)
        case = Case(one.place, (), tuple(present), tuple(excluded))
        without += not present
        yes = {*_ids((*one.present, *one.asked_present), notes)}
        no = {*_ids((*one.absent, *one.asked_absent), notes)} - yes
        ranking = _rank(model, case)
        ranks[""].append(rank_of(ranking, truth))
        own[""].append(rank_of(ranking, truth, among))
        asked: set[str] = set()
        for _ in range(questions):
            offered = next_questions(
                model.index, ranking.candidates, ranking.probability, findings_of(case, model.annotations), _OFFERED
            )
            question = next((each.id for each in offered if each.id not in asked), None)
            if question is None:
                break
            asked.add(question)
            asked_for += 1
            if question in yes:
                case = replace(case, present=(*case.present, question))
            elif question in no:
                case = replace(case, excluded=(*case.excluded, question))
            else:
                continue
            answered += 1
            ranking = _rank(model, case)
        ranks["_asked"].append(rank_of(ranking, truth))
        own["_asked"].append(rank_of(ranking, truth, among))
    found: dict[str, float] = {
        "n": len(ranks[""]), "n_unknown": unknown, "without_finding": without, "among": len(among),
        "answered": round(100 * answered / max(asked_for, 1), 1),
    }  # fmt: skip
    for when in ("", "_asked"):
        for prefix, of, tops in (("", ranks[when], (1, 3, 10)), ("among_", own[when], (1, 3))):
            array = np.array(of)
            found |= {
                f"{prefix}top{top}{when}": round(100 * float((array <= top).mean()), 2) for top in tops if len(of)
            }
    return found


def _rank(model: DiagnosisModel, case: Case) -> Ranking:
    return model.rank(findings_of(case, model.annotations), catalogue=None)


def _ids(names: Sequence[str], notes: NoteReader) -> tuple[str, ...]:
    """Ids of findings by their names; a name that is none may hold one."""
    found = (notes.findings(name) for name in names)
    return tuple(dict.fromkeys(one.id for of in found for one in of[:1]))


def _disease(name: str, diseases: NoteReader, model: DiagnosisModel) -> int | None:
    """The disease of this name, or the one whose name is the longest in it."""
    found = diseases.findings(name)
    if not found:
        return None
    best = max(found, key=lambda one: one.end - one.start)
    return model.annotations.disease_index.get(best.id)
