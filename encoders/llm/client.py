"""A client of language models behind any server that speaks OpenAI's protocol."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from encoders.llm.replies import LlmReply, ReplyFolder
from kg.errors import ConfigurationError, ModelUnavailableError
from kg.extras import needs_extra

with needs_extra("llm", "the client of language models"):
    import openai


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class LlmOptions:
    """How a server is asked.

    Attributes:
        url: of the protocol, such as `http://127.0.0.1:8080/v1`.
        model: the server's name for it.
        key: for the server, if it wants one.
        concurrency: calls at once.
        timeout_s: of one try of a call.
        retries: of a call that was refused for now (408, 409, 429, 5xx) or got lost; waits as `Retry-After` says.
        most_tokens: of all calls of a client together, prompts and replies; then it asks no more.
        only_recorded: answer from recorded replies alone.
    """

    url: str
    model: str
    key: str = ""
    concurrency: int = 4
    timeout_s: float = 120.0
    retries: int = 8
    most_tokens: int | None = None
    only_recorded: bool = False


@dataclass(slots=True)
class LlmUsage:
    """What a client has asked for so far.

    Attributes:
        calls: that went to the server.
        recorded: that recorded replies answered.
        prompt_tokens, completion_tokens: of the calls.
        seconds: of the calls, all together.
    """

    calls: int = 0
    recorded: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Of prompts and replies."""
        return self.prompt_tokens + self.completion_tokens


class LlmClient:
    """Asks one model; to be used as a context, which closes its connections.

    Args:
        options: which model, and how.
        replies: where replies are kept and looked for; None keeps none.
        usage: what was asked for before, which counts towards the limit.
    """

    def __init__(self, options: LlmOptions, replies: ReplyFolder | None = None, usage: LlmUsage | None = None) -> None:
        self.options = options
        self.usage = usage or LlmUsage()
        self._replies = replies
        self._at_once = asyncio.Semaphore(options.concurrency)
        self._client = openai.AsyncOpenAI(
            base_url=options.url, api_key=options.key or "none", timeout=options.timeout_s, max_retries=options.retries
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        most: int = 1024,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> LlmReply:
        """The model's answer.

        Args:
            messages: of the conversation.
            schema: JSON schema that the answer must fill; None: any text.
            most: tokens of the answer.
            temperature: 0 takes the likeliest token each time.
            seed: of what is drawn.

        Raises:
            ModelUnavailableError: the server stays away or refuses the call; or the limit of tokens is reached; or only
                recorded replies may answer, and there is none.
            ConfigurationError: it refuses the key.
        """
        request = self._request(messages, schema, most, temperature, seed)
        if self._replies is not None and (known := await asyncio.to_thread(self._replies.get, request)):
            self.usage.recorded += 1
            return known
        if self.options.only_recorded:
            raise ModelUnavailableError("no reply to this request is recorded, and no server may be asked")
        async with self._at_once:
            self._check_limit()
            started = time.perf_counter()
            with _Translated(self.options.url):
                answer = await self._client.chat.completions.create(**request)
            choice = answer.choices[0]
            used = answer.usage
            reply = LlmReply(
                choice.message.content or "",
                choice.finish_reason != "length",
                used.prompt_tokens if used else 0,
                used.completion_tokens if used else 0,
                round(time.perf_counter() - started, 3),
            )
        self._count(reply)
        if self._replies is not None:
            await asyncio.to_thread(self._replies.put, request, reply)
        return reply

    async def stream(
        self, messages: Sequence[Message], *, most: int = 1024, temperature: float = 0.0
    ) -> AsyncIterator[str]:
        """The model's answer as it is written, piece by piece; it is not kept.

        Raises:
            ModelUnavailableError, ConfigurationError: as `complete`.
        """
        request = self._request(messages, None, most, temperature, 0)
        if self.options.only_recorded:
            yield (await self.complete(messages, most=most, temperature=temperature)).text
            return
        async with self._at_once:
            self._check_limit()
            self.usage.calls += 1
            with _Translated(self.options.url):
                pieces = await self._client.chat.completions.create(**request, stream=True)
                async for piece in pieces:
                    if piece.choices and (text := piece.choices[0].delta.content):
                        yield text

    def _request(
        self, messages: Sequence[Message], schema: Mapping[str, Any] | None, most: int, temperature: float, seed: int
    ) -> dict[str, Any]:
        request: dict[str, Any] = {
            "model": self.options.model,
            "messages": [{"role": one.role, "content": one.content} for one in messages],
            "max_tokens": most,
            "temperature": temperature,
            "seed": seed,
        }
        if schema is not None:
            form = {"name": "answer", "schema": schema, "strict": True}
            request["response_format"] = {"type": "json_schema", "json_schema": form}
        return request

    def _check_limit(self) -> None:
        limit = self.options.most_tokens
        if limit is not None and self.usage.tokens >= limit:
            raise ModelUnavailableError(f"the limit of {limit:,} tokens is reached: {self.usage.tokens:,} were used")

    def _count(self, reply: LlmReply) -> None:
        self.usage.calls += 1
        self.usage.prompt_tokens += reply.prompt_tokens
        self.usage.completion_tokens += reply.completion_tokens
        self.usage.seconds += reply.seconds


class _Translated:
    """Errors of the client in our words; never with the key, which the server may repeat."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            raise ConfigurationError(f"{self._url} refuses the key: set EVIGRAPH_LLM_KEY") from None
        if isinstance(error, openai.APIStatusError):
            raise ModelUnavailableError(f"{self._url} refuses the call: status {error.status_code}") from None
        if isinstance(error, openai.APIConnectionError):
            raise ModelUnavailableError(f"{self._url} does not answer") from None
        if isinstance(error, openai.OpenAIError):
            raise ModelUnavailableError(f"{self._url}: {type(error).__name__}") from None
