"""What causes a jam."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import orjson
from fastapi import Response

from api.edge_data import series_of_sources
from api.routes.parts import ServiceDep, guarded_router
from api.schemas_cause import CauseQuestion, CauseRequest, ObservedCauseRequest
from api.schemas_route import seconds_of
from api.service import Service
from api.traffic_events import known_events
from kg.errors import InputError
from reasoning.traffic.cause import CauseAnswer, explain
from reasoning.traffic.edge_series import EdgeSeries, Usual
from reasoning.traffic.road_network import RoadNetwork

router = guarded_router("traffic")


@router.post("/traffic/cause", response_model=CauseAnswer)
async def cause(body: CauseRequest, service: ServiceDep) -> Response:
    """Tells a jam that is not usual, the segments where it may come from, how it spread, and events that fit."""
    network = await service.routing.network(service.store)
    return await _answer(body, network, service, lambda: _posted(body, network))


@router.post("/traffic/cause/observed", response_model=CauseAnswer)
async def cause_observed(body: ObservedCauseRequest, service: ServiceDep) -> Response:
    """The same from what sources of the graph have observed on its segments, such as edge data that was ingested."""
    network = await service.routing.network(service.store)
    days = await series_of_sources(service.store, [body.observed, *body.usual], network)
    return await _answer(body, network, service, lambda: days)


async def _answer(
    body: CauseQuestion, network: RoadNetwork, service: Service, days: Callable[[], list[EdgeSeries]]
) -> Response:
    """Args: days: the day of the jam, and the usual ones."""
    events = [*(event.known() for event in body.events), *await known_events(service.store)]
    here = [event for event in events if not event.segment or event.segment in network.places]

    def work() -> bytes:
        now, *usual = days()
        since = seconds_of(body.since)
        return orjson.dumps(explain(now, Usual.of(usual), network, here, limit=body.limit, since=since))

    return Response(await asyncio.to_thread(work), media_type="application/json")


def _posted(body: CauseRequest, network: RoadNetwork) -> list[EdgeSeries]:
    now = body.series(network, body.step_s, "")
    days = [day.series(network, body.step_s, f"usual[{number}].") for number, day in enumerate(body.usual)]
    for number, day in enumerate(days):
        if day.segments != now.segments:
            raise InputError("must name the same segments as `edges`", f"usual[{number}]")
    return [now, *days]
