"""Shapes of requests about anomalies."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, model_validator

from api.schemas import RequestBody
from api.schemas_route import seconds_of

Finite = Annotated[float, Field(ge=-1e100, le=1e100, allow_inf_nan=False)]


class AnomaliesRequest(RequestBody):
    """A series: values at times, or every so many seconds from a start."""

    values: list[Finite | None] = Field(
        min_length=1, max_length=100_000, description="null where nothing was measured."
    )
    times: list[datetime] | None = Field(None, max_length=100_000, description="One for each value, ISO 8601.")
    start: datetime | None = Field(None, description="Of the first value, where there are no times.")
    step_s: float | None = Field(None, gt=0, le=86400, description="Seconds between values, where there are no times.")
    threshold: float = Field(4.0, gt=0, le=100, description="Robust standard deviations from which on a value is one.")

    @model_validator(mode="after")
    def _has_times(self) -> AnomaliesRequest:
        if self.times is None:
            if self.start is None or self.step_s is None:
                raise ValueError("needs times, or start and step_s")
        elif len(self.times) != len(self.values):
            raise ValueError(f"{len(self.values)} values need as many times, not {len(self.times)}")
        return self

    def series(self) -> list[tuple[float, float | None]]:
        """Seconds and values."""
        if self.times is not None:
            seconds = [seconds_of(time) or 0.0 for time in self.times]
        else:
            first = seconds_of(self.start) or 0.0
            seconds = [first + (self.step_s or 0.0) * number for number in range(len(self.values))]
        return list(zip(seconds, self.values, strict=True))
