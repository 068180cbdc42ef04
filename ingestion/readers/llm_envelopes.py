"""What answers come wrapped in: the model's name, the text that it read, why it stopped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ingestion.readers.llm_words import EDGES, OBJECTS, SUBJECTS, clean, plain_key

_MODELS = ("model", "model_name", "modelVersion", "model_id", "llm")
_DOCUMENTS = ("document", "document_id", "doc_id", "doc", "custom_id")
_CONTENTS = (
    "choices", "candidates", "message", "tool_calls", "function", "arguments", "body", "parts", "output", "response",
    "answer", "completion", "generated_text", "output_text", "raw_output", "result", "content", "text",
)  # fmt: skip
"""Keys that lead to an answer, in the interfaces of OpenAI, Anthropic, Google and Ollama, and in files of one's own."""
_STOPS = ("finish_reason", "stop_reason", "done_reason", "finishReason", "incomplete_details")
_FOR_WANT_OF_ROOM = ("length", "max_tokens", "max_output_tokens")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        content: its text, or a value that is parsed already.
        place: of a text: what comes before the places in it.
        stopped: the model had no room for more.
        enveloped: it was wrapped in something.
    """

    content: object
    place: str
    model: str = ""
    read_in: str = ""
    stopped: bool = False
    enveloped: bool = False


def answers(value: object, place: str) -> Iterator[Answer]:
    """The answers in a parsed envelope; the value itself, if it is none."""
    if isinstance(value, str):
        yield Answer(value, f"{place}/" if place else "")
    elif not isinstance(value, Mapping):
        yield Answer(value, place)
    else:
        model, read_in = _told(value, _MODELS), _told(value, _DOCUMENTS)
        if not model and isinstance(inner := value.get("response"), Mapping):
            model = _told(inner.get("body"), _MODELS) or _told(inner, _MODELS)
        if not _is_envelope(value):
            yield Answer(value, place, model, read_in)
            return
        for content, where, stopped in _contents(value, place, stopped=False):
            prefix = f"{where}/" if isinstance(content, str) else where
            yield Answer(content, prefix, model, read_in, stopped, enveloped=True)


def _told(value: object, keys: tuple[str, ...]) -> str:
    if not isinstance(value, Mapping):
        return ""
    return next((clean(v) for k in keys if isinstance(v := value.get(k), str) and v.strip()), "")


def _is_envelope(value: Mapping[str, object]) -> bool:
    """Whether an object wraps an answer, rather than being one: a triple with a `text`, a text with its `triples`."""
    keys = {plain_key(k) for k in value}
    if keys & EDGES.keys() or (keys & SUBJECTS.keys() and keys & OBJECTS.keys()):
        return False
    return any(value.get(k) not in (None, "") for k in _CONTENTS)


def _contents(value: object, place: str, *, stopped: bool) -> Iterator[tuple[object, str, bool]]:
    """(content, place, whether the model was stopped) of each answer."""
    if isinstance(value, Mapping) and _is_envelope({k: v for k, v in value.items() if k != "role"}):
        stopped = stopped or any(_is_stop(value.get(k)) for k in _STOPS)
        key = next(k for k in _CONTENTS if value.get(k) not in (None, "", []))
        yield from _contents(value[key], f"{place}.{key}" if place else key, stopped=stopped)
    elif isinstance(value, list) and value and all(isinstance(v, Mapping) and _is_message(v) for v in value):
        for n, part in enumerate(value):
            yield from _contents(part, f"{place}[{n}]", stopped=stopped)
    else:
        yield value, place, stopped


def _is_message(value: Mapping[str, object]) -> bool:
    return _is_envelope({k: v for k, v in value.items() if k != "role"}) and not {"name", "head"} & set(value)


def _is_stop(reason: object) -> bool:
    if isinstance(reason, Mapping):
        reason = reason.get("reason")
    return isinstance(reason, str) and reason.casefold() in _FOR_WANT_OF_ROOM
