"""How good forecasts are: errors of the graph network, with the graph and without, and of baselines, over seeds.

The first 70 % of a series are learned from, the next 10 % tell when to stop, and the last 20 % are forecast. Once
more, the network learns from all of the first 80 %, as `evigraph evaluate forecast` does.

    python -m benchmarks.forecast [--series FILE] [--seeds 0,1,2] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from encoders.forecast.baselines import BASELINES
from encoders.forecast.evaluation import ForecastMetrics, forecast_metrics
from encoders.forecast.series import series_of_records
from encoders.forecast.training import ForecastSettings, train_forecaster
from encoders.forecast.windows import starts, targets
from ingestion.readers.base import get_reader

SERIES = Path(__file__).parents[2] / "shared" / "data" / "traffic" / "losloop" / "losloop_train.npz"


def main() -> None:
    """Prints a line for each way and seed, then means."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=Path, default=SERIES, help="in any form that the reader `series` knows")
    parser.add_argument("--measure")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    if not options.series.exists():
        print(f"skipped: no series at {options.series}; name one with --series")
        return
    reader = get_reader("series")
    records = (record for document in reader.documents(options.series) for record in reader.read(document))
    series = series_of_records(records, options.measure)
    cut = round(0.8 * len(series))
    learned, fitted, asked = (
        series.part(0, cut),
        series.part(0, round(0.7 * len(series))),
        series.part(cut, len(series)),
    )
    truth = targets(asked, starts(asked))
    print(f"{len(series.sensors)} sensors, {len(series)} steps of {series.step_s} s; {len(truth)} windows forecast")
    found: dict[str, list[ForecastMetrics]] = {}

    def tell(name: str, metrics: ForecastMetrics, seconds: float) -> None:
        found.setdefault(name, []).append(metrics)
        print(f"{name:34} {_text([metrics])}   {seconds:5.0f} s", flush=True)

    for seed in map(int, options.seeds.split(",")):
        for name, baseline in BASELINES.items():
            if seed and name != "LSTM":
                continue  # nothing of the others is drawn
            start = time.perf_counter()
            tell(name, forecast_metrics(asked, baseline(fitted, asked, seed), truth), time.perf_counter() - start)
        for name, of, more in (
            ("network without graph, 70 %", learned, {"graph": False, "refit": False}),
            ("graph network, 70 %", learned, {"refit": False}),
            ("graph network, 80 %", learned, {}),
        ):
            start = time.perf_counter()
            made = train_forecaster(of, ForecastSettings(seed=seed, **more))
            tell(name, forecast_metrics(asked, made.forecast(asked), truth), time.perf_counter() - start)
    print("means:")
    for name, all_ in found.items():
        print(f"{name:34} {_text(all_)}")
    if options.json:
        rows = {name: [asdict(one) for one in all_] for name, all_ in found.items()}
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def _text(found: list[ForecastMetrics]) -> str:
    minutes = list(found[0].mae)
    mae = " ".join(f"{np.mean([one.mae[m] for one in found]):.2f}" for m in minutes)
    rmse = " ".join(f"{np.mean([one.rmse[m] for one in found]):.2f}" for m in minutes)
    covered = " ".join(f"{np.mean([one.covered[m] for one in found]):.3f}" for m in minutes if found[0].covered)
    mean = np.mean([one.mean_mae for one in found])
    return f"MAE {mean:.3f} ({mae})   RMSE {rmse}" + (f"   covered {covered}" if covered else "")


if __name__ == "__main__":
    main()
