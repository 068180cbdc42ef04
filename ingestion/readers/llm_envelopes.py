"""What answers come wrapped in: the model's name, the text that it read, why it stopped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

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
_THOUGHTS = ("reasoning", "thinking", "redacted_thinking")
_INPUTS = {"tool_use": "input", "function_call": "arguments", "custom_tool_call": "input"}
"""Type of a block → the key of what the model hands to a tool: its answer."""
_OF_TOOLS = re.compile(r"\w+_(call|call_output|tool_use|tool_result)|tool_result|mcp_\w+")
"""Types of blocks that say what was done with tools of others, or what those answered."""
_TEXTS = ("message", "text", "output_text")
_PARTS = (
    "functionCall", "function_call", "functionResponse", "function_response", "inlineData", "inline_data", "fileData",
    "file_data", "executableCode", "executable_code", "codeExecutionResult", "code_execution_result",
)  # fmt: skip
"""Keys that tell Gemini's parts apart, which have no type."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Attributes:
        content: its text, or a value that is parsed already.
        place: of a text: what comes before the places in it.
        stopped: the model had no room for more.
        enveloped: it was wrapped in something.
        refused: why it is not read; empty if it is.
    """

    content: object
    place: str
    model: str = ""
    read_in: str = ""
    stopped: bool = False
    enveloped: bool = False
    refused: str = ""


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
        for found in _contents(value, place, stopped=False):
            yield replace(found, model=model, read_in=read_in)


def _told(value: object, keys: tuple[str, ...]) -> str:
    if not isinstance(value, Mapping):
        return ""
    return next((clean(v) for k in keys if isinstance(v := value.get(k), str) and v.strip()), "")


def _is_envelope(value: Mapping[str, object]) -> bool:
    """Whether an object wraps an answer, rather than being one: a triple with a `text`, a text with its `triples`."""
    keys = {plain_key(k) for k in value}
    if keys & EDGES.keys() or (keys & SUBJECTS.keys() and keys & OBJECTS.keys()):
        return False
    return bool(_content_key(value))


def _content_key(value: Mapping[str, object]) -> str:
    """The key that leads to the answer; empty if there is none, or nothing behind it."""
    return next((k for k in _CONTENTS if value.get(k) not in (None, "", [])), "")


def _contents(value: object, place: str, *, stopped: bool) -> Iterator[Answer]:
    """The answers in a value, and the blocks that are none."""
    if isinstance(value, Mapping) and _is_envelope({k: v for k, v in value.items() if k != "role"}):
        stopped = stopped or any(_is_stop(value.get(k)) for k in _STOPS)
        key = _content_key(value)
        yield from _contents(value[key], f"{place}.{key}" if place else key, stopped=stopped)
    elif isinstance(value, list) and _are_blocks(value):
        said = [(n, block) for n, block in enumerate(value) if not _is_thought(block)]
        if not said:
            yield Answer(value, place, enveloped=True, refused="only the model's thoughts, no answer")
        for n, block in said:
            yield from _block(block, f"{place}[{n}]", stopped=stopped)
    else:
        yield Answer(value, f"{place}/" if isinstance(value, str) else place, stopped=stopped, enveloped=True)


# ---- blocks ---------------------------------------------------------------------------------------------------------


def _block(block: Mapping[str, object], place: str, *, stopped: bool) -> Iterator[Answer]:
    """The answers in one of the blocks that an answer consists of."""
    kind = _kind(block)
    called = block.get(kind)
    if kind in _INPUTS and kind not in block:
        key = _INPUTS[kind]
        yield from _contents(block.get(key), f"{place}.{key}", stopped=stopped)
    elif kind in ("functionCall", "function_call") and isinstance(called, Mapping):
        yield from _contents(called.get("args"), f"{place}.{kind}.args", stopped=stopped)
    elif _is_message(block) and not _OF_TOOLS.fullmatch(kind):
        yield from _contents(block, place, stopped=stopped)
    else:
        reason = f"a block of type {kind[:40]!r} " + ("has no content" if kind in _TEXTS else "is not read")
        yield Answer(block, place, enveloped=True, refused=reason)


def _are_blocks(values: list[object]) -> bool:
    """Whether a list is an answer in several blocks, rather than one that lists triples or entities."""
    blocks = [v for v in values if isinstance(v, Mapping)]
    if not blocks or len(blocks) < len(values):
        return False
    return all(map(_is_message, blocks)) or (
        any(map(_is_known, blocks)) and all(_is_known(b) or _is_message(b) or _is_other(b) for b in blocks)
    )


def _kind(block: Mapping[str, object]) -> str:
    """Its type; empty if it has none."""
    type_ = block.get("type")
    return type_ if isinstance(type_, str) else next((k for k in _PARTS if k in block), "")


def _is_known(block: Mapping[str, object]) -> bool:
    kind = _kind(block)
    if kind in _INPUTS or _OF_TOOLS.fullmatch(kind) or kind in _PARTS:
        return True
    if kind == "message":
        return _is_message(block)
    return _is_thought(block) or (kind in (*_TEXTS, "refusal") and not {"name", "label", "id"} & set(block))


def _is_other(block: Mapping[str, object]) -> bool:
    """Whether an object may be a block of a type that we do not know: it is no triple, and has no name."""
    keys = {plain_key(k) for k in block}
    is_triple = keys & EDGES.keys() or (keys & SUBJECTS.keys() and keys & OBJECTS.keys())
    return bool(_kind(block)) and not is_triple and not {"name", "label", "head"} & set(block)


def _is_thought(block: Mapping[str, object]) -> bool:
    if block.get("thought") is True:
        return True
    return block.get("type") in _THOUGHTS and not {"name", "label"} & set(block)


def _is_message(value: Mapping[str, object]) -> bool:
    return _is_envelope({k: v for k, v in value.items() if k != "role"}) and not {"name", "head"} & set(value)


def _is_stop(reason: object) -> bool:
    if isinstance(reason, Mapping):
        reason = reason.get("reason")
    return isinstance(reason, str) and reason.casefold() in _FOR_WANT_OF_ROOM
