"""Fusing votes: on drawn crowds whose workers are known, by hand, and on real labelled conflicts."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from ingestion.fuse import CATEGORICAL, NUMERIC, Votes, agreement, conflict_resolution, gaussian_truth, median
from ingestion.fuse_evaluation import evaluate, read_conflicts, summary, tune
from kg.errors import InputError

DATA = Path(__file__).parents[3] / "shared" / "data"
pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")  # crowd-kit's own affair


def crowd(seed: int = 0, questions: int = 300) -> tuple[list[tuple[str, str, str]], dict[str, str]]:
    """Ten workers: three always right, one always says the opposite, six guess with a bias to `a`."""
    dice = random.Random(seed)
    truths = {f"q{n}": dice.choice("ab") for n in range(questions)}
    rows = []
    for question, truth in truths.items():
        rows += [(question, f"expert{n}", truth) for n in range(3)]
        rows.append((question, "liar", "ab".replace(truth, "")))
        rows += [(question, f"guesser{n}", dice.choice("aaab")) for n in range(6)]
    return rows, truths


def accuracy(name: str, votes: Votes, truths: dict[str, str]) -> float:
    fused = CATEGORICAL[name](votes)
    said = {q: votes.answers[k] for q, k in zip(votes.questions, fused.argmax(axis=1), strict=True)}
    return sum(said[q] == truth for q, truth in truths.items()) / len(truths)


@pytest.mark.parametrize("name", CATEGORICAL)
def test_belief_is_a_distribution_whatever_the_order_of_the_votes(name: str) -> None:
    rows, _ = crowd(questions=40)
    votes = Votes.of(rows)
    belief = CATEGORICAL[name](votes)
    assert belief.shape == (40, 2)
    assert np.allclose(belief.sum(axis=1), 1.0)
    random.Random(1).shuffle(rows)
    assert np.allclose(CATEGORICAL[name](Votes.of(rows)), belief, atol=1e-4)


@pytest.mark.parametrize("name", NUMERIC)
def test_numbers_do_not_depend_on_the_order_of_the_votes(name: str) -> None:
    dice = random.Random(2)
    rows = [(f"q{q}", f"w{w}", f"{dice.gauss(q, 1 + w):.3f}") for q in range(20) for w in range(5)]
    found = NUMERIC[name](Votes.of(rows))
    dice.shuffle(rows)
    assert np.allclose(NUMERIC[name](Votes.of(rows)), found, atol=1e-4)


def test_who_learns_the_workers_is_right_where_the_majority_is_not() -> None:
    rows, truths = crowd()
    votes = Votes.of(rows)
    assert accuracy("majority-vote", votes, truths) < 0.8
    for name in ("dawid-skene", "hierarchical-dawid-skene", "best"):
        assert accuracy(name, votes, truths) == 1.0, name


def test_majority_and_agreement_by_hand() -> None:
    votes = Votes.of([("q", "a", "x"), ("q", "b", "x"), ("q", "c", "y"), ("r", "a", "x"), ("r", "c", "x")])
    assert CATEGORICAL["majority-vote"](votes).tolist() == [[2 / 3, 1 / 3], [1.0, 0.0]]
    # a: agrees with 1 of 2 others on q, with 1 of 1 on r; b: 1 of 2; c: 0 of 2 and 1 of 1; each smoothed
    assert agreement(votes).tolist() == [3 / 5, 2 / 4, 2 / 5]
    weighted = CATEGORICAL["weighted-average"](votes)
    assert weighted[0, 0] == pytest.approx((0.6 + 0.5) / (0.6 + 0.5 + 0.4))


def test_of_two_answers_by_one_worker_the_later_counts() -> None:
    votes = Votes.of([("q", "a", "x"), ("q", "b", "x"), ("q", "a", "y"), ("q", "c", "y")])
    assert CATEGORICAL["majority-vote"](votes).tolist() == [[1 / 3, 2 / 3]]


def test_numbers_lean_to_the_workers_who_are_near() -> None:
    dice = random.Random(3)
    truth = [dice.uniform(-50, 50) for _ in range(200)]
    spread = (1, 2, 2, 30, 40)
    rows = [(f"q{q:03}", f"w{w}", repr(dice.gauss(t, s))) for q, t in enumerate(truth) for w, s in enumerate(spread)]
    votes = Votes.of(rows)
    error = {name: float(np.abs(fuse(votes) - truth).mean()) for name, fuse in NUMERIC.items()}
    assert error["gaussian-truth"] < 0.5 * error["mean"]
    assert error["conflict-resolution"] < 0.5 * error["mean"]
    assert error["median"] < error["mean"]


def test_numbers_that_agree_are_left_alone() -> None:
    votes = Votes.of([("q", "a", "2"), ("q", "b", "2.0"), ("r", "a", "-1"), ("r", "b", "-1")])
    for fuse in (median, conflict_resolution, gaussian_truth):
        assert fuse(votes).tolist() == [2.0, -1.0]


# ---- tables


def write(folder: Path, name: str, answers: str, truths: str) -> tuple[Path, Path]:
    paths = folder / f"{name}_answers.csv", folder / f"{name}_truths.csv"
    paths[0].write_text(answers, encoding="utf-8")
    paths[1].write_text(truths, encoding="utf-8")
    return paths


def drawn(folder: Path, name: str = "drawn", seed: int = 0) -> tuple[Path, Path]:
    rows, truths = crowd(seed)
    return write(
        folder,
        name,
        "\n".join(["question,worker,answer", *(",".join(row) for row in rows)]),
        "\n".join(["question,truth", *(",".join(item) for item in truths.items())]),
    )


def test_evaluate_a_folder(tmp_path: Path) -> None:
    drawn(tmp_path)
    write(tmp_path, "n", "question,worker,answer\nq,a,1.5\nq,b,2.5\n", "question,truth\nq,2.25\nunseen,1\n")
    found = {c.name: evaluate(c) for c in read_conflicts(tmp_path)}
    assert found["drawn"]["n"] == 300
    assert found["drawn"]["strategies"]["best"] == {"accuracy": 1.0}
    assert (found["n"]["n"], found["n"]["unanswered"]) == (1, 1)
    assert found["n"]["strategies"]["mean"] == {"mae": 0.25, "rmse": 0.25}
    whole = summary(found)
    assert whole["n"] == 301
    assert whole["strategies"]["best"] == {"accuracy": 1.0, "mae": 0.25, "rmse": 0.25}


def test_a_truth_that_nobody_says_is_missed(tmp_path: Path) -> None:
    paths = write(tmp_path, "x", "question,worker,answer\nq,a,1\nr,a,0\n", "question,truth\nq,7\nr,0\n")
    [conflicts] = read_conflicts(*paths)
    assert not conflicts.numeric
    assert evaluate(conflicts)["strategies"]["majority-vote"] == {"accuracy": 0.5}


def test_tune_finds_the_workers_worth_weighing_and_repeats(tmp_path: Path) -> None:
    [conflicts] = read_conflicts(*drawn(tmp_path))
    found = tune(conflicts, trials=8)
    assert found == tune(conflicts, trials=8)
    assert sum(found["n"].values()) == 300
    assert found["dev"]["tuned"]["accuracy"] >= found["dev"]["best"]["accuracy"]
    assert found["rest"]["tuned"]["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("answers", "truths", "reason"),
    [
        ("question,worker\nq,a\n", "question,truth\nq,1\n", "x_answers.csv: no column 'answer'"),
        ("question,worker,answer\nq,a,1\nq,,1\n", "question,truth\nq,1\n", "x_answers.csv:3: worker is empty"),
        ("question,worker,answer\nq,a\n", "question,truth\nq,1\n", "x_answers.csv:2: answer is empty"),
        ("question,worker,answer\n", "question,truth\nq,1\n", "x_answers.csv: no answers in it"),
        ("question,worker,answer\nq,a,1\n", "question,truth\nr,1\n", "no truth of a question"),
        ("", "question,truth\nq,1\n", "x_answers.csv: no column 'question'"),
    ],
)
def test_a_table_that_makes_no_sense_is_named(tmp_path: Path, answers: str, truths: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read_conflicts(*write(tmp_path, "x", answers, truths))


def test_files_that_can_not_be_read(tmp_path: Path) -> None:
    answers, truths = drawn(tmp_path)
    with pytest.raises(InputError, match="give the file of truths too"):
        read_conflicts(answers)
    with pytest.raises(InputError, match="nowhere"):
        read_conflicts(answers, tmp_path / "nowhere.csv")
    answers.write_bytes(b"question,worker,answer\nq,a,\xff\n")
    with pytest.raises(InputError, match="can't be read"):
        read_conflicts(answers, truths)
    with pytest.raises(InputError, match=r"no \*_answers.csv"):
        read_conflicts(tmp_path.parent / tmp_path.name / "..")


@pytest.mark.parametrize("rows", [[("q", "a", "x")], [("q", "a", "x"), ("q", "b", "x"), ("r", "b", "x")]])
def test_no_disagreement_at_all(rows: list[tuple[str, str, str]]) -> None:
    votes = Votes.of(rows)
    for name, fuse in CATEGORICAL.items():
        assert fuse(votes).tolist() == [[1.0]] * len(votes.questions), name


# ---- real conflicts


def test_real_conflicts() -> None:
    folders = [DATA / "fusion", DATA / "fusion_crowd"]
    if missing := [str(folder) for folder in folders if not folder.is_dir()]:
        pytest.skip(f"no {', '.join(missing)}")
    found = {c.name: evaluate(c) for folder in folders for c in read_conflicts(folder)}
    means = summary(found)["strategies"]
    assert means["dawid-skene"]["accuracy"] >= means["majority-vote"]["accuracy"]
    assert means["best"]["accuracy"] >= means["dawid-skene"]["accuracy"]
    assert round(found["dog"]["strategies"]["best"]["accuracy"], 4) >= 0.8426
    assert round(found["duck"]["strategies"]["best"]["accuracy"], 4) >= 0.8981
    assert found["emotion"]["strategies"]["best"]["mae"] < found["emotion"]["strategies"]["mean"]["mae"]
