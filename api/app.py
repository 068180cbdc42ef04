"""The HTTP app. `create_app(settings)` makes one; `uvicorn --factory api.app:from_environment` serves it too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from api.auth import Gate
from api.jobs import Jobs
from api.logs import configure_logging
from api.metrics import Metrics
from api.middleware import Observe
from api.openapi import install_openapi
from api.responses import add_error_handlers
from api.routes import (
    claims,
    conflicts,
    dead_letters,
    diagnosis,
    enhancements,
    graph,
    ingestions,
    operate,
    runs,
    same,
    sources,
    traffic_anomalies,
    traffic_cause,
    traffic_forecast,
    traffic_live,
    traffic_route,
    traffic_scene,
)
from api.service import Service
from api.settings import Settings, load_settings


def create_app(settings: Settings) -> FastAPI:
    """The app; it opens the graph when it starts, in the background: `/v1/readyz` says when it is ready.

    Raises:
        ConfigurationError: it would listen beyond loopback without a key, or the file of keys can't be read.
    """
    metrics = Metrics()
    app = FastAPI(
        title="Evigraph",
        version=version("evigraph"),
        description="One knowledge graph of all that models, records and curated sources say; answers with evidence.",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.gate = Gate(settings)
    app.state.metrics = metrics
    for router in (
        operate.open_router,
        operate.guarded,
        diagnosis.router,
        graph.router,
        claims.router,
        conflicts.router,
        same.router,
        same.searches,
        sources.router,
        sources.retractions,
        ingestions.router,
        ingestions.uploads,
        enhancements.router,
        dead_letters.router,
        dead_letters.replays,
        runs.router,
        runs.retractions,
        traffic_anomalies.router,
        traffic_cause.router,
        traffic_route.router,
        traffic_scene.router,
        traffic_forecast.router,
        traffic_live.router,
    ):
        app.include_router(router)
    add_error_handlers(app)
    install_openapi(app)
    app.add_middleware(Observe, metrics=metrics)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=settings.cors_origins, allow_methods=["*"], allow_headers=["*"], max_age=600
        )
    return app


def from_environment() -> FastAPI:
    """The app with the settings of the environment, for servers that want a factory.

    Raises:
        ConfigurationError: a setting makes no sense or is unsafe.
    """
    settings = load_settings()
    configure_logging(settings)
    return create_app(settings)


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    metrics: Metrics = app.state.metrics
    service = Service(settings)
    service.on_version = metrics.graph_version.set

    def count(states: dict[str, int]) -> None:
        for state, number in states.items():
            metrics.jobs.labels(state).set(number)

    jobs = Jobs(settings.max_jobs, count)
    app.state.service, app.state.jobs = service, jobs
    jobs.start()
    keeper = asyncio.create_task(service.keep_ready(), name="keep-ready")
    try:
        yield
    finally:
        await jobs.stop()
        keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeper
        await service.close()
