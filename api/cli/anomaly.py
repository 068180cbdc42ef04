"""`evigraph anomalies` and `evaluate anomaly`: what is out of the ordinary in a series."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli.common import EVALUATE, Json, group, out, print_json, table

Threshold = Annotated[float, typer.Option(min=0.1, help="Robust standard deviations from which on a value is one.")]
_THRESHOLD = 4.0


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("anomalies")(anomalies)
    group(app, "evaluate", EVALUATE).command("anomaly")(evaluate)


def anomalies(
    paths: Annotated[list[Path], typer.Argument(metavar="FILES", help="CSV with timestamp and value.")],
    threshold: Threshold = _THRESHOLD,
    json: Json = False,
) -> None:
    """Lists when a series was out of the ordinary, each moment judged from what came before it."""
    from reasoning.traffic.anomaly import AnomalyDetector, alerts_of
    from reasoning.traffic.anomaly_evaluation import read_csv

    rows = []
    for path in paths:
        series = zip(*read_csv(path), strict=True)
        for moment in alerts_of(series, AnomalyDetector(threshold)):
            time = datetime.fromtimestamp(moment.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            rows.append({"series": path.name, **asdict(moment), "time": time})
    if json:
        print_json(rows)
        return
    shown = table("series", "when", "value", "usual", "from", "to", "score")
    for row in rows:
        numbers = (f"{row[name]:.1f}" for name in ("value", "expected", "low", "high"))
        shown.add_row(row["series"], row["time"], *numbers, f"{row['score']:.2f}")
    out().print(shown)


def evaluate(
    paths: Annotated[list[Path], typer.Argument(metavar="SERIES", help="CSV with timestamp and value, or a folder.")],
    windows: Annotated[Path, typer.Option(help="JSON: file name → windows [from, to] in which something was wrong.")],
    threshold: Threshold = _THRESHOLD,
    json: Json = False,
) -> None:
    """Scores the alerts of series by the rule of the Numenta Anomaly Benchmark."""
    from reasoning.traffic.anomaly import AnomalyDetector
    from reasoning.traffic.anomaly_evaluation import nab, read_series

    series = read_series(paths, windows)
    detected = []
    for one in series:
        detector = AnomalyDetector(threshold)
        moments = [detector.update(time, value) for time, value in zip(one.times, one.values, strict=True)]
        detected.append([index for index, moment in enumerate(moments) if moment is not None and moment.alert])
    report = nab(series, detected)
    if json:
        print_json({**asdict(report), "threshold": threshold})
        return
    score = "–" if report.nab_standard is None else f"{report.nab_standard:.1f}"
    out().print(f"NAB standard {score}, precision {report.precision:.2f}, recall {report.recall:.2f}")
    out().print(f"{report.detections} alerts, {report.windows} windows, {report.n:,} values, threshold {threshold:g}")
