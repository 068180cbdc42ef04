import numpy as np

from encoders.forecast.places import LEAST, named, weights_of_places
from encoders.forecast.series import series_of_records
from ingestion.readers.base import get_reader


def test_sensors_that_stand_close_are_neighbours():
    road = [(52.0, 13.0 + at / 1000) for at in range(20)]  # 68 m apart
    found = weights_of_places([*road, None, (52.5, 13.0)])
    assert found.dtype == np.float32
    assert np.array_equal(found, found.T)
    assert not np.diag(found).any()
    assert found[5, 6] > found[5, 7] > 0
    assert found[5, 15] == 0
    assert not found[20].any()
    assert not found[21].any()  # its nearest are 55 km away
    assert found[found > 0].min() >= LEAST
    assert not weights_of_places([(52.0, 13.0), None]).any()
    assert weights_of_places([(52.0, 13.0)] * 2)[0, 1] == 1  # at one spot


def test_ids_end_with_names():
    names = {"1", "85/22", "a b"}
    assert named("detector:city/1", names) == "1"
    assert named("detector:x/y/85/22", names) == "85/22"
    assert named("detector:city/a%20b", names) == "a b"
    assert named("detector:city/9", names) == "detector:city/9"


def test_places_make_a_network_where_none_is_told(tmp_path):
    np.savez(tmp_path / "flows.npz", flow=np.ones((9, 2)), start="2024-03-01", step_min=15, sensor_ids=["x/1", "7"])
    (tmp_path / "arms.csv").write_text(
        "site,location,lat,lon,arm_id\n1,High Street,52.0,13.0,x/1\n1,High Street,52.0,13.0002,7\n"
    )
    reader = get_reader("series")
    paths = [tmp_path / "flows.npz", tmp_path / "arms.csv"]
    records = [r for path in paths for document in reader.documents(path) for r in reader.read(document)]
    found = series_of_records(records)
    assert found.sensors == ("7", "x/1")  # by the series' names, not the street's
    assert found.near[0, 1] == found.near[1, 0] > 0
