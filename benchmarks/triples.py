"""Statements that a language model extracts from sentences under given ontologies (Text2KGBench, DBpedia–WebNLG).

For each ontology some sentences of `ground_truth/` are asked, with the ontology's relations and the most similar
sentences of `train/` before. Precision, recall and F1 are means over sentences, then over ontologies, as published;
subject, relation and object must be those of the truth, once but for case, blanks and underscores, as published, once
by what they are: without marks, accents, units and brackets, numbers and dates in one form. Published (Vicuna-13B,
prompted, all 19 ontologies): .34 .27 .30, conformance .93, hallucinated subject / relation / object .12 / .07 / .28.

The model is any that a server gives (`evigraph llm serve`).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import time
import unicodedata
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from encoders.llm.client import LlmClient, LlmOptions
from encoders.llm.replies import ReplyFolder
from ingestion.extraction.chunks import sentences_of
from ingestion.extraction.statements import Example, Extraction, RelationForm, StatementExtractor
from kg.errors import ModelUnavailableError

_DATA = Path(__file__).parents[2] / "shared" / "data" / "triples" / "dbpedia_webnlg"
_EXAMPLES = 3
_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"
_DATE = re.compile(
    r"(?:(?P<day>\d{1,2})(?:st|nd|rd|th)? (?P<month>[A-Z][a-z]+),?|"
    r"(?P<month2>[A-Z][a-z]+) (?P<day2>\d{1,2})(?:st|nd|rd|th)?,?) (?P<year>\d{4})"
)


def main() -> None:
    """Prints the scores of each ontology, and their means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=_DATA, help="folder with ontologies/, train/ and ground_truth/")
    parser.add_argument("--url", default="http://127.0.0.1:8080/v1")
    parser.add_argument("--model", default="local")
    parser.add_argument("--count", type=int, default=15, help="sentences of each ontology")
    parser.add_argument("--examples", type=int, default=_EXAMPLES, help="sentences of train shown with each")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--of-train", action="store_true", help="ask sentences of train, for choices of one's own")
    parser.add_argument("--replies", type=Path, default=Path("data/replies"))
    parser.add_argument("--json", type=Path, help="write the results here, too")
    given = parser.parse_args()
    try:
        results = asyncio.run(_run(given))
    except ModelUnavailableError as error:
        print(f"{error}: not run; `evigraph llm serve` serves a model")
        return
    if given.json:
        given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


async def _run(given: argparse.Namespace) -> dict[str, object]:
    options = LlmOptions(given.url, given.model, concurrency=given.at_once, timeout_s=600)
    scores: dict[str, list[float]] = {}
    counts, started = Counter[str](), time.perf_counter()
    async with LlmClient(options, ReplyFolder(given.replies)) as client:
        for truth in sorted((given.data / "ground_truth").glob("*.jsonl")):
            name = truth.name.removesuffix("_ground_truth.jsonl")
            forms = _forms(given.data / "ontologies" / f"{name.removeprefix('ont_')}_ontology.json")
            train = _lines(given.data / "train" / f"{name}_train.jsonl")
            asked = train if given.of_train else _lines(truth)
            chosen = np.random.default_rng(given.seed).permutation(len(asked))[: given.count]
            asked = [asked[at] for at in sorted(chosen.tolist())]
            nearest = _nearest([one["sent"] for one in train], [one["sent"] for one in asked])
            extractor = StatementExtractor(client, forms)
            work = []
            for one, near in zip(asked, nearest, strict=True):
                similar = (_example(train[at]) for at in near if train[at]["sent"] != one["sent"])
                shown = list(itertools.islice((each for each in similar if each.statements), given.examples))
                work.append(extractor.extract(one["sent"], shown[::-1]))
            found = await asyncio.gather(*work)
            relations = {form.name for form in forms}
            figures = np.array([_scores(one, said, relations, counts) for one, said in zip(asked, found, strict=True)])
            scores[name] = figures.mean(0).tolist()
            words, normal = (" ".join(f"{value:.3f}" for value in scores[name][at : at + 3]) for at in (0, 3))
            print(f"{name:28} P R F1 in words {words}, normal {normal}", flush=True)
        usage = client.usage
    means = np.mean(list(scores.values()), axis=0).tolist()
    said = counts["said"]
    results = {
        "precision": means[0], "recall": means[1], "f1": means[2], "normal": means[3:],
        "sentences": counts["sentences"], "said": said,
        "kept": counts["kept"], "refused": counts["refused"] / max(said, 1),
        "refused_for_the_quote": counts["quote"] / max(said, 1), "not_in_the_text": counts["words"] / max(said, 1),
        "conformance": counts["conform"] / max(counts["kept"], 1), "calls": usage.calls, "recorded": usage.recorded,
        "prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens,
        "seconds": round(time.perf_counter() - started), "by_ontology": scores,
    }  # fmt: skip
    print({key: round(value, 3) if isinstance(value, float) else value for key, value in results.items()})
    return results


def _lines(path: Path) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _forms(path: Path) -> list[RelationForm]:
    body = json.loads(path.read_text(encoding="utf-8"))
    return [
        RelationForm(one["label"], one["domain"] or "thing", one["range"] or "thing")
        for one in {each["label"]: each for each in body["relations"]}.values()
    ]


def _nearest(known: list[str], asked: list[str]) -> list[list[int]]:
    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True).fit(known)
    likeness = (vectors.transform(asked) @ vectors.transform(known).T).toarray()
    return [np.argsort(-row, kind="stable").tolist() for row in likeness]


def _plain(words: str) -> str:
    return words.strip('"').replace("_", " ")


def _example(item: dict) -> Example:  # type: ignore[type-arg]
    """The facts whose words the sentences have."""
    text, facts = item["sent"], []
    for one in item["triples"]:
        subject, object_ = _in(text, _plain(one["sub"])), _in(text, _plain(one["obj"]))
        if subject and object_:
            number = next((at for at, (a, b) in enumerate(sentences_of(text), 1) if object_ in text[a:b]), 1)
            facts.append((subject, one["rel"], object_, number))
    return Example(text, facts)


def _in(text: str, words: str) -> str:
    at = text.casefold().find(words.casefold())
    return text[at : at + len(words)] if at >= 0 else ""


def _same(words: str) -> str:
    return re.sub(r"[_\s\"]+", "", words).casefold()


def _normal(words: str) -> str:
    """What a name or value is, however it is written: without marks, accents, units and what is added in brackets."""
    plain = re.sub(r"\s*\([^()]*\)$", "", _plain(words)).strip(' "')
    if (number := re.fullmatch(r"[$€£]?(\d[\d,]*(?:\.\d+)?)(?: [a-z]+)?", plain)) is not None:
        return f"{float(number[1].replace(',', '')):g}"
    if (date := _DATE.fullmatch(plain)) is not None:
        day, month, year = date["day"] or date["day2"], date["month"] or date["month2"], date["year"]
        if (at := _MONTHS.find(month[:3].casefold())) >= 0:
            return f"{year}{at // 3 + 1:02}{int(day):02}"
    folded = unicodedata.normalize("NFKD", plain.casefold())
    return re.sub(r"[\W_]+", "", "".join(one for one in folded if not unicodedata.combining(one)))


def _scores(
    item: dict,  # type: ignore[type-arg]
    said: Extraction,
    relations: set[str],
    counts: Counter[str],
) -> tuple[float, ...]:
    counts.update(
        sentences=1, said=len(said.statements) + len(said.refused), kept=len(said.statements),
        refused=len(said.refused), quote=sum("sentence" in one.reason for one in said.refused),
        words=sum("is not in the text" in one.reason for one in said.refused),
        conform=sum(one.relation in relations for one in said.statements),
    )  # fmt: skip
    figures: list[float] = []
    for form in (_same, _normal):
        truth = {(form(one["sub"]), _same(one["rel"]), form(one["obj"])) for one in item["triples"]}
        told = {(form(one.subject), _same(one.relation), form(one.object)) for one in said.statements}
        right = len(truth & told)
        precision, recall = right / max(len(told), 1), right / max(len(truth), 1)
        figures += [precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)]
    return tuple(figures)


if __name__ == "__main__":
    main()
