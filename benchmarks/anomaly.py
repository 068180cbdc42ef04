"""Alerts on the labelled traffic series of the Numenta Anomaly Benchmark, beside its scoreboard.

Three thresholds: the shipped one; for each series the one that is best on the others; and the one that is best on all.
The scoreboard is of NAB's whole corpus, of which these series are a small part: it is shown, and is no comparison.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from encoders.forecast.series import series_of_records
from ingestion.readers.base import get_reader
from reasoning.traffic.anomaly import THRESHOLD, AnomalyDetector, alerts_of
from reasoning.traffic.anomaly_evaluation import LabelledSeries, NabReport, nab, read_series

_DATA = Path(__file__).parents[2] / "shared" / "data" / "traffic"
_THRESHOLDS = np.arange(2.0, 8.01, 0.25)


def main() -> None:
    """Prints the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=_DATA, help="folder with nab_traffic/ and losloop/")
    parser.add_argument("--json", type=Path, help="write the results here, too")
    given = parser.parse_args()
    folder = given.data / "nab_traffic"
    series = [one for one in read_series([folder], folder / "labels_public.json") if one.windows]
    at = {float(threshold): [_alerts(one, float(threshold)) for one in series] for threshold in _THRESHOLDS}
    best = max(at, key=lambda threshold: _score(series, at[threshold]))
    others = []
    for left_out in range(len(series)):
        rest = [number for number in range(len(series)) if number != left_out]
        chosen = max(at, key=lambda one: _score([series[n] for n in rest], [at[one][n] for n in rest]))
        others.append(at[chosen][left_out])
    rows = {
        f"shipped threshold {THRESHOLD:g}": nab(series, [_alerts(one, THRESHOLD) for one in series]),
        "best threshold on the other series": nab(series, others),
        f"best threshold on all, {best:g}": nab(series, at[best]),
    }
    results: dict[str, object] = {}
    for name, report in rows.items():
        print(f"{name:36}NAB {report.nab_standard:5.1f}  precision {report.precision:.2f}  recall {report.recall:.2f}")
        results[name] = report.nab_standard
    each = {one.name: _each(one).nab_standard or 0.0 for one in series}
    results["each series"] = each
    print("each series, shipped: " + ", ".join(f"{name} {value:.1f}" for name, value in each.items()))
    results["scoreboard"] = board = json.loads((folder / "nab_scoreboard.json").read_text(encoding="utf-8"))
    for name, scores in sorted(board.items(), key=lambda item: -item[1]["standard"])[:6]:
        print(f"scoreboard of the whole corpus, {name:18}NAB {scores['standard']:5.1f}")
    results["speed"] = rate = _rate(series)
    results["alerts a sensor and week"] = false = _alerts_a_week(given.data / "losloop" / "losloop_train.npz")
    print(f"{rate:,.0f} values a second; on 207 loops of an ordinary week {false:.1f} alerts a sensor and week")
    if given.json:
        given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


def _alerts(one: LabelledSeries, threshold: float) -> list[int]:
    detector = AnomalyDetector(threshold)
    moments = [detector.update(time, value) for time, value in zip(one.times, one.values, strict=True)]
    return [index for index, moment in enumerate(moments) if moment is not None and moment.alert]


def _score(series: Sequence[LabelledSeries], detected: Sequence[Sequence[int]]) -> float:
    return nab(series, detected).nab_standard or 0.0


def _each(one: LabelledSeries) -> NabReport:
    return nab([one], [_alerts(one, THRESHOLD)])


def _rate(series: Sequence[LabelledSeries]) -> float:
    started = time.perf_counter()
    for one in series:
        _alerts(one, THRESHOLD)
    return sum(len(one.times) for one in series) / (time.perf_counter() - started)


def _alerts_a_week(path: Path) -> float:
    reader = get_reader("series")
    loops = series_of_records([record for document in reader.documents(path) for record in reader.read(document)])
    times = loops.start + loops.step_s * np.arange(len(loops.values))
    found = sum(len(alerts_of(zip(times.tolist(), column.tolist(), strict=True))) for column in loops.values.T)
    weeks = len(times) * loops.step_s / (7 * 86400)
    return found / len(loops.sensors) / weeks


if __name__ == "__main__":
    main()
