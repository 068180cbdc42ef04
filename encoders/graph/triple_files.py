"""Benchmark files of link prediction: one fact a line, head, relation and tail between tabs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import torch

from encoders.graph.triples import Triples
from kg.errors import InputError


def read_triples(paths: list[Path]) -> list[Triples]:
    """The facts of each file; all share their nodes and relations.

    Raises:
        InputError: a file can't be read, is empty, or has a line of other than three columns.
    """
    nodes, relations = _numbers(), _numbers()
    columns: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
    for path in paths:
        rows = [(nodes[h], relations[r], nodes[t]) for h, r, t in _lines(path)]
        if not rows:
            raise InputError("no facts in it", str(path))
        head, relation, tail = torch.tensor(rows, dtype=torch.int64).T.contiguous()
        columns.append((head, relation, tail))
    return [Triples(*rows, len(nodes), len(relations)) for rows in columns]


def _numbers() -> defaultdict[str, int]:
    """Numbers of names, in the order in which they are first met."""
    numbers: defaultdict[str, int] = defaultdict()
    numbers.default_factory = numbers.__len__
    return numbers


def _lines(path: Path) -> Iterator[list[str]]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not (text := line.rstrip("\r\n")):
                    continue
                cells = text.split("\t")
                if len(cells) != 3 or not all(cells):
                    raise InputError("not head, relation and tail between tabs", f"{path}:{number}")
                yield cells
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"can't be read: {error}", str(path)) from None
