"""Shows how far a run is: a bar with rate and rest on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from ingestion.pipeline import Progress

_LINE_EVERY = 5.0
"""Seconds between plain lines."""


@contextmanager
def show_progress(console: Console) -> Iterator[Callable[[Progress], None]]:
    """A callback for `ingest`, shown on the console for as long as the context lasts."""
    if console.is_terminal:
        with _bar(console) as bar:
            yield bar
    else:
        yield _lines(console)


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[Progress], None]]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[records]:,} records"),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    started = time.monotonic()
    with Bar(*columns, console=console) as bar:
        task = bar.add_task("reading", total=None, records=0, rate=0.0)

        def show(progress: Progress) -> None:
            bar.update(
                task,
                description=progress.document,
                completed=progress.bytes_read,
                total=progress.bytes_total,
                records=progress.records,
                rate=progress.records / max(time.monotonic() - started, 1e-3),
            )

        yield show


def _lines(console: Console) -> Callable[[Progress], None]:
    started = last = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _LINE_EVERY and progress.bytes_read < progress.bytes_total:
            return
        last = now
        seconds = now - started
        share = progress.bytes_read / progress.bytes_total if progress.bytes_total else 1.0
        rest = seconds / share - seconds if share else float("inf")
        console.print(
            f"{progress.document}: {share:.0%}, {progress.records:,} records, "
            f"{progress.records / max(seconds, 1e-3):,.0f}/s, {rest:.0f} s left",
            highlight=False,
            soft_wrap=True,
        )

    return show
