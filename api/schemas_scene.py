"""Shapes of requests about scenes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Base64Bytes, Field, StringConstraints, model_validator

from api.schemas import Curie, RequestBody, Short
from reasoning.traffic.detections import DetectedBox

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class DetectedBoxBody(RequestBody):
    """What a detector saw."""

    label: Short = Field(description="The detector's class.", examples=["traffic light red"])
    confidence: Share = 1.0
    box: tuple[Share, Share, Share, Share] | None = Field(
        None, description="Left, top, right, bottom as parts of the picture.", examples=[[0.4, 0.1, 0.45, 0.2]]
    )
    text: str = Field("", max_length=200, description="What OCR read in it.")
    source: Short | None = Field(None, description="The detector.")

    @model_validator(mode="after")
    def _has_a_size(self) -> DetectedBoxBody:
        if self.box is not None and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise ValueError("a box is left, top, right, bottom with left < right and top < bottom")
        return self

    def detected(self) -> DetectedBox:
        """The same for the reasoner."""
        return DetectedBox(self.label, self.confidence, self.box, self.text, self.source)


class SceneRequest(RequestBody):
    """What is seen: at least one of these."""

    sentence: Annotated[str, StringConstraints(max_length=2000)] = Field(
        "",
        description="In words, English or Chinese.",
        examples=["the light turned green but a pedestrian is crossing"],
    )
    flags: list[Short] = Field(
        [], max_length=100, description="What is known to hold, by the names of what rules ask for."
    )
    detections: list[DetectedBoxBody] = Field([], max_length=1000, description="What a detector saw.")
    medium: Curie | None = Field(None, description="A picture of the graph: what detectors have said of it is taken.")
    picture: Base64Bytes | None = Field(
        None, max_length=30_000_000, description="A picture in base64, JPEG, PNG or another common format."
    )
    country: str = Field("", pattern="^([A-Z]{2})?$", description="ISO 3166 code: its limit where no sign shows one.")
    road: Literal["", "urban", "rural", "motorway"] = Field("", description="Kind of road, with the country.")
    language: Literal["en", "zh"] = Field("en", description="Of the instruction.")

    @model_validator(mode="after")
    def _shows_something(self) -> SceneRequest:
        if not (self.sentence.strip() or self.flags or self.detections or self.medium or self.picture):
            raise ValueError("say what is seen: sentence, flags, detections, medium or picture")
        return self
