"""Sensor series: what a table's columns are, days, steps, gaps, repeated and late rows, broken files, real samples."""

from __future__ import annotations

import io
import itertools
import json
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.readers import series_arrays, series_days
from ingestion.readers.base import Document, get_reader
from kg.model import Claim, Entity, Record, Rejected, Source
from kg.ontology import Ontology
from tests.ingestion.samples import SHARED
from tests.ingestion.test_reader_contract import ReaderContract, read_all

pl = pytest.importorskip("polars")

TRAFFIC = SHARED / "traffic"
WIDE = "timestamp,a,b 1\n2024-03-01 23:50,10,1.5\n2024-03-01 23:55,20,\n2024-03-02 00:00,30,2.5\n"
LONG = (
    "sensor_id,time,speed\na,2024-03-01T23:50:00Z,10\nb 1,2024-03-01T23:50:00Z,1.5\na,2024-03-01T23:55:00Z,20\n"
    "a,2024-03-02T00:00:00Z,30\nb 1,2024-03-02T00:00:00Z,2.5\n"
)
PLACES = "sensor_id,latitude,longitude\na,34.1,-118.2\nb 1,34.2,-118.3\n"


def write(folder: Path, **files: str | bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def read(path: Path, name: str | None = None) -> list[Record]:
    return read_all(get_reader("series"), path, name)


def read_text(folder: Path, text: str | bytes, file: str = "x.csv") -> list[Record]:
    return read(write(folder / "net", **{file: text}))


def series(records: list[Record]) -> dict[str, dict[str, Any]]:
    return {r.id: dict(r.properties) for r in records if isinstance(r, Entity) and r.classes == ("Series",)}


def values(records: list[Record]) -> dict[str, list[float | None]]:
    return {id_.removeprefix("series:"): json.loads(p["values"]) for id_, p in series(records).items()}


def rejected(records: list[Record]) -> list[tuple[str, str]]:
    return [(r.place, r.reason) for r in records if isinstance(r, Rejected)]


class TestSeriesContract(ReaderContract):
    name = "series"

    def write_good(self, folder: Path) -> Path:
        return write(folder, **{"speed.csv": WIDE, "places.csv": PLACES, "x.csv": "from,to,cost\na,b 1,12.5\n"})

    def write_broken(self, folder: Path) -> tuple[Path, str]:
        self.write_good(folder)
        write(folder, **{"speed.csv": WIDE + "2024-03-02 00:05,1e999,\n"})
        return folder, "L5"


# ---- what is read ---------------------------------------------------------------------------------------------------


def test_a_wide_table(tmp_path: Path) -> None:
    records = read(write(tmp_path / "city", **{"speed.csv": WIDE}))
    assert series(records) == {
        "series:city/a/speed/2024-03-01T23:50:00": {
            "measure": "speed",
            "started_at": "2024-03-01T23:50:00Z",
            "step_seconds": 300.0,
            "value_count": 2,
            "values": "[10,20]",
        },
        "series:city/b%201/speed/2024-03-01T23:50:00": {
            "measure": "speed",
            "started_at": "2024-03-01T23:50:00Z",
            "step_seconds": 300.0,
            "value_count": 1,
            "values": "[1.5]",
        },
        "series:city/a/speed/2024-03-02": {
            "measure": "speed",
            "started_at": "2024-03-02T00:00:00Z",
            "step_seconds": 300.0,
            "value_count": 1,
            "values": "[30]",
        },
        "series:city/b%201/speed/2024-03-02": {
            "measure": "speed",
            "started_at": "2024-03-02T00:00:00Z",
            "step_seconds": 300.0,
            "value_count": 1,
            "values": "[2.5]",
        },
    }
    observed = [(r.subject, r.object, r.source, r.place) for r in records if isinstance(r, Claim)]
    assert observed[0] == ("series:city/a/speed/2024-03-01T23:50:00", "detector:city/a", "sensor:city/a", "L2")
    assert {r.id: r.kind for r in records if isinstance(r, Source)} == {
        "sensor:city/a": "sensor",
        "sensor:city/b%201": "sensor",
    }


def as_parquet(text: str, **casts: Any) -> bytes:
    frame = pl.read_csv(text.encode()).with_columns(pl.col("time").str.to_datetime(time_zone="UTC"))
    file = io.BytesIO()
    frame.with_columns(pl.col(name).cast(kind) for name, kind in casts.items()).write_parquet(file)
    return file.getvalue()


def test_wide_long_and_parquet_say_the_same(tmp_path: Path) -> None:
    wide = read(write(tmp_path / "1" / "city", **{"speed.csv": WIDE}))
    long = read(write(tmp_path / "2" / "city", **{"x.csv": LONG}))
    parquet = read(write(tmp_path / "3" / "city", **{"x.parquet": as_parquet(LONG)}))
    assert series(wide) == series(long) | {
        "series:city/b%201/speed/2024-03-01T23:50:00": series(wide)["series:city/b%201/speed/2024-03-01T23:50:00"],
        "series:city/b%201/speed/2024-03-02": series(wide)["series:city/b%201/speed/2024-03-02"],
    }
    assert values(wide) == values(long) == values(parquet)
    assert series(long) == series(parquet)
    assert next(r.place for r in parquet if isinstance(r, Claim)) == "row 1"


@pytest.mark.parametrize(
    ("text", "file", "expected"),
    [
        pytest.param("timestamp,value\n1425900000,1\n", "speed_6005.csv", "net/6005/speed", id="one sensor"),
        pytest.param("timestamp,value\n1425900000000,1\n", "TravelTime_387.csv", "net/387/travel_time", id="ms"),
        pytest.param("time,flow,speed\n2015-03-09T11:20Z,1,\n", "d7.csv", "net/d7/flow", id="its measures"),
        pytest.param("Date;Time;D 1;D 2\n09.03.2015;11:20;;1\n13.03.2015;;;\n", "f.csv", "net/D 2/value", id="clock"),
        pytest.param("date,hour,x\n2015-03-09,11,1\n", "w.csv", "net/x/value", id="hour"),
        pytest.param("\ttime\tq,r\tz\n0\t2015-03-09 11:20\t1\t\n", "f.tsv", "net/q,r/value", id="row numbers"),
        pytest.param(",s1,s2\n2015-03-09 11:20:00,1,\n", "f.csv", "net/s1/value", id="times in a nameless column"),
        pytest.param(
            "detector,intersection,timestamp,total\n3,85,20150309112000,1\n", "f.csv", "net/3/85/total", id="two"
        ),
        pytest.param("DeviceId,TimeStamp,Count\n7,2015/3/9 11:20,1\n", "f.csv", "net/7/count", id="camel case"),
        pytest.param('"t","id","v"\r\n"2015-03-09 11:20","7, east","1"\r\n', "f.csv", "net/7, east/v", id="quoted"),
    ],
)
def test_layouts(tmp_path: Path, text: str, file: str, expected: str) -> None:
    text = text.replace('"t"', '"time"')
    records = read_text(tmp_path, text, file)
    assert [r.reason for r in records if isinstance(r, Rejected)][:1] in ([], ["'13.03.2015 00:00' is no time"])
    [found] = series(records)
    assert found.startswith(f"series:{expected.replace(' ', '%20')}/2015-03-09")


def test_places_and_series_of_a_folder_meet(tmp_path: Path) -> None:
    records = read(write(tmp_path / "city", **{"speed.csv": WIDE, "places.csv": PLACES}))
    described = [(r.id, dict(r.properties)) for r in records if isinstance(r, Entity) and r.id == "detector:city/b%201"]
    assert {"name": "b 1", "latitude": 34.2, "longitude": -118.3} in [properties for _, properties in described]
    assert len(described) == 2
    assert "series:x/a/speed/2024-03-01T23:50:00" in series(read(tmp_path / "city" / "speed.csv", name="x/speed.csv"))


def test_neighbours(tmp_path: Path) -> None:
    edges = read_text(tmp_path / "1", "from,to,cost\na,b,12.5\n", "near.csv")
    matrix = read_text(tmp_path / "2", ",a,b\na,1,12.5\nb,0,1\n", "adjacency.csv")
    for records in (edges, matrix):
        near = [(r.subject, r.relation, r.object, dict(r.qualifiers)) for r in records if isinstance(r, Claim)]
        assert near == [("detector:net/a", "NEAR", "detector:net/b", {"number": 12.5})]


# ---- times, steps, gaps ---------------------------------------------------------------------------------------------


def test_a_gap_is_null_and_values_need_no_order(tmp_path: Path) -> None:
    rows = ["2024-01-01T00:15,4", "2024-01-01T00:00,1", "2024-01-01T00:05,NaN", "2024-01-01T00:20,5"]
    records = read_text(tmp_path, "time,s1\n" + "\n".join(rows) + "\n")
    [found] = series(records).values()
    assert found["values"] == "[1.0,null,null,4.0,5.0]"
    assert (found["step_seconds"], found["value_count"], found["started_at"]) == (300.0, 3, "2024-01-01T00:00:00Z")


def test_values_without_a_step_list_their_times(tmp_path: Path) -> None:
    rows = ("2024-01-01T00:00:03.5,1", "2024-01-01T07:11:19,2", "2024-01-01T09:00:01,3")
    [found] = series(read_text(tmp_path, "time,s1\n" + "\n".join(rows))).values()
    assert json.loads(found["values"]) == [1, 2, 3]
    assert json.loads(found["offsets"]) == [0.0, 25875.5, 32397.5]
    assert "step_seconds" not in found


def test_a_day_with_one_value_has_the_step_of_the_day_before(tmp_path: Path) -> None:
    found = series(read_text(tmp_path, "time,s1\n2024-01-01T23:50,1\n2024-01-01T23:55,2\n2024-01-02T00:00,3\n"))
    assert [day["step_seconds"] for day in found.values()] == [300.0, 300.0]


def test_zones(tmp_path: Path) -> None:
    records = read_text(tmp_path, "time,s1\n2024-01-01T00:30+02:00,1\n2023-12-31T22:45,2\n2023-12-31 22:40 UTC,3\n")
    [found] = series(records).values()
    assert (found["started_at"], found["values"]) == ("2023-12-31T22:30:00Z", "[1.0,null,3.0,2.0]")


def test_the_order_of_day_and_month_is_learnt_from_the_file(tmp_path: Path) -> None:
    rows = "time,s1\n05/04/2024 00:00,1\n13/04/2024 00:00,2\n"
    assert [id_[-10:] for id_ in series(read_text(tmp_path / "1", rows))] == ["2024-04-05", "2024-04-13"]
    american = "time,s1\n05/04/2024 12:30 PM,1\n05/13/2024 12:30 AM,2\n"
    found = [day["started_at"] for day in series(read_text(tmp_path / "2", american)).values()]
    assert found == ["2024-05-04T12:30:00Z", "2024-05-13T00:30:00Z"]


def test_days_that_may_be_months_are_refused(tmp_path: Path) -> None:
    records = read_text(tmp_path, "time,s1\n05/04/2024,1\n06/06/2024,2\n")
    assert [id_[-10:] for id_ in series(records)] == ["2024-06-06"]
    [(place, reason)] = rejected(records)
    assert place == "L2"
    assert "'05/04/2024' is ambiguous: day or month first?" in reason


# ---- repeated and late rows -----------------------------------------------------------------------------------------


def test_a_repeated_time(tmp_path: Path) -> None:
    rows = "time,a,b\n2024-01-01T00:00,1,\n2024-01-01T00:05,2,5\n2024-01-01T00:00,1,4\n2024-01-01T00:05,2,6\n"
    records = read_text(tmp_path, rows)
    assert values(records) == {"net/a/value/2024-01-01": [1, 2], "net/b/value/2024-01-01": [4, 5]}
    assert rejected(records) == [
        ("L5", "2024-01-01T00:05:00Z was measured at L3 already: b value 6 instead of 5"),
    ]


def test_three_at_one_time(tmp_path: Path) -> None:
    records = read_text(tmp_path, "time,a,b\n" + "".join(f"2024-01-01,{v},0\n" for v in (1, 2, 1)))
    assert [place for place, _ in rejected(records)] == ["L3"]


def test_rows_beyond_the_window_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_days, "WINDOW", 50)
    monkeypatch.setattr("ingestion.readers.series_tables._BLOCK", 64)
    start = datetime(2024, 1, 1)  # noqa: DTZ001 (the file has none)
    rows = [f"{start + timedelta(hours=i)},{i},{i}\n" for i in range(24 * 10)]
    rows.insert(200, f"{start + timedelta(minutes=30)},7,7\n")
    records = read_text(tmp_path, "time,a,b\n" + "".join(rows))
    [(place, reason)] = rejected(records)
    assert place == "L202"
    assert reason.startswith("out of order: 2024-01-01T00:30:00Z comes more than 50 values after")
    assert len(series(records)) == 20
    assert sum(day["value_count"] for day in series(records).values()) == 480


def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_days, "MAX_HELD", 100)
    monkeypatch.setattr("ingestion.readers.series_tables._BLOCK", 256)
    start = datetime(2024, 1, 1)  # noqa: DTZ001 (the file has none)
    rows = [f"{start + timedelta(minutes=i)},{i},0\n" for i in range(500)]
    records = read_text(tmp_path, "time,a,b\n" + "".join(rows))
    assert rejected(records)  # a day larger than the bound loses its later rows, and says so
    told = sum(day["value_count"] for day in series(records).values()) / 2
    assert told + len(rejected(records)) == 500


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_order_within_the_window_gives_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Rows of any order, split into sensors and days, with gaps, against a plain dictionary."""
    cell = st.one_of(st.none(), st.integers(-5, 5), st.floats(-1e6, 1e6, allow_nan=False).map(lambda v: round(v, 3)))
    minutes = data.draw(st.lists(st.integers(0, 3 * 288), unique=True, min_size=1, max_size=40))
    table = [(f"s{data.draw(st.integers(0, 2))}", 5 * m, data.draw(cell)) for m in minutes]
    start = datetime(2024, 1, 1)  # noqa: DTZ001 (the file has none)
    lines = [f"{s},{start + timedelta(minutes=m)},{'' if v is None else v}" for s, m, v in table]
    folder = tmp_path_factory.mktemp("any")
    records = read_text(folder, "sensor,time,value\n" + "\n".join(lines) + "\n")
    assert not rejected(records)
    told = {}
    for id_, day in series(records).items():
        first = datetime.fromisoformat(day["started_at"].removesuffix("Z"))
        cells = json.loads(day["values"])
        steps = [i * day["step_seconds"] for i in range(len(cells))] if "step_seconds" in day else [0.0]
        for offset, value in zip(steps, cells, strict=True):
            if value is not None:
                told[id_.split("/")[1], first + timedelta(seconds=offset)] = value
    assert told == {(s, start + timedelta(minutes=m)): v for s, m, v in table if v is not None}


# ---- broken files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param("2024-03-01 23:5", "1 columns instead of 3", id="truncated"),
        pytest.param("2024-03-02 00:05,1,2,3", "4 columns instead of 3", id="too many columns"),
        pytest.param("2024-03-02 00:05,Infinity,", "a is 'Infinity', no finite number", id="infinite"),
        pytest.param("2024-03-02 00:05,1e400,", "a is '1e400', no finite number", id="huge"),
        pytest.param("2024-03-02 00:05," + "9" * 5000 + ",", "no finite number", id="endless"),
        pytest.param("2024-03-02 00:05,fast,", "a is 'fast', no finite number", id="text"),
        pytest.param("2024-03-02 00:05,1_000,", "a is '1_000', no finite number", id="underscore"),
        pytest.param("2024-03-02 00:05,0x10,", "a is '0x10', no finite number", id="hexadecimal"),
        pytest.param("yesterday,1,2", "'yesterday' is no time", id="no time"),
        pytest.param("2024-02-30 00:05,1,2", "'2024-02-30 00:05' is no time", id="no such day"),
        pytest.param("99999999999999999999999,1,2", "is no time", id="huge time"),
        pytest.param("9024-03-01 00:05,1,2", "is outside 1900…2200", id="far future"),
        pytest.param(",1,2", "is no time", id="empty time"),
        pytest.param('2024-03-02 00:05,"1,2', "no CSV", id="open quote"),
        pytest.param("2024-03-02 00:00,31,", "was measured at L4 already: a speed 31 instead of 30", id="twice"),
    ],
)
def test_a_broken_row(tmp_path: Path, row: str, reason: str) -> None:
    good = read(write(tmp_path / "good" / "net", **{"speed.csv": WIDE}))
    records = read(write(tmp_path / "bad" / "net", **{"speed.csv": WIDE + row + "\n"}))
    [(place, told)] = rejected(records)
    assert place == "L5"
    assert reason in told
    assert [record for record in records if not isinstance(record, Rejected)] == good


def test_wrong_encoding(tmp_path: Path) -> None:
    good = read(write(tmp_path / "good" / "net", **{"speed.csv": WIDE}))
    records = read(write(tmp_path / "bad" / "net", **{"speed.csv": WIDE.encode() + b"2024-03-02 00:05,\xe9,1\n"}))
    assert rejected(records) == [("L5", "not UTF-8: byte 0xe9 at column 18")]
    assert [record for record in records if not isinstance(record, Rejected)] == good


@pytest.mark.parametrize(
    ("content", "file", "reason"),
    [
        pytest.param("", "x.csv", "the file is empty or no CSV", id="empty"),
        pytest.param("\n\n", "x.csv", "the file is empty or no CSV", id="blank"),
        pytest.param("time,a\n", "x.csv", "no rows below the header", id="header alone"),
        pytest.param("2024-01-01,1\n2024-01-02,2\n", "x.csv", "no header", id="no header"),
        pytest.param("speed,flow\n1,2\n", "x.csv", "no column of times", id="no times"),
        pytest.param("time,a\n2024-01-01,x\n2024-01-02,y\n", "x.csv", "no column holds numbers", id="no numbers"),
        pytest.param("time,EventId\n2024-01-01,1\n", "x.csv", "a log of events", id="events"),
        pytest.param("t\xe4g,a\n1,2\n".encode("latin-1"), "x.csv", "no header: not UTF-8", id="latin-1"),
        pytest.param("ti\0me".encode("utf-16"), "x.csv", "no header: not UTF-8", id="utf-16"),
        pytest.param(b"PAR1PAR1", "x.parquet", "no Parquet file", id="no parquet"),
        pytest.param(as_parquet(LONG)[:-20], "x.parquet", "no Parquet file", id="truncated parquet"),
        pytest.param(b"PK\x03\x04 and no more", "x.npz", "no numpy archive", id="no archive"),
    ],
)
def test_a_broken_file(tmp_path: Path, content: str | bytes, file: str, reason: str) -> None:
    records = read_text(tmp_path, content, file)
    [(_, told)] = rejected(records)
    assert reason in told
    assert not series(records)


def test_columns_that_are_no_series_are_named(tmp_path: Path) -> None:
    text = "id,time,v,v,street,w\n1,2024-01-01,1,2,x,3\n1,2024-01-02,1,2,y,4\n"
    records = read_text(tmp_path, text)
    assert rejected(records) == [
        ("v", "column 'v' is there twice, as 3 and 4; the second is left out"),
        ("street", "column 'street' does not hold numbers, and is left out"),
    ]
    assert {id_.split("/")[2] for id_ in series(records)} == {"v", "w"}


def test_a_row_without_sensor(tmp_path: Path) -> None:
    records = read_text(tmp_path, "id,time,v\n,2024-01-01,1\n2,2024-01-01,1\n")
    assert rejected(records) == [("L2", "no sensor is named")]
    assert len(series(records)) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("c,91,0", "no degrees"),
        ("c,34", "2 columns instead of 3"),
        ("c,NaN,0", "no degrees"),
        ("c,34.1N,0", "no degrees"),
        ("a,34.1,1", "sensor a stands at L2 already"),
        (",34.1,1", "no sensor is named"),
        ("c,1e400,1", "no degrees"),
    ],
)
def test_a_broken_place(tmp_path: Path, row: str, reason: str) -> None:
    records = read_text(tmp_path, PLACES + row + "\n")
    [(place, told)] = rejected(records)
    assert (place, reason in told) == ("L4", True)
    assert sum(isinstance(record, Entity) for record in records) == 2


def test_broken_cells_of_parquet(tmp_path: Path) -> None:
    rows = LONG + "a,2024-03-02T00:05:00Z,1\na,2024-03-02T00:10:00Z,1\nb 1,2024-03-02T00:10:00Z,\n"
    frame = pl.read_parquet(as_parquet(rows, speed=pl.Float64))
    cells = frame["speed"].to_list()
    cells[5], cells[6] = float("inf"), float("nan")
    file = io.BytesIO()
    frame.with_columns(pl.Series("speed", cells)).write_parquet(file)
    records = read_text(tmp_path, file.getvalue(), "x.parquet")
    assert rejected(records) == [("row 6", "speed is 'inf', no finite number")]
    assert values(records) == values(read_text(tmp_path / "good", LONG))


@pytest.mark.parametrize("unit", ["ms", "us"])
@pytest.mark.parametrize("gap", [False, True])
def test_times_of_parquet_that_are_none(tmp_path: Path, unit: str, gap: bool) -> None:
    day, scale = 86_400_000, 1000 if unit == "us" else 1
    times = [2**62, 0, 3_000_000 * day * scale, *([None] if gap else []), 100_000 * day * scale, 300_000 * scale]
    cells = pl.Series("time", times, dtype=pl.Int64).cast(pl.Datetime(unit))  # type: ignore[arg-type]
    file = io.BytesIO()
    pl.DataFrame({"time": cells, "speed": [float(n) for n in range(len(times))]}).write_parquet(file)
    records = read_text(tmp_path, file.getvalue(), "x.parquet")
    beyond = "time: outside the years 1…9999"
    assert rejected(records)[:2] == [("row 1", beyond), ("row 3", beyond)]
    places = [(place, "outside 1900…2200" in reason) for place, reason in rejected(records)[2:]]
    assert places == [*([("row 4", False)] if gap else []), (f"row {4 + gap}", True)]
    assert list(values(records).values()) == [[1.0, 4.0 + gap]]


def archive(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


GRID = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0]], np.float32)
ARRAYS = {
    "speed": GRID,
    "start": np.array("2024-01-01T23:50"),
    "step_min": np.array(5),
    "sensor_ids": np.array(["a", "b"]),
}


def test_files_of_an_hour_each_are_parts_of_a_day(tmp_path: Path) -> None:
    hours = {
        f"T{hour}.csv": f"time,sensor_id,speed\n2024-01-01T0{hour}:00,a,{hour}1\n2024-01-01T0{hour}:30,a,{hour}2\n"
        for hour in range(2)
    }
    records = read(write(tmp_path / "city", **hours))
    assert values(records) == {
        "city/a/speed/2024-01-01": [1, 2],
        "city/a/speed/2024-01-01T01:00:00": [11, 12],
    }


def test_an_archive(tmp_path: Path) -> None:
    adjacency = np.array([[1, 0.5], [0.5, 1]])
    records = read_text(tmp_path, archive(**ARRAYS, adj=adjacency), "x.npz")
    assert not rejected(records)
    assert values(records) == {
        "net/a/speed/2024-01-01T23:50:00": [1, 3],
        "net/b/speed/2024-01-01T23:50:00": [2],
        "net/a/speed/2024-01-02": [5],
        "net/b/speed/2024-01-02": [6],
    }
    near = [r for r in records if isinstance(r, Claim) and r.relation == "NEAR"]
    assert [(r.place, r.subject, r.object, dict(r.qualifiers)) for r in near] == [
        ("adj[0,1]", "detector:net/a", "detector:net/b", {"number": 0.5, "predicate": "adj"})
    ]


@pytest.mark.parametrize(
    ("changes", "reason", "loaded"),
    [
        pytest.param({"speed": np.array([[object(), 1]])}, "no numpy archive", 0, id="pickled"),
        pytest.param({"speed": np.where(GRID == 3, np.inf, GRID)}, "no finite number for a", 4, id="infinite"),
        pytest.param({"start": np.array("soon")}, "'soon' is no time", 0, id="no start"),
        pytest.param({"step_min": np.array(-5)}, "step_min is not above 0", 0, id="step below 0"),
        pytest.param({"step_min": np.array("five")}, "could not convert", 0, id="step in words"),
        pytest.param({"sensor_ids": np.array(["a"])}, "does not fit 1 sensors", 0, id="too few ids"),
        pytest.param({"speed": GRID[0]}, "no array of two dimensions", 0, id="one dimension"),
        pytest.param({"adj": np.ones((3, 2))}, "shape (3, 2) does not fit 2 sensors", 4, id="no square"),
    ],
)
def test_a_broken_archive(tmp_path: Path, changes: dict[str, Any], reason: str, loaded: int) -> None:
    records = read_text(tmp_path, archive(**(ARRAYS | changes)), "x.npz")
    told = rejected(records)
    assert len(told) == 1
    assert reason in told[0][1]
    assert len(series(records)) == loaded


def test_an_archive_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_arrays, "MAX_ARRAY", 1 << 20)
    records = read_text(tmp_path, archive(**(ARRAYS | {"speed": np.zeros((100_000, 2))})), "x.npz")
    assert "bytes when unpacked, more than" in rejected(records)[0][1]


# ---- size -----------------------------------------------------------------------------------------------------------


def test_a_long_wide_table_takes_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 MB; days come out while the file is read, and memory does not grow with it."""
    monkeypatch.setattr(series_days, "WINDOW", 100_000)
    path = tmp_path / "wide.csv"
    start = datetime(2020, 1, 1)  # noqa: DTZ001 (the file has none)
    row = ",".join(f"{random.Random(1).random() * i:.2f}" for i in range(100))
    with path.open("w") as file:
        file.write("time," + ",".join(f"s{i}" for i in range(100)) + "\n")
        file.writelines(f"{start + timedelta(minutes=5 * i)},{row}\n" for i in range(70_000))
    document = Document("series:wide.csv", path)
    tracemalloc.start()
    try:
        read_before_the_first = 0
        count = 0
        for record in get_reader("series").read(document):
            read_before_the_first = read_before_the_first or document.bytes_read
            count += isinstance(record, Entity) and record.classes == ("Series",)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 100 * len({(start + timedelta(minutes=5 * i)).date() for i in range(70_000)})
    assert read_before_the_first < document.size / 10
    assert peak < 64 << 20


def test_a_line_of_40_megabytes_takes_bounded_memory(tmp_path: Path) -> None:
    with (write(tmp_path / "net", **{"speed.csv": WIDE}) / "speed.csv").open("ab") as file:
        for _ in range(40):
            file.write(b"9" * (1 << 20))
        file.write(b"\n2024-03-02 00:05,40,\n")
    tracemalloc.start()
    records = read(tmp_path / "net")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    [(place, reason)] = rejected(records)
    assert (place, "longer than" in reason) == ("L5", True)
    assert values(records)["net/a/speed/2024-03-02"] == [30, 40]
    assert peak < 48 << 20


# ---- real samples ---------------------------------------------------------------------------------------------------


@pytest.fixture
def sample() -> Callable[[str], list[Record]]:
    def load(folder: str) -> list[Record]:
        if not (TRAFFIC / folder).is_dir():
            pytest.skip(f"needs {TRAFFIC / folder}")
        return read(TRAFFIC / folder)

    return load


Sample = Callable[[str], list[Record]]


def fits(records: list[Record], ontology: Ontology) -> bool:
    entities = (ontology.check_entity(r) for r in records if isinstance(r, Entity))
    claims = (ontology.check_claim(r) for r in records if isinstance(r, Claim))
    return not any(itertools.chain(entities, claims))


def test_los_angeles(sample: Sample, ontology: Ontology) -> None:
    records = sample("losloop")
    assert not rejected(records)
    assert fits(records, ontology)
    found = series(records)
    with np.load(TRAFFIC / "losloop" / "losloop_train.npz") as arrays:
        speed = arrays["speed"]
        near = np.count_nonzero(np.triu(arrays["adj"], 1) + np.tril(arrays["adj"] - arrays["adj"].T, -1))
    assert sum(day["value_count"] for day in found.values()) == speed.size
    first = found["series:losloop/773869/speed/2012-03-01"]
    assert json.loads(first["values"]) == pytest.approx(speed[:288, 0].tolist(), rel=1e-6)
    assert (first["started_at"], first["step_seconds"]) == ("2012-03-01T00:00:00Z", 300.0)
    claims = Counter(r.qualifiers.get("predicate") for r in records if isinstance(r, Claim) and r.relation == "NEAR")
    assert claims["adj"] == near
    placed = [r for r in records if isinstance(r, Entity) and "latitude" in r.properties]
    assert len(placed) == 207
    assert {r.id for r in placed} == {r.object for r in records if isinstance(r, Claim) and r.relation == "OBSERVES"}


def test_melbourne(sample: Sample, ontology: Ontology) -> None:
    records = sample("scats")
    assert not rejected(records)
    assert fits(records, ontology)
    streets = {r.id: r.properties["name"] for r in records if isinstance(r, Entity) and "latitude" in r.properties}
    assert streets["detector:scats/0"] == "HIGH STREET_RD E of WARRIGAL_RD"
    assert {r.object for r in records if isinstance(r, Claim)} == set(streets)


def test_twin_cities(sample: Sample, ontology: Ontology) -> None:
    """Each of the seven files is one sensor's; two rows of it name a time twice, with different values."""
    records = sample("nab_traffic")
    assert [place for place, _ in rejected(records)] == ["L896", "L895"]
    assert fits(records, ontology)
    rows = sum(len(path.read_text().splitlines()) - 1 for path in (TRAFFIC / "nab_traffic").glob("*.csv"))
    assert sum(day["value_count"] for day in series(records).values()) == rows - 2
    assert {"nab_traffic/6005/speed", "nab_traffic/6005/occupancy", "nab_traffic/387/travel_time"} <= {
        "/".join(id_.removeprefix("series:").split("/")[:3]) for id_ in series(records)
    }


def test_hangzhou(sample: Sample, ontology: Ontology) -> None:
    records = sample("hzmetro")
    assert not rejected(records)
    assert fits(records, ontology)
    assert sum(isinstance(record, Claim) for record in records) == 170


def test_controllers(sample: Sample, ontology: Ontology) -> None:
    """Parquet, in no order; one of the four is a log of events."""
    records = sample("controller_samples")
    assert rejected(records) == [
        ("", "a log of events, not of values at times; no series"),
        ("group", "column 'group' does not hold numbers, and is left out"),
    ]
    assert fits(records, ontology)
    told = Counter[str]()
    for day in series(records).values():
        told[day["measure"]] += day["value_count"]
    folder = TRAFFIC / "controller_samples"
    frame = pl.read_parquet(folder / "sample_counts.parquet")
    assert told["total"] == frame.unique(["timestamp", "intersection", "detector"]).height
    assert told["travel_time"] == pl.read_parquet(folder / "sample_travel_times.parquet").height


def test_tollgates(sample: Sample, ontology: Ontology) -> None:
    records = sample("kddcup2017")
    assert fits(records, ontology)
    assert "series:kddcup2017/pressure/value/2016-07-01" in series(records)
