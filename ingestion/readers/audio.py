"""Recordings of speech: what is said, and the claims that extractors find in it, each with its second."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from ingestion.extraction.passages import Passage, Place
from ingestion.readers.base import Document
from ingestion.readers.written import WrittenReader, content_of
from kg.errors import ConfigurationError
from kg.model import Value

if TYPE_CHECKING:
    from encoders.speech import SpeechReader


class AudioReader(WrittenReader):
    """A claim's span counts characters of the words that were heard.

    Attributes:
        model: of speech, see `EVIGRAPH_SPEECH`.
    """

    name = "audio"
    extensions: tuple[str, ...] = (".wav", ".mp3", ".m4a", ".flac", ".ogg", ".opus", ".webm")
    example = "evigraph ingest audio recordings/"
    class_ = "Medium"
    model: str | None = None

    @cached_property
    def _speech(self) -> SpeechReader:
        from encoders.speech import SpeechReader

        if self.model is None:
            raise ConfigurationError("no model reads speech here: set EVIGRAPH_SPEECH")
        return SpeechReader(self.model)

    def passage(self, document: Document) -> tuple[Passage, dict[str, Value]]:
        """See `WrittenReader.passage`."""
        heard = self._speech.encode(content_of(document), str(document.path))
        text, places = "", []
        for word in heard.words:
            said = word.text if text else word.text.lstrip()
            seconds = word.start, word.end
            places.append(Place(len(text), len(text) + len(said), seconds=seconds, confidence=word.confidence))
            text += said
        return Passage(document.id, text, places), {}
