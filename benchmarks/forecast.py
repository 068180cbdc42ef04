"""How good forecasts are: errors with the graph and without, and of baselines, over seeds; and with sensors missing.

The first 70 % of a series are learned from, the next 10 % tell when to stop, and the last 20 % are forecast. With
`--refit`, too, after learning from all of the first 80 %, as `evigraph evaluate forecast` does. With `--missing`, each
forecaster forecasts the same again while a random share of the sensors is dead all the time ("dead"; errors of those
and of the others), and while that share of all values is missing in random gaps of an hour in the mean ("gaps").

    python -m benchmarks.forecast [--series FILE …] [--seeds 0,1,2] [--missing 0.1 0.3 0.5] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from encoders.forecast.baselines import BASELINES, usual_day
from encoders.forecast.evaluation import ForecastMetrics, forecast_metrics
from encoders.forecast.forecaster import Forecaster
from encoders.forecast.series import Array, SensorSeries, series_of_records
from encoders.forecast.training import ForecastSettings, train_forecaster
from encoders.forecast.windows import starts, targets
from ingestion.readers.base import get_reader
from kg.model import Record

SERIES = Path(__file__).parents[2] / "shared" / "data" / "traffic" / "losloop" / "losloop_train.npz"
_WAYS: dict[str, dict[str, Any]] = {
    "without graph": {"graph": False, "refit": False},
    "with graph": {"refit": False},
    "networks alone": {"refit": False, "trees": 0},
    "with graph, refit": {},
}
_GAP_S = 3600.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one way and seed."""

    name: str
    seed: int
    metrics: ForecastMetrics
    seconds: float


def main() -> None:
    """Prints a line for each way and seed, then means and standard deviations over seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--series", type=Path, nargs="+", default=[SERIES], help="series, network, places: what the reader knows"
    )
    parser.add_argument("--measure")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--ways", nargs="+", choices=list(_WAYS), default=["without graph", "with graph"])
    parser.add_argument("--missing", type=float, nargs="+", default=[], help="shares of sensors, and of values")
    parser.add_argument("--no-baselines", dest="baselines", action="store_false")
    parser.add_argument("--keep", type=Path, help="folder of forecasters, which are used again if they are there")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if absent := [path for path in options.series if not path.exists()]:
        print(f"skipped: no series at {absent[0]}; name one with --series")
        return
    series = series_of_records(_records(options.series), options.measure)
    cut = round(0.8 * len(series))
    learned, asked = series.part(0, cut), series.part(cut, len(series))
    fitted = series.part(0, round(0.7 * len(series)))
    truth = targets(asked, starts(asked))
    print(f"{len(series.sensors)} sensors, {len(series)} steps of {series.step_s} s; {len(truth)} windows forecast")
    print(f"{np.count_nonzero(series.near)} neighbours")
    found: list[Figures] = []

    def tell(name: str, seed: int, metrics: ForecastMetrics, seconds: float) -> None:
        found.append(Figures(name, seed, metrics, seconds))
        print(f"{name:46} {_text([metrics])}   {seconds:5.0f} s", flush=True)

    for seed in map(int, options.seeds.split(",")):
        for name, baseline in BASELINES.items() if options.baselines else ():
            if seed and name != "LSTM":
                continue  # nothing of the others is drawn
            start = time.perf_counter()
            tell(name, seed, forecast_metrics(asked, baseline(fitted, asked, seed), truth), time.perf_counter() - start)
        for name in options.ways:
            start = time.perf_counter()
            made = _made(learned, ForecastSettings(seed=seed, **_WAYS[name]), options.keep, f"{name} {seed}")
            tell(name, seed, forecast_metrics(asked, made.forecast(asked), truth), time.perf_counter() - start)
            for what, metrics in _missing(made, fitted, asked, truth, options.missing):
                tell(f"{name}, {what}", seed, metrics, 0.0)
    print("mean ± standard deviation:")
    for name in dict.fromkeys(of.name for of in found):
        print(f"{name:46} {_text([of.metrics for of in found if of.name == name])}")
    if options.json:
        rows = [asdict(of) | {"mean_mae": of.metrics.mean_mae} for of in found]
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def _records(paths: Sequence[Path]) -> Iterator[Record]:
    reader = get_reader("series")
    for path in paths:
        for document in reader.documents(path):
            yield from reader.read(document)


def _made(learned: SensorSeries, settings: ForecastSettings, keep: Path | None, name: str) -> Forecaster:
    folder = keep / name.replace(" ", "-") if keep else None
    if folder is not None and (folder / "card.json").exists():
        return Forecaster.load(folder)
    made = train_forecaster(learned, settings)
    if folder is not None:
        made.save(folder)
    return made


def _missing(
    made: Forecaster, fitted: SensorSeries, asked: SensorSeries, truth: Array, shares: Sequence[float]
) -> Iterator[tuple[str, ForecastMetrics]]:
    """Errors while something is missing; what is missing is the same for all ways and seeds."""
    usual = usual_day(fitted, asked, 0)
    for share in shares:
        draw = np.random.default_rng(round(1000 * share))
        dead = draw.permutation(len(asked.sensors)) < round(share * len(asked.sensors))
        forecast = made.forecast(replace(asked, values=np.where(dead, np.nan, asked.values)))
        for what, which in ((f"{share:.0%} dead: those", dead), (f"{share:.0%} dead: the others", ~dead)):
            yield what, forecast_metrics(asked, forecast[:, which], truth[:, which])
        yield f"{share:.0%} dead: those as usual", forecast_metrics(asked, usual[:, dead], truth[:, dead])
        gone = _gaps(asked, share, draw)
        forecast = made.forecast(replace(asked, values=np.where(gone, np.nan, asked.values)))
        yield f"{share:.0%} in gaps", forecast_metrics(asked, forecast, truth)


def _gaps(series: SensorSeries, share: float, draw: np.random.Generator) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """(steps, sensors): a chain of two states for each sensor, with gaps of an hour in the mean."""
    ends = series.step_s / _GAP_S
    begins = ends * share / (1 - share)
    gone = np.zeros(series.values.shape, np.bool_)
    now = draw.random(len(series.sensors)) < share
    for step in range(len(series)):
        now = np.where(now, draw.random(len(now)) >= ends, draw.random(len(now)) < begins)
        gone[step] = now
    return gone


def _text(found: list[ForecastMetrics]) -> str:
    minutes = list(found[0].mae)
    mae = " ".join(f"{np.mean([one.mae[m] for one in found]):.2f}" for m in minutes)
    rmse = " ".join(f"{np.mean([one.rmse[m] for one in found]):.2f}" for m in minutes)
    covered = " ".join(f"{np.mean([one.covered[m] for one in found]):.3f}" for m in minutes if found[0].covered)
    means = [one.mean_mae for one in found]
    spread = f" ± {np.std(means, ddof=1):.3f}" if len(means) > 1 else ""
    return f"MAE {np.mean(means):.3f}{spread} ({mae})   RMSE {rmse}" + (f"   covered {covered}" if covered else "")


if __name__ == "__main__":
    main()
