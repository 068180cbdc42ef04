"""Uploads: the form that brings one file, or the files of one folder, and where they lie until they are ingested."""

from __future__ import annotations

import asyncio
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from api.schemas_ingestion import IngestionOptions
from ingestion.readers.base import get_reader
from kg.errors import InputError

MAX_FILES = 500
"""In one upload: each may hold a file handle."""
_MAX_NAME = 200
"""Bytes of a name; file systems take 255."""
_MAX_PATH = 1000
"""Bytes of a name with its folders."""
_UNSAFE = re.compile(r"[\x00-\x1f\x7f\\]|^\.|^$")
"""In a part of a path: control characters, what some systems take for a separator, `..` and hidden files, nothing."""

FORM: dict[str, Any] = {
    "type": "object",
    "properties": IngestionOptions.model_json_schema()["properties"]
    | {
        "file": {"type": "string", "format": "binary", "description": "One file."},
        "files": {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "maxItems": MAX_FILES,
            "description": "The files of one folder, by their paths in it; `name`, or the folder at the beginning of "
            "all paths, is what the folder is called.",
        },
    },
}
"""JSON schema of the form."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What was uploaded.

    Attributes:
        folder: of its own, to be removed once it is ingested.
        path: what is to be ingested: a file in it, or all of it.
        shown_path: what clients see of it.
    """

    folder: Path
    path: Path
    shown_path: str
    options: IngestionOptions


async def receive(request: Request, uploads: Path) -> Upload:
    """Stores the files of a form in a folder of their own.

    Raises:
        InputError: there is no file, a name is not safe, or the reader is unknown.
        RequestValidationError: a field makes no sense.
        HTTPException: 400, the form can't be parsed, or has too many files.
    """
    async with request.form(max_files=MAX_FILES, max_fields=20, max_part_size=10_000) as form:
        options = _options(form)
        folder = uploads / secrets.token_hex(8)
        if form.getlist("files"):
            name, found = _of_folder(form, options.name)
            upload = Upload(folder, folder, name, options.model_copy(update={"name": name}))
        else:
            file = _single(form)
            found = {_safe_name(file.filename or ""): file}
            [name] = found
            upload = Upload(folder, folder / name, name, options)
        try:
            await asyncio.to_thread(_store, folder, found)
        except BaseException:
            await remove(upload)
            raise
    return upload


async def remove(upload: Upload) -> None:
    """Removes what was stored."""
    await asyncio.to_thread(shutil.rmtree, upload.folder, ignore_errors=True)


@contextmanager
def invalid_body() -> Iterator[None]:
    """Makes pydantic's errors those of FastAPI, which name the field."""
    try:
        yield
    except ValidationError as error:
        items = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in items]) from error


def _options(form: FormData) -> IngestionOptions:
    given = {key: value for key, value in form.items() if key not in ("file", "files") and value != ""}
    with invalid_body():
        options = IngestionOptions.model_validate(given)
    if options.reader:
        get_reader(options.reader)
    return options


def _single(form: FormData) -> UploadFile:
    files = form.getlist("file")
    if len(files) > 1:
        raise InputError("takes one file; several of one folder are `files`", "file")
    if not files or not isinstance(files[0], UploadFile):
        raise InputError("a file is needed", "file")
    return files[0]


def _of_folder(form: FormData, name: str | None) -> tuple[str, dict[str, UploadFile]]:
    """The folder's name, and its files by their paths in it."""
    if form.getlist("file"):
        raise InputError("is one file by itself; `files` are all of a folder", "file")
    found: dict[str, UploadFile] = {}
    for file in form.getlist("files"):
        if not isinstance(file, UploadFile):
            raise InputError("takes files", "files")
        path = file.filename or ""
        if len(path.encode(errors="replace")) > _MAX_PATH or any(map(_is_unsafe, path.split("/"))):
            raise InputError(f"{path[:_MAX_NAME]!r} is no path inside a folder", "files")
        if path in found:
            raise InputError(f"{path} comes twice", "files")
        found[path] = file
    folders = {"/".join(parts[:at]) for parts in (p.split("/") for p in found) for at in range(1, len(parts))}
    if both := sorted(folders & found.keys()):
        raise InputError(f"{both[0]} is a file and a folder", "files")
    top = next(iter(found)).partition("/")[0]
    if all(path.startswith(f"{top}/") for path in found):
        return name or top, {path.removeprefix(f"{top}/"): file for path, file in found.items()}
    if not name:
        raise InputError("say what the folder is called; document ids begin with it", "name")
    return name, found


def _is_unsafe(part: str) -> bool:
    return bool(_UNSAFE.search(part)) or len(part.encode(errors="replace")) > _MAX_NAME


def _store(folder: Path, files: dict[str, UploadFile]) -> None:
    folder.mkdir(parents=True, mode=0o700)
    for path, file in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as target:
            shutil.copyfileobj(file.file, target, 1 << 20)


def _safe_name(name: str) -> str:
    """The last part of a client's file name, of harmless characters only."""
    last = re.split(r"[/\\]", name)[-1]
    safe = re.sub(r"[^\w.+-]", "_", last).lstrip(".")
    return safe.encode()[-_MAX_NAME:].decode(errors="ignore") or "upload"
