"""Diagnosis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
from fastapi import Response

from api.auth import PictureRoute
from api.phenopacket import posted_case, query_of
from api.routes.parts import ServiceDep, guarded_router
from api.schemas import DiagnosisRequest, NoteAnswer, NoteRequest
from reasoning.diagnosis.answer import Answer
from reasoning.diagnosis.diagnose import Reasoner
from reasoning.diagnosis.notes import present_and_excluded, present_inheritance, with_findings
from reasoning.diagnosis.query import Query

router = guarded_router("diagnosis", PictureRoute)
"""Whose bodies may hold a document."""


@router.post("/diagnosis", response_model=Answer)
async def diagnosis(body: DiagnosisRequest, service: ServiceDep) -> Response:
    """Ranks diseases for a patient, explains the first of them by the evidence, and says what to ask next."""
    service.check_ready()
    note = body.note if body.document is None else (await service.pictures.read(body.document)).text

    def work(reasoner: Reasoner) -> bytes:
        query = _query(body)
        if note is not None:
            query = with_findings(query, reasoner.notes.findings(note))
        return orjson.dumps(reasoner.diagnose(query))

    return Response(await service.with_reasoner(work), media_type="application/json")


@router.post("/findings", response_model=NoteAnswer)
async def findings(body: NoteRequest, service: ServiceDep) -> Response:
    """The findings that a clinical note names, each with its words and whether it is there; nothing is kept."""
    service.check_ready()
    read = None if body.document is None else await service.pictures.read(body.document)
    text = body.note or "" if read is None else read.text

    def work(reasoner: Reasoner) -> bytes:
        found = reasoner.notes.findings(text)
        present, excluded = present_and_excluded(found)
        version = reasoner.snapshot.version
        said = {"present": present, "excluded": excluded, "inheritance": present_inheritance(found)}
        told = {"text": read and read.text, "parts": read.parts if read else ()}
        return orjson.dumps({"graph_version": version, **told, "findings": found, **said})

    return Response(await service.with_reasoner(work), media_type="application/json")


def _query(body: DiagnosisRequest) -> Query:
    base = Query()
    if body.phenopacket is not None:
        base = query_of(posted_case(body.phenopacket), "phenopacket.")
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in body
        if value is not None and name not in ("phenopacket", "note", "document")
    }
    places = {place: name for place, name in base.places.items() if place.partition("[")[0] not in given}
    return replace(base, **given, places=places)
