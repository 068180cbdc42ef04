"""What causes a jam."""

from __future__ import annotations

import asyncio

import orjson
from fastapi import Response

from api.edge_data import series_of_sources
from api.routes.parts import ServiceDep, guarded_router
from api.schemas_cause import CauseRequest, ObservedCauseRequest
from api.schemas_route import seconds_of
from api.traffic_events import known_events
from kg.errors import InputError
from reasoning.traffic.cause import CauseAnswer, KnownEvent, explain
from reasoning.traffic.edge_series import Usual
from reasoning.traffic.road_network import RoadNetwork

router = guarded_router("traffic")


@router.post("/traffic/cause", response_model=CauseAnswer)
async def cause(body: CauseRequest, service: ServiceDep) -> Response:
    """Tells a jam that is not usual, the segments where it may come from, how it spread, and events that fit."""
    network = await service.routing.network(service.store)
    events = [*(event.known() for event in body.events), *await known_events(service.store)]
    answer = await asyncio.to_thread(_explained, body, network, events)
    return Response(orjson.dumps(answer), media_type="application/json")


@router.post("/traffic/cause/observed", response_model=CauseAnswer)
async def cause_observed(body: ObservedCauseRequest, service: ServiceDep) -> Response:
    """The same from what sources of the graph have observed on its segments, such as edge data that was ingested."""
    network = await service.routing.network(service.store)
    events = [*(event.known() for event in body.events), *await known_events(service.store)]
    now, *days = await series_of_sources(service.store, [body.observed, *body.usual], network)
    here = [event for event in events if not event.segment or event.segment in network.places]
    since = seconds_of(body.since)
    answer = await asyncio.to_thread(lambda: explain(now, Usual.of(days), network, here, limit=body.limit, since=since))
    return Response(orjson.dumps(answer), media_type="application/json")


def _explained(body: CauseRequest, network: RoadNetwork, events: list[KnownEvent]) -> CauseAnswer:
    now = body.series(network, body.step_s, "")
    days = [day.series(network, body.step_s, f"usual[{number}].") for number, day in enumerate(body.usual)]
    for number, day in enumerate(days):
        if day.segments != now.segments:
            raise InputError("must name the same segments as `edges`", f"usual[{number}]")
    here = [event for event in events if not event.segment or event.segment in network.places]
    return explain(now, Usual.of(days), network, here, limit=body.limit, since=seconds_of(body.since))
