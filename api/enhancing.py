"""An enhancement as the work of a job."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from api.jobs import Job, Result
from api.service import Service
from encoders.graph.enhancement_settings import EnhancementSettings

SHOWN = ("by", "top_k", "min_belief", "paths", "seed", "only_changed")
"""Settings that clients choose, beside the relations."""


class _CancelledError(Exception):
    pass


@dataclass(eq=False)
class Enhancement:
    """Predicts missing links of a domain, where need be by the shipped weights, and writes them."""

    kind: ClassVar[str] = "enhancement"

    service: Service
    domain: str
    settings: EnhancementSettings

    def asked(self) -> dict[str, Any]:
        """What clients see of what was asked."""
        chosen = {name: getattr(self.settings, name) for name in SHOWN}
        return {"domain": self.domain, "relations": list(self.settings.relations), **chosen}

    async def run(self, job: Job) -> Result:
        """Enhances; when it is cancelled, ends after the step at work.

        Raises:
            EvigraphError: as `Service.enhance`.
        """
        loop = asyncio.get_running_loop()

        def progress(what: str, done: int, of: int) -> None:
            if job.cancel.is_set():
                raise _CancelledError
            # most calls come from the thread that predicts
            loop.call_soon_threadsafe(job.report_progress, {"step": what, "done": done, "of": of})

        try:
            enhanced = await self.service.enhance(self.domain, self.settings, None, progress)
        except _CancelledError:
            return Result(None, cancelled=True)
        return Result(asdict(enhanced))

    def clean(self) -> None:
        """Leaves what was predicted, from which the same enhancement goes on."""
