"""The calibrated fusion gets what can be got: known chances, by who says it and how, and what is kept is the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ingestion.fuse_calibrated import CalibratedFusion, Statement, Vote, best_threshold
from kg.errors import InputError

CHANCE = {("good", "sure"): 0.9, ("good", "unsure"): 0.6, ("bad", "sure"): 0.3, ("bad", "unsure"): 0.1}


def drawn(many: int, seed: int) -> tuple[list[Statement], np.ndarray]:
    rng = np.random.default_rng(seed)
    kinds = list(CHANCE)
    picked = [kinds[i] for i in rng.integers(0, len(kinds), many)]
    statements = [Statement(f"HP:{rng.integers(200)}", (Vote(source, (how,)),)) for source, how in picked]
    return statements, np.array([rng.random() < CHANCE[kind] for kind in picked])


def test_beliefs_are_the_chances() -> None:
    fusion = CalibratedFusion().fit(*drawn(20_000, 1))
    for (source, how), chance in CHANCE.items():
        belief = fusion.belief([Statement("HP:new", (Vote(source, (how,)),))])[0]
        assert belief == pytest.approx(chance, abs=0.04)


def test_an_objects_record_counts() -> None:
    statements = [Statement("HP:often" if i % 2 else "HP:never", (Vote("m"),)) for i in range(200)]
    fusion = CalibratedFusion().fit(statements, np.array([i % 2 == 1 for i in range(200)]))
    often, never, new = fusion.belief([Statement(o, (Vote("m"),)) for o in ("HP:often", "HP:never", "HP:new")])
    assert never < new < often


def test_more_sources_weigh_more() -> None:
    rng = np.random.default_rng(2)
    statements, true = [], []
    for _ in range(4000):
        held = bool(rng.random() < 0.5)
        voters = tuple(Vote(s) for s in ("a", "b", "c") if rng.random() < (0.8 if held else 0.3))
        if voters:
            statements.append(Statement(f"HP:{rng.integers(500)}", voters))
            true.append(held)
    fusion = CalibratedFusion().fit(statements, np.array(true))
    one, two, three = fusion.belief([Statement("HP:x", tuple(Vote(s) for s in names)) for names in ("a", "ab", "abc")])
    assert one < two < three


def test_what_is_kept_is_what_was_learned(tmp_path: Path) -> None:
    statements, true = drawn(500, 3)
    fusion = CalibratedFusion().fit(statements, true)
    fusion.save(tmp_path / "fusion.json")
    again = CalibratedFusion.load(tmp_path / "fusion.json")
    assert np.array_equal(again.belief(statements), fusion.belief(statements))
    assert dict(again.weights()) == dict(fusion.weights())


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"base": 0.5, "doubt": 3, "weights": {"": "x"}, "record": {}}'])
def test_files_that_are_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "fusion.json").write_text(content)
    with pytest.raises(InputError, match="no calibrated fusion"):
        CalibratedFusion.load(tmp_path / "fusion.json")


def test_the_threshold_of_the_greatest_f1() -> None:
    belief = np.array([0.9, 0.8, 0.8, 0.3, 0.2])
    true = np.array([True, True, False, True, False])
    best = best_threshold(belief, true)
    f1 = {t: 2 * (true & (belief >= t)).sum() / ((belief >= t).sum() + true.sum()) for t in belief}
    assert f1[best] == max(f1.values())
    assert best_threshold(belief, true, missed=100) == 0.3
