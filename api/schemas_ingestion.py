"""Shapes of requests and answers about ingestion: jobs, formats, runs, dead letters."""

from __future__ import annotations

from pydantic import BaseModel, Field

from api.schemas import JobAnswer, RequestBody, Text


class IngestionOptions(RequestBody):
    """How something is ingested."""

    reader: Text | None = Field(
        None,
        description="Name of a reader, see `GET /v1/readers`; left out, it is guessed.",
        examples=["phenopackets"],
    )
    name: Text | None = Field(None, description="Stands for the file's or folder's own name in document ids.")
    dry_run: bool = Field(False, description="Only tell what would change; nothing is written.")


class IngestionRequest(IngestionOptions):
    """What to ingest from the server's own files."""

    path: str | None = Field(
        None,
        max_length=4096,
        description="File or folder inside one of EVIGRAPH_INGESTION_FOLDERS; none takes the reader's own data.",
    )


class IngestionProgress(BaseModel):
    """How far an ingestion is."""

    document: str
    records: int
    bytes_read: int
    bytes_total: int


class Report(BaseModel):
    """What an ingestion did; counts of documents, records and changes."""

    reader: str
    run: str = Field(description="Id of the run in the ledger; retract what it wrote by this.")
    loaded: int
    skipped: int
    changed: int
    retracted: int = Field(description="Entities and facts that changed documents do not say any more, or otherwise.")
    failed_documents: int
    records: int
    claims: int
    entities: int
    facts: int
    rejected: int
    version: int
    seconds: float
    cancelled: bool
    refused: list[Refused] = Field(description="The first refused records; the server's dead-letter file has all.")
    notes: list[str] = Field([], description="What a model would be asked, of a dry run.")


class Refused(BaseModel):
    """One record that was refused."""

    document: str
    place: str
    reason: str


class IngestionAnswer(JobAnswer):
    """An ingestion."""

    reader: str
    path: str
    dry_run: bool = Field(description="The report says what would change; nothing is written.")
    progress: IngestionProgress | None
    report: Report | None


class IngestionsAnswer(BaseModel):
    """Ingestions, the newest first."""

    ingestions: list[IngestionAnswer]


class ReaderAnswer(BaseModel):
    """A format that can be read."""

    name: str
    version: str = Field(description="Grows whenever the same bytes would give other records.")
    description: str
    extensions: list[str] = Field(description="How names of its files end.")
    example: str = Field(description="A command line that shows its use.")


class ReadersAnswer(BaseModel):
    """The formats, by name."""

    readers: list[ReaderAnswer]


class RunAnswer(BaseModel):
    """A run of an ingestion."""

    run: str
    at: str = Field(description="When it wrote last.")
    documents: int
    records: int
    readers: list[str]


class RunsAnswer(BaseModel):
    """A page of runs, the latest first."""

    runs: list[RunAnswer]


class RunsRetractionAnswer(BaseModel):
    """What was taken back."""

    documents: list[str]
    streams_left: list[str] = Field(
        description="Streams that wrote then, but at other times, too; each is retracted by its own id."
    )


class DeadLetterHead(BaseModel):
    """A refused record."""

    id: str
    document: str
    number: int = Field(description="Of the record in its document, from 1; 0: the document could not be read.")
    place: str
    reason: str


class DeadLettersAnswer(BaseModel):
    """A page of refused records."""

    letters: list[DeadLetterHead]


class DeadLetterAnswer(DeadLetterHead):
    """A refused record with its text."""

    content: str = Field(description="SHA-256 of its file, or id of its message.")
    record: str = Field(description="Its text, or the message that it was in; what is very long is cut.")


class DeadLetterCount(BaseModel):
    """How often something was refused."""

    document: str
    reason: str
    letters: int


class DeadLetterCountsAnswer(BaseModel):
    """A page of counts, the most first."""

    counts: list[DeadLetterCount]


class ReplayRequest(RequestBody):
    """What to try again."""

    documents: list[Text] = Field(
        [], max_length=1000, description="Only records of these; none: all.", examples=[["phenopackets:case.json"]]
    )


class LeftDocument(BaseModel):
    """A document whose records could not be tried."""

    document: str
    reason: str


class ReplayAnswer(BaseModel):
    """What became of refused records."""

    written: int = Field(description="Accepted; their letters are gone.")
    refused: int = Field(description="Refused again.")
    left: list[LeftDocument]
    entities: int = Field(description="Created or changed in the graph.")
    facts: int = Field(description="Created or changed in the graph.")
