"""`evigraph route`: the fastest way, at the speeds that are known."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.common import Json, err, out, print_json, table, with_service
from kg.errors import InputError

if TYPE_CHECKING:
    from reasoning.traffic.road_network import RoadNetwork
    from reasoning.traffic.route_answer import RouteAnswer


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("route")(route)


def route(
    context: typer.Context,
    start: Annotated[str, typer.Argument(metavar="FROM", help="Segment, junction, or x,y in metres.")],
    end: Annotated[str, typer.Argument(metavar="TO", help="Segment, junction, or x,y in metres.")],
    depart: Annotated[float, typer.Option(help="Seconds, on the clock of the speeds.")] = 0.0,
    count: Annotated[int, typer.Option(min=1, max=5, help="How many routes that differ.")] = 1,
    vehicle_class: Annotated[str, typer.Option(help="As in SUMO: passenger, truck, bus, bicycle, …")] = "passenger",
    closed: Annotated[list[str] | None, typer.Option(help="Segment to leave out; several times.")] = None,
    speed: Annotated[list[str] | None, typer.Option(help="Known speed, SEGMENT=m/s; several times.")] = None,
    net: Annotated[Path | None, typer.Option(help="SUMO network to drive in, instead of the graph's.")] = None,
    json: Json = False,
) -> None:
    """Finds the fastest way through the road network, at the speeds that are known."""
    from reasoning.traffic.route_answer import KnownSpeed, RoutePlanner, RouteQuestion

    speeds = []
    for given in speed or ():
        segment, _, value = given.rpartition("=")
        try:
            speeds.append(KnownSpeed(segment, float(value)))
        except ValueError:
            raise InputError(f"is no SEGMENT=m/s: {given}", "speed") from None
    question = RouteQuestion(_place(start), _place(end), depart, vehicle_class, count, speeds, closed or ())
    if net is not None:
        answer = RoutePlanner(_of_file(net)).answer(question)
    else:
        with err().status("Reading the graph …"):
            answer = with_service(context, lambda service: service.routing.answer(service.store, question))
    if json:
        print_json(asdict(answer))
    else:
        _print(answer)


def _of_file(path: Path) -> RoadNetwork:
    from ingestion.readers.base import get_reader
    from reasoning.traffic.road_network import network_of_records

    if not path.is_file():
        raise InputError("no such file", str(path))
    reader = get_reader("sumo_net")
    return network_of_records(record for document in reader.documents(path) for record in reader.read(document))


def _place(text: str) -> str | tuple[float, float]:
    x, comma, y = text.partition(",")
    try:
        return (float(x), float(y)) if comma else text
    except ValueError:
        return text


def _print(answer: RouteAnswer) -> None:
    if not answer.routes:
        out().print(f"No route: {answer.no_route}", highlight=False)
    for found in answer.routes:
        out().print(f"{found.rank}. {found.seconds / 60:.1f} min, {found.metres / 1000:.2f} km", highlight=False)
        for reason in found.reasons:
            out().print(f"   {reason}", highlight=False, markup=False)
    if answer.routes:
        shown = table("segment", "after", "km/h", "limit")
        for leg in answer.routes[0].legs:
            name = leg.name if leg.name == leg.segment else f"{leg.segment} {leg.name}"
            shown.add_row(name, f"{leg.entered:.0f} s", f"{3.6 * leg.speed:.0f}", f"{3.6 * leg.limit:.0f}")
        out().print(shown)
