"""Records of one thing under several ids: probabilistic linkage by what they have in common.

Fellegi and Sunter, A theory for record linkage (JASA 64, 1969), as `splink` has it, with DuckDB in memory: how much it
says that two records agree in a property is learned from the records themselves by expectation-maximisation. What is
found is proposed (`POSSIBLY_SAME`), never merged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ingestion.names import fold, key
from kg.errors import InputError, NotFoundError
from kg.extras import needs_extra
from kg.model import Claim, Source
from kg.ontology import Ontology
from kg.store import Batch, GraphStore

LIKELY = 0.5
"""Probability from which two records are proposed."""

_IGNORED = frozenset(("definition", "obsolete", "url"))
"""Properties that say nothing of who or what an entity is."""
_FILLED = 0.2
"""Share of the records that have a property, from which it is compared."""
_SELECTIVE = 0.3
"""Share of different values among all, from which records with an equal one are compared with each other."""
_U_PAIRS = 1_000_000
_RECALL = 0.7
"""Share of the true pairs that agree in name and in everything selective, roughly."""
_MOST_RECORDS = 2_000_000


async def propose(store: GraphStore, class_: str, likely: float = LIKELY) -> int:
    """Proposes pairs of entities of one class that may be one, in place of what was proposed before.

    Args:
        store: the graph.
        class_: name of a class.
        likely: probability from which a pair is proposed.

    Returns:
        How many pairs are proposed.

    Raises:
        OntologyError: there is no such class.
        InputError: there are too few entities, or too many, or they have nothing to be compared by.
        ConfigurationError: the extra `linkage` is not installed.
    """
    store.ontology.labels([class_])
    rows = [
        row["p"] async for row in store.read(f"MATCH (n:{class_}) RETURN properties(n) AS p ORDER BY n.id", {}, 600)
    ]
    if len(rows) > _MOST_RECORDS:
        raise InputError(f"{len(rows):,} entities are more than can be compared at once ({_MOST_RECORDS:,})", class_)
    pairs = await asyncio.to_thread(linked, rows, store.ontology, likely)
    source = Source(f"splink:{class_}", "model", model="splink", document=f"linkage:{class_}")
    with contextlib.suppress(NotFoundError):
        await store.retract(source.id)
    claims = [Claim(a, "POSSIBLY_SAME", b, source.id, round(p, 6), {}, source.document) for a, b, p in pairs]
    await store.write(Batch(sources=[source], claims=claims))
    return len(claims)


def linked(
    records: Sequence[Mapping[str, Any]], ontology: Ontology, likely: float = LIKELY
) -> list[tuple[str, str, float]]:
    """Pairs of records that may be of one thing: (id, id, probability), the likeliest first.

    Args:
        records: properties of entities, `id` among them.
        ontology: says which properties have one value, and of what type.
        likely: probability from which a pair counts.

    Raises:
        InputError: there are fewer than two records, or they have nothing to be compared by.
        ConfigurationError: the extra `linkage` is not installed.
    """
    with needs_extra("linkage", "record linkage"):
        from splink import DuckDBAPI, Linker, SettingsCreator, block_on
        from splink.internals.exceptions import SplinkException
    logging.getLogger("splink").setLevel(logging.ERROR)
    table = _Table(records, ontology)
    rules: list[Any] = [block_on(*columns) for columns in table.blocks]
    settings = SettingsCreator(
        link_type="dedupe_only",
        unique_id_column_name="id",
        comparisons=table.comparisons(),
        blocking_rules_to_generate_predictions=rules,
        retain_matching_columns=False,
        probability_two_random_records_match=table.prior,
    )
    database = DuckDBAPI()
    linker = Linker(database.register(table.rows), settings, log_level="ERROR")
    training = linker.training
    training.estimate_u_using_random_sampling(max_pairs=_U_PAIRS, seed=1)
    for rule in rules:
        with contextlib.suppress(SplinkException, ValueError):  # too few pairs to learn from: the defaults stay
            training.estimate_parameters_using_expectation_maximisation(rule)
    found = linker.inference.predict(threshold_match_probability=likely).as_record_list()
    pairs = [(min(r["id_l"], r["id_r"]), max(r["id_l"], r["id_r"]), float(r["match_probability"])) for r in found]
    return sorted(pairs, key=lambda pair: (-pair[2], pair))


class _Table:
    """Records as the rows of a table, and by what they are compared."""

    def __init__(self, records: Sequence[Mapping[str, Any]], ontology: Ontology) -> None:
        if len(records) < 2:
            raise InputError("there are no two records to compare")
        single = {n for n, p in ontology.properties.items() if not p.multi and n not in _IGNORED}
        filled = Counter(name for record in records for name in record.keys() & single)
        self.columns = sorted(name for name, many in filled.items() if many >= max(2, _FILLED * len(records)))
        if not self.columns:
            raise InputError("the records have no property in common by which they could be compared")
        self.named = "name" in self.columns
        self.rows = [self._row(record) for record in records]
        self.selective = [
            c for c in self.columns if c != "name"
            and len({r[c] for r in self.rows if r[c] is not None}) >= _SELECTIVE * filled[c]
        ]  # fmt: skip

    def _row(self, record: Mapping[str, Any]) -> dict[str, Any]:
        row: dict[str, Any] = {"id": record["id"]}
        for column in self.columns:
            value = record.get(column)
            row[column] = None if value is None else fold(str(value))
        if self.named:
            name = row["name"] or ""
            row["name_key"] = key(name) or None
            row["name_start"] = name[:4] or None
            row["name_end"] = name[-4:] or None
        return row

    @property
    def blocks(self) -> list[tuple[str, ...]]:
        """Columns in which two records have to agree to be compared: in those of one of the tuples."""
        names = [("name_key",), ("name_start",), ("name_end",)] if self.named else []
        return [*names, *((column,) for column in self.selective)] or [tuple(self.columns)]

    @property
    def prior(self) -> float:
        """The chance that two records are of one thing: from those that agree in all that hardly two agree in."""
        columns = [*(("name_key",) if self.named else ()), *self.selective[:2]] or self.columns
        groups = Counter(values for row in self.rows if None not in (values := tuple(row[c] for c in columns)))
        agreeing = sum(many * (many - 1) // 2 for many in groups.values())
        everything = len(self.rows) * (len(self.rows) - 1) / 2
        return min((agreeing + 1) / _RECALL / everything, 0.5)

    def comparisons(self) -> list[Any]:
        """How each column is compared: names by likeness, what is selective by slips of the pen, the rest exactly."""
        from splink import comparison_library as library

        found: list[Any] = []
        for column in self.columns:
            if column == "name":
                found.append(library.JaroWinklerAtThresholds("name", [0.95, 0.88]))
            elif column in self.selective:
                found.append(library.LevenshteinAtThresholds(column, [1, 2]))
            else:
                found.append(library.ExactMatch(column))
        return found
