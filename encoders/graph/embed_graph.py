"""Embeddings of a domain's entities in the graph: made, written where they have changed, and found again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from encoders.graph.entity_embeddings import EntityEmbeddings, members_of
from encoders.progress import Progress, quiet
from kg.errors import InputError, NotFoundError
from kg.snapshot import Snapshot, load_snapshot, refresh_snapshot
from kg.store import GraphStore
from kg.vectors import Near

_PART = 2_000
_SAME = 1e-5
"""Numbers that differ less count as equal: sums over a neighbourhood come in another order than over the whole."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """What was done.

    Attributes:
        model: what made the embeddings.
        entities: how many have an embedding.
        written: how many of these are new, or have changed.
        removed: embeddings of entities that are gone.
    """

    domain: str
    model: str
    graph_version: int
    entities: int
    written: int
    removed: int


async def embed_graph(
    store: GraphStore,
    domain: str,
    cache: Path,
    folder: Path,
    progress: Progress = quiet,
    *,
    anew: bool = False,
) -> Embedded:
    """Embeds all entities of a domain; running it again writes only what has changed, or was not written.

    Args:
        store: the graph.
        domain: name of an ontology file.
        cache: folder of snapshots.
        folder: where it is kept how rare the domain's words are.
        progress: told how far it is; what it raises ends the run.
        anew: counts words again, even if the folder has counts; all vectors change then.

    Raises:
        OntologyError: no such domain.
        InputError: the domain is empty, or what the folder holds is damaged or of another domain.
        StoreUnavailableError: the database went away.
    """
    snapshot = await load_snapshot(store, domain, cache)
    members = await asyncio.to_thread(members_of, snapshot, store.ontology)
    if not len(members):
        raise InputError(f"the domain {domain!r} has no entities", "domain")
    progress("Counting words", 0, len(members))
    if (folder / "card.json").exists() and not anew:
        made = await asyncio.to_thread(EntityEmbeddings.load, folder, domain)
    else:
        made = await asyncio.to_thread(EntityEmbeddings.of, snapshot, members)
        await asyncio.to_thread(made.save, folder)
    progress("Embedding", 0, len(members))
    vectors = await asyncio.to_thread(made, snapshot, members)
    ids = [snapshot.id(at) for at in members.tolist()]
    await store.vectors.prepare()
    stored = await store.vectors.all(domain, made.model)
    changed = [
        at for at, id_ in enumerate(ids)
        if id_ not in stored or not torch.allclose(torch.from_numpy(stored[id_]), vectors[at], atol=_SAME)
    ]  # fmt: skip
    for start in range(0, len(changed), _PART):
        progress("Writing", start, len(changed))
        part = changed[start : start + _PART]
        await store.vectors.write(domain, made.model, {ids[at]: vectors[at].tolist() for at in part})
    gone = await store.vectors.ids(domain) - set(ids)
    await store.vectors.forget(domain, sorted(gone))
    progress("Indexing", 0, 1)
    await store.vectors.warm()
    return Embedded(domain, made.model, snapshot.version, len(ids), len(changed), len(gone))


class Similar:
    """Entities that are like one another; what has no embedding yet gets it when it is asked for.

    Args:
        folder: with a folder for each domain that has embeddings.
        cache: folder of snapshots.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        self._folder = folder
        self._cache = cache
        self._loaded: dict[str, tuple[EntityEmbeddings, Snapshot]] = {}
        self._lock = asyncio.Lock()

    async def to(
        self, store: GraphStore, id_: str, limit: int, labels: list[str], domain: str | None = None
    ) -> tuple[str, list[Near]]:
        """The likest entities of the same domain, and the model that says so.

        Args:
            store: the graph.
            id_: of an entity that is in the graph.
            limit: at most so many.
            labels: only entities of one of these classes, which the caller has checked.
            domain: None: the first one, by name, that has embeddings and the entity.

        Raises:
            NotFoundError: no domain with embeddings has the entity.
            InputError: what the domain's folder holds is damaged.
            StoreUnavailableError: the database went away.
        """
        domains = sorted(path.parent.name for path in self._folder.glob("*/card.json"))
        for name in domains if domain is None else {domain}.intersection(domains):
            found = await store.vectors.of(name, id_) or await self._new(store, name, id_)
            if found is not None:
                vector, model = found
                return model, await store.vectors.nearest(name, vector, limit, labels=labels, without=id_)
        where = f"the domain {domain!r}" if domain else f"any domain ({', '.join(domains) or 'none has some'})"
        raise NotFoundError(f"no embedding of {id_!r} in {where}; `evigraph embed DOMAIN` makes them")

    async def _new(self, store: GraphStore, domain: str, id_: str) -> tuple[list[float], str] | None:
        """Embeds an entity from the facts about it, and keeps that; None if the domain does not have it."""
        async with self._lock:
            if domain in self._loaded:
                made, snapshot = self._loaded[domain]
                snapshot = await refresh_snapshot(snapshot, store, self._cache)
            else:
                made = await asyncio.to_thread(EntityEmbeddings.load, self._folder / domain, domain)
                snapshot = await load_snapshot(store, domain, self._cache)
            self._loaded[domain] = made, snapshot
        at = np.intersect1d(snapshot.indices([id_]), members_of(snapshot, store.ontology))
        if not len(at):
            return None
        vector = (await asyncio.to_thread(made, snapshot, at))[0].tolist()
        await store.vectors.write(domain, made.model, {id_: vector})
        return vector, made.model
