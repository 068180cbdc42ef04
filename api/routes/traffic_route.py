"""Which way round."""

from __future__ import annotations

import orjson
from fastapi import Response

from api.routes.parts import ServiceDep, guarded_router
from api.schemas_route import RouteRequest
from reasoning.traffic.route_answer import RouteAnswer

router = guarded_router("traffic")


@router.post("/traffic/route", response_model=RouteAnswer)
async def route(body: RouteRequest, service: ServiceDep) -> Response:
    """The fastest routes at the speeds that are known and forecast, with reasons; says so where there is no way."""
    answer = await service.routing.answer(
        service.store, body.question(), observed=body.observed, predicted=body.predicted
    )
    return Response(orjson.dumps(answer), media_type="application/json")
