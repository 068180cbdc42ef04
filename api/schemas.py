"""Shapes of requests and answers, for validation of the one and documentation of both."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from reasoning.diagnosis.notes import NoteFinding

MAX_ID = 500
Curie = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID, pattern=r"^[^\s:]+:\S+$")]
HpoId = Annotated[str, StringConstraints(pattern=r"^HP:[0-9]{7}$")]
Short = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class RequestBody(BaseModel):
    """A body of a request."""

    model_config = ConfigDict(extra="forbid")


class CypherRequest(RequestBody):
    """A reading query."""

    query: Annotated[str, StringConstraints(min_length=1, max_length=20_000)] = Field(
        examples=["MATCH (d:Disease)-[:HAS_PHENOTYPE]->(:Phenotype {id: $id}) RETURN d.id, d.name LIMIT 3"]
    )
    parameters: dict[str, Any] = Field({}, examples=[{"id": "HP:0001250"}])


class DiagnosisRequest(RequestBody):
    """A patient: ids of findings, or a Phenopacket; what is given beside a Phenopacket replaces what it says."""

    present: list[Curie] | None = Field(
        None, max_length=500, description="Findings that are there.", examples=[["HP:0001166", "HP:0001083"]]
    )
    excluded: list[Curie] | None = Field(
        None, max_length=500, description="Findings that were looked for and are not there.", examples=[["HP:0001250"]]
    )
    onset: Short | None = Field(
        None, description="When it began: an HPO onset term, or an age as ISO 8601 duration.", examples=["HP:0003593"]
    )
    age: Short | None = Field(None, description="Age as ISO 8601 duration.", examples=["P3Y6M"])
    sex: Literal["FEMALE", "MALE"] | None = None
    inheritance: list[HpoId] | None = Field(
        None, max_length=20, description="Modes of inheritance that the family suggests.", examples=[["HP:0000006"]]
    )
    genes: list[Short] | None = Field(
        None, max_length=500, description="Candidate genes, by symbol or id.", examples=[["FBN1"]]
    )
    phenopacket: dict[str, Any] | None = Field(
        None, description="A GA4GH Phenopacket, schema v1 or v2; of a family, the proband."
    )
    note: str | None = Field(
        None,
        max_length=1_000_000,
        description="A note, English or Chinese; the findings that it names are added, those of relatives are not.",
    )
    document: Base64Bytes | None = Field(
        None, max_length=30_000_000, description="Instead of a note: a PDF or a picture of a report, in base64."
    )
    limit: int = Field(10, ge=1, le=100, description="How many diseases to explain.")
    catalogue: Literal["OMIM", "ORPHA", "DECIPHER"] | None = Field(
        None, description="Ranks the diseases of this catalogue alone."
    )

    @model_validator(mode="after")
    def _is_one(self) -> DiagnosisRequest:
        if self.note is not None and self.document is not None:
            raise ValueError("give either note or document")
        return self


class NoteRequest(RequestBody):
    """A clinical note: its text, or a document."""

    note: str | None = Field(
        None, max_length=1_000_000, description="English or Chinese.", examples=["She has seizures, but no ataxia."]
    )
    document: Base64Bytes | None = Field(
        None, max_length=30_000_000, description="Instead: a PDF or a picture of a report, in base64."
    )

    @model_validator(mode="after")
    def _is_one(self) -> NoteRequest:
        if (self.note is None) == (self.document is None):
            raise ValueError("give either note or document")
        return self


class DocumentPart(BaseModel):
    """A part of a document's text: a page, or a line that OCR read."""

    start: int
    end: int
    page: int = Field(description="From 1.")
    box: tuple[float, float, float, float] | None = Field(
        description="Left, top, right, bottom as parts of the page; of lines that OCR read."
    )
    confidence: float


class NoteAnswer(BaseModel):
    """What a note names, to be corrected before it is asked about."""

    graph_version: int
    text: str | None = Field(description="What was read in the document.")
    parts: list[DocumentPart] = Field(description="Where in the document each part of the text stands.")
    findings: list[NoteFinding]
    present: list[str] = Field(description="Ids of the patient's findings.")
    excluded: list[str] = Field(description="Ids of what was looked for and is not there.")
    inheritance: list[str] = Field(description="Ids of modes of inheritance that it names.")


class Problem(BaseModel):
    """An error, as RFC 9457 says."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:evigraph:problem:not-found"])
    title: str
    status: int
    detail: str
    place: str | None = Field(None, description="File, line or field.")
    errors: list[FieldError] | None = Field(None, description="What is wrong, field by field.")


class FieldError(BaseModel):
    """One field that does not fit."""

    field: str
    reason: str


class JobAnswer(BaseModel):
    """What jobs of all kinds have."""

    id: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    created: str
    started: str | None
    finished: str | None
    problem: Problem | None


class Health(BaseModel):
    """The process is alive."""

    status: Literal["ok"]


class Ready(BaseModel):
    """The server answers questions."""

    status: Literal["ready"]
    graph_version: int


class Description(BaseModel):
    """What one source says of an entity."""

    source: str
    document: str
    classes: list[str]
    properties: dict[str, Any]
    place: str
    merged_id: str | None = Field(None, description="The entity that was described, where it was merged into this one.")


class EntityAnswer(BaseModel):
    """An entity."""

    id: str
    labels: list[str]
    properties: dict[str, Any]
    descriptions: list[Description]


class Named(BaseModel):
    """An entity in short."""

    id: str
    name: str | None
    labels: list[str]


class ClaimAnswer(BaseModel):
    """One source saying one fact."""

    source: str
    document: str
    confidence: float
    qualifiers: dict[str, Any]
    place: str


class Neighbour(BaseModel):
    """One fact about an entity."""

    direction: Literal["out", "in"]
    relation: str
    entity: Named
    belief: float
    claims: list[ClaimAnswer]


class NeighbourhoodAnswer(BaseModel):
    """A page of the facts about an entity."""

    id: str
    facts: list[Neighbour]


class Hit(Named):
    """An entity that was found."""

    score: float
    match: Literal["id", "name", "synonym", "full-text", "meaning"]


class SearchAnswer(BaseModel):
    """What was found, best first."""

    results: list[Hit]


class SimilarEntity(Named):
    """An entity whose embedding is like another one's."""

    similarity: float = Field(description="Cosine of the embeddings, −1…1.")


class SimilarAnswer(BaseModel):
    """What is like an entity, the likest first."""

    id: str
    model: str = Field(description="What made the embeddings: its name and version.")
    results: list[SimilarEntity]


class CypherAnswer(BaseModel):
    """The rows of a query; each has a value for each column."""

    columns: list[str]
    rows: list[list[Any]]
    truncated: str | None = Field(description="Which limit cut the rows off, if one did.")


class SourceAnswer(BaseModel):
    """Who says something."""

    id: str
    kind: str
    name: str | None
    model: str | None
    version: str | None
    url: str | None
    reliability: float | None = Field(description="What its claims are weighed by.")
    trust: float | None = Field(description="The reliability it was given instead of its own, if it was.")
    quarantined: bool | None = Field(description="Whether what it says is kept, but does not count.")


class TrustRequest(RequestBody):
    """How far a source is trusted, and whether it counts; what is left out stays as it is."""

    level: float | None = Field(
        None, ge=0, le=1, description="Instead of its own reliability; null: its own.", examples=[0.4]
    )
    quarantined: bool = Field(False, description="What it says is kept, but does not count.")


class ConflictSide(BaseModel):
    """A fact that can't be true beside the others."""

    relation: str
    object: ConflictEntity
    belief: float
    sources: list[str]


class ConflictClass(BaseModel):
    """A class that excludes the other."""

    class_: str = Field(alias="class")
    sources: list[str]


class ConflictEntity(BaseModel):
    """An entity in a conflict."""

    id: str
    name: str | None


class Conflict(BaseModel):
    """What can't be true together: facts, or classes."""

    kind: Literal["functional", "disjoint-relations", "disjoint-classes"]
    subject: ConflictEntity
    facts: list[ConflictSide] | None = Field(None, description="The strongest first.")
    classes: list[ConflictClass] | None = None


class ConflictsAnswer(BaseModel):
    """A page of conflicts: of functional relations, of disjoint relations, of disjoint classes; each by subject."""

    conflicts: list[Conflict]


class SamePair(BaseModel):
    """Two entities that may be one."""

    belief: float
    sources: list[str]
    entities: list[Named]


class SamePairsAnswer(BaseModel):
    """Proposals to be reviewed."""

    pairs: list[SamePair]


class FindSameRequest(RequestBody):
    """What to compare."""

    class_: Short = Field(alias="class", description="Class of the entities.", examples=["Patient"])
    likely: float = Field(0.5, ge=0, le=1, description="Probability from which a pair is proposed.")


class FoundSameAnswer(BaseModel):
    """How many pairs are proposed."""

    class_: str = Field(alias="class")
    proposed: int


class RejectSameRequest(RequestBody):
    """Two entities that are not one."""

    id: Curie = Field(description="One entity.", examples=["named:Disease/dravet_disease"])
    other: Curie = Field(description="The other.", examples=["OMIM:607208"])
    by: Short = Field(description="Who says so.", examples=["a curator"])


class RejectionAnswer(BaseModel):
    """Two entities that are not proposed again."""

    id: str
    other: str
    by: str


class MergeRequest(RequestBody):
    """Two entities that are one."""

    id: Curie = Field(description="The entity that goes.", examples=["named:Disease/dravet_disease"])
    into: Curie = Field(description="The one that stays.", examples=["OMIM:607208"])
    by: Short = Field(description="Who says so.", examples=["a curator"])


class MergeAnswer(BaseModel):
    """A merge: `id` went `into` another entity."""

    id: str
    into: str
    by: str
    at: str
    version: int


class MergesAnswer(BaseModel):
    """The merges in force, the latest first."""

    merges: list[MergeAnswer]


class SourcesAnswer(BaseModel):
    """A page of sources."""

    sources: list[SourceAnswer]


class RetractionAnswer(BaseModel):
    """What a retraction removed or changed."""

    version: int
    entities: int
    facts: int
