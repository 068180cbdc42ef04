"""`evigraph diagnose`, `evaluate diagnosis` and `train diagnosis`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.common import EVALUATE, TRAIN, Json, Progress, err, group, out, print_json, table, with_service
from encoders.vision.first_bytes import is_document
from kg.errors import InputError
from kg.utf8 import decoded

if TYPE_CHECKING:
    from reasoning.diagnosis.annotations import PhenotypeAnnotations
    from reasoning.diagnosis.answer import Answer
    from reasoning.diagnosis.cases import Case
    from reasoning.diagnosis.diagnose import Reasoner
    from reasoning.diagnosis.notes import NoteFinding
    from reasoning.diagnosis.query import Query

_PICTURES = {".pdf", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp"}
_TIMED = 200
"""Cases by which the time is measured where rankers are cross-validated."""


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(diagnose)
    app.command()(findings)
    group(app, "evaluate", EVALUATE).command("diagnosis")(evaluate)
    group(app, "evaluate", EVALUATE).command("text-hpo")(evaluate_texts)
    group(app, "train", TRAIN).command("diagnosis")(train)


def diagnose(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A Phenopacket; options replace what it says.")] = None,
    present: Annotated[
        list[str] | None, typer.Option(metavar="HP:…", help="Finding; repeat, or join by commas.")
    ] = None,
    excluded: Annotated[
        list[str] | None, typer.Option(metavar="HP:…", help="Finding that was looked for and is not there.")
    ] = None,
    note: Annotated[
        Path | None,
        typer.Option(help="A clinical note: text, PDF or picture. Its findings are shown."),
    ] = None,
    onset: Annotated[str | None, typer.Option(help="HPO onset term, or age such as P3Y6M.")] = None,
    age: Annotated[str | None, typer.Option(help="Age such as P3Y6M.")] = None,
    sex: Annotated[str | None, typer.Option(help="FEMALE or MALE.")] = None,
    gene: Annotated[list[str] | None, typer.Option(help="Candidate gene, by symbol or id.")] = None,
    without_genes: Annotated[bool, typer.Option("--without-genes", help="Leave out the Phenopacket's genes.")] = False,
    inheritance: Annotated[
        list[str] | None, typer.Option(metavar="HP:…", help="Mode of inheritance that the family suggests.")
    ] = None,
    catalogue: Annotated[str | None, typer.Option(help="OMIM, ORPHA or DECIPHER; ranks its diseases alone.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="How many diseases to explain.")] = 10,
    json: Json = False,
) -> None:
    """Ranks diseases for a patient's findings, with the evidence and what to ask next."""
    given: dict[str, Any] = {
        "present": _split(present),
        "excluded": _split(excluded),
        "onset": onset,
        "age": age,
        "sex": sex and sex.upper(),
        "genes": () if without_genes else _split(gene),
        "inheritance": _split(inheritance),
        "catalogue": catalogue and catalogue.upper(),
        "limit": limit,
    }
    if file is None and not (present or excluded or gene or note):
        raise InputError("give a Phenopacket, a note, or findings by --present HP:…")
    query = _query(file, {name: value for name, value in given.items() if value is not None})
    text = None if note is None else text_of(note)

    def work(reasoner: Reasoner) -> tuple[Answer, list[NoteFinding]]:
        from reasoning.diagnosis.notes import with_findings

        found = reasoner.notes.findings(text) if text is not None else []
        return reasoner.diagnose(with_findings(query, found)), found

    with err().status("Reading the graph …"):
        answer, found = with_service(context, lambda service: service.with_reasoner(work))
    if json:
        print_json(answer)
    else:
        if note is not None:
            print_findings(found)
        from api.cli.diagnosis_report import print_report

        print_report(answer)


def _split(items: Sequence[str] | None) -> tuple[str, ...] | None:
    if items is None:
        return None
    return tuple(part.strip() for item in items for part in item.split(",") if part.strip())


def _query(file: Path | None, given: dict[str, Any]) -> Query:
    from reasoning.diagnosis.query import Query

    if file is None:
        return Query(**given, places={"genes": "--gene"})
    from api.phenopacket import case_of_file, query_of

    base = query_of(case_of_file(file), f"{file}: ")
    places = {place: name for place, name in base.places.items() if place.partition("[")[0] not in given}
    return replace(base, **given, places=places)


def findings(
    context: typer.Context,
    note: Annotated[Path, typer.Argument(help="A note: text, PDF or picture; - reads standard input.")],
    json: Json = False,
) -> None:
    """Names the findings of a clinical note, each with its words and whether it is there; nothing is kept."""
    text = text_of(note)
    with err().status("Reading the graph …"):
        found = with_service(
            context, lambda service: service.with_reasoner(lambda reasoner: reasoner.notes.findings(text))
        )
    if json:
        print_json(found)
    else:
        print_findings(found)


def text_of(path: Path) -> str:
    """The text of a file, of standard input, or of a PDF or a picture, which OCR reads.

    Raises:
        InputError: it can't be read, or is no UTF-8; names the byte.
    """
    try:
        content = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        if is_document(content) or path.suffix.casefold() in _PICTURES:
            from encoders.vision.load import load_text_reader, text_of_document

            with err().status(f"Reading {path} …"):
                return text_of_document(content, load_text_reader(), str(path)).text
        return decoded(content, str(path))
    except OSError as error:
        raise InputError(f"can't be read: {error.strerror}", str(path)) from error


def print_findings(found: Sequence[NoteFinding]) -> None:
    """A table of what a note names."""
    shown = table("at", "words", "finding", "", "status")
    for one in found:
        shown.add_row(f"{one.start}–{one.end}", " ".join(one.words.split()), one.id, one.name, one.status)
    out().print(shown)


# ---- evaluate, train


Cases = Annotated[Path, typer.Argument(help="Phenopackets: a file, a folder, an archive.")]
_FIGURES = ("top1", "top3", "top10", "mrr", "ece")


def evaluate(
    context: typer.Context,
    path: Cases,
    without_own_publication: Annotated[
        bool,
        typer.Option(
            "--without-own-publication",
            help="Leave out, for each case, annotations that its publication alone supports.",
        ),
    ] = False,
    folds: Annotated[
        int | None,
        typer.Option(min=2, max=20, help="Train a ranker on the cases themselves, and judge it by so many folds."),
    ] = None,
    json: Json = False,
) -> None:
    """Ranks cases whose diagnosis is known, and says how often it comes first; also complaints in patients' words."""
    if path.suffix == ".jsonl":
        _show(_of_complaints(context, path), json=json)
        return
    cases = _known_cases(path)
    # Imported late: LightGBM is slow to load.
    from reasoning.diagnosis import evaluation
    from reasoning.diagnosis.training import Settings

    model = _reasoner(context).model
    with Progress() as progress:
        if folds is None:
            found = evaluation.evaluate(
                model, cases, without_own_publication=without_own_publication, progress=progress
            )
        else:
            settings = Settings(folds=folds)
            both = evaluation.cross_validate(model.annotations, cases, progress=progress, settings=settings)
            timed = evaluation.evaluate(model, cases[:_TIMED], without_own_publication=without_own_publication)
            way = "without_own_publication" if without_own_publication else "with_own_publication"
            solved = both.get(f"{way}_and_solved_patients", {})
            found = both[way] | {f"solved_{name}": solved[name] for name in _FIGURES if name in solved}
            found |= {name: timed[name] for name in ("ms_p50", "ms_p99")}
    _show(found, json=json)


def _of_complaints(context: typer.Context, path: Path) -> dict[str, float]:
    from encoders.concepts.names import ConceptName
    from reasoning.diagnosis.complaint_evaluation import evaluate_complaints, read_complaints
    from reasoning.diagnosis.notes import NoteReader

    complaints = read_complaints(path)
    reasoner = _reasoner(context)
    annotations = reasoner.annotations
    named = zip(annotations.disease_ids, annotations.disease_names, strict=True)
    diseases = NoteReader([ConceptName(id_, name) for id_, name in named])
    with Progress() as progress:
        return evaluate_complaints(reasoner.model, reasoner.notes, diseases, complaints, progress=progress)


def _show(found: dict[str, float], *, json: bool) -> None:
    if json:
        print_json(found)
        return
    rows = table("what", "value")
    for name, value in found.items():
        rows.add_row(name, f"{value:g}")
    out().print(rows)


def evaluate_texts(
    context: typer.Context,
    path: Annotated[Path, typer.Argument(help="JSON lines of annotated texts, or a folder of such files.")],
    nested: Annotated[
        bool, typer.Option("--nested", help="Count also findings whose words are a part of the words of another.")
    ] = False,
    inheritance: Annotated[
        bool, typer.Option("--inheritance", help="Count also modes of inheritance, as some corpora have them.")
    ] = False,
    json: Json = False,
) -> None:
    """Reads the findings of texts that people annotated with HPO terms, and says how well."""
    from reasoning.diagnosis.note_evaluation import evaluate_notes, read_annotated

    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        raise InputError("holds no .jsonl files", str(path))
    texts = {file.name: read_annotated(file) for file in files}
    reasoner = _reasoner(context)
    terms = reasoner.annotations.term_index
    reports = {
        name: evaluate_notes(reasoner.notes, of, terms, nested=nested, inheritance=inheritance)
        for name, of in texts.items()
    }
    if json:
        print_json(reports if path.is_dir() else asdict(reports[path.name]))
        return
    shown = table("texts", "n", "of", "precision", "recall", "F1", "MB/s")
    for name, report in reports.items():
        for what, scores in (
            ("documents", report.documents), ("mentions", report.mentions), ("excluded", report.excluded),
        ):  # fmt: skip
            if scores is not None:
                figures = (f"{value:.3f}" for value in (scores.precision, scores.recall, scores.f1))
                shown.add_row(name, f"{report.n:,}", what, *figures, f"{report.megabytes_per_second:.1f}")
    out().print(shown)


def train(
    context: typer.Context,
    path: Cases,
    folder: Annotated[Path, typer.Option("--out", help="Folder for the ranker; made if it is not there.")],
    seed: Annotated[int, typer.Option(help="The same seed and cases give the same ranker.")] = 0,
    json: Json = False,
) -> None:
    """Trains a ranker on cases whose diagnosis is known."""
    cases = _known_cases(path)
    annotations = _annotations(context)
    from reasoning.diagnosis import training

    with Progress() as progress:
        ranker = training.train(annotations, cases, seed, progress)
    try:
        ranker.save(folder)
    except OSError as error:
        raise InputError(f"can't be written: {error.strerror}", str(folder)) from error
    if json:
        print_json(ranker.card)
    else:
        out().print(f"a ranker trained on {len(cases):,} cases is in {folder}; EVIGRAPH_RANKER={folder} uses it")


def _reasoner(context: typer.Context) -> Reasoner:
    """The reasoner on the graph as it is now, for work that runs long after the graph is closed."""
    with err().status("Reading the graph …"):
        return with_service(context, lambda service: service.with_reasoner(lambda reasoner: reasoner))


def _annotations(context: typer.Context) -> PhenotypeAnnotations:
    """What the graph knows of diseases."""
    with err().status("Reading the graph …"):
        return with_service(context, lambda service: service.annotations())


def _known_cases(path: Path) -> list[Case]:
    """Cases with a diagnosis; those that can't be read are counted on stderr.

    Raises:
        InputError: there is none.
    """
    from rich.progress import track

    from api.phenopacket import known_cases
    from kg.model import Rejected

    items = list(track(known_cases(path), "Reading", console=err()))
    refused = [item for item in items if isinstance(item, Rejected)]
    cases = [item for item in items if not isinstance(item, Rejected) and item.diseases]
    if refused:
        first = refused[0]
        where = ":".join(filter(None, (first.document, first.place)))
        err().print(f"{len(refused):,} records refused; the first: {where}: {first.reason}")
    if not cases:
        raise InputError("no patient with a diagnosis in it", str(path))
    return cases
