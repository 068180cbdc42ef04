"""Replies of language models, kept by what was asked: a cache, and a recording that stands in for a server."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from kg.errors import InputError


@dataclass(frozen=True, slots=True)
class LlmReply:
    """What a model answered.

    Attributes:
        text: as it came.
        whole: False where it was cut at the greatest number of tokens.
        prompt_tokens, completion_tokens: as the server counted them; 0 where it did not.
        seconds: that it took.
        recorded: it is of an earlier call.
    """

    text: str
    whole: bool
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    recorded: bool = False


def key_of(request: Mapping[str, Any]) -> str:
    """SHA-256 of a request, hexadecimal: the same for the same model, messages, schema and settings."""
    return hashlib.sha256(orjson.dumps(request, option=orjson.OPT_SORT_KEYS)).hexdigest()


class ReplyFolder:
    """Replies as JSON files, one a request, with the request, so that a person can read what was asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, request: Mapping[str, Any]) -> LlmReply | None:
        """The reply to a request, if it was kept.

        Raises:
            InputError: its file is damaged.
        """
        path = self._path(request)
        try:
            body = orjson.loads(path.read_bytes())["reply"]
            return LlmReply(
                str(body["text"]), bool(body["whole"]), int(body["prompt_tokens"]), int(body["completion_tokens"]),
                float(body["seconds"]), recorded=True,
            )  # fmt: skip
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"holds no reply: {error}", str(path)) from error

    def put(self, request: Mapping[str, Any], reply: LlmReply) -> None:
        """Keeps a reply, whole or not at all."""
        path = self._path(request)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        kept = {name: value for name, value in asdict(reply).items() if name != "recorded"}
        partial.write_bytes(orjson.dumps({"request": request, "reply": kept}, option=orjson.OPT_INDENT_2))
        partial.replace(path)

    def seconds_a_token(self, most: int = 50) -> float | None:
        """How long kept calls took, by tokens of prompt and answer; None if there are none.

        Args:
            most: replies that are looked at.
        """
        seconds, tokens = 0.0, 0
        for path in islice(self._folder.glob("*/*.json"), most):
            body = orjson.loads(path.read_bytes())["reply"]
            seconds += body["seconds"]
            tokens += body["prompt_tokens"] + body["completion_tokens"]
        return seconds / tokens if tokens else None

    def _path(self, request: Mapping[str, Any]) -> Path:
        key = key_of(request)
        return self._folder / key[:2] / f"{key}.json"
