"""JSON of any size, value by value."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from ingestion.readers.base import Document
from ingestion.readers.json_values import MAX_VALUE, Item, values


def items(tmp_path: Path, content: str, *paths: tuple[str, ...]) -> list[Any]:
    path = tmp_path / "x.json"
    path.write_text(content, encoding="utf-8")
    found = values(Document("x", path), *paths)
    return [(i.place, i.value) if isinstance(i, Item) else (i.place, i.reason) for i in found]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[1, [2], {\"a\": 3}]", [("[0]", 1), ("[1]", [2]), ("[2]", {"a": 3})]),
        ("\ufeff[1]", [("[0]", 1)]),
        ("[]", []),
        ("[1, 2,]", [("[0]", 1), ("[1]", 2)]),
        ("{\"a\": 1}\n\n{\"a\": 2}\n", [("L1", {"a": 1}), ("L3", {"a": 2})]),
        ("{\n \"a\":\n 1}\n{}", [("L1", {"a": 1}), ("L4", {})]),
        ("17", [("L1", 17)]),
        ("[1] x", [("[0]", 1), ("L1", "text behind the end")]),
    ],
)  # fmt: skip
def test_values_of_the_outermost(tmp_path: Path, content: str, expected: list[Any]) -> None:
    assert items(tmp_path, content) == expected


def test_values_at_paths_skip_the_rest_whatever_is_in_it(tmp_path: Path) -> None:
    content = (
        '{"a": {"]": "}\\"[", "b": {"x": [1, {"y": "é"}]}}, "c": [NaN, {}], "d": "a,b", "e": -1.5e3, "a2": {"b": 5}}'
    )
    assert items(tmp_path, content, ("a", "b"), ("e2",)) == [("a.b.x", [1, {"y": "é"}])]
    assert items(tmp_path, content, ("a2", "b")) == [("a2.b", "neither an object nor an array")]


def test_a_name_that_cannot_be_read_costs_its_value_only(tmp_path: Path) -> None:
    content = r'{"a": {"\ud800": {"x": [1, 2]}, b: 3, 7: {"y": 1}, "c": 4}}'
    told = ("a", "a name that can't be read")
    assert items(tmp_path, content, ("a",)) == [told, told, told, ("a.c", 4)]


@pytest.mark.parametrize("size", [1 << 16, 1 << 20, (1 << 20) + 7, 3 << 20])
def test_values_across_the_window(tmp_path: Path, size: int) -> None:
    text = 'x\\"é' * (size // 4)
    content = f'{{"skipped": ["{text}", "{text}"], "wanted": ["{text}", {"9" * 300}, "end"]}}'
    found = items(tmp_path, content, ("wanted",))
    assert found == [("wanted[0]", json.loads(f'"{text}"')), ("wanted[1]", int("9" * 300)), ("wanted[2]", "end")]


def test_a_value_that_is_too_long_is_refused_and_the_next_one_read(tmp_path: Path) -> None:
    long = "x" * (MAX_VALUE + 10)
    assert items(tmp_path, f'[["{long}"], 2]') == [("[0]", f"longer than {MAX_VALUE:,} characters"), ("[1]", 2)]


def test_memory_stays_bounded(tmp_path: Path) -> None:
    """60 MB of results, and as many annotations with the pictures and categories behind them."""
    line = json.dumps(
        {"image_id": 1, "category_id": 1, "bbox": [1.5, 2.5, 3.5, 4.5], "score": 0.123456, "x": "y" * 500}
    )
    count = 100_000
    with (tmp_path / "r.json").open("w") as file:
        file.write("[" + ",".join([line] * 1000))
        for _ in range(count // 1000 - 1):
            file.write("," + ",".join([line] * 1000))
        file.write("]")
    tracemalloc.start()
    found = sum(1 for item in values(Document("x", tmp_path / "r.json")) if isinstance(item, Item))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == count
    assert (tmp_path / "r.json").stat().st_size > 50 << 20
    assert peak < 24 << 20
