"""An ingestion as the work of a job."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from api.jobs import Job, Result
from api.service import Service
from ingestion.dead_letters import is_needed


@dataclass(eq=False)
class Ingestion:
    """Ingests a path.

    Attributes:
        path: what is ingested; None is the reader's own data.
        shown_path: what clients see of it.
        name: stands for the path's own name in ids of documents.
        upload: folder to be removed when the job has ended, unless its dead letters need it.
        dry_run: only tells what would change.
    """

    kind: ClassVar[str] = "ingestion"

    service: Service
    reader: str
    path: Path | None
    shown_path: str
    name: str | None = None
    upload: Path | None = None
    dry_run: bool = False

    def asked(self) -> dict[str, Any]:
        """What clients see of what was asked."""
        return {"reader": self.reader, "path": self.shown_path, "dry_run": self.dry_run}

    async def run(self, job: Job) -> Result:
        """Ingests; when it is cancelled, ends after the batch at work.

        Raises:
            EvigraphError: as `Service.ingest`.
        """
        service = self.service
        try:
            outcome = await service.ingest(
                self.reader,
                self.path,
                self.name,
                lambda progress: job.report_progress(asdict(progress)),
                job.cancel,
                dry_run=self.dry_run,
            )
        finally:
            letters = service.settings.dead_letters
            if self.upload is not None and await asyncio.to_thread(is_needed, letters, self.upload):
                self.upload = None
        service.look_again()
        return Result(outcome.view(), outcome.report.cancelled)

    def clean(self) -> None:
        """Removes the upload."""
        if self.upload is not None:
            with contextlib.suppress(OSError):
                shutil.rmtree(self.upload)
