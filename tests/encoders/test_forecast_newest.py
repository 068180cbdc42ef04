from dataclasses import replace

import numpy as np
import pytest

from encoders.forecast.forecast_graph import iso, write_forecast
from encoders.forecast.newest import Window, newest
from encoders.forecast.posted import Measured, series_of_measured
from encoders.forecast.series import SensorSeries
from encoders.forecast.training import train_forecaster
from encoders.forecast.windows import FUTURE, PAST
from kg.batch import Batch
from kg.errors import InputError
from kg.model import Entity, Source
from tests.encoders.test_forecast import QUICK, waves
from tests.support.backends import Backend

SENSORS = tuple(f"detector:{at}" for at in range(6))


def kept(sensors: tuple[str, ...] = SENSORS) -> SensorSeries:
    """As a forecaster keeps it."""
    many = len(sensors)
    nothing = np.zeros((0, many), np.float32)
    return SensorSeries("speed", sensors, 0, 900, nothing, np.zeros((many, many), np.float32))


def test_the_newest_window_leaves_out_what_is_silent_negative_or_ahead_of_its_time():
    values = np.full((60, 6), 50, np.float32)
    values[40:] = np.nan  # but for one sensor, whose clock is wrong
    values[55, 1] = 51
    values[25:, 2] = np.nan
    values[39, 3] = -4
    found = newest(replace(waves(1), values=values), kept((*SENSORS, "detector:new")))
    assert found.end == 39 * 900
    assert len(found.series.values) == PAST
    assert found.last.tolist() == [11, -1, -1, 10, 11, 11, -1]
    assert found.negative == 1
    assert set(found.why_not) == {"detector:1", "detector:2", "detector:new"}
    assert "clock" in found.why_not["detector:1"]
    assert found.why_not["detector:2"] == "it measured nothing in the last 180 minutes"
    old = newest(replace(waves(1), start=-900 * 10_000), kept())
    assert (old.end, not old.why_not) == (-900 * (10_000 - 95), True)
    short = newest(replace(waves(1), values=values[:5]), kept())
    assert np.isnan(short.series.values[:7]).all()
    with pytest.raises(InputError, match="no sensor has a value"):
        newest(replace(waves(1), values=values * np.nan), kept())
    with pytest.raises(InputError, match="steps of 900 s, not 300 s"):
        newest(waves(1), replace(kept(), step_s=300))


def test_posted_values_become_a_series():
    kept = waves(1).part(0, 0)
    found = series_of_measured(
        [Measured("detector:1", [9000.0], [1, None, 3]), Measured("detector:0", [9950, 10_000, 12_700], [4, 6, 8])],
        kept,
    )
    assert (found.start, found.step_s) == (9000, 900)
    assert np.array_equal(found.values[:, 1], [1, np.nan, 3, np.nan, np.nan], equal_nan=True)
    assert np.array_equal(found.values[:, 0], [np.nan, 5, np.nan, np.nan, 8], equal_nan=True)


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        ([Measured("detector:1", [0.0], [1, -2])], r"series\[0\]\.values\[1\]: -2 is below 0"),
        ([Measured("detector:1", [900, 0], [1, 2])], r"series\[0\]\.times\[1\]: the clock jumps back"),
        ([Measured("detector:1", [0.0], [1])] * 2, r"series\[1\]\.sensor: 'detector:1' comes twice"),
        ([Measured("detector:1", [2.5e11], [1])], r"series\[0\]: a time outside 1900…2200"),
        ([Measured("detector:1", [0.0], [None])], "series: no sensor has a value"),
        ([Measured("detector:1", [0, 1e9], [1, 2])], "series: the times of all sensors span"),
        ([Measured("detector:1", [0, 900], [1, 2, 3])], r"series\[0\]\.times: 2 times for 3 values"),
    ],
)
def test_posted_nonsense_is_refused(measured, words):
    with pytest.raises(InputError, match=words):
        series_of_measured(measured, waves(1).part(0, 0))


async def test_a_forecast_is_written_once_replaced_and_taken_back(embedded_backend: Backend):
    series: SensorSeries = replace(waves(3), unit="[mi_i]/h")
    made = train_forecaster(series, replace(QUICK, epochs=2))
    values = series.values.copy()
    values[-PAST:, 2] = np.nan
    window = newest(replace(series, values=values), kept())
    embedded_backend.empty()
    store = await embedded_backend.open()
    try:
        sensors = [Entity(id_, ("TrafficDetector",), "file:x", {"name": id_}, "file:x") for id_ in SENSORS]
        await store.write(Batch([Source("file:x", "document", document="file:x")], sensors, [], []))
        before = await store.digest()
        found = made.ahead(window)
        written = await write_forecast(store, made, window, found)
        assert (written.document, written.source, written.sensors) == ("forecast:speed", "evigraph:forecast/speed", 5)
        source = await store.source(written.source)
        assert source is not None
        assert source["kind"] == "prediction"
        assert made.version in source["version"]
        rows = [
            row async for row in store.read("MATCH (f:Forecast)-[x:FORECASTS]->(d) RETURN d.id, f.values, x.belief")
        ]
        assert sorted(row["d.id"] for row in rows) == [id_ for id_ in SENSORS if id_ != "detector:2"]
        assert {row["x.belief"] for row in rows} == {0.9}
        entity = await store.entity("forecast:detector:4/speed")
        assert entity is not None
        told = entity["properties"]
        medians = [float(value) for value in told["values"].strip("[]").split(",")]
        assert np.allclose(medians, found[4, :, 1], atol=1e-3)
        assert told["started_at"][:19] == iso(window.time(PAST))[:19]
        assert told["measure_unit"] == "[mi_i]/h"
        digest = await store.digest()
        await write_forecast(store, made, window, found)
        assert await store.digest() == digest  # the same again

        earlier = newest(series.part(0, 200), kept())
        await write_forecast(store, made, earlier, made.ahead(earlier))
        [row] = [row async for row in store.read("MATCH (f:Forecast) RETURN count(f) AS many, min(f.started_at) AS at")]
        assert row["many"] == 6
        assert str(row["at"])[:19] == iso(earlier.time(PAST))[:19]
        await store.retract(written.source)
        assert await store.digest() == before
    finally:
        await store.close()
    nameless = newest(replace(series, sensors=tuple("abcdef")), kept(tuple("abcdef")))
    made.series = replace(made.series, sensors=tuple("abcdef"))
    with pytest.raises(InputError, match="no sensor of the graph is called 'a'"):
        await write_forecast(store, made, nameless, found)


def test_a_forecaster_of_a_file_is_bound_to_the_graph_by_names():
    made = train_forecaster(replace(waves(3), sensors=tuple("abcdef")), replace(QUICK, epochs=2))
    made.bound_to(["detector:x/a", "detector:x/a", "detector:x/b", "detector:y/b", "detector:x/c"])
    assert made.series.sensors == ("detector:x/a", "b", "detector:x/c", "d", "e", "f")
    made.bound_to(["detector:z/a", "detector:x/a"])  # they are met already
    assert made.series.sensors[0] == "detector:x/a"
    assert made.weights[1].argmax() == 0  # as the road runs
    assert made.ahead(newest(replace(waves(1), sensors=made.series.sensors), made.series)).shape == (
        6,
        FUTURE,
        3,
    )


def test_measurements_find_their_step_each_by_its_own_clock():
    window = Window(kept())
    assert window.empty
    window.fill(replace(waves(1), start=120, values=np.full((30, 6), 50, np.float32)))  # steps begin at :02
    now = 120 + 30 * 900
    assert window.add("detector:0", now + 1, 40)
    assert window.add("detector:0", now + 600, 44)
    assert window.add("detector:1", now - 1800, 30)  # late
    assert window.add("detector:2", now + 1e7, 60)  # its clock is wrong
    assert window.add("detector:3", now + 5, -1)
    assert window.add("detector:4", now - 900, 20, alone=True)  # a series that was corrected
    assert not window.add("detector:1", now - 1e6, 30)
    assert not window.add("nobody", now, 30)
    found = window.newest()
    assert found.end == now
    assert found.series.values[-1, [0, 1]].tolist()[0] == 42  # the mean of the step
    assert found.series.values[-3, 1] == 40  # the mean of what was there and what came late
    assert found.series.values[-2, 4] == 20
    assert list(found.why_not) == ["detector:2"]
    assert found.negative == 1
    assert found.last.tolist() == [11, 10, -1, 10, 10, 10]
    assert window.add("detector:2", now + 10, 55)  # right again
    assert window.newest().series.values[-1, 2] == 55
    assert not window.newest().why_not
