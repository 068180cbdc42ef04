"""What a driver may do in a scene."""

from __future__ import annotations

import orjson
from fastapi import Response

from api.auth import PictureRoute
from api.routes.parts import ServiceDep, guarded_router
from api.scene_boxes import boxes_of_medium
from api.schemas_scene import SceneRequest
from reasoning.traffic.scenes import JudgedScene

router = guarded_router("traffic", PictureRoute)


@router.post("/traffic/scene", response_model=JudgedScene)
async def scene(body: SceneRequest, service: ServiceDep) -> Response:
    """Says what a driver may do in a scene, by which rules, on what evidence; abstains where nothing was seen."""
    boxes = [box.detected() for box in body.detections]
    if body.medium is not None:
        boxes += await boxes_of_medium(service.store, body.medium)
    if body.picture is not None:
        boxes += await service.pictures.seen(body.picture)
    judged = service.scenes.judge(body.flags, boxes, body.sentence, body.language, body.country, body.road)
    return Response(orjson.dumps(judged), media_type="application/json")
