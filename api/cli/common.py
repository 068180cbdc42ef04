"""What commands share: settings, running against the service, printing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from api.service import Service
    from api.settings import Settings

T = TypeVar("T")
EVALUATE = "Measure how good answers are, on cases whose truth is known."
TRAIN = "Train what answers are made with."
Weights = Annotated[
    Path | None, typer.Option(help="Weights of the link predictor, safetensors. Default: the shipped ones.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; errors are problem objects on stderr.")]


@dataclass(frozen=True, slots=True)
class Overrides:
    """Settings given before the command."""

    graph: str | None = None
    data: str | None = None


def settings_of(context: typer.Context, **overrides: object) -> Settings:
    """The settings of the environment and the command line.

    Raises:
        ConfigurationError: a setting makes no sense.
    """
    from api.settings import load_settings

    given: Overrides = context.obj
    return load_settings(graph=given.graph, data=given.data, **overrides)


def with_service(context: typer.Context, work: Callable[[Service], Awaitable[T]]) -> T:
    """Opens the service, does the work, closes it; only warnings are logged, unless EVIGRAPH_LOG_LEVEL says more.

    Raises:
        EvigraphError: as the work says.
    """
    from api.logs import configure_logging
    from api.service import Service

    settings = settings_of(context)
    if "log_level" not in settings.model_fields_set:
        settings = settings.model_copy(update={"log_level": "warning"})
    configure_logging(settings)

    async def run() -> T:
        async with Service(settings) as service:
            return await work(service)

    return asyncio.run(run())


def print_json(value: Any) -> None:  # noqa: ANN401 (any JSON)
    """One JSON value on stdout."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    typer.echo(orjson.dumps(value, option=options).decode())


def out() -> Console:
    """The console for results."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False)


def err() -> Console:
    """The console for progress and warnings."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def table(*columns: str) -> Table:
    """An empty table."""
    from rich import box
    from rich.table import Table

    return Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)


def make_folder(folder: Path) -> None:
    """Makes a folder before the work whose result it is to hold.

    Raises:
        InputError: it can't be made.
    """
    from kg.errors import InputError

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"can't be written: {error.strerror}", str(folder)) from error


def group(app: typer.Typer, name: str, text: str) -> typer.Typer:
    """The group of commands of this name, to which several modules add theirs."""
    for known in app.registered_groups:
        if known.name == name and known.typer_instance is not None:
            return known.typer_instance
    made = typer.Typer(no_args_is_help=True, help=text)
    made.callback()(_only_a_group)  # else a group's only command would be the group
    app.add_typer(made, name=name)
    return made


def _only_a_group() -> None:
    pass


class Progress:
    """Shows how far a training is as bars on stderr: a context that gives what is to be told (what, done, of)."""

    def __enter__(self) -> Callable[[str, int, int], None]:
        from rich.progress import Progress as Bars

        self._bars = Bars(console=err(), transient=True)
        self._bars.start()
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = self._bars.add_task(what, total=of)
            self._bars.update(tasks[what], completed=done + 1, total=of)

        return show

    def __exit__(self, *_: object) -> None:
        self._bars.stop()
