"""Speech in recordings: words with their times, by Whisper (Radford et al. 2022, arXiv:2212.04356)."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kg.errors import InputError
from kg.extras import needs_extra

MOST_SECONDS = 7200
"""Of a recording: unpacked it has 64 kB a second."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word, or in Chinese a part of one.

    Attributes:
        text: with the blank before it, if there is one.
        start, end: seconds.
        confidence: 0…1.
    """

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Speech:
    """What was said.

    Attributes:
        words: in their order.
        language: code, such as `en`.
        seconds: of the recording.
    """

    words: tuple[SpokenWord, ...]
    language: str
    seconds: float


class SpeechReader:
    """A model of Whisper.

    Args:
        model: folder of a model that CTranslate2 runs, or a hub's name such as `small`.
    """

    def __init__(self, model: str) -> None:
        """Loads it.

        Raises:
            InputError: it is no such model.
            ConfigurationError: what it needs is not installed.
        """
        with needs_extra("speech", "reading speech"):
            from faster_whisper import WhisperModel
        try:
            self._model: Any = WhisperModel(model, compute_type="auto")
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"is no model of Whisper: {error}", model) from error
        self.name = f"whisper@{Path(model).name}"

    def encode(self, content: bytes, place: str = "recording", language: str | None = None) -> Speech:
        """The words of a recording; silence has none.

        Args:
            content: of a file of any form that FFmpeg reads.
            place: what errors name.
            language: code; None: what its beginning sounds like.

        Raises:
            InputError: it is no recording, or longer than `MOST_SECONDS`.
        """
        from av.error import FFmpegError
        from faster_whisper import decode_audio

        _check_length(content, place)
        try:
            samples = decode_audio(io.BytesIO(content))
        except (FFmpegError, ValueError, IndexError) as error:
            raise InputError(f"can't be read: {error}", place) from error
        if not len(samples):
            return Speech((), language or "", 0.0)
        parts, info = self._model.transcribe(
            samples, language=language, word_timestamps=True, vad_filter=True, condition_on_previous_text=False
        )
        words = [word for part in parts for word in part.words or ()]
        spoken = tuple(
            SpokenWord(one.word, round(float(one.start), 2), round(float(one.end), 2), round(float(one.probability), 4))
            for one in words
        )
        return Speech(spoken, str(info.language), round(float(info.duration), 2))


def _decoded_seconds(container: Any) -> float:  # noqa: ANN401 (of PyAV)
    """Length of the sound, as far as it is allowed and a moment beyond; nothing of it is kept."""
    seconds = 0.0
    for frame in container.decode(audio=0):
        seconds += frame.samples / frame.sample_rate
        if seconds > MOST_SECONDS:
            break
    return seconds


def _check_length(content: bytes, place: str) -> None:
    import av
    from av.error import FFmpegError

    try:
        with av.open(io.BytesIO(content), "r") as container:
            streams = container.streams.audio
            if not streams:
                raise InputError("has no sound", place)
            own = [float(one.duration * one.time_base) for one in streams if one.duration and one.time_base]
            seconds = max([*own, (container.duration or 0) / av.time_base])
            if not seconds:  # a live recording's header does not know it
                seconds = _decoded_seconds(container)
    except (FFmpegError, ValueError) as error:
        raise InputError(f"is no recording: {error}", place) from error
    if seconds > MOST_SECONDS:
        raise InputError(f"has {seconds:,.0f} seconds; at most {MOST_SECONDS:,} are read", place)
