"""Health, readiness, metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.auth import GuardedRoute
from api.metrics import Metrics
from api.responses import JSON
from api.routes.parts import ServiceDep
from api.schemas import Health, Ready

open_router = APIRouter(prefix="/v1", tags=["operate"])
"""Routes that orchestrators ask without a key; they tell nothing of the graph's content."""

guarded = APIRouter(tags=["operate"], route_class=GuardedRoute)


@open_router.get("/healthz", response_model=Health)
async def healthz() -> JSON:
    """Whether the process is alive."""
    return JSON({"status": "ok"})


@open_router.get("/readyz", response_model=Ready)
async def readyz(service: ServiceDep) -> JSON:
    """Whether questions are answered: the graph is open and the diagnosis loaded."""
    return JSON({"status": "ready", "graph_version": service.check_ready()})


@guarded.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Prometheus metrics."""
    held: Metrics = request.app.state.metrics
    return Response(generate_latest(held.registry), media_type=CONTENT_TYPE_LATEST)
