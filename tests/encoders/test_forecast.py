import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from encoders.forecast.baselines import BASELINES, last_value, usual_day
from encoders.forecast.evaluation import forecast_metrics
from encoders.forecast.forecaster import Forecaster
from encoders.forecast.profile import Profile
from encoders.forecast.series import SensorSeries, series_of_records, series_of_snapshot
from encoders.forecast.training import ForecastSettings, pinball, train_forecaster
from encoders.forecast.windows import FEATURES, FUTURE, PAST, Scale, hide, inputs, starts, targets
from ingestion.readers.base import get_reader
from kg.batch import Batch
from kg.errors import InputError
from kg.model import Claim, Entity, Source
from kg.snapshot import load_snapshot
from tests.support.backends import Backend

QUICK = ForecastSettings(epochs=4, members=1, rate=5e-3, trees=20)


def waves(days: int = 5, sensors: int = 6, seed: int = 0) -> SensorSeries:
    """A disturbance runs down a road of sensors, half an hour from one to the next, over a daily wave."""
    draw = np.random.default_rng(seed)
    steps = np.arange(96 * days)
    shocks = np.convolve(draw.random(len(steps) + 20) < 0.03, np.hanning(9), "same") * 20
    values = [
        60 - 15 * np.sin(2 * np.pi * steps / 96) - np.roll(shocks, 2 * at)[: len(steps)] + draw.normal(0, 1, len(steps))
        for at in range(sensors)
    ]
    near = np.eye(sensors, k=-1, dtype=np.float32)
    names = tuple(f"detector:{at}" for at in range(sensors))
    return SensorSeries("speed", names, 0, 900, np.stack(values, 1).astype(np.float32), near)


def test_it_forecasts_better_than_what_knows_no_neighbours_and_says_how_sure_it_is(tmp_path):
    series = waves(12)
    learned, asked = series.part(0, 96 * 10), series.part(96 * 10, 96 * 12)
    made = train_forecaster(learned, replace(QUICK, epochs=12, hidden=0.0))
    truth = targets(asked, starts(asked))
    found = forecast_metrics(asked, made.forecast(asked), truth)
    assert set(found.mae) == {15, 30, 60}
    for name, baseline in BASELINES.items():
        other = forecast_metrics(asked, baseline(learned, asked, 0), truth)
        assert found.mae[60] < other.mae[60], name
    assert all(0.8 < share < 0.98 for share in found.covered.values())
    low, middle, high = np.moveaxis(made.forecast(asked), -1, 0)
    assert (low <= middle).all()
    assert (middle <= high).all()

    made.save(tmp_path / "kept")
    kept = Forecaster.load(tmp_path / "kept")
    assert np.array_equal(kept.forecast(asked), made.forecast(asked))
    assert kept.series.sensors == series.sensors


def test_the_same_seed_gives_the_same_forecaster_and_what_raises_ends_the_training():
    series = waves(3)
    one, other = (train_forecaster(series, replace(QUICK, epochs=2)) for _ in range(2))
    assert np.array_equal(one.forecast(series), other.forecast(series))

    def stop(_what, done, _of):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_forecaster(series, QUICK, stop)


def test_gaps_and_silent_sensors_are_forecast_too():
    series = waves(4)
    values = series.values.copy()
    values[100:130, 2] = np.nan
    values[:, 4] = np.nan
    gappy = replace(series, values=values)
    made = train_forecaster(gappy, QUICK)
    assert np.isfinite(made.forecast(gappy)).all()
    metrics = forecast_metrics(gappy, made.forecast(gappy), targets(gappy, starts(gappy)))
    assert metrics.n < 3 * starts(gappy).size * 5 + 1  # what was not measured is not compared


def test_what_it_learns_from_has_to_be_long_enough():
    with pytest.raises(InputError, match="steps are too few to learn from"):
        train_forecaster(waves(2), QUICK)


def test_windows():
    series = waves(2, sensors=3)
    values = series.values.copy()
    values[5:12, 0] = np.nan
    values[:, 1] = np.nan
    series = replace(series, values=values)
    scale, usual = Scale.of(series), Profile(series).usual()
    windows = inputs(series, np.array([0, 40]), scale, usual)
    assert windows.shape == (2, 3, FEATURES)
    assert torch.isfinite(windows).all()
    assert torch.equal(windows[0, 0, 5:PAST], windows[0, 0, 4].expand(7))  # the last one is held
    assert torch.equal(windows[0, 1, :PAST], windows[0, 1, 2 * PAST : 3 * PAST])  # what never came is as usual
    assert windows[0, 0, PAST : 2 * PAST].tolist() == [1] * 5 + [0] * 7
    whole = inputs(waves(2, sensors=3), np.arange(50), scale, usual)
    hidden = hide(whole, 0.5, torch.Generator().manual_seed(0))
    silent = (hidden[..., PAST : 2 * PAST] == 0).any(-1)
    assert 0.35 < float(silent.float().mean()) < 0.65
    assert torch.equal(hidden[~silent], whole[~silent])
    assert (hidden[..., 2 * PAST - 1][silent] == 0).all()  # silent until now


def test_the_usual_day_leaves_a_day_out():
    series = waves(3)
    values = series.values.copy()
    values[96:192] = 1000.0
    profile = Profile(replace(series, values=values))
    assert profile.usual().max() > 300
    assert profile.usual(without=1).max() < 100


def test_baselines_are_right_where_they_must_be():
    steps = np.arange(96 * 3)
    values = np.stack([50 + 20 * np.sin(2 * np.pi * steps / 96), np.full(len(steps), 30.0)], 1).astype(np.float32)
    series = SensorSeries("speed", ("a", "b"), 0, 900, values, np.zeros((2, 2), np.float32))
    truth = targets(series, starts(series))
    assert np.abs(last_value(series, series, 0)[:, 1] - 30).max() < 1e-3
    assert np.abs(usual_day(series, series, 0) - truth).max() < 1.5  # smoothing rounds the wave


def test_figures():
    series = SensorSeries("speed", ("a",), 0, 300, np.zeros((0, 1), np.float32), np.zeros((1, 1), np.float32))
    truth = np.full((2, 1, FUTURE), 10, np.float32)
    truth[1, 0, 2] = np.nan
    forecast = np.stack([truth * 0 + 8, truth * 0 + 11, truth * 0 + 14], -1)
    found = forecast_metrics(series, np.nan_to_num(forecast, nan=5), truth)
    assert found.mae == {15: 1.0, 30: 1.0, 60: 1.0}
    assert found.covered == {15: 1.0, 30: 1.0, 60: 1.0}
    assert found.n == 5
    wrong = torch.tensor([[1.0, 2.0, 4.0]])
    assert pinball(wrong, torch.tensor([3.0])) == pytest.approx(2 * (0.05 * 2 + 0.5 * 1 + 0.05 * 1))
    assert pinball(wrong.expand(2, 3), torch.tensor([3.0, torch.nan])) == pytest.approx(1.3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "card.json").unlink(), "no forecaster"),
        (lambda folder: (folder / "card.json").write_text("{"), "no forecaster"),
        (lambda folder: (folder / "network0.safetensors").write_bytes(b"no"), "not a readable safetensors file"),
        (lambda folder: (folder / "tables.safetensors").write_bytes(b"no"), "no forecaster"),
        (lambda folder: (folder / "trees.txt.gz").write_bytes(b"no"), "no trees of a forecaster"),
        (lambda folder: (folder / "trees.txt.gz").unlink(), "no trees of a forecaster"),
        (
            lambda folder: (folder / "card.json").write_text(
                json.dumps(json.loads((folder / "card.json").read_text()) | {"sensors": ["one"]})
            ),
            "tables of other sensors",
        ),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path, change, words):
    train_forecaster(waves(3), replace(QUICK, epochs=2)).save(tmp_path)
    change(tmp_path)
    with pytest.raises(InputError, match=words):
        Forecaster.load(tmp_path)


def archive(path, rows=400, **more):
    values = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)
    adj = np.array([[1, 0.5], [0.25, 1]])
    np.savez(path, speed=values, adj=adj, sensor_ids=["x", "y"], start="2012-03-01T00:00", step_min=5, **more)
    return values


async def test_series_of_a_file_and_of_the_graph_are_the_same(embedded_backend: Backend, tmp_path):
    values = archive(tmp_path / "loops.npz")
    reader = get_reader("series")
    records = [r for document in reader.documents(tmp_path / "loops.npz") for r in reader.read(document)]
    of_file = series_of_records(records)
    assert (of_file.measure, of_file.sensors, of_file.step_s) == ("speed", ("x", "y"), 300)
    assert np.array_equal(of_file.values, values)
    assert of_file.near.tolist() == [[0, 0.5], [0.25, 0]]
    embedded_backend.empty()
    store = await embedded_backend.open()
    try:
        sources = [r for r in records if isinstance(r, Source)]
        entities = [r for r in records if isinstance(r, Entity)]
        claims = [r for r in records if isinstance(r, Claim)]
        await store.write(Batch(sources, entities, claims, []))
        of_graph = series_of_snapshot(await load_snapshot(store, "traffic", tmp_path / "cache"))
    finally:
        await store.close()
    assert np.array_equal(of_graph.values, of_file.values)
    assert np.array_equal(of_graph.near, of_file.near)
    assert (of_graph.start, of_graph.step_s) == (of_file.start, of_file.step_s)

    turned = of_file.of_sensors(("y", "z", "x"))
    assert np.array_equal(turned.values[:, 2], values[:, 0])
    assert np.isnan(turned.values[:, 1]).all()
    assert turned.near[0, 2] == 0.25
    with pytest.raises(InputError, match="none of the sensors"):
        of_file.of_sensors(("q",))


def test_several_measures_have_to_be_told_apart(tmp_path):
    archive(tmp_path / "loops.npz", flow=np.ones((400, 2)))
    reader = get_reader("series")
    records = [r for document in reader.documents(tmp_path / "loops.npz") for r in reader.read(document)]
    with pytest.raises(InputError, match="name one of the measures: flow, speed"):
        series_of_records(records)
    assert series_of_records(records, "flow").values.max() == 1
    with pytest.raises(InputError, match="no series of density"):
        series_of_records(records, "density")
    with pytest.raises(InputError, match="no series of anything"):
        series_of_records([])
