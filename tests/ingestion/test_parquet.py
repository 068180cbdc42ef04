"""Times in Parquet that Python has no value for: they cost their row, in every reader of tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingestion.readers.base import get_reader
from kg.model import Entity, Rejected
from tests.ingestion.test_reader_contract import read_all

MS, US, DAY = pl.Datetime("ms"), pl.Datetime("us", "Europe/Berlin"), pl.Date


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        pytest.param(MS, 1_260_759_144_000, 2**62, id="beyond any calendar"),
        pytest.param(MS, 1_260_759_144_000, 253_402_300_800_000, id="year 10000"),
        pytest.param(US, 1_260_759_144_000_000, -(2**62), id="long before year 1"),
        pytest.param(DAY, 14_592, 2**31 - 1, id="date"),
        pytest.param(pl.List(MS), [1_260_759_144_000], [0, 2**62], id="list"),
        pytest.param(pl.Array(DAY, 2), [1, 2], [1, -(2**31)], id="array"),
        pytest.param(pl.Struct({"at": MS}), {"at": 1_260_759_144_000}, {"at": 2**62}, id="struct"),
        pytest.param(pl.Duration("ms"), 5, 2**62, id="duration"),
    ],
)
@pytest.mark.parametrize("reader", ["interactions", "items", "table"])
def test_a_time_that_python_has_not_costs_its_row(
    tmp_path: Path, reader: str, kind: pl.DataType, good: object, bad: object
) -> None:
    rows = [good, bad, None, bad, good]
    plain = pl.Series("seen", rows, strict=False).cast(_of_integers(kind))
    users, items = list("abcde"), list("vwxyz")
    path = tmp_path / "x.parquet"
    pl.DataFrame({"user_id": users, "item_id": items, "seen": plain.cast(kind)}).write_parquet(path)
    (tmp_path / "mapping.yaml").write_text("entities: [{class: Item, id: 'item:x/{item_id}', properties: {}}]\n")
    records = read_all(get_reader(reader), path)
    reason = "seen: outside the years 1…9999"
    assert [(r.place, r.reason) for r in records if isinstance(r, Rejected) and r.place != "L1"] == [
        ("row 2", reason),
        ("row 4", reason),
    ]
    assert {r.id for r in records if isinstance(r, Entity) and r.id.startswith("item:")} == {
        "item:x/v",
        "item:x/x",
        "item:x/z",
    }


def _of_integers(kind: Any) -> Any:
    """The type of the numbers that lie behind times."""
    if isinstance(kind, pl.List):
        return pl.List(pl.Int64)
    if isinstance(kind, pl.Array):
        return pl.Array(pl.Int32, kind.shape)
    if isinstance(kind, pl.Struct):
        return pl.Struct({field.name: pl.Int64 for field in kind.fields})
    return pl.Int32 if kind == pl.Date else pl.Int64
