"""What three language models say of rare diseases: resolved to HPO, fused, and held against the curated truth.

    python -m benchmarks.llm_claims [FILE.jsonl.xz] [--json FILE]

Lines `id name claims{model: [[words, frequency]]} gold{term: …}`. Each model is a source, each claim goes through the
resolver of the pipeline with the installed release of HPO as vocabulary; a frequency "excluded" is a denial.
Reliabilities and thresholds are learned on other diseases (folds by disease). "calibrated" weighs all that is known of
a claim, "by source and object" and "by source" no more than what any relation's claims have.
"""

from __future__ import annotations

import argparse
import json
import lzma
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata

from encoders.calibration import expected_calibration_error
from ingestion.fuse_calibrated import CalibratedFusion, Statement, Vote, best_threshold
from ingestion.mentions import mention_id
from ingestion.names import NameIndex
from ingestion.readers.hpo import HpoReader
from ingestion.resolve import VocabularyResolver
from kg.belief import noisy_or
from kg.model import Claim, Entity
from kg.ontology import Ontology

DATA = Path(__file__).parents[2] / "shared" / "data" / "llm_claims" / "rare_disease_phenotypes_dev.jsonl.xz"
FOLDS = 10
_EXCLUDED = "HP:0040285"
_FREQUENCIES = frozenset({"FrequencyTerm"})


class Vocabulary:
    """The installed HPO, as a run of the pipeline knows it."""

    def __init__(self) -> None:
        self.ontology = Ontology.load()
        self.resolver = VocabularyResolver(self.ontology, mentions=True)
        self.names = NameIndex()
        """of frequencies"""
        self.parents: dict[str, set[str]] = defaultdict(set)
        reader = HpoReader()
        for record in reader.read(next(iter(reader.documents()))):
            self.resolver.resolve_all(record)
            if isinstance(record, Claim) and record.relation == "IS_A":
                self.parents[record.subject].add(record.object)
            elif isinstance(record, Entity) and "FrequencyTerm" in record.classes:
                self.names.add(record.id, _FREQUENCIES, str(record.properties.get("name", "")))
        self.above = cache(self._above)

    def _above(self, term: str) -> frozenset[str]:
        """A term and all that it is a kind of."""
        return frozenset({term}).union(*(self.above(parent) for parent in self.parents.get(term, ())))

    def frequency(self, words: str | None) -> str:
        """The term of a frequency; empty if the words are none."""
        match = self.names.find(words or "", _FREQUENCIES)
        if match is None:
            return ""
        return match.id or (match.candidates[0][0] if match.how == "detail" else "")

    def near(self, term: str, others: Iterable[str]) -> bool:
        """Whether a term is one of the others, or one step of `is_a` from one."""
        return any(o == term or o in self.parents.get(term, ()) or term in self.parents.get(o, ()) for o in others)


@dataclass(frozen=True, slots=True)
class Disease:
    """What is known of one disease, and what models say: term → the claims."""

    id: str
    gold: frozenset[str]
    claims: dict[str, list[Claim]]


def read(path: Path, vocabulary: Vocabulary) -> tuple[list[Disease], Counter[str], Counter[str]]:
    """The diseases; how many words each model uttered, and how many of them were resolved."""
    diseases, uttered, resolved = [], Counter[str](), Counter[str]()
    with lzma.open(path, "rt", encoding="utf-8") if path.suffix == ".xz" else path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            row = json.loads(line)
            claims: dict[str, list[Claim]] = defaultdict(list)
            for claim in _claims(row, vocabulary, f"L{number}"):
                uttered[claim.source] += 1
                for found in vocabulary.resolver.resolve_all(claim):
                    if isinstance(found, Claim):
                        resolved[claim.source] += 1
                        claims[found.object].append(found)
            diseases.append(Disease(row["id"], frozenset(row["gold"]), dict(sorted(claims.items()))))
    return diseases, uttered, resolved


def _claims(row: dict[str, Any], vocabulary: Vocabulary, place: str) -> Iterator[Claim]:
    for model, said in sorted(row["claims"].items()):
        for words, frequency in said:
            term = vocabulary.frequency(frequency)
            relation = "EXCLUDES_PHENOTYPE" if term == _EXCLUDED else "HAS_PHENOTYPE"
            qualifiers = {"frequency_term": term} if term else {}
            yield Claim(row["id"], relation, mention_id(words), model, 1.0, qualifiers, "llm_claims", place)


# ---- facts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Facts:
    """One element for each pair of a disease and a term that somebody says."""

    disease: npt.NDArray[np.int64]
    terms: list[str]
    true: npt.NDArray[np.bool_]
    voters: list[frozenset[str]]
    statements: list[Statement]


def facts_of(diseases: list[Disease], vocabulary: Vocabulary) -> Facts:
    """The facts with what speaks for and against each."""
    at, terms, true, voters, statements = [], [], [], [], []
    for number, disease in enumerate(diseases):
        said = {t: frozenset(c.source for c in cs if c.relation == "HAS_PHENOTYPE") for t, cs in disease.claims.items()}
        for term, claims in disease.claims.items():
            at.append(number)
            terms.append(term)
            true.append(term in disease.gold)
            voters.append(said[term])
            statements.append(_statement(term, claims, said, vocabulary))
    return Facts(np.array(at), terms, np.array(true), voters, statements)


def _statement(term: str, claims: list[Claim], said: dict[str, frozenset[str]], vocabulary: Vocabulary) -> Statement:
    votes = []
    for claim in claims:
        words = str(claim.qualifiers["mention"])
        match = vocabulary.resolver.match(words, "HAS_PHENOTYPE")
        manner = (str(claim.qualifiers.get("frequency_term", "no frequency")), f"by {match.how if match else 'id'}")
        votes.append(Vote(claim.source, manner))
    above = vocabulary.above(term)
    wider = {f"wider by {m}" for other, models in said.items() if other in above - {term} for m in models}
    narrower = {
        f"narrower by {m}" for other, models in said.items() if other != term and term in vocabulary.above(other)
        for m in models
    }  # fmt: skip
    depth = f"2^{int(np.log2(len(above)))} terms above"
    return Statement(term, tuple(votes), (*sorted(wider), *sorted(narrower), depth))


# ---- measures -----------------------------------------------------------------------------------------------------


def scores(chosen: npt.NDArray[np.bool_], facts: Facts, diseases: list[Disease], near: Near) -> dict[str, float]:
    """Precision, recall and F1 of the facts chosen: exactly, and up to one step of `is_a`."""
    total = sum(len(d.gold) for d in diseases)
    picked: dict[int, set[str]] = defaultdict(set)
    for at in np.flatnonzero(chosen):
        picked[int(facts.disease[at])].add(facts.terms[at])
    many = int(chosen.sum())
    precise = sum(near(t, diseases[n].gold) for n, terms in picked.items() for t in terms)
    recalled = sum(near(g, terms) for n, terms in picked.items() for g in diseases[n].gold)
    hits = int(facts.true[chosen].sum())
    p, r = hits / max(many, 1), hits / total
    near_p, near_r = precise / max(many, 1), recalled / total
    return {
        "facts": many,
        "precision": p,
        "recall": r,
        "f1": 2 * hits / (many + total),
        "near_precision": near_p,
        "near_recall": near_r,
        "near_f1": 2 * near_p * near_r / max(near_p + near_r, 1e-9),
    }


Near = Callable[[str, Iterable[str]], bool]


def auroc(belief: npt.NDArray[np.float64], true: npt.NDArray[np.bool_]) -> float:
    """The chance that a true fact has the greater belief of two (Mann and Whitney)."""
    positive = int(true.sum())
    ranks = rankdata(belief)[true].sum()
    return float((ranks - positive * (positive + 1) / 2) / (positive * (len(true) - positive)))


def by_folds(facts: Facts, diseases: list[Disease]) -> dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]]:
    """Strategy → belief in each fact, and whether it reaches the threshold: both learned on other diseases."""
    fold = np.random.default_rng(0).permutation(len(diseases)) % FOLDS
    gold = np.array([len(d.gold) for d in diseases])
    statements = {
        "calibrated": facts.statements,
        "by source and object": [_only_sources(s) for s in facts.statements],
        "by source": [replace(_only_sources(s), object=str(n)) for n, s in enumerate(facts.statements)],
    }
    found = {n: (np.zeros(len(facts.true)), np.zeros(len(facts.true), bool)) for n in ("noisy-or", *statements)}
    for part in range(FOLDS):
        held_out = fold[facts.disease] == part
        rest = ~held_out
        models = sorted({m for v in facts.voters for m in v})
        reliability = {m: float(facts.true[rest & np.array([m in v for v in facts.voters])].mean()) for m in models}
        assumed = np.array([noisy_or([(m, reliability[m], 1.0) for m in sorted(v)]) for v in facts.voters])
        missed = int(gold[fold != part].sum() - facts.true[rest].sum())
        beliefs = {"noisy-or": assumed}
        for name, stated in statements.items():
            learned_from = [s for s, r in zip(stated, rest, strict=True) if r]
            beliefs[name] = CalibratedFusion().fit(learned_from, facts.true[rest]).belief(stated)
        for name, belief in beliefs.items():
            threshold = best_threshold(belief[rest], facts.true[rest], missed)
            found[name][0][held_out] = belief[held_out]
            found[name][1][held_out] = belief[held_out] >= threshold
    return found


def _only_sources(statement: Statement) -> Statement:
    """A fact as any graph has it, whatever its relation: who says it, of what object."""
    return Statement(statement.object, tuple(Vote(vote.source) for vote in statement.votes))


def measure(path: Path) -> dict[str, Any]:
    """All measures of one file."""
    started = time.perf_counter()
    vocabulary = Vocabulary()
    diseases, uttered, resolved = read(path, vocabulary)
    facts = facts_of(diseases, vocabulary)
    models = sorted(uttered)
    chosen = {m: np.array([m in v for v in facts.voters]) for m in models}
    chosen["union"] = np.array([bool(v) for v in facts.voters])
    chosen["majority"] = np.array([2 * len(v) > len(models) for v in facts.voters])
    rows = {name: scores(pick, facts, diseases, vocabulary.near) for name, pick in chosen.items()}
    for name, (belief, pick) in by_folds(facts, diseases).items():
        rows[name] = scores(pick, facts, diseases, vocabulary.near) | {
            "auroc": auroc(belief, facts.true),
            "ece": expected_calibration_error(belief, facts.true.astype(np.float64)),
        }
    fused = rows["calibrated"]
    return {
        "diseases": len(diseases),
        "claims": uttered.total(),
        "facts": len(facts.true),
        "resolved": resolved.total() / uttered.total(),
        "resolved_by_model": {m: resolved[m] / uttered[m] for m in models},
        "strategies": rows,
        "fused_above_all": all(fused["f1"] > rows[m]["f1"] for m in (*models, "majority")),
        "ece_reached": fused["ece"] <= 0.05,
        "seconds": time.perf_counter() - started,
    }


def main() -> None:
    """Prints the table; fails if the goals are missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("path", type=Path, nargs="?", default=DATA)
    parser.add_argument("--json", type=Path, help="where to write the measures")
    options = parser.parse_args()
    if not options.path.exists():
        print(f"skipped: nothing at {options.path}")
        return
    found = measure(options.path)
    table = Table("says", "facts", "P", "R", "F1", "P ±1", "R ±1", "F1 ±1", "AUROC", "ECE")
    for name, row in found["strategies"].items():
        numbers = (f"{row[k]:.3f}" if k in row else "" for k in (
            "precision", "recall", "f1", "near_precision", "near_recall", "near_f1", "auroc", "ece"))  # fmt: skip
        table.add_row(name, f"{row['facts']:,}", *numbers)
    console = Console(width=120)
    console.print(table)
    shares = ", ".join(f"{m} {share:.3f}" for m, share in found["resolved_by_model"].items())
    console.print(
        f"{found['claims']:,} claims of {found['diseases']:,} diseases in {found['seconds']:.0f} s; "
        f"words resolved {found['resolved']:.3f} ({shares})"
    )
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))
    if not (found["fused_above_all"] and found["ece_reached"]):
        sys.exit("the fused belief is not above all, or not calibrated")


if __name__ == "__main__":
    main()
