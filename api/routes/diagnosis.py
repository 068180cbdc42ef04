"""Diagnosis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
from fastapi import Response

from api.phenopacket import posted_case, query_of
from api.routes.parts import ServiceDep, guarded_router
from api.schemas import DiagnosisRequest
from reasoning.diagnosis.answer import Answer
from reasoning.diagnosis.diagnose import Reasoner
from reasoning.diagnosis.query import Query

router = guarded_router("diagnosis")


@router.post("/diagnosis", response_model=Answer)
async def diagnosis(body: DiagnosisRequest, service: ServiceDep) -> Response:
    """Ranks diseases for a patient, explains the first of them by the evidence, and says what to ask next."""
    service.check_ready()

    def work(reasoner: Reasoner) -> bytes:
        return orjson.dumps(reasoner.diagnose(_query(body)))

    return Response(await service.with_reasoner(work), media_type="application/json")


def _query(body: DiagnosisRequest) -> Query:
    base = Query()
    if body.phenopacket is not None:
        base = query_of(posted_case(body.phenopacket), "phenopacket.")
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in body
        if value is not None and name != "phenopacket"
    }
    places = {place: name for place, name in base.places.items() if place.partition("[")[0] not in given}
    return replace(base, **given, places=places)
