"""Anomalies of one series, and the score of the Numenta Anomaly Benchmark."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from api.cli import main
from kg.errors import InputError
from reasoning.traffic.anomaly import QUIET_S, AnomalyDetector, alerts_of
from reasoning.traffic.anomaly_evaluation import LabelledSeries, nab, probation, read_series


def _series(values: np.ndarray, step: float = 300.0) -> list[tuple[float, float | None]]:
    return [(step * number, float(value)) for number, value in enumerate(values)]


def test_a_drop_is_told_once_and_ordinary_days_are_not() -> None:
    speeds = np.random.default_rng(0).uniform(55, 65, 2000)
    assert alerts_of(_series(speeds)) == []
    speeds[1500:1510] = 15
    (told,) = [moment for moment in alerts_of(_series(speeds)) if moment.value == 15]
    assert told.time == 1500 * 300
    assert told.expected == pytest.approx(60, abs=1)
    assert told.low is not None
    assert told.low > 15
    speeds[1500 + int(QUIET_S / 300) + 1] = 15
    assert len([moment for moment in alerts_of(_series(speeds)) if moment.value == 15]) == 2


def test_only_the_past_counts() -> None:
    values = np.random.default_rng(1).normal(10, 1, 600)
    changed = values.copy()
    changed[400:] = 1000
    one, other = AnomalyDetector(), AnomalyDetector()
    for time, (a, b) in enumerate(zip(values[:400], changed[:400], strict=True)):
        assert one.update(time, a) == other.update(time, b)


def test_constant_series_and_gaps() -> None:
    constant: list[tuple[float, float | None]] = [(float(time), 5.0) for time in range(100)]
    assert alerts_of(constant) == []
    assert [moment.value for moment in alerts_of([*constant, (100.0, None), (200.0, math.nan), (900.0, 6.0)])] == [6.0]


def test_the_clock_may_not_go_back() -> None:
    detector = AnomalyDetector()
    detector.update(10, 1)
    detector.update(10, 1)
    with pytest.raises(InputError, match="time 9: comes before"):
        detector.update(9, 1)
    with pytest.raises(InputError, match="finite"):
        detector.update(11, math.inf)


def test_a_detector_goes_on_where_it_was_put_aside() -> None:
    series = _series(_days(12))
    whole, first = AnomalyDetector(), AnomalyDetector()
    for time, value in series[:2500]:
        whole.update(time, value)
        first.update(time, value)
    second = AnomalyDetector.of_state(json.loads(json.dumps(first.state())))
    for time, value in series[2500:]:
        assert whole.update(time, value) == second.update(time, value)
    for broken in ({"values": 3}, first.state() | {"usual": {"mean": [0.0]}}):
        with pytest.raises(InputError, match="no state"):
            AnomalyDetector.of_state(broken)


def _labelled(n: int, windows: list[tuple[int, int]]) -> LabelledSeries:
    return LabelledSeries("x.csv", [float(time) for time in range(n)], [0.0] * n, windows)


def test_nab_score_by_its_own_rule() -> None:
    series = [_labelled(1000, [(400, 499), (700, 799)])]
    assert probation(1000) == 150
    assert probation(100_000) == 750
    nothing = nab(series, [[]])
    assert nothing.nab_standard == 0
    assert nothing.recall == 0
    perfect = nab(series, [[400, 700]])
    assert perfect.nab_standard == pytest.approx(100)
    sigmoid = 2 / (1 + math.exp(5 * -0.01)) - 1  # the last value of a window of 100
    late = nab(series, [[499, 700]])
    assert late.nab_standard == pytest.approx(100 * (sigmoid / (2 / (1 + math.exp(-5)) - 1) + 1 + 2) / 4)
    before = nab(series, [[100, 300, 400, 401, 700]])  # 100 is not counted, 300 costs .11
    assert before.nab_standard == pytest.approx(100 * (2 - 0.11 + 2) / 4)
    assert before.precision == pytest.approx(3 / 4)
    after = nab(series, [[400, 500, 700]])
    cost = 0.11 * (2 / (1 + math.exp(5 / 99)) - 1)
    assert after.nab_standard == pytest.approx(100 * (2 + cost + 2) / 4)
    far = nab([_labelled(1000, [(400, 409)])], [[400, 900]])
    assert far.nab_standard == pytest.approx(100 * (1 - 0.11 + 1) / 2)


def test_files_are_read_or_refused_by_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = [f"2026-01-0{1 + hour // 24} {hour % 24:02}:00:00,{10 + hour % 3}" for hour in range(100)]
    rows[80] = rows[80].split(",")[0] + ",99"
    path, windows = tmp_path / "a.csv", tmp_path / "windows.json"
    path.write_text("timestamp,value\n" + "\n".join(rows), encoding="utf-8")
    windows.write_text('{"any/a.csv": [["2026-01-04 06:00:00", "2026-01-04 10:00:00"]]}', encoding="utf-8")
    (one,) = read_series([tmp_path], windows)
    assert one.windows == [(78, 82)]
    with pytest.raises(SystemExit) as end:
        main(["evaluate", "anomaly", str(path), "--windows", str(windows), "--json"])
    assert end.value.code == 0
    report = json.loads(capfd.readouterr().out)
    assert report["recall"] == 1
    assert report["nab_standard"] > 50
    with pytest.raises(SystemExit):
        main(["anomalies", str(path)])
    assert "99.0" in capfd.readouterr().out
    path.write_text("timestamp,value\n2026-01-01,1\n2025-01-01,2\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.csv:3: the clock goes back"):
        read_series([path], windows)
    path.write_text("timestamp,value\n2026-01-01,x\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.csv:2"):
        read_series([path], windows)


def _days(days: int) -> np.ndarray:
    """Vehicles in five minutes: many by day, hardly any at night."""
    at = np.arange(288 * days)
    waves = 50 - 48 * np.cos(2 * np.pi * at / 288)
    return np.maximum(waves + np.random.default_rng(3).normal(0, 3, len(at)), 0)


def test_what_is_usual_at_night_is_told_by_day() -> None:
    flow = _days(21)
    begin = 288 * 18 + 138
    flow[begin : begin + 20] = 2.0
    (told,) = [moment for moment in alerts_of(_series(flow)) if moment.time >= 288 * 15 * 300]
    assert told.time == begin * 300
    assert told.hourly
    assert told.expected == pytest.approx(98, abs=5)
    few_days = [moment for moment in alerts_of(_series(flow[288 * 16 :])) if moment.value == 2.0]
    assert few_days == []


def test_weekends_have_usual_days_of_their_own() -> None:
    day = np.arange(288 * 42) // 288
    flow = _days(42) * np.where((day + 3) % 7 >= 5, 0.3, 1.0)
    assert [moment for moment in alerts_of(_series(flow)) if moment.time >= 288 * 28 * 300] == []
    flow[288 * 37 + 138 :][:12] = 98  # a Saturday
    assert [moment.time for moment in alerts_of(_series(flow)) if moment.time >= 288 * 28 * 300] == [
        (288 * 37 + 138) * 300
    ]


def test_enormous_values_are_no_crash() -> None:
    detector = AnomalyDetector()
    for time in range(25):
        detector.update(time, 0.0)
    moment = detector.update(26, 1e99)
    assert moment is not None
    assert (moment.alert, moment.score) == (True, 1.0)
    with pytest.raises(InputError, match="1e100"):
        detector.update(27, 1e200)


def test_windows_of_other_series_are_an_error(tmp_path: Path) -> None:
    path, windows = tmp_path / "a.csv", tmp_path / "windows.json"
    path.write_text("timestamp,value\n2026-01-01,1\n", encoding="utf-8")
    windows.write_text('{"b.csv": [["2026-01-04", "2026-01-05"]]}', encoding="utf-8")
    with pytest.raises(InputError, match=r"names none of a\.csv"):
        read_series([path], windows)
