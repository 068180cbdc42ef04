"""Shapes of requests and answers about enhancement."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from api.schemas import JobAnswer, RequestBody, Short
from encoders.graph.enhancement_settings import DEFAULT_WAY, By


class EnhancementRequest(RequestBody):
    """What to predict."""

    domain: Short = Field(description="Domain of the ontology.", examples=["medical"])
    relations: Annotated[list[Short], Field(min_length=1, max_length=100)] = Field(
        description="Relations to predict: the objects of each subject; after `^` the subjects of each object.",
        examples=[["^ASSOCIATED_WITH"]],
    )
    by: By = Field(DEFAULT_WAY, description="How they are predicted.")
    top_k: int = Field(5, ge=1, le=1000, description="Predictions an entity and relation, at most.")
    min_belief: float = Field(0.5, ge=0, le=1, description="Belief below which nothing is written.")
    paths: int = Field(3, ge=0, le=20, description="Paths kept with each prediction, to say why.")
    seed: int = Field(0, ge=0, lt=2**32, description="The same seed and graph give the same predictions.")
    only_changed: bool = Field(
        False, description="Ask only what has changed since the last such run, and keep what that said of the others."
    )


class EnhancementProgress(BaseModel):
    """How far an enhancement is."""

    step: str = Field(description="What is being done.", examples=["Predicting ^ASSOCIATED_WITH"])
    done: int = Field(description="How much of the step is done.")
    of: int = Field(description="How much there is to do.")


class CalibrationAnswer(BaseModel):
    """How sure predictions of a relation can be, by facts that were hidden."""

    hidden: int = Field(description="Facts that were hidden and asked for.")
    found: float = Field(description="The share of them among the first `top_k`.")
    ece: float = Field(description="Expected calibration error of the beliefs.")
    precision: float | None = Field(description="Of what reaches the least belief; null if nothing does.")


class EnhancementReport(BaseModel):
    """What an enhancement did."""

    documents: dict[str, str] = Field(description="By relation asked: retracting one takes back what it says.")
    source: str = Field(description="The source of all that is predicted in the domain.")
    by: By = Field(description="How it was predicted.")
    graph_version: int = Field(description="Of the graph that was read.")
    asked: dict[str, int] = Field(description="Entities that were asked, by relation asked.")
    written: dict[str, int] = Field(description="Predictions by relation asked.")
    calibration: dict[str, CalibrationAnswer] = Field(description="By relation asked.")


class EnhancementAnswer(JobAnswer):
    """An enhancement."""

    domain: str
    relations: list[str]
    by: By
    top_k: int
    min_belief: float
    paths: int
    seed: int
    only_changed: bool
    progress: EnhancementProgress | None
    report: EnhancementReport | None


class EnhancementsAnswer(BaseModel):
    """Enhancements, the newest first."""

    enhancements: list[EnhancementAnswer]
