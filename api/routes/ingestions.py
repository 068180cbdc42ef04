"""Ingestion jobs: start by upload or path, watch, cancel."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import HTTPException, Request

from api.auth import ROLE, UploadRoute
from api.errors import UnsupportedMediaError
from api.ingesting import Ingestion
from api.jobs import Job, Jobs
from api.keys import Role
from api.responses import JSON
from api.routes.jobs import accepted, add_job_routes
from api.routes.parts import JobsDep, ServiceDep, guarded_router
from api.schemas_ingestion import IngestionAnswer, IngestionRequest, IngestionsAnswer, ReadersAnswer
from api.service import Service
from api.uploads import FORM, invalid_body, receive, remove
from ingestion.guess import guess_reader
from ingestion.readers.base import get_reader
from kg.errors import InputError

router = guarded_router("ingestions")
uploads = guarded_router("ingestions", UploadRoute)
"""The one route that takes large bodies."""

_START: dict[str, Any] = {
    ROLE: Role.WRITER.name.lower(),
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": IngestionRequest.model_json_schema()},
            "multipart/form-data": {"schema": FORM},
        },
    },
}


@router.get("/readers", response_model=ReadersAnswer)
async def readers(service: ServiceDep) -> JSON:
    """The formats that can be ingested."""
    return JSON({"readers": await asyncio.to_thread(service.readers)})


@uploads.post("/ingestions", status_code=202, response_model=IngestionAnswer, openapi_extra=_START)
async def start(request: Request, service: ServiceDep, jobs: JobsDep) -> JSON:
    """Starts an ingestion: of an upload, of a path inside an allowed folder, or of a reader's own data."""
    jobs.check_room()
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == "application/json":
        job = await _start_from_path(request, service, jobs)
    elif media == "multipart/form-data":
        job = await _start_from_upload(request, service, jobs)
    else:
        raise UnsupportedMediaError("send application/json or multipart/form-data")
    return accepted(job)


add_job_routes(
    router,
    Ingestion.kind,
    IngestionAnswer,
    IngestionsAnswer,
    "what is committed stays, and the same ingestion goes on later.",
)


async def _start_from_path(request: Request, service: Service, jobs: Jobs) -> Job:
    limit = service.settings.max_request_bytes
    text = b""
    async for part in request.stream():
        text += part
        if len(text) > limit:
            raise HTTPException(413, f"JSON beyond {limit:,} bytes; upload files as multipart/form-data")
    with invalid_body():
        body = IngestionRequest.model_validate_json(text)
    if body.path is None:
        if body.reader is None:
            raise InputError("a reader or a path is needed", "reader")
        get_reader(body.reader).documents(None)
        return jobs.add(Ingestion(service, body.reader, None, "", body.name, dry_run=body.dry_run))
    path = service.allowed_path(body.path)
    reader = await _known_reader(body.reader, path)
    return jobs.add(Ingestion(service, reader, path, body.path, body.name, dry_run=body.dry_run))


async def _start_from_upload(request: Request, service: Service, jobs: Jobs) -> Job:
    upload = await receive(request, service.settings.uploads)
    options = upload.options
    try:
        reader = await _known_reader(options.reader, upload.path)
        work = Ingestion(service, reader, upload.path, upload.shown_path, options.name, upload.folder, options.dry_run)
        return jobs.add(work)
    except BaseException:
        await remove(upload)
        raise


async def _known_reader(name: str | None, path: Path) -> str:
    """The name of a reader that there is, or the one that the path is for."""
    if not name:
        return await asyncio.to_thread(guess_reader, path)
    get_reader(name)
    return name
