"""All settings in one class; each is an environment variable `EVIGRAPH_<NAME>`. Nothing is read at import."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from kg.errors import ConfigurationError

PREFIX = "EVIGRAPH_"
MIN_KEY_LENGTH = 32

Folders = Annotated[tuple[Path, ...], NoDecode]
Names = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """Settings of the server and the command line; make it by `load_settings`, which explains what is wrong."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    graph: str = Field(
        "embedded:./data",
        description="The graph database: `embedded:FOLDER`, or `bolt://…` / `neo4j://…` for Neo4j.",
        pattern=r"^(embedded:|(bolt|neo4j)(\+s|\+ssc)?://).+",
    )
    graph_user: str = Field("neo4j", description="User name at Neo4j; the embedded store has its own.")
    graph_password: SecretStr | None = Field(None, description="Password at Neo4j.")
    data: Path = Field(
        Path("./data"), description="Folder for snapshots, uploads, dead letters and keys; made if it is not there."
    )
    keys_file: Path | None = Field(None, description="File of hashed API keys; else `keys.json` in the data folder.")
    admin_key: SecretStr | None = Field(
        None,
        description=f"One more key with role admin, at least {MIN_KEY_LENGTH} random characters, e.g. for containers.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on; beyond loopback only with a key.")
    port: int = Field(8000, description="Port to listen on.", ge=0, le=65535)
    ingestion_folders: Folders = Field(
        (), description="Folders that HTTP clients may ingest from, joined by `:`. Default: none; uploads always work."
    )
    cors_origins: Names = Field(
        (), description="Origins of web pages that may call the API, joined by commas. Default: none."
    )
    max_request_bytes: int = Field(1_000_000, description="Largest body of a request that is not an upload.", ge=1)
    max_picture_bytes: int = Field(
        30_000_000, description="Largest body of a request that may hold a picture, in base64.", ge=1
    )
    max_upload_bytes: int = Field(
        1_000_000_000, description="Largest upload for ingestion, all of its files together.", ge=1
    )
    request_timeout_s: float = Field(30.0, description="Seconds after which a request is given up.", gt=0)
    upload_timeout_s: float = Field(600.0, description="The same for an upload, or a retraction.", gt=0)
    max_jobs: int = Field(
        16, description="Jobs (ingestions, enhancements) that may wait; they run one after the other.", ge=1
    )
    refresh_s: float = Field(2.0, description="Seconds between looks for changes that other processes made.", gt=0)
    live_s: float = Field(
        0.25, description="Seconds between looks for new measurements while somebody follows `/v1/traffic/live`.", gt=0
    )
    ranker: Path | None = Field(
        None, description="Folder of a ranker trained by `evigraph train diagnosis`. Default: the one that is shipped."
    )
    rules: Folders = Field(
        (), description="Turtle files or folders with further rules of the road, joined by `:`; see traffic-rules.md."
    )
    scene_weights: Path | None = Field(
        None, description="Folder of weights trained by `evigraph train scene`. Default: the ones that are shipped."
    )
    forecaster: Path | None = Field(
        None, description="Folder of a forecaster trained by `evigraph train forecast`. Default: none."
    )
    detector: str | None = Field(
        None,
        description="Object detector of pictures: NanoDet's ONNX file, or what transformers loads. Default: none.",
    )
    speech: str | None = Field(
        None, description="Model of speech: a folder of Whisper for CTranslate2, or a hub's name. Default: none."
    )
    extractors: Names = Field(
        ("concepts",),
        description="What is found in texts, joined by commas: `concepts`, named `entities`, `statements`.",
    )
    text_model: str | None = Field(
        None,
        description="Model of `evigraph index-names`, search by meaning, and the choice among concepts of one name: "
        "a folder or a hub's name, or `use`.",
    )
    tagger: str | None = Field(
        None, description="Tagger of named entities: a folder of `evigraph train tokens`, or a pipeline of spaCy."
    )
    note_identifiers: bool = Field(
        False, description="Whether `ingest note` lets names of people and quoted sentences into the graph."
    )
    extraction_domain: str = Field("medical", description="Domain whose relations a language model looks for.")
    llm_url: str | None = Field(
        None, description="Server of a language model that speaks OpenAI's protocol, e.g. `http://127.0.0.1:8080/v1`."
    )
    llm_model: str | None = Field(None, description="The server's name for the model.")
    llm_key: SecretStr | None = Field(None, description="Key for the server.")
    llm_concurrency: int = Field(4, description="Calls at once.", ge=1, le=256)
    llm_timeout_s: float = Field(120.0, description="Seconds after which a call is tried again.", gt=0)
    llm_max_tokens: int | None = Field(
        None, description="Tokens that one document may cost, prompts and answers. Default: no limit.", ge=1
    )
    llm_replies: Path | None = Field(
        None, description="Folder of the model's replies, so that nothing is asked twice. Default: in the data folder."
    )
    llm_replay: bool = Field(False, description="Answer from kept replies alone; no server is asked.")
    predicted: bool = Field(
        False, description="Whether answers use links that `evigraph enhance` predicted; they are marked as predicted."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")
    log_format: Literal["console", "json"] = Field("console", description="How it is logged.")

    @field_validator("ingestion_folders", "rules", mode="before")
    @classmethod
    def _split_folders(cls, value: object) -> object:
        return tuple(filter(None, value.split(os.pathsep))) if isinstance(value, str) else value

    @field_validator("cors_origins", "extractors", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value

    @field_validator("admin_key")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MIN_KEY_LENGTH:
            raise ValueError(f"needs at least {MIN_KEY_LENGTH} characters; `openssl rand -hex 32` makes a good one")
        return value

    @property
    def keys_path(self) -> Path:
        """File of hashed API keys."""
        return self.keys_file or self.data / "keys.json"

    @property
    def cache(self) -> Path:
        """Folder of snapshots."""
        return self.data / "snapshots"

    @property
    def embeddings(self) -> Path:
        """Folder of what makes embeddings, with a folder for each domain."""
        return self.data / "embeddings"

    @property
    def replies(self) -> Path:
        """Folder of a language model's replies."""
        return self.llm_replies or self.data / "replies"

    @property
    def tagged(self) -> Path:
        """Folder of the named entities of texts that were read."""
        return self.data / "tagged"

    @property
    def uploads(self) -> Path:
        """Folder where uploads lie until they are ingested, or as long as they have dead letters."""
        return self.data / "uploads"

    @property
    def dead_letters(self) -> Path:
        """JSON lines of refused records."""
        return self.data / "dead-letters.jsonl"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment; overrides that are not None win.

    Raises:
        ConfigurationError: a value makes no sense; names the variable, never the value, which may be a secret.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type] # pydantic checks the values
    except ValidationError as error:
        problems = (
            f"{PREFIX}{str(item['loc'][0]).upper()}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError("; ".join(problems)) from None
