"""`evigraph cause`: where a jam comes from."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.common import Json, err, out, print_json, table, with_service
from api.cli.route import network_of_file

if TYPE_CHECKING:
    from reasoning.traffic.cause import CauseAnswer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("cause")(cause)


def cause(
    context: typer.Context,
    measured: Annotated[
        str, typer.Argument(metavar="FILE|SOURCE", help="Edge data of SUMO, or a source of the graph, up to now.")
    ],
    usual: Annotated[list[str], typer.Option(help="The same of a day without incident; several times.")],
    net: Annotated[Path | None, typer.Option(help="SUMO network, instead of the graph's.")] = None,
    since: Annotated[
        float | None,
        typer.Option(help="When the jam began, seconds: it is explained, whether it could be told or not."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=20, help="How many segments to name.")] = 3,
    json: Json = False,
) -> None:
    """Tells a jam that is not usual, where it comes from, how it spread, and which known events fit."""
    from api.edge_data import series_of_files, series_of_sources
    from api.traffic_events import known_events
    from reasoning.traffic.cause import explain
    from reasoning.traffic.edge_series import Usual

    if net is not None:
        network, events = network_of_file(net), []
    else:
        with err().status("Reading the graph …"):
            network = with_service(context, lambda service: service.routing.network(service.store))
            events = with_service(context, lambda service: known_events(service.store))
    said = [measured, *usual]
    if net is None and not any(Path(name).exists() for name in said):
        now, *days = with_service(context, lambda service: series_of_sources(service.store, said, network))
    else:
        now, *days = series_of_files([Path(name) for name in said], network)
    here = [event for event in events if event.segment in network.places]
    answer = explain(now, Usual.of(days), network, here, limit=limit, since=since)
    if json:
        print_json(asdict(answer))
    else:
        _print(answer)


def _print(answer: CauseAnswer) -> None:
    if answer.abstains:
        out().print(f"No cause: {answer.abstains}", highlight=False)
        return
    out().print(f"A jam, told at {answer.told_at:.0f} s", highlight=False)
    shown = table("segment", "probability", "because it has")
    for one in answer.blamed:
        because = "; ".join(f"{sign.means} ({sign.value:.1f})" for sign in one.signs)
        shown.add_row(one.segment, f"{one.probability:.2f}", because)
    out().print(shown)
    for reached in answer.spread[1:]:
        out().print(f"reached {reached.segment} at {reached.time:.0f} s, {reached.hops} upstream", highlight=False)
    for found in answer.causes:
        what = "no event that is known" if found.event is None else f"{found.event.kind} {found.event.id}"
        out().print(f"{found.probability:.2f}  {what}", highlight=False)
