"""The arrays of a snapshot, and how changed rows are merged into them.

Everything is canonical: string tables hold just the strings in use, sorted; entities are sorted by id, facts by
(relation, subject, object). The same graph thus gives the same bytes, built at once or merged from many changes.
Strings sort by their UTF-8 bytes, which is the order of their code points.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kg.errors import StoreUnavailableError

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Array = NDArray[Any]

REMOVED = -1
"""Label code of an entity in a change that says it is gone; a fact that is gone has no claims."""


@dataclass(frozen=True, slots=True, eq=False)
class Strings:
    """n strings as one blob of UTF-8.

    Attributes:
        data: uint8, all strings one after the other.
        offsets: int64 (n + 1,); string i is `data[offsets[i]:offsets[i + 1]]`.
    """

    data: NDArray[np.uint8]
    offsets: Longs

    @classmethod
    def of(cls, items: Iterable[str]) -> Strings:
        """Strings from Python strings."""
        return cls._of_bytes([item.encode() for item in items])

    @classmethod
    def _of_bytes(cls, parts: list[bytes]) -> Strings:
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)), out=offsets[1:])
        return cls(np.frombuffer(b"".join(parts), np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str:
        return self.raw(index).decode()

    def __iter__(self) -> Iterator[str]:
        return (self[i] for i in range(len(self)))

    def raw(self, index: int) -> bytes:
        """UTF-8 of one string."""
        return self.data[self.offsets[index] : self.offsets[index + 1]].tobytes()

    def position(self, text: str) -> tuple[int, bool]:
        """Where a string stands, or would stand, in sorted strings; and whether it is there."""
        wanted = text.encode()
        at = bisect_left(range(len(self)), wanted, key=self.raw)
        return at, at < len(self) and self.raw(at) == wanted

    def positions(self, wanted: Strings) -> tuple[Longs, Mask]:
        """`position` of many strings. Few are looked up in place; for many, the whole table is split once."""
        if len(wanted) * 16 > len(self):
            table = self._split()
            queries = wanted._split()
            at = np.fromiter((bisect_left(table, query) for query in queries), np.int64, len(queries))
            hits = (i < len(table) and table[i] == query for i, query in zip(at.tolist(), queries, strict=True))
            return at, np.fromiter(hits, np.bool_, len(queries))
        pairs = np.array([self.position(text) for text in wanted], np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1].astype(np.bool_)

    def _split(self) -> list[bytes]:
        data, offsets = self.data.tobytes(), self.offsets.tolist()
        return [data[start:end] for start, end in pairwise(offsets)]

    def take(self, order: Array) -> Strings:
        """The strings at these positions, copied in runs: cheap where most neighbours stay neighbours."""
        if len(order) == 0:
            return Strings.of(())
        breaks = np.flatnonzero(np.diff(order) != 1) + 1
        firsts = order[np.concatenate(([0], breaks))]
        lasts = order[np.concatenate((breaks - 1, [len(order) - 1]))]
        runs = zip(self.offsets[firsts].tolist(), self.offsets[lasts + 1].tolist(), strict=True)
        lengths = (self.offsets[1:] - self.offsets[:-1])[order]
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        return Strings(np.concatenate([self.data[start:end] for start, end in runs]), offsets)

    def join(self, other: Strings) -> Strings:
        """These strings, then the others."""
        offsets = np.concatenate((self.offsets, other.offsets[1:] + len(self.data)))
        return Strings(np.concatenate((self.data, other.data)), offsets)


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """All arrays of a snapshot, of n entities, m facts, k claims, d distinct sets of qualifiers.

    Codes are positions in the table of the same name; `claim_*` are grouped by fact.

    Attributes:
        entity_label: int32 (n,) codes of `label`, whose strings are JSON lists of labels.
        entity_properties: (n,) JSON objects.
        fact_relation: uint16 (m,), position among the domain's sorted relations.
        claim_start: int64 (m + 1,); the claims of fact f are `claim_start[f]:claim_start[f + 1]`.
        qualifiers: (d,) JSON objects, canonical.
        text: strings that qualifiers take as values.
        qualifier_columns: by qualifier name, (d,): float64 with NaN for absent, or int32 codes of `text` with -1.
    """

    entity_id: Strings
    entity_label: Ints
    entity_name: Strings
    entity_properties: Strings
    fact_subject: Ints
    fact_relation: NDArray[np.uint16]
    fact_object: Ints
    fact_belief: Floats
    claim_start: Longs
    claim_source: Ints
    claim_document: Ints
    claim_place: Ints
    claim_qualifiers: Ints
    claim_confidence: Floats
    label: Strings
    source: Strings
    document: Strings
    place: Strings
    qualifiers: Strings
    text: Strings
    qualifier_columns: dict[str, Array]

    def arrays(self) -> dict[str, Array]:
        """All arrays by a flat name, for writing and comparing."""
        flat: dict[str, Array] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Strings):
                flat |= {f"{field.name}.data": value.data, f"{field.name}.offsets": value.offsets}
            elif isinstance(value, dict):
                flat |= {f"qualifier.{name}": column for name, column in value.items()}
            else:
                flat[field.name] = value
        return flat

    @classmethod
    def of_arrays(cls, flat: Mapping[str, Array]) -> Tables:
        """The opposite of `arrays`.

        Raises:
            KeyError: an array is missing.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):
            if field.type == "Strings":
                values[field.name] = Strings(flat[f"{field.name}.data"], flat[f"{field.name}.offsets"])
            elif field.name != "qualifier_columns":
                values[field.name] = flat[field.name]
        prefix = "qualifier."
        columns = {name.removeprefix(prefix): flat[name] for name in flat if name.startswith(prefix)}
        return cls(**values, qualifier_columns=columns)

    def keep_claims(self, keep: Mask) -> Tables:
        """These claims, and the facts that have one of them, whose beliefs stay as they are.

        Args:
            keep: (k,).
        """
        before = np.concatenate(([0], np.cumsum(keep)))
        count = np.diff(before[self.claim_start])
        facts = count > 0
        return replace(
            self,
            fact_subject=self.fact_subject[facts],
            fact_relation=self.fact_relation[facts],
            fact_object=self.fact_object[facts],
            fact_belief=self.fact_belief[facts],
            claim_start=np.concatenate(([0], np.cumsum(count[facts]))),
            claim_source=self.claim_source[keep],
            claim_document=self.claim_document[keep],
            claim_place=self.claim_place[keep],
            claim_qualifiers=self.claim_qualifiers[keep],
            claim_confidence=self.claim_confidence[keep],
        )


def csr(rows: NDArray[Any], size: int) -> tuple[Longs, Longs]:
    """Elements by the row that each lies in, of so many rows: the start of each row, and the elements, ascending."""
    start = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=size))))
    return start, np.argsort(rows, kind="stable")


def ragged(start: Longs, rows: Array) -> Longs:
    """Positions of all elements of some rows of a CSR structure, row after row."""
    first = start[rows]
    lengths = start[rows + 1] - first
    ends = np.cumsum(lengths)
    return np.repeat(first - ends + lengths, lengths) + np.arange(ends[-1] if len(ends) else 0)


def merge(base: Tables, change: Tables, ends: Strings) -> Tables:
    """The base with changed rows in place of the old ones, new rows added and removed rows gone.

    Args:
        base: tables that stay as they are.
        change: changed rows only, in the same order; an entity of label `REMOVED` and a fact without claims are gone.
        ends: sorted ids that the subjects and objects of `change` are positions in.

    Raises:
        StoreUnavailableError: a fact touches an entity that is in neither.
    """
    entity_at, entity_found = base.entity_id.positions(change.entity_id)
    entity_kept = np.ones(len(base.entity_id), np.bool_)
    entity_kept[entity_at[entity_found]] = False
    entities = _weave(entity_kept, entity_at, change.entity_label != REMOVED)
    entity_id = base.entity_id.join(change.entity_id).take(entities)
    label, entity_label, _ = _unite(base.label, base.entity_label, change.label, change.entity_label, entities)

    moved = _inverse(entities, len(base.entity_id) + len(change.entity_id))
    from_base, from_change = np.split(moved, [len(base.entity_id)])
    from_base[entity_at[entity_found]] = from_change[entity_found]
    end_at, end_found = base.entity_id.positions(ends)
    end_before = np.where(end_found, end_at, -1)
    end_at, end_found = entity_id.positions(ends)
    end_now = np.where(end_found, end_at, -1)

    size = max(len(base.entity_id), len(entity_id), 1)
    subject_before, object_before = end_before[change.fact_subject], end_before[change.fact_object]
    keys = _fact_keys(base.fact_relation, base.fact_subject, base.fact_object, size)
    known = _fact_keys(change.fact_relation, subject_before, object_before, size)
    known = known[(subject_before >= 0) & (object_before >= 0)]
    fact_kept = ~np.isin(keys, known)
    rows = np.concatenate((np.flatnonzero(fact_kept), len(keys) + np.flatnonzero(np.diff(change.claim_start))))
    relation = np.concatenate((base.fact_relation, change.fact_relation))[rows]
    subject = np.concatenate((from_base[base.fact_subject], end_now[change.fact_subject]))[rows]
    object_ = np.concatenate((from_base[base.fact_object], end_now[change.fact_object]))[rows]
    if (subject < 0).any() or (object_ < 0).any():
        raise StoreUnavailableError("the store has facts whose ends it does not have")
    order = np.argsort(_fact_keys(relation, subject, object_, size), kind="stable")
    facts = rows[order]

    start = np.concatenate((base.claim_start, change.claim_start[1:] + base.claim_start[-1]))
    claims = ragged(start, facts)
    source, claim_source, _ = _unite(base.source, base.claim_source, change.source, change.claim_source, claims)
    document, claim_document, _ = _unite(
        base.document, base.claim_document, change.document, change.claim_document, claims
    )
    place, claim_place, _ = _unite(base.place, base.claim_place, change.place, change.claim_place, claims)
    qualifiers, claim_qualifiers, rows = _unite(
        base.qualifiers, base.claim_qualifiers, change.qualifiers, change.claim_qualifiers, claims
    )
    text, columns = _merge_qualifiers(base, change, rows)
    return Tables(
        entity_id=entity_id,
        entity_label=entity_label,
        entity_name=base.entity_name.join(change.entity_name).take(entities),
        entity_properties=base.entity_properties.join(change.entity_properties).take(entities),
        fact_subject=subject[order].astype(np.int32),
        fact_relation=relation[order],
        fact_object=object_[order].astype(np.int32),
        fact_belief=np.concatenate((base.fact_belief, change.fact_belief))[facts],
        claim_start=np.concatenate(([0], np.cumsum((start[1:] - start[:-1])[facts]))),
        claim_source=claim_source,
        claim_document=claim_document,
        claim_place=claim_place,
        claim_qualifiers=claim_qualifiers,
        claim_confidence=np.concatenate((base.claim_confidence, change.claim_confidence))[claims],
        label=label,
        source=source,
        document=document,
        place=place,
        qualifiers=qualifiers,
        text=text,
        qualifier_columns=columns,
    )


def _weave(base_kept: Mask, at: Longs, new_kept: Mask) -> Longs:
    """Rows of two sorted tables, joined, in the order of their strings.

    Args:
        base_kept: rows of the base that stay.
        new_kept: rows of the second table that come in.
        at: row of the base before which, or in place of which, each row of the second table stands.
    """
    base_rows, new_rows = np.flatnonzero(base_kept), np.flatnonzero(new_kept)
    order = np.argsort(np.concatenate((2 * base_rows + 1, 2 * at[new_rows])), kind="stable")
    return np.concatenate((base_rows, len(base_kept) + new_rows))[order]


def _inverse(rows: Longs, size: int) -> Longs:
    """Row → its position in `rows`, or -1."""
    inverse = np.full(size, -1, np.int64)
    inverse[rows] = np.arange(len(rows))
    return inverse


def _fact_keys(relation: Array, subject: Array, object_: Array, size: int) -> Longs:
    """One int64 a fact, in the order of facts; holds for 64 relations among 300 million entities."""
    return (relation.astype(np.int64) * size + subject) * size + object_


def _unite(
    base: Strings, base_codes: Ints, new: Strings, new_codes: Ints, picked: Longs
) -> tuple[Strings, Ints, Longs]:
    """One table of the strings that are in use, from two sorted tables and a column of codes into each.

    Args:
        base: first table.
        base_codes: positions in it; -1 is no string.
        new: second table.
        new_codes: positions in it; -1 is no string.
        picked: which elements of the two columns, joined, make up the new column.

    Returns:
        The table; the new column; and which rows of the two tables, joined, make up the new table.
    """
    codes = np.concatenate((base_codes, np.where(new_codes < 0, -1, new_codes + np.int32(len(base)))))[picked]
    used = np.zeros(len(base) + len(new) + 1, np.bool_)  # one more, for code -1
    used[codes] = True
    base_used, new_used = used[: len(base)], used[len(base) : -1]
    at, found = base.positions(new)
    base_used[at[found & new_used]] = True
    rows = _weave(base_used, at, new_used & ~found)
    recoded = np.full(len(used), -1, np.int32)
    recoded[rows] = np.arange(len(rows), dtype=np.int32)
    recoded[len(base) : -1][found] = recoded[at[found]]
    return base.join(new).take(rows), recoded[codes], rows


def _merge_qualifiers(base: Tables, change: Tables, rows: Longs) -> tuple[Strings, dict[str, Array]]:
    """The columns of the distinct qualifiers `rows` of both, joined, and the table of their texts."""
    columns: dict[str, Array] = {}
    coded = []
    for name in sorted(base.qualifier_columns):
        columns[name] = np.concatenate((base.qualifier_columns[name], change.qualifier_columns[name]))[rows]
        if columns[name].dtype.kind == "i":
            coded.append(name)
    old = np.concatenate([base.qualifier_columns[name] for name in coded])
    new = np.concatenate([change.qualifier_columns[name] for name in coded])
    old_size, new_size = len(base.qualifiers), len(change.qualifiers)
    from_new = rows >= old_size
    shifts = np.arange(len(coded))[:, None] * np.where(from_new, new_size, old_size)
    picked = np.where(from_new, rows - old_size + len(old), rows) + shifts
    text, codes, _ = _unite(base.text, old, change.text, new, picked.ravel())
    return text, columns | dict(zip(coded, codes.reshape(len(coded), len(rows)), strict=True))
