"""Ingestion runs, as the ledger has them: listed, and taken back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ingestion.push import STREAM
from kg.errors import InputError, NotFoundError
from kg.store import GraphStore


async def list_runs(store: GraphStore, limit: int = 1000, offset: int = 0) -> list[dict[str, Any]]:
    """A page of the runs whose documents are in the graph, the latest first."""
    runs: dict[str, dict[str, Any]] = {}
    for entry in (await store.ledger()).values():
        if not entry.run:  # no reader wrote it: a forecast, an enhancement
            continue
        run = runs.setdefault(entry.run, {"run": entry.run, "at": "", "documents": 0, "records": 0, "readers": set()})
        run["at"] = max(run["at"], entry.at)
        run["documents"] += 1
        run["records"] += entry.records
        run["readers"].add(entry.reader.partition("@")[0])
    found = sorted(runs.values(), key=lambda run: (run["at"], run["run"]), reverse=True)
    return [run | {"readers": sorted(run["readers"])} for run in found[offset : offset + limit]]


async def retract_runs(
    store: GraphStore, run: str | None, since: str | None = None, until: str | None = None
) -> tuple[list[str], list[str]]:
    """Takes back the documents that a run, or that runs between two times (ISO 8601), wrote last.

    Streams are left: a topic is one document, and its entry in the ledger knows only when its last message came,
    so that what it said at other times would go, too. `GraphStore.retract` takes one back by its id.

    Returns:
        The ids of the documents that were taken back, and of the streams that were left.

    Raises:
        InputError: neither a run nor a time is given, or a time is none; or streams are all that was found.
        NotFoundError: the ledger has no such document.
    """
    if run is None and since is None and until is None:
        raise InputError("give a run, or a time by `since` or `until`")
    first, last = _time("since", since), _time("until", until)
    chosen = [
        entry.document
        for entry in (await store.ledger()).values()
        if (run is None or entry.run == run)
        and (first is None or (entry.at and first <= datetime.fromisoformat(entry.at)))
        and (last is None or (entry.at and datetime.fromisoformat(entry.at) < last))
    ]
    if not chosen:
        raise NotFoundError(f"no document of run {run!r}" if run else "no document of that time")
    streams = [document for document in chosen if document.startswith(STREAM)]
    if len(streams) == len(chosen):
        raise InputError(
            f"{', '.join(streams)}: a stream is one document of all its times, and is not taken back by run or "
            f"time; `evigraph sources retract {streams[0]}` takes back all that it ever said"
        )
    taken = [document for document in chosen if not document.startswith(STREAM)]
    for document in taken:
        await store.retract(document)
    return taken, streams


def _time(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text!r} is no ISO 8601 time such as 2026-03-01T12:00:00Z", name) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
