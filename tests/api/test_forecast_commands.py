from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from api.cli import main
from encoders.forecast.forecaster import Forecaster
from tests.encoders.test_forecast import waves


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A series to learn from, and what came after it."""
    series = waves(4)
    for name, first, last in (("train", 0, 288), ("test", 288, 384)):
        np.savez(
            tmp_path / f"{name}.npz", speed=series.values[first:last], adj=series.near, step_min=15,
            sensor_ids=[f"s{at}" for at in range(6)], start=f"2024-03-0{1 + first // 96}T00:00",
        )  # fmt: skip
    return str(tmp_path / "train.npz"), str(tmp_path / "test.npz")


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capfd.readouterr()
    return int(ended.value.code or 0), printed.out, printed.err


def test_forecasts_are_measured_beside_baselines(files: tuple[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    train, test = files
    quick = ("--epochs", "2", "--members", "1")
    code, printed, error = run(capfd, "evaluate", "forecast", "--train", train, "--test", test, *quick, "--json")
    assert code == 0, error
    found = json.loads(printed)
    assert list(found["baselines"]) == ["last value", "usual day", "ridge", "LSTM"]
    assert all(set(of["mae"]) == set(of["rmse"]) == {"15", "30", "60"} for of in (found, *found["baselines"].values()))
    assert found["by"] == "graph network"
    assert 0 < found["coverage90"] == pytest.approx(sum(found["covered"].values()) / 3)
    alone = ("--no-graph", "--no-baselines")
    code, printed, error = run(capfd, "evaluate", "forecast", "--train", train, "--test", test, *quick, *alone)
    assert code == 0, error
    assert "network" in printed, printed


def test_a_forecaster_is_trained_and_kept(
    files: tuple[str, str], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "kept"
    code, _, error = run(capfd, "train", "forecast", "--out", str(folder), files[0], "--epochs", "2", "--members", "2")
    assert code == 0, error
    assert len(Forecaster.load(folder).members) == 2
    code, printed, error = run(capfd, "forecast", str(folder), files[1], "--sensor", "s3", "--json")
    assert code == 0, error
    rows = json.loads(printed)["forecasts"]
    assert [row["time"] for row in rows[:2]] == ["2024-03-05T00:00:00Z", "2024-03-05T00:15:00Z"]
    assert len(rows) == 12
    assert all(row["sensor"] == "s3" and row["low"] <= row["median"] <= row["high"] for row in rows)
    code, printed, error = run(capfd, "forecast", str(folder), files[1])
    assert code == 0, error
    code, _, error = run(capfd, "forecast", str(folder), files[1], "--sensor", "s9")
    assert code != 0
    assert "not a sensor of the forecaster: 's9'" in error


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--train", "{train}", "--test", "missing.npz"), "missing.npz: no such file"),
        (("--train", "{train}", "--test", "{short}"), "10 steps are too few to forecast any"),
        (("--train", "{train}", "--test", "{other}"), "none of the sensors, such as 's0', has a series of speed"),
        (("--train", "{train}", "--test", "{test}", "--measure", "flow"), "measure: no series of flow"),
        (("--train", "{short}", "--test", "{test}"), "10 steps are too few to learn from; 216 are the least"),
    ],
)
def test_what_cant_be_forecast_is_refused(
    files: tuple[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...], words: str
) -> None:
    train, test = files
    known = np.load(train)
    np.savez(tmp_path / "short.npz", **{**known, "speed": known["speed"][:10]})
    np.savez(tmp_path / "other.npz", **{**known, "sensor_ids": [f"t{at}" for at in range(6)]})
    names = {"train": train, "test": test} | {name: str(tmp_path / f"{name}.npz") for name in ("short", "other")}
    code, _, error = run(capfd, "evaluate", "forecast", "--no-baselines", *(part.format(**names) for part in arguments))
    assert code != 0
    assert words in error
