"""What is out of the ordinary in a series."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import orjson
from fastapi import Response

from api.routes.parts import guarded_router
from api.schemas_anomaly import AnomaliesRequest
from reasoning.traffic.anomaly import AnomalyDetector, Moment

router = guarded_router("traffic")


@dataclass(frozen=True, slots=True)
class AnomaliesAnswer:
    """Moments of a series.

    Attributes:
        alerts: what is told.
        last: the last value that was measured, with what is usual; None if there is none.
        measured: how many values were.
    """

    alerts: list[Moment]
    last: Moment | None
    measured: int


@router.post("/traffic/anomalies", response_model=AnomaliesAnswer)
async def anomalies(body: AnomaliesRequest) -> Response:
    """Judges each value of a series by those before it; the clock must not go back."""
    return Response(orjson.dumps(await asyncio.to_thread(_judge, body)), media_type="application/json")


def _judge(body: AnomaliesRequest) -> AnomaliesAnswer:
    detector = AnomalyDetector(body.threshold)
    found = (detector.update(time, value) for time, value in body.series())
    moments = [moment for moment in found if moment is not None]
    alerts = [moment for moment in moments if moment.alert]
    return AnomaliesAnswer(alerts, moments[-1] if moments else None, len(moments))
