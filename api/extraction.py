"""What readers of texts and pictures are given: the extractors and models that the settings name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from api.settings import Settings
from ingestion.extraction.passages import Extractor
from ingestion.readers.audio import AudioReader
from ingestion.readers.base import Reader
from ingestion.readers.image import ImageReader
from ingestion.readers.note import NoteReader
from ingestion.readers.video import VideoReader
from ingestion.readers.written import ExtractingReader
from kg.errors import ConfigurationError
from kg.extras import needs_extra
from kg.store import GraphStore

if TYPE_CHECKING:
    from encoders.llm.client import LlmOptions
    from encoders.text import TextEncoder

EXTRACTORS = ("concepts", "entities", "statements")


async def configure(reader: Reader, settings: Settings, store: GraphStore, *, dry: bool = False) -> Reader:
    """Gives a reader what the settings name; readers of other formats stay as they are. A dry run asks no server.

    The reader's version tells what reads, so that a document is read anew when that has changed.

    Raises:
        ConfigurationError: a setting names no extractor, or one that lacks its model.
        InputError: a model can't be loaded.
    """
    if isinstance(reader, ExtractingReader):
        reader.extractors = [await _extractor(name, settings, store, dry=dry) for name in settings.extractors]
        reader.version += "".join(f"+{extractor.source.id}" for extractor in reader.extractors)
    if isinstance(reader, NoteReader):
        reader.identifiers = settings.note_identifiers
        reader.version += "+identifiers" if reader.identifiers else ""
    if isinstance(reader, ImageReader | VideoReader):
        reader.detector = settings.detector
        reader.version += f"+{settings.detector or ''}"
    if isinstance(reader, AudioReader):
        reader.model = settings.speech
        reader.version += f"+{settings.speech or ''}"
    return reader


def notes_of(reader: Reader) -> tuple[str, ...]:
    """What extractors have to say of a dry run."""
    found = (getattr(extractor, "note", "") for extractor in getattr(reader, "extractors", ()))
    return tuple(note for note in found if note)


async def _extractor(name: str, settings: Settings, store: GraphStore, *, dry: bool) -> Extractor:
    if name == "concepts":
        from encoders.concepts.reader import ConceptReader
        from ingestion.extraction.concepts import ConceptExtractor, vocabulary

        names, diseases = await vocabulary(store, store.ontology)
        encoder = await asyncio.to_thread(_encoder, settings)
        reader = await asyncio.to_thread(ConceptReader, names, encoder)
        return ConceptExtractor(reader, diseases, encoder.name if encoder else "")
    made: dict[str, Callable[[], Extractor]] = {
        "entities": lambda: _entities(settings, store),
        "statements": lambda: _statements(settings, store, dry=dry),
    }
    if name not in made:
        raise ConfigurationError(f"EVIGRAPH_EXTRACTORS: {name!r} is none of {', '.join(EXTRACTORS)}")
    return await asyncio.to_thread(made[name])


def _encoder(settings: Settings) -> TextEncoder | None:
    """What tells by the words around which concept a name means, if a model of texts is set."""
    if settings.text_model is None:
        return None
    with needs_extra("models", "vectors of texts"):
        from encoders.text import load_text_encoder
    return load_text_encoder(settings.text_model)


def _entities(settings: Settings, store: GraphStore) -> Extractor:
    if settings.tagger is None:
        raise ConfigurationError("the extractor `entities` needs a tagger: set EVIGRAPH_TAGGER")
    with needs_extra("models", "the extractor `entities`"):
        from ingestion.extraction.entities import EntityExtractor, load_tagger
        from ingestion.extraction.kept_entities import KeptTagger
    return EntityExtractor(KeptTagger(load_tagger(settings.tagger), settings.tagged), store.ontology)


def _statements(settings: Settings, store: GraphStore, *, dry: bool) -> Extractor:
    with needs_extra("llm", "the extractor `statements`"):
        from ingestion.extraction.model_statements import ModelStatements
    return ModelStatements(llm_options(settings), settings.replies, store.ontology, settings.extraction_domain, dry=dry)


def llm_options(settings: Settings) -> LlmOptions:
    """How the language model is asked.

    Raises:
        ConfigurationError: none is set.
    """
    from encoders.llm.client import LlmOptions

    if settings.llm_model is None or (settings.llm_url is None and not settings.llm_replay):
        raise ConfigurationError("no language model is set: EVIGRAPH_LLM_URL and EVIGRAPH_LLM_MODEL name one")
    return LlmOptions(
        settings.llm_url or "http://127.0.0.1:9/v1",  # never asked where replies are replayed
        settings.llm_model,
        settings.llm_key.get_secret_value() if settings.llm_key else "",
        concurrency=settings.llm_concurrency,
        timeout_s=settings.llm_timeout_s,
        most_tokens=settings.llm_max_tokens,
        only_recorded=settings.llm_replay,
    )
