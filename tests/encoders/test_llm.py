from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

pytest.importorskip("openai", reason="needs the extra `llm`")

from encoders.llm.client import LlmClient, LlmOptions, Message
from encoders.llm.replies import ReplyFolder
from encoders.llm.server import start_server
from kg.errors import ConfigurationError, InputError, ModelUnavailableError
from tests.encoders.llm_server import serving

HELLO = [Message("user", "Hello")]


def _options(url: str, **given: object) -> LlmOptions:
    return LlmOptions(url, "m", key="secret-key", **given)  # type: ignore[arg-type]


async def test_all_are_answered_once_though_calls_are_refused_and_lost(tmp_path: Path) -> None:
    def failure(call: int) -> str:
        chance = hashlib.blake2b(str(call).encode()).digest()[0] / 255
        return "busy" if chance < 0.3 else "dead" if chance < 0.4 else ""

    with serving(lambda body: body["messages"][0]["content"].upper(), failure) as server:
        async with LlmClient(_options(server.url, concurrency=3), ReplyFolder(tmp_path)) as client:
            asked = [f"text {number}" for number in range(40)]
            replies = await asyncio.gather(*(client.complete([Message("user", text)]) for text in asked))
            assert [reply.text for reply in replies] == [text.upper() for text in asked]
            assert len(server.answered) == 40 < len(server.requests)
            assert server.most_at_once <= 3
            assert (client.usage.calls, client.usage.tokens) == (40, 600)
            again = await client.complete([Message("user", "text 7")])
            assert (again.text, again.recorded) == ("TEXT 7", True)
            assert len(server.answered) == 40
            other = await client.complete([Message("user", "text 7")], temperature=0.5)
            assert not other.recorded
            assert server.keys == {"Bearer secret-key"}


async def test_recorded_replies_need_no_server(tmp_path: Path) -> None:
    with serving(lambda _body: "hi") as server:
        async with LlmClient(_options(server.url), ReplyFolder(tmp_path)) as client:
            await client.complete(HELLO, schema={"type": "object"})
        assert server.requests[0]["response_format"]["json_schema"]["schema"] == {"type": "object"}
    async with LlmClient(_options(server.url, only_recorded=True), ReplyFolder(tmp_path)) as client:
        assert (await client.complete(HELLO, schema={"type": "object"})).text == "hi"
        with pytest.raises(ModelUnavailableError, match="no reply to this request is recorded"):
            await client.complete(HELLO)
    (kept,) = list(tmp_path.rglob("*.json"))  # noqa: ASYNC240 (nothing else runs)
    kept.write_text("{", encoding="utf-8")
    async with LlmClient(_options(server.url, only_recorded=True), ReplyFolder(tmp_path)) as client:
        with pytest.raises(InputError, match="holds no reply"):
            await client.complete(HELLO, schema={"type": "object"})


async def test_text_comes_piece_by_piece_and_cut_answers_are_told() -> None:
    with serving(lambda _body: "one two three…") as server:
        async with LlmClient(_options(server.url)) as client:
            pieces = [piece async for piece in client.stream(HELLO)]
            assert len(pieces) > 2
            assert "".join(pieces) == "one two three…"
            assert not (await client.complete(HELLO)).whole


@pytest.mark.parametrize(
    ("kind", "error", "message"),
    [
        ("busy", ModelUnavailableError, "status 429"),
        ("dead", ModelUnavailableError, "does not answer"),
        ("wrong", ModelUnavailableError, "status 400"),
        ("denied", ConfigurationError, "EVIGRAPH_LLM_KEY"),
    ],
)
async def test_what_stays_wrong_is_told_without_the_key(kind: str, error: type[Exception], message: str) -> None:
    with serving(lambda _body: "", lambda _call: kind) as server:
        async with LlmClient(_options(server.url, retries=1)) as client:
            with pytest.raises(error, match=message) as told:
                await client.complete(HELLO)
            assert "secret-key" not in str(told.value)
        assert len(server.requests) == (2 if kind in ("busy", "dead") else 1)


async def test_no_more_tokens_are_spent_than_allowed() -> None:
    with serving(lambda _body: "hi") as server:
        async with LlmClient(_options(server.url, most_tokens=30, concurrency=1)) as client:
            await client.complete(HELLO)
            await client.complete(HELLO, seed=1)
            with pytest.raises(ModelUnavailableError, match="limit of 30 tokens"):
                await client.complete(HELLO, seed=2)
        assert len(server.requests) == 2


def test_only_models_are_served(tmp_path: Path) -> None:
    given = {"host": "127.0.0.1", "port": 0, "context": 512, "at_once": 1, "threads": 1}
    with pytest.raises(InputError, match="can't be read"):
        start_server(tmp_path / "none.gguf", **given)  # type: ignore[arg-type]
    (tmp_path / "no.gguf").write_bytes(b"PK\x03\x04")
    with pytest.raises(InputError, match="no GGUF"):
        start_server(tmp_path / "no.gguf", **given)  # type: ignore[arg-type]
