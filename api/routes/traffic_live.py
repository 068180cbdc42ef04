"""Measurements, forecasts and alerts as they come."""
# No postponed annotations here: FastAPI must see the generator's type.

from collections.abc import AsyncIterable
from typing import Annotated

import orjson
from fastapi import Depends, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.routes.parts import ServiceDep, guarded_router
from api.schemas_traffic_forecast import SensorName

router = guarded_router("traffic")


class _Asked:
    """What a listener wants; refused before anything is sent."""

    def __init__(self, sensors: list[str] | None, steps: int) -> None:
        self.sensors, self.steps = sensors, steps


async def _asked(
    service: ServiceDep,
    sensor: Annotated[list[SensorName] | None, Query(description="Only these: ids, or names. Default: all.")] = None,
    minutes: Annotated[float | None, Query(ge=1, le=1440, description="Until so many minutes ahead.")] = None,
) -> _Asked:
    return _Asked(*await service.listen(sensor, minutes))


@router.get("/traffic/live", response_class=EventSourceResponse)
async def live(
    service: ServiceDep,
    asked: Annotated[_Asked, Depends(_asked)],
    ticks: Annotated[int | None, Query(ge=1, description="Ends after so many events. Default: never.")] = None,
) -> AsyncIterable[ServerSentEvent]:
    """Server-Sent Events named `tick`: new measurements, the forecast that takes them in, alerts; first how it stands.

    An event comes when the graph was told something new, at most one every EVIGRAPH_LIVE_S. While nothing can be told,
    an event named `problem` says why.
    """
    sent = 0
    async for tick in service.live.follow():
        name = "tick" if tick.problem is None else "problem"
        yield ServerSentEvent(
            event=name, id=str(tick.number), raw_data=orjson.dumps(tick.view(asked.sensors, asked.steps)).decode()
        )
        sent += 1
        if sent == ticks:
            return
