"""The command line. Heavy modules are imported by the commands that need them, so that `--help` is quick."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import orjson
import typer

from api.cli import (
    anomaly,
    cause,
    conflicts,
    deadletters,
    diagnosis,
    embedding,
    enhancement,
    forecast,
    fusion,
    graph,
    ingestion,
    keys,
    links,
    llm,
    push,
    quiz,
    route,
    same,
    scene,
    serve,
    sources,
    stream,
    text,
    tokens,
)
from api.cli.common import Overrides
from api.errors import kind_of, problem_of
from kg.errors import EvigraphError

app = typer.Typer(
    name="evigraph",
    help="One knowledge graph of all that models, records and curated sources say; answers with evidence.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("evigraph"))
        raise typer.Exit


@app.callback()
def _common(
    context: typer.Context,
    graph: Annotated[str | None, typer.Option(help="Graph database, instead of EVIGRAPH_GRAPH.")] = None,
    data: Annotated[str | None, typer.Option(help="Data folder, instead of EVIGRAPH_DATA.")] = None,
    version: Annotated[  # noqa: ARG001 (acts when it is parsed)
        bool, typer.Option("--version", help="Show the version and end.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = Overrides(graph=graph, data=data)


for module in (
    serve,
    ingestion,
    push,
    stream,
    deadletters,
    sources,
    diagnosis,
    embedding,
    enhancement,
    forecast,
    fusion,
    links,
    llm,
    text,
    tokens,
    anomaly,
    cause,
    route,
    scene,
    quiz,
    conflicts,
    same,
    graph,
    keys,
):
    module.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and ends the process: 0 all is well, 1 something was refused, 2 wrong usage, else by the error.

    Raises:
        SystemExit: always.
    """
    warnings.filterwarnings("ignore", category=FutureWarning, module="torch")  # of no use to who runs a command
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app(args=given)
    except EvigraphError as error:
        if "--json" in given:
            sys.stderr.write(orjson.dumps(problem_of(error)).decode() + "\n")
        else:
            sys.stderr.write(f"evigraph: {' '.join(str(error).split())}\n")
        raise SystemExit(kind_of(error).exit_code) from None
    except KeyboardInterrupt:
        sys.stderr.write("evigraph: stopped\n")
        raise SystemExit(130) from None
