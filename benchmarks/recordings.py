"""Recordings in two languages, spoken by eSpeak NG (PyPI `espeakng-loader`) and read by Whisper: words, claims, times.

Each sentence names findings; they are looked for in what was heard, with the second at which they are said. Word error
rates are by words in English, by characters in Chinese, without marks and case.
"""

from __future__ import annotations

import argparse
import ctypes
import io
import json
import os
import re
import time
import wave
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from encoders.concepts.names import ConceptName
from encoders.concepts.reader import ConceptReader
from encoders.speech import SpeechReader

_ENGLISH = (
    ("The patient has seizures and a fever.", "seizures", "fever"),
    ("She was found to have a heart murmur and hearing loss.", "heart murmur", "hearing loss"),
    ("There is no headache, but he has nausea.", "headache", "nausea"),
    ("The child has short stature and muscle weakness.", "short stature", "muscle weakness"),
    ("He reports chest pain and cough since Monday.", "chest pain", "cough"),
    ("She has asthma and a skin rash.", "asthma", "skin rash"),
    ("His mother has diabetes and obesity.", "diabetes", "obesity"),
    ("The boy has a cleft lip and failure to thrive.", "cleft lip", "failure to thrive"),
    ("We saw scoliosis and joint pain.", "scoliosis", "joint pain"),
    ("The girl has vomiting and abdominal pain.", "vomiting", "abdominal pain"),
)
_CHINESE = (
    ("孩子发烧，咳嗽三天了。", "发烧", "咳嗽"),
    ("他有头痛，没有呕吐。", "头痛", "呕吐"),
    ("宝宝腹泻，还有腹痛。", "腹泻", "腹痛"),
    ("病人胸痛，呼吸困难。", "胸痛", "呼吸困难"),
    ("她一直失眠，心里焦虑。", "失眠", "焦虑"),
    ("妈妈有高血压和糖尿病。", "高血压", "糖尿病"),
    ("孩子流鼻涕，打喷嚏。", "流鼻涕", "打喷嚏"),
    ("他皮肤瘙痒，有红疹。", "瘙痒", "红疹"),
    ("老人头晕，恶心。", "头晕", "恶心"),
    ("患者感冒，喉咙痛。", "感冒", "喉咙痛"),
)


class Speaker:
    """eSpeak NG, by its library."""

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = str(Path(espeakng_loader.get_data_path()).parent).encode()
        self._rate = self._library.espeak_Initialize(2, 0, data, 0)  # 2: synchronous, samples come by a callback
        if self._rate <= 0:
            raise OSError("eSpeak NG can't be started")
        self._samples = bytearray()
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self._callback = kind(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int) -> int:
        if samples and count > 0:
            self._samples += ctypes.string_at(samples, 2 * count)
        return 0

    def wav(self, text: str, language: str) -> bytes:
        """A recording of a text."""
        self._samples.clear()
        self._library.espeak_SetVoiceByName(language.encode())
        self._library.espeak_SetParameter(1, 140, 0)  # words a minute
        said = text.encode() + b"\0"
        self._library.espeak_Synth(said, len(said), 0, 0, 0, 1, None, None)  # 1: UTF-8
        self._library.espeak_Synchronize()
        written = io.BytesIO()
        with wave.open(written, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self._rate)
            file.writeframes(bytes(self._samples))
        return written.getvalue()


def main() -> None:
    """Prints error rates and how many findings were heard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", default=os.environ.get("EVIGRAPH_SPEECH"), help="folder of a Whisper model, or a hub's name"
    )
    parser.add_argument("--json", type=Path, help="write the results here, too")
    given = parser.parse_args()
    if given.model is None:
        print("no model of speech is named (--model, EVIGRAPH_SPEECH): not run")
        return
    speaker, reader = Speaker(), SpeechReader(given.model)
    results = {}
    for language, voice, said in (("en", "en-us", _ENGLISH), ("zh", "cmn", _CHINESE)):
        concepts = ConceptReader(ConceptName(name, name) for _, *names in said for name in names)
        wrong = words = found = asked = 0
        heard_for = heard_s = 0.0
        for text, *names in said:
            recording = speaker.wav(text, voice)
            started = time.perf_counter()
            heard = reader.encode(recording, language=language)
            heard_s, heard_for = heard_s + time.perf_counter() - started, heard_for + heard.seconds
            written = "".join(word.text for word in heard.words)
            truth, told = _units(text, language), _units(written, language)
            wrong, words = wrong + Levenshtein.distance(truth, told), words + len(truth)
            hits = {one.concept for one in concepts.find(written)}
            found, asked = found + len(hits & set(names)), asked + len(names)
            times = [word.start for word in heard.words]
            assert times == sorted(times)
            print(f"{language}: {text} → {written.strip()}")
        results[language] = {
            "recordings": len(said), "error_rate": wrong / words, "findings": found, "of": asked,
            "seconds_per_second": heard_s / heard_for,
        }  # fmt: skip
        print(language, results[language])
    if given.json:
        given.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


def _units(text: str, language: str) -> list[str]:
    plain = re.findall(r"\w+", text.casefold())
    return plain if language == "en" else list("".join(plain))


if __name__ == "__main__":
    main()
