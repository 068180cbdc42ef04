from dataclasses import replace

import numpy as np

from encoders.forecast.measurements import Measurement
from encoders.forecast.newest import Newest, newest
from encoders.forecast.windows import FUTURE, PAST
from reasoning.traffic.alerts import Alerts
from tests.encoders.test_forecast import waves


def window(steps: int) -> Newest:
    series = waves(1)
    values = np.full((steps, 6), 50, np.float32)
    values[:, 5] = np.nan
    return newest(replace(series, values=values), series)


def test_what_is_far_from_the_forecast_made_before_is_one_alert_a_step() -> None:
    alerts = Alerts()
    first = window(30)
    found = np.tile(np.array([45, 50, 60], np.float32), (6, FUTURE, 1))
    measured = [
        Measurement("x", f"detector:{at}", first.time(PAST) + 5, value) for at, value in ((0, 30), (1, 29), (2, 76))
    ]
    assert not alerts.check(measured)  # nothing was forecast
    alerts.forecast(first, found)
    told = alerts.check([*measured, Measurement("x", "detector:5", first.time(PAST), 0), Measurement("x", "q", 0, 0)])
    assert [(one.sensor, one.score, one.forecast_at) for one in told] == [
        ("detector:1", 1.067, first.end),
        ("detector:2", 1.067, first.end),
    ]
    assert told[0].text == "29 is far below what was forecast: 50 (45 to 60)"
    assert told[1].text == "76 is far above what was forecast: 50 (45 to 60)"
    alerts.forecast(window(31), found - 20)  # takes the step in that is being measured
    assert not alerts.check(measured[1:])  # told
    late = [
        Measurement("x", "detector:3", first.time(PAST) + 9, 0),
        Measurement("x", "detector:1", first.time(PAST + 1), 0),
    ]
    assert [(one.sensor, one.median) for one in alerts.check(late)] == [("detector:3", 50), ("detector:1", 30)]


def test_what_is_far_from_all_that_was_measured_is_an_anomaly() -> None:
    alerts = Alerts()
    usual = [Measurement("x", "s", 60.0 * at, 50 + at % 5) for at in range(60)]
    assert not alerts.check(usual)
    [told] = alerts.check(
        [Measurement("x", "s", 30.0, 10), *(Measurement("x", "s", 4000.0 + at, 10) for at in range(3))]
    )
    assert (told.kind, told.time, told.forecast_at) == ("anomaly", 4000, None)  # once, and not of what comes late
    assert told.text.startswith("10 is far below what the sensor measures: 52 (")
