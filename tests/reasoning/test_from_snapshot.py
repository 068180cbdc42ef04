from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kg.model import Claim, Entity, Source
from kg.snapshot import Snapshot
from reasoning.diagnosis.annotations import Aspect, PhenotypeAnnotations
from reasoning.diagnosis.from_snapshot import annotations_of
from tests.api.samples import write_sample
from tests.kg.memory_store import MemoryStore
from tests.reasoning.graph import snapshot_of, store_of


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return store_of(write_sample(tmp_path / "hpo"))


def _rows(annotations: PhenotypeAnnotations, disease: str, term: str) -> list[tuple[object, ...]]:
    """(source, aspect, numerator, denominator, share or None, excluded) of each row."""
    rows = annotations.rows_of(annotations.disease_index[disease])
    at = np.flatnonzero(rows.term == annotations.term_index[term])
    return [
        (
            annotations.source_ids[rows.source[i]],
            Aspect(int(rows.aspect[i])).name,
            float(rows.numerator[i]),
            float(rows.denominator[i]),
            None if np.isnan(rows.share[i]) else round(float(rows.share[i]), 6),
            bool(rows.excluded[i]),
        )
        for i in at
    ]


def _snapshot(store: MemoryStore, tmp_path: Path) -> Snapshot:
    return snapshot_of(store, tmp_path / "cache")


def test_rows_say_what_the_file_says(store: MemoryStore, tmp_path: Path) -> None:
    annotations = annotations_of(_snapshot(store, tmp_path))
    assert annotations.disease_ids == ("OMIM:100001", "OMIM:100002", "OMIM:100003", "ORPHA:9001")
    assert annotations.disease_names[0] == "Seizure-ataxia disease"
    assert _rows(annotations, "OMIM:100001", "HP:0020219") == [("PMID:1000", "PHENOTYPE", 9, 10, None, False)]
    assert _rows(annotations, "OMIM:100002", "HP:0001166") == [("PMID:1001", "PHENOTYPE", 0, 0, 0.9, False)]
    assert _rows(annotations, "ORPHA:9001", "HP:0001250") == [("PMID:1003", "PHENOTYPE", 0, 0, 0.9, False)]
    assert _rows(annotations, "OMIM:100001", "HP:0000007") == [("OMIM:100001", "INHERITANCE", 0, 0, None, False)]
    assert _rows(annotations, "OMIM:100001", "HP:0003593") == [("OMIM:100001", "COURSE", 0, 0, None, False)]
    assert len(annotations.rows) == 9 + 4 + 4
    assert annotations.disease_genes == (("NCBIGene:16",), (), (), ())
    seizure, motor = annotations.term_index["HP:0001250"], annotations.term_index["HP:0020219"]
    assert seizure in annotations.ancestors_of(motor)
    assert annotations.is_finding[seizure]
    assert not annotations.is_finding[annotations.term_index["HP:0000006"]]


@pytest.mark.parametrize(
    ("relation", "qualifiers", "expected"),
    [
        ("HAS_PHENOTYPE", {"frequency_term": "HP:0040280"}, (0, 0, 1.0, False)),
        ("HAS_PHENOTYPE", {"frequency_term": "HP:0040285"}, (0, 0, 0.0, True)),
        ("HAS_PHENOTYPE", {"frequency_percent": 12.5}, (0, 0, 0.125, False)),
        ("HAS_PHENOTYPE", {}, (0, 0, None, False)),
        ("EXCLUDES_PHENOTYPE", {"frequency_numerator": 0, "frequency_denominator": 7}, (0, 7, None, True)),
        ("EXCLUDES_PHENOTYPE", {}, (0, 0, None, True)),
    ],
)
def test_every_notation_of_frequency(
    store: MemoryStore, tmp_path: Path, relation: str, qualifiers: dict[str, float], expected: tuple[object, ...]
) -> None:
    store.write(claims=[Claim("OMIM:100003", relation, "HP:0001166", "PMID:1002", 0.95, qualifiers)])
    [row] = _rows(annotations_of(_snapshot(store, tmp_path)), "OMIM:100003", "HP:0001166")
    assert row == ("PMID:1002", "PHENOTYPE", *expected)


def test_patients_are_no_annotations(store: MemoryStore, tmp_path: Path) -> None:
    before = annotations_of(_snapshot(store, tmp_path))
    store.write(
        [Source("PMID:5", "publication")],
        [Entity("p:1", ("Patient",), "PMID:5", {"name": "p"}), Entity("OMIM:7", ("Disease",), "PMID:5", {"name": "x"})],
        [
            Claim("p:1", "HAS_PHENOTYPE", "HP:0001166", "PMID:5"),
            Claim("p:1", "EXCLUDES_PHENOTYPE", "HP:0001250", "PMID:5"),
            Claim("p:1", "HAS_DIAGNOSIS", "OMIM:7", "PMID:5"),
        ],
    )
    after = annotations_of(_snapshot(store, tmp_path))
    assert after.disease_ids == before.disease_ids
    assert after.source_ids == before.source_ids
    assert np.array_equal(after.rows.term, before.rows.term)


def test_what_is_doubted_or_predicted_counts_by_its_belief(store: MemoryStore, tmp_path: Path) -> None:
    store.write(
        [Source("gnn:1", "model"), Source("blog:1", "document", reliability=0.4)],
        claims=[
            Claim("OMIM:100003", "HAS_PHENOTYPE", "HP:0001166", "gnn:1", 1.0),
            Claim("OMIM:100003", "HAS_PHENOTYPE", "HP:0001631", "blog:1", 1.0, {"frequency_percent": 50.0}),
            Claim("OMIM:100003", "EXCLUDES_PHENOTYPE", "HP:0001251", "blog:1", 1.0),
        ],
    )
    annotations = annotations_of(_snapshot(store, tmp_path), models=["gnn:1", "gnn:unknown"])
    [(_, _, _, _, predicted, _)] = _rows(annotations, "OMIM:100003", "HP:0001166")
    assert predicted == pytest.approx(0.8 * 0.35)
    [(_, _, _, _, doubted, _)] = _rows(annotations, "OMIM:100003", "HP:0001631")
    assert doubted == pytest.approx(0.4 * 0.5)
    assert _rows(annotations, "OMIM:100003", "HP:0001251") == []


def test_obsolete_terms_stand_for_what_replaces_them(store: MemoryStore, tmp_path: Path) -> None:
    source = "hpo:2025-01-16"
    old = [Entity(f"HP:900000{i}", ("Phenotype",), source, {"name": "old", "obsolete": True}) for i in range(4)]
    replaced = [
        ("HP:9000000", "HP:0001250"),
        ("HP:9000001", "HP:9000000"),
        ("HP:9000002", "HP:0001250"),
        ("HP:9000002", "HP:0001251"),
    ]
    store.write(entities=old, claims=[Claim(a, "REPLACED_BY", b, source) for a, b in replaced])
    annotations = annotations_of(_snapshot(store, tmp_path))
    index = annotations.term_index
    assert index["HP:9000000"] == index["HP:9000001"] == index["HP:0001250"]
    assert "HP:9000002" not in index, "it was split, so nothing stands for it"
    assert "HP:9000003" not in index
    assert not any(id_.startswith("HP:9") for id_ in annotations.term_ids)
