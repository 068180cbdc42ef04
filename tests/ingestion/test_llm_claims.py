"""What three LLMs said of some rare diseases: the fused belief is above each and the majority, and calibrated."""

from __future__ import annotations

import itertools
import lzma
from pathlib import Path

import numpy as np
import pytest

from benchmarks.llm_claims import DATA, auroc, measure
from encoders.calibration import expected_calibration_error

DISEASES = 300


@pytest.mark.skipif(not DATA.exists(), reason=f"no {DATA.name} here")
def test_the_fused_belief_is_above_all(tmp_path: Path) -> None:
    part = tmp_path / "part.jsonl"
    with lzma.open(DATA, "rt", encoding="utf-8") as file:
        part.write_text("".join(itertools.islice(file, DISEASES)))
    found = measure(part)
    assert found["diseases"] == DISEASES
    assert found["fused_above_all"]
    assert found["ece_reached"]
    assert found["resolved"] > 0.7
    assert found["strategies"]["calibrated"]["auroc"] > found["strategies"]["noisy-or"]["auroc"] > 0.6


def test_auroc() -> None:
    belief, true = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    assert auroc(belief, true) == 0.75
    assert auroc(np.full(4, 0.5), true) == 0.5


def test_calibration_error() -> None:
    true = np.array([True, False] * 50)
    assert expected_calibration_error(np.full(100, 0.5), true) == 0.0
    assert expected_calibration_error(np.full(100, 0.9), true) == pytest.approx(0.4)
