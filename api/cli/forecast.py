"""`evigraph train forecast`, `evaluate forecast` and `forecast`: what sensors will measure."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.common import EVALUATE, TRAIN, Json, Progress, err, group, out, print_json, table, with_service
from kg.errors import InputError

if TYPE_CHECKING:
    from api.service import Service
    from encoders.forecast.evaluation import ForecastMetrics
    from encoders.forecast.forecast_graph import Written
    from encoders.forecast.series import SensorSeries
    from reasoning.traffic.forecast_answer import ForecastAnswer

Measure = Annotated[str | None, typer.Option(help="Which measure, e.g. speed, if there are several.")]
Seed = Annotated[int, typer.Option(help="The same seed and series give the same forecaster.")]
Epochs = Annotated[int, typer.Option(min=2, max=10_000, help="Passes over all windows.")]
Members = Annotated[int, typer.Option(min=1, max=100, help="Networks whose mean is the forecast.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    group(app, "evaluate", EVALUATE).command("forecast")(evaluate)
    group(app, "train", TRAIN).command("forecast")(train)
    app.command("forecast")(forecast)


def evaluate(
    train_: Annotated[list[Path], typer.Option("--train", help="Series to learn from; and the network, if apart.")],
    test: Annotated[Path, typer.Option(help="Series of the same sensors, to forecast.")],
    measure: Measure = None,
    seed: Seed = 0,
    epochs: Epochs = 25,
    members: Members = 3,
    graph: Annotated[bool, typer.Option(help="Whether sensors see their neighbours.")] = True,
    baselines: Annotated[bool, typer.Option(help="The last value, the usual day, ridge and an LSTM, too.")] = True,
    json: Json = False,
) -> None:
    """Trains on one series and forecasts another, 12 steps from the 12 before: errors after 15, 30 and 60 minutes."""
    from encoders.forecast.baselines import BASELINES
    from encoders.forecast.evaluation import forecast_metrics
    from encoders.forecast.training import ForecastSettings, train_forecaster
    from encoders.forecast.windows import starts, targets

    learned = _read(train_, measure)
    asked = _read([test], learned.measure).of_sensors(learned.sensors)
    if asked.step_s != learned.step_s:
        raise InputError(f"steps of {asked.step_s} s, not {learned.step_s} s as in what is learned from", str(test))
    if not len(starts(asked)):
        raise InputError(f"{len(asked)} steps are too few to forecast any", str(test))
    truth = targets(asked, starts(asked))
    found: dict[str, ForecastMetrics] = {}
    seconds: dict[str, float] = {}
    for name, baseline in BASELINES.items() if baselines else ():
        start = time.perf_counter()
        with err().status(f"{name} …"):
            found[name] = forecast_metrics(asked, baseline(learned, asked, seed), truth)
        seconds[name] = time.perf_counter() - start
    start = time.perf_counter()
    settings = ForecastSettings(epochs=epochs, members=members, seed=seed, graph=graph)
    with Progress() as progress:
        forecaster = train_forecaster(learned, settings, progress)
    name = "graph network" if graph else "network without graph"
    found[name] = forecast_metrics(asked, forecaster.forecast(asked), truth)
    seconds[name] = time.perf_counter() - start
    if json:
        told = {way: asdict(of) | {"mean_mae": of.mean_mae, "seconds": seconds[way]} for way, of in found.items()}
        own = told.pop(name)
        coverage = sum(own["covered"].values()) / max(len(own["covered"]), 1)
        print_json(own | {"by": name, "coverage90": coverage, "baselines": told})
        return
    minutes = list(found[name].mae)
    rows = table("by", *(f"MAE {m} min" for m in minutes), *(f"RMSE {m} min" for m in minutes), "MAE", "covered", "s")
    rows.columns[0].no_wrap = True  # however narrow the terminal is
    for name, of in found.items():
        covered = " / ".join(f"{share:.3f}" for share in of.covered.values())
        numbers = [f"{value:.2f}" for value in (*of.mae.values(), *of.rmse.values(), of.mean_mae)]
        rows.add_row(name, *numbers, covered, f"{seconds[name]:.0f}")
    out().print(rows)


def train(
    context: typer.Context,
    folder: Annotated[Path, typer.Option("--out", help="Folder for the forecaster; made if it is not there.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Files of series; default: what the graph has.")] = None,
    measure: Measure = None,
    seed: Seed = 0,
    epochs: Epochs = 25,
    members: Members = 3,
    json: Json = False,
) -> None:
    """Trains a forecaster on the series of the graph, or of files."""
    from encoders.forecast.training import ForecastSettings, train_forecaster

    learned = _of_files_or_graph(context, paths, measure)
    settings = ForecastSettings(epochs=epochs, members=members, seed=seed)
    with Progress() as progress:
        forecaster = train_forecaster(learned, settings, progress)
    try:
        forecaster.save(folder)
    except OSError as error:
        raise InputError(f"can't be written: {error.strerror}", str(folder)) from error
    told: dict[str, Any] = {"measure": learned.measure, "sensors": len(learned.sensors), "steps": len(learned)}
    if json:
        print_json(told | {"epochs": forecaster.epochs})
    else:
        out().print(f"a forecaster of {told['measure']} at {told['sensors']:,} sensors is in {folder}")


def forecast(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Of a forecaster that `train forecast` made.")],
    paths: Annotated[list[Path] | None, typer.Argument(help="Files of series; default: what the graph has.")] = None,
    sensor: Annotated[list[str] | None, typer.Option(help="Only these; default: all.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Write the forecast of all sensors to the graph.")] = False,
    json: Json = False,
) -> None:
    """Forecasts the 12 steps after the last that was measured."""
    from encoders.forecast.forecaster import Forecaster
    from encoders.forecast.newest import newest
    from reasoning.traffic.forecast import answer

    made = Forecaster.load(folder)
    written: Written | None = None
    if paths:
        if write:
            raise InputError("what is written must rest on the graph: ingest the files first", "--write")
        series = _read(paths, made.series.measure)
        made.bound_to(series.sensors)
        window = newest(series, made.series)
        if unknown := [name for name in sensor or () if name not in made.series.sensors]:
            raise InputError(f"not a sensor of the forecaster: {unknown[0]!r}", "--sensor")
        found = answer(made, window, made.ahead(window), sensor)
    else:

        async def work(service: Service) -> tuple[ForecastAnswer, Written | None]:
            from api.forecasting import Forecasting

            return await Forecasting(service.settings, made).answer(service.store, sensor, write=write)

        found, written = with_service(context, work)
    _print(found, written, json=json)


def _print(found: ForecastAnswer, written: Written | None, *, json: bool) -> None:
    steps = [(of.sensor, step) for of in found.forecasts for step in of.steps]
    rows = [
        {"sensor": name, "time": step.time, "low": step.low, "median": step.median, "high": step.high}
        for name, step in steps
    ]
    if json:
        told = asdict(found) | {"forecasts": rows}
        print_json(told | {"written": asdict(written)} if written is not None else told)
        return
    shown = table("sensor", "time", *(f"{found.measure}, {what}" for what in ("low", "median", "high")))
    for column in shown.columns[:2]:
        column.overflow = "fold"
    for name, step in steps:
        shown.add_row(name, step.time, *(f"{value:.1f}" for value in (step.low, step.median, step.high)))
    out().print(shown)
    for one in found.abstained:
        out().print(f"{one.sensor} is not forecast: {one.reason}")
    if written is not None:
        out().print(
            f"written for {written.sensors:,} sensors; `evigraph sources retract {written.source}` takes it back"
        )


def _of_files_or_graph(context: typer.Context, paths: list[Path] | None, measure: str | None) -> SensorSeries:
    from encoders.forecast.series import series_of_snapshot

    if paths:
        return _read(paths, measure)
    with err().status("Reading the graph …"):
        return series_of_snapshot(with_service(context, lambda service: service.snapshot("traffic")), measure)


def _read(paths: list[Path], measure: str | None) -> SensorSeries:
    """The series of files, whatever their form; records that can't be read are counted on stderr."""
    from encoders.forecast.series import series_of_records
    from ingestion.readers.base import get_reader
    from kg.model import Rejected

    reader = get_reader("series")
    records = []
    for path in paths:
        if not path.exists():
            raise InputError("no such file", str(path))
        for document in reader.documents(path):
            records += list(reader.read(document))
    refused = [record for record in records if isinstance(record, Rejected)]
    if refused:
        first = refused[0]
        where = ":".join(filter(None, (first.document, first.place)))
        err().print(f"{len(refused):,} records refused; the first: {where}: {first.reason}")
    return series_of_records(records, measure)
