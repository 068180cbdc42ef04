"""The vectors of what entities are called, in the graph's index; and search by words and by meaning, joined."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from encoders.progress import Progress, quiet
from encoders.text import TextEncoder
from kg.errors import InputError
from kg.store import GraphStore
from kg.vectors import Vectors

_DOMAIN = "text"
_PART = 512
_SYNONYMS = 4
"""Of a name's synonyms, how many are read with it."""
_RANK = 60
"""k of reciprocal rank fusion, Σ 1/(k + rank) (Cormack et al. 2009, doi:10.1145/1571941.1572114)."""
_EXACT = {"id": 0, "name": 1, "synonym": 2}
_LEAST = 0.3
"""Cosine from which what is near counts as found."""
_NAMED = """
MATCH (n:Entity) WHERE n.name IS NOT NULL AND n.version > $since AND NOT n:Detection AND NOT n:Patient
RETURN n.id AS id, n.name AS name, n.synonyms AS synonyms ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class TextIndexed:
    """What was done.

    Attributes:
        model: what made the vectors.
        entities: whose vectors were written.
    """

    model: str
    graph_version: int
    entities: int


async def index_texts(
    store: GraphStore,
    encoder: TextEncoder,
    folder: Path,
    progress: Progress = quiet,
    *,
    anew: bool = False,
) -> TextIndexed:
    """Gives every named entity the vector of its name and synonyms; run again, it reads what has changed since.

    Patients and single detections have none.

    Args:
        store: the graph.
        encoder: makes the vectors.
        folder: where it is kept up to which version the graph was read, and with which model.
        progress: told how far it is; what it raises ends the run.
        anew: reads everything.

    Raises:
        StoreUnavailableError: the database went away.
    """
    version = await store.version()
    known = {} if anew else indexed_by(folder) or {}
    since = int(known["version"]) if known.get("model") == encoder.name else -1
    vectors = vectors_of(store, encoder.width)
    await vectors.prepare()
    rows = [row async for row in store.read(_NAMED, {"since": since}, 3600)]
    for start in range(0, len(rows), _PART):
        progress("Reading names", start, len(rows))
        part = rows[start : start + _PART]
        made = await asyncio.to_thread(encoder.encode, [_text(row) for row in part])
        await vectors.write(_DOMAIN, encoder.name, {row["id"]: of.tolist() for row, of in zip(part, made, strict=True)})
    await asyncio.to_thread(_keep, folder, {"model": encoder.name, "version": version})
    return TextIndexed(encoder.name, version, len(rows))


def vectors_of(store: GraphStore, width: int) -> Vectors:
    """Where vectors of texts of a width lie."""
    return store.vectors.apart(f"Text{width}", width)


def indexed_by(folder: Path) -> dict[str, Any] | None:
    """Model and graph version of the last run; None if there was none.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / "text.json"
    try:
        return dict(orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"can't be read: {error}", str(path)) from error


async def search_by_meaning(
    store: GraphStore, encoder: TextEncoder, text: str, labels: Sequence[str], limit: int
) -> list[dict[str, Any]]:
    """Entities by words and by the meaning of their names, joined by rank; exact ids, names and synonyms stay first.

    Args:
        store: the graph.
        encoder: that made the vectors.
        text: what the user typed.
        labels: only entities with one of these classes, if there are any; known ones.
        limit: at most so many.

    Raises:
        OntologyError: a label is unknown.
        StoreUnavailableError: the database went away.
    """
    by_words = await store.search(text, labels=labels or None, limit=2 * limit)
    vector = (await asyncio.to_thread(encoder.encode, [text]))[0].tolist()
    near = await vectors_of(store, encoder.width).nearest(_DOMAIN, vector, 2 * limit, labels=labels)
    hits = {hit["id"]: hit for hit in by_words}
    scores = {hit["id"]: 1 / (_RANK + rank) for rank, hit in enumerate(by_words, 1)}
    for rank, one in enumerate((one for one in near if one.similarity >= _LEAST), 1):
        hits.setdefault(one.id, {"id": one.id, "name": one.name, "labels": list(one.labels), "match": "meaning"})
        scores[one.id] = scores.get(one.id, 0.0) + 1 / (_RANK + rank)
    ranked = sorted(hits.values(), key=lambda hit: (_EXACT.get(hit["match"], 3), -scores[hit["id"]], hit["id"]))
    return [hit | {"score": round(scores[hit["id"]], 6)} for hit in ranked[:limit]]


def _keep(folder: Path, card: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "text.json").write_bytes(orjson.dumps(card))


def _text(row: dict[str, Any]) -> str:
    return "; ".join([row["name"], *(row["synonyms"] or ())[:_SYNONYMS]])
