"""Reports of published cases, printed and scanned in several ways → OCR → findings → diagnosis, beside the ids.

A report has the names of a case's findings, present and excluded; what is hard is the print: layouts, fonts, rotation,
blur, noise, the compression of JPEG. Genes, sex and age are not given, nor the case's own publication.
"""

from __future__ import annotations

import argparse
import io
import json
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from benchmarks.diagnosis_ablation import CASES
from benchmarks.diagnosis_data import installed_annotations, installed_note_reader, published_cases
from encoders.vision.documents import read_document
from encoders.vision.ocr import TextReader
from reasoning.diagnosis.cases import Case
from reasoning.diagnosis.evaluation import evaluate
from reasoning.diagnosis.notes import present_and_excluded
from reasoning.diagnosis.ranking import DiagnosisModel, Ranker

_SIZE = (1240, 1754)
"""A4 at 150 dots an inch."""
_FONTS = ("", "DejaVuSerif.ttf", "DejaVuSansMono.ttf")
"""The first comes with Pillow; the others where the machine has them."""
_CHINESE_FONTS = ("wqy-microhei.ttc", "wqy-zenhei.ttc", "NotoSansCJK-Regular.ttc", "simsun.ttc", "msyh.ttc")
"""For Chinese headings; Debian's package `fonts-wqy-microhei` has the first."""
_LEAST, _MOST = 4, 25

Layout = Callable[[Sequence[str], Sequence[str]], str]


def _list(present: Sequence[str], excluded: Sequence[str]) -> str:
    lines = ["CLINICAL REPORT", "", "Findings:", *(f"- {name}" for name in present)]
    return "\n".join([*lines, "", *(f"No {name[0].lower()}{name[1:]}." for name in excluded)])


def _prose(present: Sequence[str], excluded: Sequence[str]) -> str:
    text = "On examination the patient was found to have " + ", ".join(name.lower() for name in present) + "."
    if excluded:
        text += " There was no evidence of " + " or ".join(name.lower() for name in excluded) + "."
    return "Department of Medical Genetics\n\n" + textwrap.fill(text, 66)


def _table(present: Sequence[str], excluded: Sequence[str]) -> str:
    rows = [(name, "present") for name in present] + [(name, "not observed") for name in excluded]
    return "Finding / Status\n\n" + "\n".join(f"{name}: {status}" for name, status in rows)


def _chinese(present: Sequence[str], excluded: Sequence[str]) -> str:
    lines = [
        "医学遗传科门诊病历",
        "科室：遗传科　　日期：2024年3月12日",
        "",
        "临床表现：",
        *(f"- {name}" for name in present),
    ]
    return "\n".join([*lines, "", "阴性体征：", *(f"No {name[0].lower()}{name[1:]}." for name in excluded)])


_LAYOUTS: dict[str, Layout] = {"list": _list, "prose": _prose, "table": _table, "Chinese headings": _chinese}


def scan(text: str, font_name: str, seed: int) -> bytes:
    """A JPEG of the text, printed, turned by up to 3°, blurred and noisy."""
    random = np.random.default_rng(seed)
    font = _font(font_name) or ImageFont.load_default(24)
    page = Image.new("L", _SIZE, 252)
    ImageDraw.Draw(page).multiline_text((90, 110), text, fill=25, font=font, spacing=12)
    page = page.rotate(float(random.uniform(-3, 3)), fillcolor=252, resample=Image.Resampling.BICUBIC)
    page = page.filter(ImageFilter.GaussianBlur(float(random.uniform(0, 1.1))))
    noisy = np.asarray(page, np.float32) + random.normal(0, random.uniform(0, 18), (_SIZE[1], _SIZE[0]))
    written = io.BytesIO()
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(written, "JPEG", quality=int(random.integers(40, 90)))
    return written.getvalue()


def _font(name: str) -> ImageFont.FreeTypeFont | None:
    try:
        return ImageFont.truetype(name, 24) if name else None
    except OSError:
        return None


def main() -> None:
    """Prints how often the diagnosis is among the first, from scans and from ids."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=Path, default=CASES, help="Phenopackets: a folder or an archive")
    parser.add_argument("--count", type=int, default=36, help="how many reports")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the results here, too")
    given = parser.parse_args()
    annotations = installed_annotations()
    model = DiagnosisModel(annotations, Ranker.load(None))
    reader, text_reader = installed_note_reader(annotations), TextReader()
    name_of = dict(zip(annotations.term_ids, annotations.term_names, strict=True))
    cases = [
        case
        for case in published_cases(given.cases)
        if len(case.present) >= _LEAST
        and len(case.present) + len(case.excluded) <= _MOST
        and {*case.present, *case.excluded} <= set(name_of)
    ]
    chosen = np.random.default_rng(given.seed).choice(len(cases), given.count, replace=False)
    clean: list[Case] = []
    typed: list[Case] = []
    scanned: list[Case] = []
    found, seconds = Counter[str](), 0.0
    chinese = next(filter(_font, _CHINESE_FONTS), "")
    layouts = [name for name in _LAYOUTS if chinese or name != "Chinese headings"]
    if not chinese:
        print(f"no Chinese headings: none of the fonts {', '.join(_CHINESE_FONTS)} is here")
    of_layout: list[str] = []
    for number, at in enumerate(chosen.tolist()):
        case = replace(cases[at], genes=(), sex="", age_years=float("nan"), onset_years=float("nan"))
        layout = layouts[number % len(layouts)]
        of_layout.append(layout)
        text = _LAYOUTS[layout]([name_of[id_] for id_ in case.present], [name_of[id_] for id_ in case.excluded])
        started = time.perf_counter()
        font = chinese if layout == "Chinese headings" else _FONTS[number // len(layouts) % len(_FONTS)]
        read = read_document(scan(text, font, given.seed + number), text_reader).text
        seconds += time.perf_counter() - started
        clean.append(case)
        for target, note in ((typed, text), (scanned, read)):
            present, excluded = present_and_excluded(reader.findings(note))
            target.append(replace(case, present=present, excluded=excluded))
        right = set(scanned[-1].present) & set(case.present)
        found += Counter(
            read=len(right), there=len(case.present), said=len(scanned[-1].present),
            excluded_read=len(set(scanned[-1].excluded) & set(case.excluded)), excluded=len(case.excluded),
            inverted=len(set(scanned[-1].present) & set(case.excluded)),
        )  # fmt: skip
    results = {}
    for name, of in (("ids", clean), ("the report's text", typed), ("the scan", scanned)):
        results[name] = evaluate(model, of, without_own_publication=True)
        shown = {key: round(results[name][key], 3) for key in ("n", "top1", "top3", "top10", "mrr")}
        print(f"{name:18} {shown}")
    for layout in layouts:
        some = [case for case, its in zip(scanned, of_layout, strict=True) if its == layout]
        results[layout] = evaluate(model, some, without_own_publication=True)
        print(f"{'scan, ' + layout:24} n {len(some)}, top10 {results[layout]['top10']:.3f}")
    print(
        f"findings read {found['read']} of {found['there']}, {found['said']} said; "
        f"excluded {found['excluded_read']} of {found['excluded']}, {found['inverted']} of them as present; "
        f"{seconds / len(chosen):.2f} s a page"
    )
    if given.json:
        given.json.write_text(json.dumps({**results, "findings": found}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
