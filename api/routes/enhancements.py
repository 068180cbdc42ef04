"""Enhancement jobs: start, watch, cancel."""

from __future__ import annotations

from api.auth import needs
from api.enhancing import SHOWN, Enhancement
from api.keys import Role
from api.responses import JSON
from api.routes.jobs import accepted, add_job_routes
from api.routes.parts import JobsDep, ServiceDep, guarded_router
from api.schemas_enhancement import EnhancementAnswer, EnhancementRequest, EnhancementsAnswer
from encoders.graph.enhancement_settings import EnhancementSettings

router = guarded_router("enhancements")


@router.post("/enhancements", status_code=202, response_model=EnhancementAnswer, openapi_extra=needs(Role.WRITER))
async def start(body: EnhancementRequest, service: ServiceDep, jobs: JobsDep) -> JSON:
    """Starts to predict links that the graph does not have, to be written as facts that answers mark as predicted."""
    relations = tuple(dict.fromkeys(body.relations))
    settings = EnhancementSettings(relations, **body.model_dump(include=set(SHOWN)))
    service.check_enhancement(body.domain, settings)
    return accepted(jobs.add(Enhancement(service, body.domain, settings)))


add_job_routes(
    router,
    Enhancement.kind,
    EnhancementAnswer,
    EnhancementsAnswer,
    "what is predicted is kept, and the same enhancement goes on later.",
)
