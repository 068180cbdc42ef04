"""How many disturbances that are put into real series are told, and how often the series as they are give alerts.

Each sensor is disturbed once for two hours, at a random time after the first third: stuck at zero, a third of what it
was, or doubled. Alerts count from then on, with the comparison by hour and without.

    python -m benchmarks.anomaly_injected [--data FOLDER] [--seed 0] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.forecast.series import series_of_records
from ingestion.readers.base import get_reader
from reasoning.traffic.anomaly import AnomalyDetector, alerts_of
from reasoning.traffic.ordinary import UsualDay

_DATA = Path(__file__).parents[2] / "shared" / "data" / "traffic"
_SERIES = ("losloop/losloop_train.npz", "scats/scats_train.npz")
_EVENT_S, _WEEK_S = 7200.0, 7 * 86_400.0
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Injected:
    """What one way to compare makes of one set of series.

    Attributes:
        alerts_a_week: of a sensor, in its series as it is.
        recall: share of disturbances that an alert falls into, by kind.
    """

    sensors: int
    alerts_a_week: float
    recall: dict[str, float]


class _NothingUsual(UsualDay):
    def at(self, time: float) -> None:  # noqa: ARG002 (as the base has it)
        return None


class _ByValuesAlone(AnomalyDetector):
    def __init__(self) -> None:
        super().__init__()
        self._usual = _NothingUsual()


def main() -> None:
    """Prints a line for each set of series and way to compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=_DATA, help="folder with losloop/ and scats/")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    found: dict[str, Injected] = {}
    for name in _SERIES:
        path = options.data / name
        if not path.exists():
            print(f"skipped: no series at {path}")
            continue
        for way, detector in (("by values alone", _ByValuesAlone), ("by hour, too", AnomalyDetector)):
            one = found[f"{path.parent.name}, {way}"] = _injected(path, options.seed, detector)
            told = ", ".join(f"{kind} {share:.2f}" for kind, share in one.recall.items())
            print(f"{path.parent.name:8} {way:16} {one.alerts_a_week:.2f} alerts a sensor and week; told: {told}")
    if options.json:
        options.json.write_text(json.dumps({name: asdict(one) for name, one in found.items()}, indent=1) + "\n")


def _injected(path: Path, seed: int, detector: type[AnomalyDetector]) -> Injected:
    reader = get_reader("series")
    series = series_of_records([record for document in reader.documents(path) for record in reader.read(document)])
    drawn = np.random.default_rng(seed)
    times = series.start + series.step_s * np.arange(len(series), dtype=np.float64)
    later = times[0] + (times[-1] - times[0]) / 3
    alerts = 0
    hits: dict[str, list[bool]] = {}
    for column in series.values.T.astype(np.float64):
        alerts += int((_alerts(times, column, detector()) > later).sum())
        begin = drawn.uniform(later, times[-1] - _EVENT_S)
        event = (times >= begin) & (times < begin + _EVENT_S)
        for kind, factor in (("stuck at zero", 0.0), ("a third", 1 / 3), ("doubled", 2.0)):
            told = _alerts(times, np.where(event, factor * column, column), detector())
            hits.setdefault(kind, []).append(bool(((told >= begin) & (told < begin + _EVENT_S)).any()))
    weeks = len(series.sensors) * (times[-1] - later) / _WEEK_S
    return Injected(len(series.sensors), alerts / weeks, {kind: float(np.mean(of)) for kind, of in hits.items()})


def _alerts(times: Floats, values: Floats, detector: AnomalyDetector) -> Floats:
    return np.array([moment.time for moment in alerts_of(zip(times.tolist(), values.tolist(), strict=True), detector)])


if __name__ == "__main__":
    main()
